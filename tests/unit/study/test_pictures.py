"""Grids, pictures as numbers, what augmentation does, and maps as large as their picture."""

from __future__ import annotations

import numpy as np
import pytest

from minicnn.augmentation import Augment
from minicnn.errors import OptionError, ShapeError
from minicnn.layers import Conv2D, DepthwiseConv2D, Flatten
from minicnn.sequential import Sequential
from minicnn.study import (
    activation_grid,
    each_augmentation,
    enlarged,
    filter_grid,
    grey,
    grid,
    matrix,
    stretched,
)


def test_pictures_stand_in_rows_each_with_its_own_range() -> None:
    pictures = np.arange(3 * 2 * 2).reshape(3, 2, 2)
    sheet = grid(pictures, across=2)
    assert sheet.shape == (5, 5)
    np.testing.assert_allclose(sheet[:2, :2], [[0, 1 / 3], [2 / 3, 1]])
    np.testing.assert_allclose(sheet[:2, 3:], sheet[3:, :2])
    assert np.all(sheet[2] == 1)
    assert np.all(sheet[3:, 3:] == 1), "where there is no picture, it is white"
    assert grid(np.zeros((5, 2, 2))).shape == (5, 8)
    assert np.all(stretched(np.full((2, 2), 7.0)) == 0.5)
    with pytest.raises(ShapeError):
        grid(np.zeros((2, 2)))


def test_filters_and_maps_in_their_places() -> None:
    model = Sequential(
        [
            Conv2D(4, 3, name="colour"),
            Conv2D(2, (3, 2), name="deep"),
            DepthwiseConv2D(2, name="each"),
            Flatten(name="f"),
        ],
        input_shape=(9, 9, 3),
    )
    assert filter_grid(model, "colour").shape == (7, 7, 3)
    deep = filter_grid(model, "deep")
    assert deep.shape == (2 * 4 - 1, 4 * 3 - 1)  # a row of four channels for each of two filters
    np.testing.assert_allclose(deep[4:, 9:], stretched(model.parameters["deep/kernel"][:, :, 3, 1]))
    with pytest.raises(OptionError, match="kernel"):
        filter_grid(model, "f")
    maps = np.random.default_rng(0).standard_normal((4, 3, 5))
    np.testing.assert_allclose(activation_grid(maps, across=5, gap=0)[:, 6:9], stretched(maps[..., 2]))
    with pytest.raises(ShapeError, match=r"maps\[0\]"):
        activation_grid(maps[None])


def test_a_picture_is_a_matrix_of_numbers() -> None:
    red = np.zeros((3, 4, 3), np.uint8)
    red[..., 0] = 200
    red[1, 2] = (7, 80, 255)
    found = matrix(red, top=1, left=1, rows=2, columns=9)
    assert found["red"] == ["200   7 200", "200 200 200"]
    assert found["blue"] == ["  0 255   0", "  0   0   0"]
    assert found["grey"][0].split()[1] == f"{0.299 * 7 + 0.587 * 80 + 0.114 * 255:.3g}"
    assert list(matrix(np.array([[[0.25]]]))) == ["grey"]
    np.testing.assert_allclose(grey(np.ones((2, 2, 3))), 1)
    with pytest.raises(OptionError, match=r"\(3, 4\)"):
        matrix(red, top=3)
    with pytest.raises(ShapeError):
        matrix(red[..., :2])


def test_each_augmentation_alone() -> None:
    x = np.random.default_rng(0).uniform(0, 1, (12, 8, 1))
    found = each_augmentation(x, Augment(shift=0.25, rotate=90, zoom=0, contrast=0.5))
    assert list(found) == ["original", "flip", "shift +", "shift -", "rotate +", "rotate -", "contrast +", "contrast -"]
    np.testing.assert_allclose(found["flip"], x[:, ::-1], atol=1e-12)
    np.testing.assert_allclose(found["shift +"][3:, 2:], x[:-3, :-2], atol=1e-12)
    np.testing.assert_allclose(found["shift -"][:-3, :-2], x[3:, 2:], atol=1e-12)
    np.testing.assert_allclose(found["contrast -"], x.mean() + 0.5 * (x - x.mean()), rtol=1e-12)
    square = np.random.default_rng(1).uniform(0, 1, (5, 5, 1))
    turned = each_augmentation(square, Augment(rotate=90))
    np.testing.assert_allclose(turned["rotate +"], np.rot90(square), atol=1e-12)
    np.testing.assert_allclose(turned["rotate -"], np.rot90(square, -1), atol=1e-12)
    assert list(each_augmentation(x, Augment(False, 0, 0, 0, 0))) == ["original"]
    with pytest.raises(ShapeError):
        each_augmentation(x[None], Augment())


def test_maps_are_enlarged_to_their_picture() -> None:
    ramp = np.array([[[0.0, 1.0], [0.0, 1.0]]])
    large = enlarged(ramp, 4, 8)
    assert large.shape == (1, 4, 8)
    np.testing.assert_allclose(large[0, 0], [0, 0, 0.125, 0.375, 0.625, 0.875, 1, 1])
    with pytest.raises(ShapeError):
        enlarged(ramp[0], 4, 8)
