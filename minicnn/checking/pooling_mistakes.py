"""What goes wrong in pooling: the windows, the padding, who gets the gradient. ``pooling`` has the knobs they turn."""

from __future__ import annotations

from minicnn.checking.subject import Arguments, Mistake, ones_for_dy
from minicnn.checking.windows import PADDING, STRIDES, window_of


def _rounded_up(a: Arguments) -> Arguments:
    """A last window that hangs over the edge."""
    if a["padding"] != "valid":
        return {}
    window = window_of(a)
    sizes = zip(a["x"].shape[1:3], window.size, window.strides, strict=True)
    rows, columns = ((0, -(-(n - k) // s) * s + k - n) for n, k, s in sizes)
    return {"padding": (rows, columns)}


OVERLAP = (
    Mistake(
        "overlapping windows overwritten",
        "dx[window] = ... lets each window wipe out what the one before it left. Where windows overlap, gradients add "
        "up: +=.",
        before=lambda a: {"overwrite": "window"},
    ),
    Mistake(
        "overlapping winners overwritten",
        "dx[winner] = dy keeps only the last window of those that a pixel won. It gets the sum of their gradients: +=.",
        before=lambda a: {"overwrite": "value"},
    ),
)
ROUNDED_UP = Mistake(
    "output size rounded up",
    "With 'valid', a last window hangs over the edge of the picture. Sizes are rounded down: 25 becomes 12.",
    before=_rounded_up,
)
ALWAYS_OWN_STRIDE = Mistake(
    "strides always the pool size",
    "The strides that were given are not used: the windows lie side by side. That is right for strides=None alone.",
    before=lambda a: {"strides": None},
)
NCHW = Mistake(
    "output returned as NCHW",
    "The numbers are right, but y leaves as (N, C, OH, OW). Keras's layout is (N, OH, OW, C).",
    after=lambda results, a: {"y": results["y"].transpose(0, 3, 1, 2)},
)
WINDOWS = (*PADDING[:3], *STRIDES, ALWAYS_OWN_STRIDE)
MAX_FORWARD = (
    *WINDOWS,
    ROUNDED_UP,
    NCHW,
    Mistake(
        "padded with zeros",
        "Around the picture stand zeros, which win where all pixels are negative. Max pooling pads with -inf.",
        before=lambda a: {"fill": 0.0},
    ),
    Mistake("mean instead of max", "It takes the mean of each window.", before=lambda a: {"take": "mean"}),
)
MAX_BACKWARD = (
    Mistake(
        "gradient to all ties",
        "Every pixel that equals the maximum gets the whole gradient: x == y is true for all of them. Keras gives it "
        "to the first one in reading order.",
        before=lambda a: {"share": "all"},
    ),
    Mistake(
        "gradient split among ties",
        "Equal maxima share the gradient. Keras gives all of it to the first one in reading order.",
        before=lambda a: {"share": "split"},
    ),
    Mistake(
        "gradient to the last tie",
        "Of equal maxima the last one gets the gradient: >= where > was meant. Keras gives it to the first.",
        before=lambda a: {"share": "last"},
    ),
    Mistake(
        "gradient to the whole window",
        "Every pixel of the window gets an equal share, as in average pooling. Only the winner had a part in y.",
        before=lambda a: {"share": "every"},
    ),
    *OVERLAP,
    PADDING[1],
    ones_for_dy(),
)
COUNTED = Mistake(
    "padding counted",
    "Windows at the border are divided by their full size. Keras divides by the number of pixels inside the picture.",
    before=lambda a: {"count": "all"},
)
MEAN_FORWARD = (
    *WINDOWS,
    NCHW,
    COUNTED,
    Mistake("sum instead of mean", "The windows are summed but not divided.", before=lambda a: {"count": "none"}),
    Mistake("max instead of mean", "It takes the largest of each window.", before=lambda a: {"take": "max"}),
)
MEAN_BACKWARD = (
    COUNTED,
    Mistake(
        "gradient not divided",
        "Every pixel of a window gets all of dy. y was divided by the number of pixels, so each gets that share.",
        before=lambda a: {"count": "none"},
    ),
    OVERLAP[0],
    PADDING[1],
    ones_for_dy(),
)
