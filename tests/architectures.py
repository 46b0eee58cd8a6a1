"""Random networks for Hypothesis: layers in a row, and graphs whose ways part and meet.

Every kind of layer that takes pictures may come up, with options of every sort; what does not fit a value's shape is
left out. The end is always the same: everything that nobody has read yet is pooled, put together, and scored.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from hypothesis import strategies as st

from minicnn import layers
from minicnn.layers import Input, Layer, SymbolicTensor
from minicnn.model import Model
from minicnn.sequential import Sequential
from minicnn.shapes import Array

CLASSES = 3
Draw = Callable[[st.SearchStrategy[Any]], Any]


def _one_in(draw: Draw, shape: tuple[int, ...]) -> Layer:
    """A layer that takes one picture (H, W, C) of this shape and gives one back."""
    H, W, C = shape
    padding = draw(st.sampled_from(["same", "valid"] if min(H, W) >= 3 else ["same"]))
    size, bias = draw(st.sampled_from([1, 2, 3, (1, 3)])), draw(st.booleans())
    window = {"kernel_size": size, "padding": padding, "use_bias": bias}
    stride, filters = draw(st.sampled_from([1, 1, 2])), draw(st.integers(1, 5))
    dilated = {"dilation_rate": 2} if padding == "same" else {"strides": stride}
    makers: list[Callable[[], Layer]] = [
        lambda: layers.Conv2D(filters, **window, **dilated),
        lambda: layers.Conv2D(2 * C, **window, strides=stride, groups=C),
        lambda: layers.DepthwiseConv2D(**window, depth_multiplier=draw(st.integers(1, 2))),
        lambda: layers.SeparableConv2D(filters, **window, strides=stride),
        lambda: layers.MaxPooling2D(2, strides=stride, padding=padding),
        lambda: layers.AveragePooling2D((2, 3), strides=1, padding="same"),
        lambda: layers.ZeroPadding2D(((0, 1), (2, 0))),
        lambda: layers.Permute((2, 1, 3)),
        lambda: layers.Reshape((W, -1, C)),
        lambda: layers.Dense(filters, use_bias=bias),
        layers.BatchNormalization,
        lambda: layers.LayerNormalization(axis=draw(st.sampled_from([-1, (1, 3), (1, 2, 3)]))),
        layers.UnitNormalization,
        layers.ReLU,
        lambda: layers.ELU(0.7),
        lambda: layers.Activation(draw(st.sampled_from(["relu", "tanh", "sigmoid", "softmax", "elu"]))),
        lambda: layers.Dropout(0.4),
    ]
    if H * W <= 100:  # what enlarges must not run away
        makers += [
            lambda: layers.UpSampling2D(draw(st.sampled_from([2, (1, 3)]))),
            lambda: layers.Conv2DTranspose(filters, **window, strides=stride),
        ]
    return draw(st.sampled_from(makers))()


@st.composite
def rows(draw: Draw) -> Sequential:
    """Up to eight layers in a row, and scores at the end; float64."""
    shape = draw(st.tuples(st.integers(3, 8), st.integers(3, 8), st.integers(1, 4)))
    made: list[Layer] = []
    current = shape
    for _ in range(draw(st.integers(1, 8))):
        made.append(_one_in(draw, current))
        current = made[-1].output_shape(current)
    made += [layers.Flatten(), layers.Dense(CLASSES)]
    return lively(Sequential(made, input_shape=shape, dtype="float64", seed=draw(st.integers(0, 99))))


@st.composite
def graphs(draw: Draw) -> Model:
    """Up to ten nodes, each reading from anywhere before it, some of them layers that were there already; float64."""
    first = Input(draw(st.tuples(st.integers(3, 8), st.integers(3, 8), st.integers(1, 4))))
    values: list[SymbolicTensor] = [first]
    for _ in range(draw(st.integers(2, 10))):
        value = draw(st.sampled_from(values))
        like = [other for other in values if other.shape == value.shape]
        beside = [other for other in values if other.shape[:2] == value.shape[:2]]
        what = draw(st.sampled_from(["layer", "layer", "again", "add", "multiply", "concatenate"]))
        if what == "again" and value.layer is not None and not value.layer.merges:
            again = [other for other in like if other.shape == value.sources[0].shape]
            values.append(value.layer(draw(st.sampled_from(again))) if again else _one_in(draw, value.shape)(value))
        elif what == "add":
            values.append(layers.Add()([value, draw(st.sampled_from(like))]))
        elif what == "multiply":
            values.append(layers.Multiply()([value, draw(st.sampled_from(like))]))
        elif what == "concatenate" and sum(other.shape[2] for other in beside) <= 40:
            values.append(layers.Concatenate()([value, draw(st.sampled_from(beside))]))
        else:
            values.append(_one_in(draw, value.shape)(value))
    read = {id(source) for value in values for source in value.sources}
    ends = [layers.GlobalAveragePooling2D()(value) for value in values if id(value) not in read]
    scores = layers.Dense(CLASSES)(layers.Concatenate()(ends) if len(ends) > 1 else ends[0])
    return lively(Model(first, scores, dtype="float64", seed=draw(st.integers(0, 99))))


def lively(model: Any) -> Any:
    """The model with biases, scales and statistics as after training: nothing exactly 0 or 1."""
    rng = np.random.default_rng(1)
    for address, array in model.weights.items():
        if np.ptp(array) == 0:
            positive = address.endswith(("gamma", "variance"))
            array[...] = rng.uniform(0.5, 1.5, array.shape) if positive else rng.normal(0, 0.3, array.shape)
    return model


def pictures(model: Model, count: int = 3) -> Array:
    return np.random.default_rng(2).standard_normal((count, *model.shapes[0]))
