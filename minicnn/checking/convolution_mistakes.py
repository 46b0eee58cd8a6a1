"""What goes wrong in convolutions: the kernel, the channels, the bias, the layout, and the gradients."""

from __future__ import annotations

from typing import Any

import numpy as np

from minicnn.checking.gradients import PARAMETER_GRADIENTS
from minicnn.checking.subject import Arguments, Mistake, Results, UndefinedError, ones_for_dy
from minicnn.checking.windows import PADDING, window_of


def _swapped_channels(a: Arguments) -> Arguments:
    if a["kernel"].shape[2] != a["kernel"].shape[3]:
        raise UndefinedError
    return {"kernel": a["kernel"].transpose(0, 1, 3, 2)}


def _as_oihw(a: Arguments) -> Arguments:
    kh, kw, c, f = a["kernel"].shape
    return {"kernel": a["kernel"].reshape(f, c, kh, kw).transpose(2, 3, 1, 0)}


def _one_channel(a: Arguments) -> Arguments:
    kernel = np.zeros_like(a["kernel"])
    kernel[:, :, -1] = a["kernel"][:, :, -1]
    return {"kernel": kernel}


def _read_as_nchw(a: Arguments) -> Arguments:
    n, h, w, c = a["x"].shape
    return {"x": np.ascontiguousarray(a["x"].reshape(n, c, h, w).transpose(0, 2, 3, 1))}


def _edges(a: Arguments) -> Arguments:
    if a["padding"] != "same":
        return {}
    pads = window_of(a).pads(*a["x"].shape[1:3])
    return {"x": np.pad(a["x"], ((0, 0), *pads, (0, 0)), mode="edge"), "padding": "valid"}


def _padded(a: Arguments) -> Arguments:
    if a["padding"] != "same":
        return {}
    pads = window_of(a).pads(*a["x"].shape[1:3])
    return {"x": np.pad(a["x"], ((0, 0), *pads, (0, 0))), "padding": "valid"}


def _scaled_bias(name: str, meaning: str, factor: Any) -> Mistake:
    return Mistake(name, meaning, lambda a: {} if a["bias"] is None else {"bias": a["bias"] * factor(a)})


def _per_channel(change: Any) -> Any:
    """The change of y that puts output channel c * D + d elsewhere."""

    def after(results: Results, a: Arguments) -> Results:
        multiplier = a["kernel"].shape[3]
        y = results["y"].reshape(*results["y"].shape[:3], -1, multiplier)  # (N, OH, OW, C*D) -> (N, OH, OW, C, D)
        return {"y": change(y)}

    return after


KERNEL = (
    Mistake(
        "kernel flipped",
        "The kernel is turned by 180 degrees. Networks compute a cross-correlation: tap [kh, kw] meets pixel "
        "[i + kh, j + kw]. Only dx, seen as a convolution of dy, turns the kernel.",
        before=lambda a: {"kernel": a["kernel"][::-1, ::-1]},
    ),
    Mistake(
        "kernel axes swapped",
        "Rows and columns of the kernel are exchanged: kernel[kw, kh] is read where kernel[kh, kw] was meant.",
        before=lambda a: {"kernel": a["kernel"].transpose(1, 0, 2, 3)},
    ),
)
CHANNELS = (
    Mistake(
        "kernel channels swapped",
        "Input and output channels of the kernel are exchanged. Its layout is (KH, KW, input channels, filters).",
        before=_swapped_channels,
    ),
    Mistake(
        "kernel read as OIHW",
        "The kernel's numbers are reshaped to (filters, channels, KH, KW), PyTorch's layout. A reshape does not move "
        "axes: transpose(3, 2, 0, 1) does.",
        before=_as_oihw,
    ),
    Mistake(
        "only the last channel counts",
        "Each input channel overwrites the sum of those before it: use +=, or sum over the channel axis as well.",
        before=_one_channel,
    ),
)
BIAS = (
    _scaled_bias("bias missing", "The bias is never added: every output of a filter gains bias[f] once.", lambda a: 0),
    _scaled_bias("bias added twice", "The bias is added two times to every output; once is right.", lambda a: 2),
    _scaled_bias(
        "bias added at every tap",
        "The bias is added inside the loop over the kernel's taps: KH * KW times instead of once per output.",
        lambda a: a["kernel"].shape[0] * a["kernel"].shape[1],
    ),
    _scaled_bias(
        "bias added at every product",
        "The bias is added with every product, KH * KW * C times instead of once per output.",
        lambda a: np.prod(a["kernel"].shape[:3]),
    ),
)
LAYOUT = (
    Mistake(
        "input read as NCHW",
        "x is taken as (N, C, H, W) by a reshape. Its layout is (N, H, W, C), and a reshape does not move axes.",
        before=_read_as_nchw,
    ),
    Mistake(
        "output returned as NCHW",
        "The numbers are right, but y leaves as (N, F, OH, OW). Keras's layout is (N, OH, OW, F): transpose(0, "
        "2, 3, 1).",
        after=lambda results, a: {"y": results["y"].transpose(0, 3, 1, 2)},
    ),
)
DILATION = Mistake(
    "dilation ignored",
    "The taps are side by side whatever dilation_rate is. Tap [kh, kw] sees pixel [i + kh * dilation, ...].",
    before=lambda a: {"dilation_rate": (1, 1)},
)
EDGE = Mistake(
    "edges repeated instead of zeros",
    "Around the picture stand copies of its border; 'same' pads with zeros.",
    before=_edges,
)
BACKWARD = (
    *KERNEL,
    Mistake(
        "dkernel flipped",
        "dkernel is turned by 180 degrees: dkernel[kh, kw] sums dy[i, j] * x[i + kh, j + kw].",
        after=lambda results, a: {"dkernel": results["dkernel"][::-1, ::-1]},
    ),
    Mistake(
        "dkernel axes swapped",
        "Rows and columns of dkernel are exchanged.",
        after=lambda results, a: {"dkernel": results["dkernel"].transpose(1, 0, 2, 3)},
    ),
    Mistake(
        "padding left on dx",
        "dx still has the zeros that were added around x: cut them off, or its shape is not that of x.",
        before=_padded,
    ),
    *PADDING[1:3],
    PADDING[4],
    *PARAMETER_GRADIENTS,
    ones_for_dy(),
)
DEPTHWISE = (
    Mistake(
        "output channels in another order",
        "Channel c, multiplier d stands at d * C + c. Keras's order is c * depth_multiplier + d.",
        after=_per_channel(lambda y: y.swapaxes(3, 4).reshape(*y.shape[:3], -1)),
    ),
    Mistake(
        "channels summed",
        "The input channels are added up, as an ordinary convolution does. Depthwise, each has outputs of its own.",
        after=_per_channel(lambda y: y.sum(axis=3)),
    ),
)
