"""What is done after an operation: each of three things, their order, and what is left of a picture."""

from __future__ import annotations

import numba
import numpy as np
import pytest

from minicnn.errors import DtypeError, ShapeError
from minicnn.ops.conv2d import convolve
from minicnn.ops.finishing import PLAIN, Finish
from minicnn.shapes import Array, Window


def test_nothing_is_nothing(rng: np.random.Generator) -> None:
    y = rng.standard_normal((2, 3, 4, 5)).astype(np.float32)
    before = y.copy()
    assert PLAIN.apply(y) is y
    np.testing.assert_array_equal(y, before)
    assert PLAIN.size(7, 5) == (7, 5)


@pytest.mark.parametrize("relu", [False, True], ids=["", "relu"])
@pytest.mark.parametrize("halve", [False, True], ids=["", "halve"])
@pytest.mark.parametrize("normalised", [False, True], ids=["", "normalised"])
def test_normalise_then_cut_off_then_halve(normalised: bool, halve: bool, relu: bool, rng: np.random.Generator) -> None:
    y, factors = (rng.standard_normal(shape).astype(np.float32) for shape in ((2, 5, 7, 3), (3, 3)))
    y[0, 1, 1, 2] = np.nan
    expected = y.astype(np.float64)
    if normalised:
        expected = (expected - factors[0]) * factors[1] + factors[2]
    if relu:
        expected = np.maximum(expected, 0)
    if halve:  # (2, 5, 7, 3) -> (2, 2, 2, 3, 2, 3), the last row and column left out
        expected = expected[:, :4, :6].reshape(2, 2, 2, 3, 2, 3).max(axis=(2, 4))
    found = Finish(factors if normalised else None, relu, halve).apply(y)
    np.testing.assert_allclose(found, expected, atol=2e-6)
    assert np.isnan(found).sum() == 1


@pytest.mark.parametrize("algorithm", ["direct", "winograd_2x2", "winograd_complex", "winograd_6x6"])
def test_the_bits_do_not_depend_on_the_number_of_threads(algorithm: str, rng: np.random.Generator) -> None:
    x, kernel = (rng.standard_normal(shape).astype(np.float32) for shape in ((3, 17, 13, 20), (3, 3, 20, 33)))
    finish = Finish(rng.standard_normal((3, 33)).astype(np.float32), relu=True, halve=True)
    found, before = [], numba.get_num_threads()
    try:
        for threads in {1, before}:
            numba.set_num_threads(threads)
            y, _ = convolve(x, kernel, None, Window.of(3, 1, "same"), algorithm=algorithm, finish=finish)
            found.append(y)
    finally:
        numba.set_num_threads(before)
    np.testing.assert_array_equal(found[0], found[-1])


@pytest.mark.parametrize(
    "factors, error",
    [
        (np.ones((3, 3), np.float32), ShapeError),
        (np.ones(12, np.float32), ShapeError),
        (np.ones((3, 8), np.float32)[:, ::2], ShapeError),
        (np.ones((3, 4)), DtypeError),
    ],
    ids=["too few", "one axis", "with gaps", "float64"],
)
def test_factors_that_do_not_fit(factors: Array, error: type[Exception]) -> None:
    x, kernel = np.ones((1, 4, 4, 2), np.float32), np.ones((3, 3, 2, 4), np.float32)
    with pytest.raises(error, match="factors"):
        convolve(x, kernel, None, Window.of(3), finish=Finish(factors))


def test_what_is_left_of_a_picture() -> None:
    assert Finish(halve=True).size(25, 2) == (12, 1)
    with pytest.raises(ShapeError, match="at least 2x2"):
        Finish(halve=True).size(1, 5)


@pytest.mark.parametrize("algorithm", ["loops", "im2col", "direct", "winograd_2x2"])
def test_a_convolution_finishes_as_if_it_were_done_afterwards(algorithm: str, rng: np.random.Generator) -> None:
    """The same bits. Of 5x7 results the last row and column are left out; tiles hang over all borders."""
    x, kernel = (rng.standard_normal(shape).astype(np.float32) for shape in ((2, 5, 7, 2), (3, 3, 2, 3)))
    bias, factors = rng.standard_normal(3).astype(np.float32), rng.standard_normal((3, 3)).astype(np.float32)
    window = Window.of(3, 1, "same")
    plain, _ = convolve(x, kernel, bias, window, algorithm=algorithm)
    for finish in (Finish(factors), Finish(halve=True), Finish(factors, relu=True, halve=True)):
        y, _ = convolve(x, kernel, bias, window, algorithm=algorithm, finish=finish)
        np.testing.assert_array_equal(y, finish.apply(plain.copy()))
