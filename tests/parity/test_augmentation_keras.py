"""Shift, rotation, zoom and contrast mean what they mean in Keras's random layers: same picture for the same factor."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
import pytest

from minicnn.augmentation import Choices, adjust_contrast, affine_maps, warp
from minicnn.shapes import Array

os.environ.setdefault("KERAS_BACKEND", "tensorflow")
keras = pytest.importorskip("keras", reason="parity needs the extra 'keras'")

N, H, W = 3, 21, 24


def pictures() -> Array:
    return np.random.default_rng(0).random((N, H, W, 2)).astype(np.float32)


def ours(x: Array, fill: str, rotate: float = 0.0, zoom: float = 0.0, down: float = 0.0, right: float = 0.0) -> Array:
    same = Choices(
        flip=np.zeros(N, bool),
        shift=np.tile([down, right], (N, 1)),
        rotate=np.full(N, rotate),
        zoom=np.full(N, zoom),
        contrast=np.ones(N),
    )
    return warp(x, affine_maps(same, H, W), fill)


@pytest.mark.parametrize("fill", ["nearest", "reflect"])
@pytest.mark.parametrize(
    ("layer", "factors", "choice"),
    [
        ("RandomRotation", [(0.1, 0.1)], {"rotate": 36.0}),  # Keras counts whole turns
        ("RandomRotation", [(-0.03, -0.03)], {"rotate": -10.8}),
        ("RandomZoom", [(0.2, 0.2)], {"zoom": 0.2}),
        ("RandomZoom", [(-0.3, -0.3)], {"zoom": -0.3}),
        ("RandomTranslation", [(0.1, 0.1), (-0.27, -0.27)], {"down": 0.1, "right": -0.27}),
    ],
)
def test_geometry(layer: str, factors: list[Any], choice: dict[str, float], fill: str) -> None:
    x = pictures()
    expected = np.asarray(getattr(keras.layers, layer)(*factors, fill_mode=fill)(x, training=True))
    assert np.abs(expected - x).max() > 0.1  # it did something
    np.testing.assert_allclose(ours(x, fill, **choice), expected, atol=2e-5)


def test_contrast() -> None:
    x, factors = pictures(), np.array([0.3, 0.9, 1.0], np.float32)
    layer = keras.layers.RandomContrast(0.9, value_range=(0, 1))
    expected = layer.transform_images(x, {"contrast_factor": factors.reshape(-1, 1, 1, 1)}, training=True)
    np.testing.assert_allclose(adjust_contrast(x, factors), np.asarray(expected), atol=1e-6)
