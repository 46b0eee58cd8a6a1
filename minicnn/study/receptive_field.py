"""Which pixels of the picture a number can see: exact arithmetic of sizes, strides, dilations and paddings.

Going back from one number, each layer says which places of its input it was made of. For a window along one axis

    positions = output * stride + tap * dilation - padding before            (``Window.reads``)

so the field grows by (K - 1) * dilation * (the product of the strides below) per layer, and is cut off where it meets
the border. Places are followed as a set for each axis rather than as an interval: dilated and strided windows leave
holes, and a hole next to a border decides where the field ends.

What is followed are places that have a part in the formula, whatever the weights: a ReLU at 0 or the losers of a max
pooling still count. Where ways of different sizes meet, the field holds the places of all of them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np

from minicnn import layers
from minicnn.errors import OptionError, explain
from minicnn.layers import Layer
from minicnn.model import Model
from minicnn.ops.merging import align
from minicnn.ops.unit_normalization import check_axes
from minicnn.shapes import Array, Shape
from minicnn.study.places import checked
from minicnn.study.rules.moving import shares
from minicnn.study.trace import number_of

Region = tuple[Array, ...]  # for each axis of a value (no batch axis) the places on it, sorted


@dataclass(frozen=True, eq=False)
class ReceptiveField:
    """Places of an input, on each of its axes (no batch axis): of a picture rows, columns and channels."""

    places: Region

    @property
    def box(self) -> tuple[tuple[int, int], ...]:
        """The smallest half-open interval around the places of each axis: ((top, bottom), (left, right), ...).

        (0, 0) for each axis if no place has a part, as in a frame of zeros.
        """
        return tuple((int(p[0]), int(p[-1]) + 1) if len(p) else (0, 0) for p in self.places)


def receptive_field(model: Model, layer: str, index: Sequence[int], *, source: str | None = None) -> ReceptiveField:
    """The places of the input that the number ``index`` (no batch axis) of the output of ``layer`` depends on.

    ``source`` names the input, for models that have several (None: the first). Raises OptionError for layers, inputs
    and indices that are not there. Cost: no arithmetic but sizes; microseconds per layer.
    """
    model.require_built()
    graph, value = model.graph, number_of(model, layer)
    wanted = model.input_names.index(source) if source in model.input_names else 0
    if source is not None and source not in model.input_names:
        raise OptionError(explain(f"an input among {', '.join(model.input_names)}", repr(source)))
    place = checked(model.shapes[value], index, f"the output of '{layer}'")
    regions: dict[int, Region] = {value: tuple(np.array([i]) for i in place)}
    for here in range(value, graph.inputs - 1, -1):
        if here not in regions:
            continue
        node, region = graph.nodes[here - graph.inputs], regions.pop(here)
        shapes = [model.shapes[s] for s in node.sources]
        for k, read in enumerate(node.sources):
            seen = SEEN[type(node.layer)](node.layer, region, shapes, k)
            if all(len(places) for places in seen):  # one axis without a place: nothing was read
                regions[read] = _union(regions[read], seen) if read in regions else seen
    nothing = tuple(np.array([], int) for _ in model.shapes[wanted])
    return ReceptiveField(regions.get(wanted, nothing))


def _union(one: Region, other: Region) -> Region:
    return tuple(np.union1d(a, b) for a, b in zip(one, other, strict=True))


# -- what a region of each kind of layer's output reads of its input ``k`` ---------------------------------------------


def _whole(axis: int, shape: Shape) -> Array:
    return np.arange(shape[axis])


def _window(layer: Any, region: Region, shape: Shape) -> tuple[Array, Array]:
    reads = layer.window.reads(*shape[:2])
    rows, columns = (np.unique(t[np.isin(t[:, 0], places), 2]) for t, places in zip(reads, region, strict=False))
    return rows, columns


def _conv2d(layer: Any, region: Region, shapes: list[Shape], k: int) -> Region:
    channels = shapes[0][2] // layer.groups
    groups = np.unique(region[2] // (layer.filters // layer.groups))
    return *_window(layer, region, shapes[0]), (groups[:, None] * channels + np.arange(channels)).reshape(-1)


def _depthwise(layer: Any, region: Region, shapes: list[Shape], k: int) -> Region:
    return *_window(layer, region, shapes[0]), np.unique(region[2] // layer.depth_multiplier)


def _separable(layer: Any, region: Region, shapes: list[Shape], k: int) -> Region:
    return *_window(layer, region, shapes[0]), _whole(2, shapes[0])


def _transposed(layer: Any, region: Region, shapes: list[Shape], k: int) -> Region:
    """The window leads from y to x, so its table is read the other way."""
    reads = layer.window.reads(*layer.output_shape(shapes[0])[:2])
    rows, columns = (np.unique(t[np.isin(t[:, 2], places), 0]) for t, places in zip(reads, region, strict=False))
    return rows, columns, _whole(2, shapes[0])


def _pooling(layer: Any, region: Region, shapes: list[Shape], k: int) -> Region:
    return *_window(layer, region, shapes[0]), region[2]


def _global(layer: Any, region: Region, shapes: list[Shape], k: int) -> Region:
    return _whole(0, shapes[0]), _whole(1, shapes[0]), region[-1]


def _dense(layer: Any, region: Region, shapes: list[Shape], k: int) -> Region:
    return *region[:-1], _whole(-1, shapes[0])


def _same(layer: Any, region: Region, shapes: list[Shape], k: int) -> Region:
    return region


def _along(axes: Callable[[Any, int], tuple[int, ...]]) -> Callable[..., Region]:
    """Layers in which the numbers along some axes (counted with the batch) depend on each other."""

    def seen(layer: Any, region: Region, shapes: list[Shape], k: int) -> Region:
        together = axes(layer, len(region) + 1)
        return tuple(_whole(a, shapes[0]) if a + 1 in together else places for a, places in enumerate(region))

    return seen


def _softmax_axes(layer: Any, rank: int) -> tuple[int, ...]:
    if isinstance(layer, layers.Softmax):
        return (layer.axis % rank,)
    return (rank - 1,) if layer.activation == "softmax" else ()


def _reshaped(layer: Any, region: Region, shapes: list[Shape], k: int) -> Region:
    y_shape = layer.output_shape(shapes[0])
    flat = np.ravel_multi_index(np.meshgrid(*region, indexing="ij"), y_shape).reshape(-1)
    return tuple(np.unique(axis) for axis in np.unravel_index(flat, shapes[0]))


def _permuted(layer: Any, region: Region, shapes: list[Shape], k: int) -> Region:
    return tuple(region[layer.dims.index(axis + 1)] for axis in range(len(region)))


def _padded(layer: Any, region: Region, shapes: list[Shape], k: int) -> Region:
    moved = (places - pad[0] for places, pad in zip(region, layer.padding, strict=False))
    rows, columns = (p[(p >= 0) & (p < size)] for p, size in zip(moved, shapes[0], strict=False))
    return rows, columns, region[2]


def _enlarged(layer: Any, region: Region, shapes: list[Shape], k: int) -> Region:
    rows, columns = (_sources(layer, axis, shapes[0], region[axis]) for axis in (0, 1))
    return rows, columns, region[2]


def _sources(layer: Any, axis: int, shape: Shape, places: Array) -> Array:
    pairs, _ = shares(shape[axis], layer.size[axis], layer.interpolation)
    return np.unique(pairs[np.isin(pairs[:, 0], places), 1])


def _broadcast(layer: Any, region: Region, shapes: list[Shape], k: int) -> Region:
    rank = len(region)
    sizes = align((1, *shapes[k]), rank + 1)[1:]
    kept = range(rank - len(shapes[k]), rank)
    return tuple(region[axis] if sizes[axis] > 1 else np.array([0]) for axis in kept)


def _concatenated(layer: Any, region: Region, shapes: list[Shape], k: int) -> Region:
    axis = layer.axis % (len(region) + 1) - 1
    start = sum(shape[axis] for shape in shapes[:k])
    own = region[axis][(region[axis] >= start) & (region[axis] < start + shapes[k][axis])] - start
    return tuple(own if a == axis else places for a, places in enumerate(region))


SEEN: MappingProxyType[type[Layer], Callable[..., Region]] = MappingProxyType(
    {
        layers.Conv2D: _conv2d,
        layers.DepthwiseConv2D: _depthwise,
        layers.SeparableConv2D: _separable,
        layers.Conv2DTranspose: _transposed,
        layers.MaxPooling2D: _pooling,
        layers.AveragePooling2D: _pooling,
        layers.GlobalMaxPooling2D: _global,
        layers.GlobalAveragePooling2D: _global,
        layers.Dense: _dense,
        layers.Flatten: _reshaped,
        layers.Reshape: _reshaped,
        layers.Permute: _permuted,
        layers.ZeroPadding2D: _padded,
        layers.UpSampling2D: _enlarged,
        layers.Softmax: _along(_softmax_axes),
        layers.Activation: _along(_softmax_axes),
        layers.LayerNormalization: _along(lambda layer, rank: check_axes(layer.axes, rank)),
        layers.UnitNormalization: _along(lambda layer, rank: check_axes(layer.axes, rank)),
        layers.Add: _broadcast,
        layers.Multiply: _broadcast,
        layers.Concatenate: _concatenated,
        **dict.fromkeys((layers.ReLU, layers.LeakyReLU, layers.ELU, layers.Sigmoid, layers.Tanh), _same),
        **dict.fromkeys((layers.Dropout, layers.BatchNormalization), _same),
    }
)
