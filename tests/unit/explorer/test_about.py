"""What the page says that a map reads, against the layer itself: which of its inputs change a number."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from minicnn.explorer.about import about_layer
from minicnn.explorer.photo import Photo, Rectangle
from minicnn.explorer.scene import Scene
from minicnn.layers import (
    Activation,
    AveragePooling2D,
    BatchNormalization,
    Conv2D,
    Conv2DTranspose,
    Dense,
    DepthwiseConv2D,
    Flatten,
    GlobalAveragePooling2D,
    Layer,
    LayerNormalization,
    MaxPooling2D,
    Permute,
    ReLU,
    Reshape,
    SeparableConv2D,
    Softmax,
    UnitNormalization,
    UpSampling2D,
)
from minicnn.sequential import Sequential
from minicnn.shapes import Array, Shape


def seen_alone(layer: Layer, shape: Shape) -> tuple[dict[str, Any], Array]:
    """What is said about a layer that reads the input, and which of its numbers truly depend on which: (H, W, C) of
    the input by (OH, OW, F) of its output, bool.

    A batch with a picture for each number, with NaN there: no layer loses it.
    """
    model = Sequential([layer], input_shape=shape, dtype="float64")
    crop, edges = np.zeros(shape[:2], np.uint8), Rectangle(0, 0, shape[1], shape[0])
    x = np.random.default_rng(0).standard_normal((int(np.prod(shape)), *shape))
    photo = Photo("made up", np.repeat(crop[..., None], 3, 2), edges, edges, crop, x[:1])
    about = about_layer(Scene(model, photo), layer.name)
    np.fill_diagonal(x.reshape(len(x), -1), np.nan)
    y = model(x)
    return about, np.isnan(y).reshape(*shape, *y.shape[1:])


SHAPE = (6, 5, 4)
WITH_WINDOWS: list[tuple[Layer, Shape]] = [
    (Conv2D(3, 3, padding="same"), SHAPE),
    (Conv2D(3, 3), (6, 5, 1)),
    (Conv2D(8, 3, strides=2, padding="same", groups=2), SHAPE),
    (Conv2D(8, 3, groups=4), SHAPE),
    (DepthwiseConv2D(3), SHAPE),
    (DepthwiseConv2D(3, strides=2, padding="same", depth_multiplier=3), SHAPE),
    (SeparableConv2D(4, 3, padding="same"), SHAPE),
    (MaxPooling2D(), SHAPE),
    (AveragePooling2D(3, strides=1, padding="same"), SHAPE),
    (GlobalAveragePooling2D(keepdims=True), SHAPE),
    (Conv2DTranspose(3, 3, strides=2, padding="same"), (6, 6, 2)),
    (Conv2DTranspose(2, 3), SHAPE),
    (Conv2DTranspose(2, (2, 5), strides=(3, 1), output_padding=(2, 0)), SHAPE),  # some rows read nothing
    (Conv2DTranspose(2, 3, dilation_rate=2, padding="same"), SHAPE),
    (ReLU(), SHAPE),
    (BatchNormalization(), SHAPE),
    (Softmax(), SHAPE),
    (Softmax(axis=1), SHAPE),
    (Activation("softmax"), SHAPE),
    (Activation("tanh"), SHAPE),
    (LayerNormalization(), SHAPE),
    (LayerNormalization(axis=(1, 3)), SHAPE),
    (UnitNormalization(axis=2), SHAPE),
    (Dense(4), SHAPE),
    (Reshape(SHAPE), SHAPE),
]


@pytest.mark.parametrize("layer, shape", WITH_WINDOWS, ids=lambda value: getattr(value, "name", str(value)))
def test_a_map_reads_what_changes_its_numbers(layer: Layer, shape: Shape) -> None:
    about, depends = seen_alone(layer, shape)
    OH, OW, F = depends.shape[3:]
    rows, columns = about["window"]["rows"], about["window"]["columns"]
    assert (len(rows), len(columns)) == (OH, OW)
    for row, column, k in np.ndindex(OH, OW, F):
        inputs = depends[..., row, column, k]
        spans = zip((rows[row], columns[column]), shape[:2], strict=True)
        said = [(max(first, 0), min(end, size)) for (first, end), size in spans]
        if not inputs.any():
            assert any(first >= end for first, end in said), (row, column)
            continue
        places = [np.flatnonzero(inputs.any(axis=axes)) for axes in ((1, 2), (0, 2), (0, 1))]
        assert said == [(p[0], p[-1] + 1) for p in places[:2]], (row, column, k)
        if about["channels"] is None:
            assert len(places[2]) > 1
        else:
            assert places[2].tolist() == [about["channels"][k]], (row, column, k)


@pytest.mark.parametrize(
    "layer", [Permute((2, 1, 3)), Permute((3, 2, 1)), Reshape((8, 8, 2)), UpSampling2D(2), Flatten()]
)
def test_what_only_moves_numbers_has_no_window(layer: Layer) -> None:
    """Square pictures, so that a shape alone does not tell a moved picture from one that stayed."""
    about, _ = seen_alone(layer, (4, 4, 8) if isinstance(layer, Reshape) else (4, 4, 4))
    assert (about["window"], about["channels"]) == (None, None)


def test_the_source_of_a_transposed_row_lies_in_the_picture_it_reads() -> None:
    """6 rows become 12: the last is made of the last."""
    about, _ = seen_alone(Conv2DTranspose(1, 3, strides=2, padding="same"), (6, 6, 1))
    assert about["window"]["rows"][-1] == (5, 6)
    assert about["channels"] == [0]
