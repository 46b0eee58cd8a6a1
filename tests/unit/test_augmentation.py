"""Augmentation: exact where it can be, equal to scipy where it interpolates, and a function of the seed alone."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from minicnn.augmentation import Augment, Choices, adjust_contrast, affine_maps, warp
from minicnn.errors import DtypeError, OptionError, ShapeError
from minicnn.shapes import Array

NOTHING = Augment(flip=False, shift=0, rotate=0, zoom=0, contrast=0)


def pictures(n: int = 5, height: int = 7, width: int = 10, channels: int = 2, dtype: Any = np.float64) -> Array:
    return np.random.default_rng(3).random((n, height, width, channels)).astype(dtype)


def choices(n: int = 5, **given: Any) -> Choices:
    values: dict[str, Array] = {name: np.zeros(n) for name in ("rotate", "zoom")}
    values |= {"flip": np.zeros(n, bool), "shift": np.zeros((n, 2)), "contrast": np.ones(n)}
    return Choices(**(values | {name: np.broadcast_to(value, values[name].shape) for name, value in given.items()}))


def transformed(x: Array, fill: str = "nearest", **given: Any) -> Array:
    return warp(x, affine_maps(choices(len(x), **given), *x.shape[1:3]), fill)


def generator(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_all_zero_is_the_identity_and_still_a_new_array(dtype: Any) -> None:
    x = pictures(dtype=dtype)
    y = NOTHING(x, generator())
    assert np.array_equal(y, x)
    assert y.dtype == dtype
    assert not np.shares_memory(x, y)
    assert np.array_equal(transformed(x), x)  # through the sampling as well


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_flip_is_exact(dtype: Any) -> None:
    x = pictures(n=50, dtype=dtype)
    assert np.array_equal(transformed(x, flip=True), x[:, :, ::-1])
    flipping = Augment(shift=0, rotate=0, zoom=0, contrast=0)
    y = flipping(x, generator())
    mirrored = flipping.draw(50, generator()).flip
    assert 10 < mirrored.sum() < 40
    assert np.array_equal(y, np.where(mirrored[:, None, None, None], x[:, :, ::-1], x))


def test_whole_shifts_move_down_and_right_and_fill_what_is_left() -> None:
    x = pictures(height=10, width=10)
    down = transformed(x, shift=[0.2, 0.0])
    assert np.array_equal(down[:, 2:], x[:, :-2])
    assert np.array_equal(down[:, :2], x[:, [0, 0]])
    assert np.array_equal(transformed(x, "reflect", shift=[0.2, 0.0])[:, :2], x[:, [1, 0]])
    assert not transformed(x, "constant", shift=[0.2, 0.0])[:, :2].any()
    right = transformed(x, shift=[0.0, 0.3])
    assert np.array_equal(right[:, :, 3:], x[:, :, :-3])


def test_turning_is_counter_clockwise_about_the_centre() -> None:
    x = pictures(height=9, width=9)
    np.testing.assert_allclose(transformed(x, rotate=90), np.rot90(x, axes=(1, 2)), atol=1e-12)
    np.testing.assert_allclose(transformed(x, rotate=-90), np.rot90(x, -1, axes=(1, 2)), atol=1e-12)
    np.testing.assert_allclose(transformed(x, rotate=180), x[:, ::-1, ::-1], atol=1e-12)


def test_zooming_in_enlarges_about_the_centre() -> None:
    x = np.zeros((1, 9, 9, 1))
    x[0, 3:6, 3:6] = 1
    assert transformed(x, zoom=-0.5).sum() > 2 * x.sum()
    assert transformed(x, zoom=0.5).sum() < x.sum()
    assert transformed(x, zoom=-0.5)[0, 4, 4] == 1


maps = st.tuples(st.booleans(), st.floats(-0.6, 0.6), st.floats(-0.6, 0.6), st.floats(-180, 180), st.floats(-0.9, 0.9))


@settings(max_examples=60, deadline=None)
@given(
    maps, st.sampled_from(["nearest", "reflect", "constant"]), st.integers(1, 9), st.integers(1, 9), st.integers(1, 3)
)
def test_sampling_is_what_scipy_computes(drawn: Any, fill: str, height: int, width: int, channels: int) -> None:
    flip, down, right, rotate, zoom = drawn
    x = pictures(2, height, width, channels)
    matrices = affine_maps(choices(2, flip=flip, shift=[down, right], rotate=rotate, zoom=zoom), height, width)
    y = warp(x, matrices, fill)
    mode = "grid-constant" if fill == "constant" else fill
    for n in range(2):
        for k in range(channels):
            expected = ndimage.affine_transform(
                x[n, :, :, k], matrices[n, :, :2], matrices[n, :, 2], order=1, mode=mode, prefilter=False
            )
            np.testing.assert_allclose(y[n, :, :, k], expected, atol=1e-10)
    np.testing.assert_allclose(warp(x.astype(np.float32), matrices, fill), y, atol=1e-4)


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 2**32), st.sampled_from(["nearest", "reflect"]))
def test_neighbours_stay_neighbours_and_nothing_is_invented(seed: int, fill: str) -> None:
    """A smooth picture stays smooth: a tear would show as a step. And nothing leaves the range of its pixels."""
    ramp = np.linspace(0, 1, 20)
    x = np.sin(ramp[:, None] + 2 * ramp)[None, :, :, None].repeat(4, axis=0)
    y = Augment(contrast=0, fill=fill)(x, generator(seed))
    step = max(np.abs(np.diff(x, axis=axis)).max() for axis in (1, 2))
    assert max(np.abs(np.diff(y, axis=axis)).max() for axis in (1, 2)) <= 1.5 * 1.1 * step
    assert x.min() - 1e-12 <= y.min() <= y.max() <= x.max() + 1e-12


def test_the_result_depends_on_pictures_and_seed_alone() -> None:
    x, augment = pictures(), Augment()
    before = x.copy()
    y = augment(x, generator(1))
    assert np.array_equal(y, augment(x, generator(1)))
    assert np.array_equal(y, augment(np.asfortranarray(x), generator(1)))
    assert not np.array_equal(y, augment(x, generator(2)))
    assert np.array_equal(x, before)
    assert np.array_equal(augment(x[:3], generator(1)), y[:3])  # the first pictures' numbers are drawn first
    assert len({picture.tobytes() for picture in augment(x[:1].repeat(5, axis=0), generator(1))}) == 5


@pytest.mark.parametrize("option", ["flip", "shift", "rotate", "zoom", "contrast"])
def test_switching_one_option_off_leaves_the_others_choices(option: str) -> None:
    everything = Augment().draw(6, generator())._asdict()
    without = Augment(**{option: False if option == "flip" else 0}).draw(6, generator())._asdict()
    for name, value in everything.items():
        assert np.array_equal(value, without[name]) == (name != option)


def test_choices_stay_within_their_ranges_and_fill_them() -> None:
    drawn = Augment(shift=0.1, rotate=10, zoom=0.2, contrast=0.3).draw(5000, generator())
    for values, centre, radius in [
        (drawn.shift, 0, 0.1),
        (drawn.rotate, 0, 10),
        (drawn.zoom, 0, 0.2),
        (drawn.contrast, 1, 0.3),
    ]:
        assert np.abs(values - centre).max() <= radius
        assert np.abs(values - centre).max() > 0.99 * radius
        assert abs(values.mean() - centre) < 0.05 * radius
    assert abs(drawn.flip.mean() - 0.5) < 0.03
    columns = [drawn.flip, *drawn.shift.T, drawn.rotate, drawn.zoom, drawn.contrast]
    assert np.abs(np.corrcoef(columns) - np.eye(6)).max() < 0.06  # none follows from another


def test_contrast_keeps_each_channels_mean_and_scales_what_surrounds_it() -> None:
    x = pictures()
    y = adjust_contrast(x, np.array([0.5, 1.0, 1.5, 0.0, 2.0]))
    mean = x.mean(axis=(1, 2), keepdims=True)
    np.testing.assert_allclose(y.mean(axis=(1, 2), keepdims=True), mean, rtol=1e-12)
    np.testing.assert_allclose(y[0], mean[0] + 0.5 * (x[0] - mean[0]), rtol=1e-12)
    assert np.array_equal(y[1], x[1])
    np.testing.assert_allclose(y[4].std(axis=(0, 1)), 2 * x[4].std(axis=(0, 1)), rtol=1e-12)


@pytest.mark.parametrize(
    "options",
    [
        {"shift": -0.1},
        {"shift": 1.5},
        {"shift": True},
        {"rotate": 200},
        {"rotate": "10"},
        {"zoom": 1},
        {"contrast": 2},
        {"contrast": float("nan")},
        {"fill": "wrap"},
    ],
)
def test_options_outside_their_ranges_are_named(options: dict[str, Any]) -> None:
    with pytest.raises(OptionError, match=next(iter(options))):
        Augment(**options)


def test_what_is_no_batch_of_pictures_is_refused() -> None:
    with pytest.raises(ShapeError, match="4 axes"):
        Augment()(pictures()[0], generator())
    with pytest.raises(DtypeError, match="float32"):
        Augment()((255 * pictures()).astype(np.uint8), generator())
    with pytest.raises(ShapeError, match="map"):
        warp(pictures(), np.zeros((4, 2, 3)))
    with pytest.raises(OptionError, match="fill"):
        warp(pictures(), np.zeros((5, 2, 3)), "wrap")
    for bad in (np.nan, np.inf, 1e30):
        with pytest.raises(OptionError, match="finite"):
            warp(pictures(), np.full((5, 2, 3), bad))
    with pytest.raises(ShapeError, match="factor"):
        adjust_contrast(pictures(), np.ones(4))


@pytest.mark.parametrize("flip", [2, 0.5, "no", 1])
def test_flip_is_true_or_false(flip: Any) -> None:
    with pytest.raises(OptionError, match="flip to be True or False"):
        Augment(flip=flip)


def test_zoom_is_below_one() -> None:
    assert Augment(zoom=0.995).zoom == 0.995
    with pytest.raises(OptionError, match=r"zoom as a finite number >= 0 and < 1\. Received: 1"):
        Augment(zoom=1)
