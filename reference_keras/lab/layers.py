"""Every layer over a grid of its options.

The grid is made from the layers themselves: a layer's constructor names its options, and ``VALUES`` has values for
each name. The first value of each is the usual one. Every other value is tried with the rest as usual, and
every pair of values of those options that act together (window, stride, padding). So a layer that is added with options
of these names has its rows already.
"""

from __future__ import annotations

import inspect
import itertools
from collections.abc import Iterator
from typing import Any

import numpy as np

from minicnn.errors import MinicnnError
from minicnn.layers import LAYERS, Layer
from minicnn.layers.activations import ACTIVATIONS
from minicnn.layers.base import Tensors
from minicnn.shapes import Shape
from reference_keras.lab.reports import Row
from reference_keras.parity import compare_layer
from reference_keras.reports import LayerReport

VALUES: dict[str, tuple[Any, ...]] = {
    "filters": (8,),
    "units": (16,),
    "kernel_size": (3, 1, 2, 5, (2, 3)),
    "pool_size": (2, 3, (2, 3)),
    "strides": (1, 2, 3),
    "padding": ("valid", "same"),
    "dilation_rate": (1, 2),
    "groups": (1, 2, 4),
    "depth_multiplier": (1, 2),
    "use_bias": (True, False),
    "keepdims": (False, True),
    "negative_slope": (0.3, 0.0, 0.01),
    "alpha": (1.0, 0.3),
    "momentum": (0.99, 0.6),
    "epsilon": (1e-3, 1e-5),
    "center": (True, False),
    "scale": (True, False),
    "rate": (0.0,),  # masks are drawn: what can be compared is that nothing else happens
    "size": (2, 3, (2, 3)),
    "interpolation": ("nearest", "bilinear"),
    "activation": tuple(ACTIVATIONS),
}
OWN_VALUES: dict[str, dict[str, tuple[Any, ...]]] = {
    "ZeroPadding2D": {"padding": (1, 0, (2, 1), ((0, 1), (2, 3)))},
    "Softmax": {"axis": (-1, 1, -2)},
    "UnitNormalization": {"axis": (-1, (1, -2))},
    "MaxPooling2D": {"strides": (None, 1, 3)},
    "AveragePooling2D": {"strides": (None, 1, 3)},
    "Reshape": {"target_shape": ((-1, 4), (-1,))},
    "Concatenate": {"axis": (-1, 1, 2)},
    "LayerNormalization": {"axis": (-1, (1, 2, 3), (1, 2))},
    "Permute": {"dims": ((2, 1, 3), (3, 1, 2))},
    "Conv2DTranspose": {"dilation_rate": (1,)},  # TensorFlow has no other on a processor
}
TOGETHER = ("kernel_size", "pool_size", "strides", "padding", "groups", "dilation_rate", "size")
PICTURE: Shape = (4, 15, 14, 8)
ROWS: Shape = (16, 96)
#: What layers are tried on: one batch, or for layers that merge a list of them (as many, and of other sizes).
SINGLE: tuple[Shape, ...] = (PICTURE, ROWS)
SEVERAL: tuple[list[Shape], ...] = (
    [PICTURE, PICTURE],
    [PICTURE, PICTURE, PICTURE],
    [PICTURE, (4, 15, 1, 8)],
    [PICTURE, (4, 8)],
    [PICTURE, (4, 15, 14, 3)],
    [ROWS, ROWS],
)


def option_grid(kind: type[Layer]) -> Iterator[dict[str, Any]]:
    """Choices of options: the usual ones, each other value, and pairs of those that act together."""
    known = {**VALUES, **OWN_VALUES.get(kind.__name__, {})}
    parameters = inspect.signature(kind).parameters.values()
    names = [p.name for p in parameters if p.name in known]
    usual = {p.name: known[p.name][0] for p in parameters if p.name in known and p.default is p.empty}
    chosen: list[dict[str, Any]] = [usual]
    for name in names:
        chosen += [usual | {name: value} for value in known[name]]
    for one, other in itertools.combinations([name for name in names if name in TOGETHER], 2):
        chosen += [usual | {one: a, other: b} for a, b in itertools.product(known[one], known[other])]
    yield from (options for number, options in enumerate(chosen) if options not in chosen[:number])


def compare_every_layer(seed: int = 0) -> tuple[list[Row], dict[str, str]]:
    """A row for every layer and choice of options, and the layers that have none, with the reason."""
    rows: list[Row] = []
    left_out: dict[str, str] = {}
    for name, kind in LAYERS.items():
        own: list[Row] = []
        reason = "no choice of options that it takes"
        for options in option_grid(kind):
            for shape in SEVERAL if kind.merges else SINGLE:
                try:
                    layer = kind(**options)
                    layer.output_shape([s[1:] for s in shape] if isinstance(shape, list) else shape[1:])
                except (MinicnnError, TypeError) as error:  # a combination that is refused, or no layer for such inputs
                    reason = str(error)
                    continue
                own += _rows(layer, options, shape, seed)
        rows += own
        if not own:
            left_out[name] = reason
    return rows, left_out


def _rows(layer: Layer, options: dict[str, Any], shape: Shape | list[Shape], seed: int) -> Iterator[Row]:
    """The row of one layer; one more in training, where that makes a difference."""
    rng = np.random.default_rng([seed, 1])
    several = [rng.standard_normal(s).astype(np.float32) for s in (shape if isinstance(shape, list) else [shape])]
    x: Tensors = several if layer.merges else several[0]
    shown = options | {"x": " + ".join("x".join(map(str, part.shape)) for part in several)}
    for training in (False, True) if layer.acts_differently_in_training else (False,):
        twin = type(layer)(**options)
        try:
            report = compare_layer(twin, x, training=training, ulps=True, seed=seed)
        except MinicnnError as error:
            yield Row("layers", type(layer).__name__, shown, False, f"cannot be compared: {error}")
            continue
        yield as_row(report, shown | ({"training": True} if training else {}))


def as_row(report: LayerReport, options: dict[str, Any]) -> Row:
    """A layer's report as a row of the lab."""
    counted = [array for array in report.arrays if array.ulps]
    ours, keras = (
        tuple(map(sum, zip(*(getattr(array.ulps, side) for array in counted), strict=True)))
        for side in ("ours", "keras")
    )
    worst = max(counted, key=lambda array: array.ours)
    assert worst.ulps is not None
    values = "minicnn {:.9g}, Keras {:.9g}, float64 {:.17g}".format(*worst.ulps.values)
    return Row(
        family="layers",
        kind=report.kind,
        options=options,
        ok=report.ok,
        problem="; ".join(report.failures()),
        float64=max(array.float64 for array in report.arrays),
        ours=max(array.ours for array in report.arrays),
        keras=max(array.keras for array in report.arrays),
        closer=report.closer,
        ours_ulps=ours,
        keras_ulps=keras,
        worst=f"{worst.name}[{', '.join(map(str, worst.ulps.worst))}]: {values}",
    )
