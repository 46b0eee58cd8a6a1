"""What a number can see, against the network itself: NaN in a pixel makes just those numbers NaN that see it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings

from minicnn.errors import OptionError
from minicnn.layers import (
    Add,
    BatchNormalization,
    Concatenate,
    Conv2D,
    Conv2DTranspose,
    Input,
    MaxPooling2D,
    ReLU,
    UpSampling2D,
    ZeroPadding2D,
)
from minicnn.model import Model
from minicnn.models import face_cnn_table, vgg_face_table
from minicnn.models.outline import outline
from minicnn.sequential import Sequential
from minicnn.shapes import Array
from minicnn.study import activations, receptive_field
from tests.architectures import graphs, rows


def dependence(model: Model) -> dict[str, Array]:
    """name of a value -> (H, W, *its shape), bool: which numbers depend on pixel (h, w).

    A batch with a picture for each pixel, with NaN there: no layer loses it.
    """
    H, W, C = model.shapes[0]
    x = np.random.default_rng(0).standard_normal((H * W, H, W, C))
    x.reshape(H * W, H * W, C)[np.arange(H * W), np.arange(H * W)] = np.nan
    return {name: np.isnan(y).reshape(H, W, *y.shape[1:]) for name, y in activations(model, x).items()}


def box(pixels: Array) -> tuple[tuple[int, int], ...]:
    if not pixels.any():
        return (0, 0), (0, 0)
    return tuple(
        (int(places[0]), int(places[-1]) + 1) for places in (np.flatnonzero(pixels.any(axis=a)) for a in (1, 0))
    )


def assert_exact(model: Model, layer: str, index: tuple[int, ...], depends: dict[str, Array]) -> None:
    pixels = depends[layer][(slice(None), slice(None), *index)]
    assert receptive_field(model, layer, index).box[:2] == box(pixels), (layer, index)


ROWS: list[list[Any]] = [
    [Conv2D(2, 3, name="a"), Conv2D(2, 3, name="last")],
    [Conv2D(2, 3, padding="same", name="a"), MaxPooling2D(name="p"), Conv2D(2, 3, padding="same", name="last")],
    [Conv2D(2, (5, 2), strides=2, padding="same", name="a"), Conv2D(2, 3, strides=(3, 1), padding="same", name="last")],
    [
        Conv2D(2, 3, dilation_rate=3, padding="same", name="a"),
        Conv2D(2, 3, dilation_rate=2, padding="same", name="last"),
    ],
    [Conv2D(2, 1, strides=3, name="a"), Conv2D(2, 2, name="last")],
    [ZeroPadding2D(((2, 0), (1, 3)), name="a"), Conv2D(2, 2, name="last")],
    [Conv2D(2, 3, strides=2, name="a"), Conv2DTranspose(2, 3, strides=2, padding="same", name="last")],
    [MaxPooling2D(3, name="a"), UpSampling2D(3, name="u"), Conv2D(1, 2, name="last")],
    [MaxPooling2D(2, name="a"), UpSampling2D(2, interpolation="bilinear", name="last")],
]


@pytest.mark.parametrize("layers", ROWS, ids=lambda layers: "-".join(type(layer).__name__ for layer in layers))
def test_the_field_ends_just_where_the_network_stops_looking(layers: list[Any]) -> None:
    model = Sequential(layers, input_shape=(13, 11, 2), dtype="float64")
    OH, OW, F = model.output_shape
    depends = dependence(model)
    for oh in range(OH):
        for ow in range(OW):
            assert_exact(model, "last", (oh, ow, F - 1), depends)


def test_ways_of_different_sizes_meet() -> None:
    x = Input((9, 9, 2))
    wide = Conv2D(2, 5, padding="same", name="wide")(x)
    narrow = Conv2D(2, 1, name="narrow")(x)
    model = Model(x, Concatenate(name="both")([Add(name="add")([wide, narrow]), narrow]), dtype="float64")
    for index in ((4, 4, 0), (0, 8, 1), (4, 4, 3)):
        assert_exact(model, "both", index, dependence(model))
    assert receptive_field(model, "both", (4, 4, 3)).box == ((4, 5), (4, 5), (0, 2))


def test_a_residual_network_exactly(rng: np.random.Generator) -> None:
    """Two blocks, the second with strides on both of its ways."""
    x = Input((14, 11, 1))
    first = BatchNormalization()(Conv2D(2, 3, strides=2, padding="same")(x))
    second = ReLU()(Add()([first, Conv2D(2, 3, padding="same")(ReLU()(first))]))
    short = Conv2D(3, 1, strides=2)(second)
    model = Model(x, Add(name="end")([short, Conv2D(3, 3, strides=2, padding="same")(second)]), dtype="float64")
    depends = dependence(model)
    for layer, shape in zip(model.path, model.shapes[1:], strict=True):
        for _ in range(10):
            assert_exact(model, layer.name, tuple(int(rng.integers(size)) for size in shape), depends)


@pytest.mark.parametrize("kind", [rows, graphs], ids=["rows", "graphs"])
def test_nothing_is_missing_in_any_network(kind: Any) -> None:
    """Where rows and columns are mixed (Reshape) after ways met, the field may be too large, but never too small."""

    @settings(max_examples=25)
    @given(kind())
    def check(model: Model) -> None:
        for name, depends in list(dependence(model).items())[1:]:
            index = tuple(size // 2 for size in depends.shape[2:])
            down, across, _ = receptive_field(model, name, index).places
            pixels = depends[(slice(None), slice(None), *index)]
            assert set(np.flatnonzero(pixels.any(axis=1))) <= set(down.tolist()), (name, index)
            assert set(np.flatnonzero(pixels.any(axis=0))) <= set(across.tolist()), (name, index)

    check()


def test_known_sizes() -> None:
    """VGG's fields, as its authors count them: 3x3 twice is 5x5, and a pooling doubles what follows."""
    model = outline(vgg_face_table((224, 224, 3)))
    middle = {"conv1_1": 3, "conv1_2": 5, "pool1": 6, "conv2_1": 10, "conv2_2": 14, "conv3_3": 40}
    for name, size in middle.items():
        H, W, _ = next(s for layer, s in zip(model.path, model.shapes[1:], strict=True) if layer.name == name)
        (top, bottom), (left, right), channels = receptive_field(model, name, (H // 2, W // 2, 0)).box
        assert (bottom - top, right - left, channels) == (size, size, (0, 3)), name
    assert receptive_field(model, "conv1_1", (0, 0, 0)).box == ((0, 2), (0, 2), (0, 3))


def test_the_last_layer_sees_everything() -> None:
    model = outline(face_cnn_table())
    assert receptive_field(model, model.path[-1].name, (0,)).box == tuple((0, size) for size in model.input_shape or ())


def test_a_frame_sees_nothing_and_inputs_have_names() -> None:
    model = Sequential([ZeroPadding2D(1, name="frame")], input_shape=(4, 4, 1))
    assert receptive_field(model, "frame", (0, 0, 0)).box == ((0, 0), (0, 0), (0, 0))
    a, b = Input((4, 4, 1), name="a"), Input((4, 4, 1), name="b")
    two = Model([a, b], Add(name="add")([Conv2D(1, 3, padding="same")(a), b]))
    assert receptive_field(two, "add", (1, 1, 0)).box == ((0, 3), (0, 3), (0, 1))
    assert receptive_field(two, "add", (1, 1, 0), source="b").box == ((1, 2), (1, 2), (0, 1))
    with pytest.raises(OptionError, match="a, b"):
        receptive_field(two, "add", (1, 1, 0), source="c")
    with pytest.raises(OptionError, match="Did you mean 'add'"):
        receptive_field(two, "ad", (1, 1, 0))
    with pytest.raises(OptionError, match=r"\(4, 4, 1\)"):
        receptive_field(two, "add", (4, 1, 0))
