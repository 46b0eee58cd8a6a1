"""How the convolutions explain themselves. All four are sums of products, and differ in who meets whom.

``Window.reads`` says which output sees which pixel with which tap. One output's rows of that table are its terms, one
pixel's rows the output gradients that flow back into it, one tap's rows the products of that kernel entry's gradient.
"""

from __future__ import annotations

from typing import Any

from minicnn.layers import Conv2D, Conv2DTranspose, DepthwiseConv2D, SeparableConv2D
from minicnn.shapes import Array
from minicnn.study.explanation import Index, Step, Terms, Worked, total_of
from minicnn.study.places import at, combinations
from minicnn.study.use import Rule, Use, handed_back

OUTPUT, TAP, POSITION = range(3)  # columns of Window.reads


def _reads(use: Use, column: int, rows: int, columns: int) -> tuple[Array, Array]:
    """The rows of both tables of ``Window.reads`` in which ``column`` is what is asked for on that axis."""
    seen = use.y if isinstance(use.layer, Conv2DTranspose) else use.xs[0]
    down, across = use.layer.window.reads(*seen.shape[1:3])
    return down[down[:, column] == rows], across[across[:, column] == columns]


def _with_bias(use: Use, formula: str, terms: Terms, channel: int) -> Worked:
    if "bias" not in use.layer.params:
        return Worked(f"y = {formula}", (terms,))
    total = total_of((terms,)) + use.number("bias", channel)
    return Worked(
        f"y = {formula} + bias[f]", (terms,), (Step(f"+ bias[{channel}] {use.number('bias', channel):.6g}", total),)
    )


def _bias_gradient(use: Use, index: Index) -> Worked:
    N, OH, OW, _ = use.y.shape
    n, oh, ow = combinations(range(N), range(OH), range(OW))
    return handed_back(use, at(n, oh, ow, index[0]), "dbias[f] = sum over n, oh, ow of dy[n, oh, ow, f]")


# -- Conv2D ------------------------------------------------------------------------------------------------------------


def _conv2d(use: Use, index: Index) -> Worked:
    n, oh, ow, f = index
    channels, first = _group(use, f // (use.layer.filters // use.layer.groups))
    _, kh, h, _, kw, w, c = combinations(*_reads(use, OUTPUT, oh, ow), range(channels))
    terms = Terms.of(use.x(at(n, h, w, first + c)), use.weight("kernel", at(kh, kw, c, f)))
    return _with_bias(use, "sum over kh, kw, c of x * kernel[kh, kw, c, f]", terms, f)


def _conv2d_input(use: Use, index: Index, source: int) -> Worked:
    n, h, w, channel = index
    channels, _ = _group(use, 0)
    group, filters = channel // channels, use.layer.filters // use.layer.groups
    members = range(group * filters, (group + 1) * filters)
    oh, kh, _, ow, kw, _, f = combinations(*_reads(use, POSITION, h, w), members)
    terms = Terms.of(use.upstream(at(n, oh, ow, f)), use.weight("kernel", at(kh, kw, channel - group * channels, f)))
    return Worked("dx = sum over the outputs that saw x, of dy * kernel[kh, kw, c, f]", (terms,))


def _conv2d_kernel(use: Use, index: Index) -> Worked:
    kh, kw, c, f = index
    _, first = _group(use, f // (use.layer.filters // use.layer.groups))
    n, oh, _, h, ow, _, w = combinations(range(len(use.y)), *_reads(use, TAP, kh, kw))
    terms = Terms.of(use.upstream(at(n, oh, ow, f)), use.x(at(n, h, w, first + c)))
    return Worked("dkernel[kh, kw, c, f] = sum over n, oh, ow of dy * x", (terms,))


def _group(use: Use, group: int) -> tuple[int, int]:
    """(channels that each filter sees, the first of them) for the filters of ``group``."""
    channels = use.layer.params["kernel"].shape[2]
    return channels, group * channels


# -- DepthwiseConv2D ---------------------------------------------------------------------------------------------------


def _depthwise(use: Use, index: Index) -> Worked:
    n, oh, ow, f = index
    c, m = divmod(f, use.layer.depth_multiplier)
    _, kh, h, _, kw, w = combinations(*_reads(use, OUTPUT, oh, ow))
    terms = Terms.of(use.x(at(n, h, w, c)), use.weight("kernel", at(kh, kw, c, m)))
    return _with_bias(use, "sum over kh, kw of x * kernel[kh, kw, c, m], f = c * M + m,", terms, f)


def _depthwise_input(use: Use, index: Index, source: int) -> Worked:
    n, h, w, c = index
    M = use.layer.depth_multiplier
    oh, kh, _, ow, kw, _, m = combinations(*_reads(use, POSITION, h, w), range(M))
    terms = Terms.of(use.upstream(at(n, oh, ow, c * M + m)), use.weight("kernel", at(kh, kw, c, m)))
    return Worked("dx = sum over the outputs that saw x, of dy * kernel[kh, kw, c, m]", (terms,))


def _depthwise_kernel(use: Use, index: Index) -> Worked:
    kh, kw, c, m = index
    n, oh, _, h, ow, _, w = combinations(range(len(use.y)), *_reads(use, TAP, kh, kw))
    terms = Terms.of(use.upstream(at(n, oh, ow, c * use.layer.depth_multiplier + m)), use.x(at(n, h, w, c)))
    return Worked("dkernel[kh, kw, c, m] = sum over n, oh, ow of dy * x", (terms,))


# -- SeparableConv2D: a term has a factor of each kernel ---------------------------------------------------------------


def _kernels(use: Use, kh: Any, kw: Any, c: Any, m: Any, f: Any) -> Terms:
    channel = c * use.layer.depth_multiplier + m
    depthwise = use.weight("depthwise_kernel", at(kh, kw, c, m))
    return Terms.of(depthwise, use.weight("pointwise_kernel", at(0, 0, channel, f)))


def _separable(use: Use, index: Index) -> Worked:
    n, oh, ow, f = index
    channels = range(use.xs[0].shape[3])
    _, kh, h, _, kw, w, c, m = combinations(*_reads(use, OUTPUT, oh, ow), channels, range(use.layer.depth_multiplier))
    terms = Terms.of(use.x(at(n, h, w, c)), *_kernels(use, kh, kw, c, m, f).factors)
    return _with_bias(use, "sum over kh, kw, c, m of x * depthwise * pointwise", terms, f)


def _separable_input(use: Use, index: Index, source: int) -> Worked:
    n, h, w, c = index
    oh, kh, _, ow, kw, _, m, f = combinations(
        *_reads(use, POSITION, h, w), range(use.layer.depth_multiplier), range(use.layer.filters)
    )
    terms = Terms.of(use.upstream(at(n, oh, ow, f)), *_kernels(use, kh, kw, c, m, f).factors)
    return Worked("dx = sum over the outputs that saw x, of dy * depthwise * pointwise", (terms,))


def _depthwise_half(use: Use, index: Index) -> Worked:
    kh, kw, c, m = index
    n, oh, _, h, ow, _, w, f = combinations(range(len(use.y)), *_reads(use, TAP, kh, kw), range(use.layer.filters))
    pointwise = use.weight("pointwise_kernel", at(0, 0, c * use.layer.depth_multiplier + m, f))
    terms = Terms.of(use.upstream(at(n, oh, ow, f)), use.x(at(n, h, w, c)), pointwise)
    return Worked("ddepthwise[kh, kw, c, m] = sum over n, oh, ow, f of dy * x * pointwise", (terms,))


def _pointwise_half(use: Use, index: Index) -> Worked:
    _, _, k, f = index
    c, m = divmod(k, use.layer.depth_multiplier)
    down, across = use.layer.window.reads(*use.xs[0].shape[1:3])
    n, oh, kh, h, ow, kw, w = combinations(range(len(use.y)), down, across)
    depthwise = use.weight("depthwise_kernel", at(kh, kw, c, m))
    terms = Terms.of(use.upstream(at(n, oh, ow, f)), use.x(at(n, h, w, c)), depthwise)
    return Worked("dpointwise[0, 0, c * M + m, f] = sum over n, oh, ow, kh, kw of dy * x * depthwise", (terms,))


# -- Conv2DTranspose: the window leads from y to x ---------------------------------------------------------------------


def _transposed(use: Use, index: Index) -> Worked:
    n, oh, ow, f = index
    h, kh, _, w, kw, _, c = combinations(*_reads(use, POSITION, oh, ow), range(use.xs[0].shape[3]))
    terms = Terms.of(use.x(at(n, h, w, c)), use.weight("kernel", at(kh, kw, f, c)))
    return _with_bias(use, "sum over the stamps that reach y, of x * kernel[kh, kw, f, c]", terms, f)


def _transposed_input(use: Use, index: Index, source: int) -> Worked:
    n, h, w, c = index
    _, kh, oh, _, kw, ow, f = combinations(*_reads(use, OUTPUT, h, w), range(use.layer.filters))
    terms = Terms.of(use.upstream(at(n, oh, ow, f)), use.weight("kernel", at(kh, kw, f, c)))
    return Worked("dx = sum over kh, kw, f of dy * kernel[kh, kw, f, c]", (terms,))


def _transposed_kernel(use: Use, index: Index) -> Worked:
    kh, kw, f, c = index
    n, h, _, oh, w, _, ow = combinations(range(len(use.y)), *_reads(use, TAP, kh, kw))
    terms = Terms.of(use.upstream(at(n, oh, ow, f)), use.x(at(n, h, w, c)))
    return Worked("dkernel[kh, kw, f, c] = sum over n, h, w of dy * x", (terms,))


RULES = {
    Conv2D: Rule(_conv2d, _conv2d_input, {"kernel": _conv2d_kernel, "bias": _bias_gradient}),
    DepthwiseConv2D: Rule(_depthwise, _depthwise_input, {"kernel": _depthwise_kernel, "bias": _bias_gradient}),
    SeparableConv2D: Rule(
        _separable,
        _separable_input,
        {"depthwise_kernel": _depthwise_half, "pointwise_kernel": _pointwise_half, "bias": _bias_gradient},
    ),
    Conv2DTranspose: Rule(_transposed, _transposed_input, {"kernel": _transposed_kernel, "bias": _bias_gradient}),
}
