"""The playground says what conv2d computes, and passes its refusals on."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from minicnn.errors import OptionError, ShapeError
from minicnn.explorer.playground import KERNELS, SIZE, play, small_picture


@pytest.fixture
def picture(rng: np.random.Generator) -> np.ndarray:
    return small_picture(rng.integers(0, 256, (64, 64), np.uint8))


@pytest.mark.parametrize(
    "padding, stride, dilation",
    [(p, s, d) for p, s, d in itertools.product(("valid", "same"), (1, 2, 3), (1, 2, 3)) if min(s, d) == 1],
)
def test_every_output_is_the_sum_that_its_taps_say(
    picture: np.ndarray, padding: str, stride: int, dilation: int, rng: np.random.Generator
) -> None:
    kernel = rng.normal(size=9)
    found = play(picture, kernel.tolist(), padding, stride, dilation)
    taps = kernel.reshape(3, 3)
    for r, c in np.ndindex(*np.shape(found["output"])):
        top, left = found["taps"]["rows"][r], found["taps"]["columns"][c]
        total = 0.0
        for kh, kw in np.ndindex(3, 3):
            y, x = top + kh * dilation, left + kw * dilation
            if 0 <= y < SIZE and 0 <= x < SIZE:
                total += picture[y, x] * taps[kh, kw]
        assert found["output"][r][c] == pytest.approx(total, abs=1e-12)


def test_a_small_picture_can_be_read(rng: np.random.Generator) -> None:
    grey, colour = rng.integers(0, 256, (200, 200), np.uint8), rng.integers(0, 256, (200, 200, 3), np.uint8)
    for crop in (grey, colour):
        small = small_picture(crop)
        assert small.shape == (SIZE, SIZE)
        assert np.array_equal(small, np.round(small, 2))
        assert 0 <= small.min() <= small.max() <= 1


@pytest.mark.parametrize(
    "kernel, padding, stride, dilation, words",
    [
        (KERNELS["blur"], "same", 2, 2, "either strides > 1 or dilation_rate > 1"),
        (KERNELS["blur"], "mirror", 1, 1, "padding 'valid', 'same'"),
        (KERNELS["blur"], "same", 9, 1, "at most 8"),
        (KERNELS["blur"], "same", 0, 1, "stride as an integer"),
        ((1.0,) * 8, "same", 1, 1, "a kernel of 9 numbers"),
        ((float("nan"),) * 9, "same", 1, 1, "a kernel of 9 numbers"),
        ((1e9,) * 9, "same", 1, 1, "from -1000 to 1000"),
    ],
)
def test_what_conv2d_refuses_is_refused(
    picture: np.ndarray, kernel: tuple[float, ...], padding: str, stride: int, dilation: int, words: str
) -> None:
    with pytest.raises(OptionError, match=words):
        play(picture, kernel, padding, stride, dilation)


def test_a_window_that_does_not_fit_is_refused(picture: np.ndarray) -> None:
    with pytest.raises(ShapeError, match="at least 17x17"):
        play(picture, KERNELS["blur"], "valid", 1, 8)
