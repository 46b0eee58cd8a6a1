"""Winograd's matrices are exact, and its rounding errors are as small as promised."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from itertools import product
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minicnn.ops.conv2d import conv2d, conv2d_backward, winograd_gradient
from minicnn.ops.conv2d.winograd import F2x2, F2x2_5x5, F2x2_STRIDE_2, F4x4, F4x4_5x5, F4x4_COMPLEX, F6x6, Winograd
from minicnn.ops.conv2d.winograd_matrices import (
    MATRICES,
    Matrices,
    cook_toom,
    strided,
    strided_gradient,
)
from minicnn.ops.conv2d.winograd_transforms import two_dimensional
from minicnn.ops.copying import LARGE_BYTES, passes_cache
from minicnn.ops.finishing import Finish
from minicnn.ops.simd import VECTOR_BYTES
from minicnn.shapes import Array, Window

U = 2.0**-24
HALF = Fraction(1, 2)
ALGORITHMS = {"winograd": F4x4, "winograd_2x2": F2x2, "winograd_complex": F4x4_COMPLEX, "winograd_6x6": F6x6}
ALGORITHMS |= {"winograd_5x5": F2x2_5x5, "winograd_5x5_4x4": F4x4_5x5, "winograd_stride_2": F2x2_STRIDE_2}
POINTS: dict[int, list[int | Fraction]] = {
    2: [0, 1, -1],
    3: [0, 1, -1, 2],
    4: [0, 1, -1, HALF, -2],
    5: [0, 1, -1, 2, -2, HALF],
    6: [0, 1, -1, 2, -2, HALF, -HALF],
}


def exact(matrix: Array) -> list[list[Fraction]]:
    """The fractions that were rounded: none of them has a large denominator."""
    return [[Fraction(float(value)).limit_denominator(10**6) for value in row] for row in matrix]


def assert_convolves(matrices: Matrices, stride: int = 1) -> None:
    """A^T [(G k) * (B^T d)] is the filter, in fractions, for every pair of basis vectors k and d."""
    taps, m = matrices.G.shape[1], matrices.A.shape[1]
    assert len(matrices.B) == stride * (m - 1) + taps
    for position, tap, output, result in _met(matrices):
        assert result == (1 if position == stride * output + tap else 0)


def _met(matrices: Matrices) -> Iterator[tuple[int, int, int, Fraction]]:
    """How often each input meets each tap in each output."""
    a, b, g, pairs = matrices
    assert not pairs  # products of complex numbers are not entry by entry
    fa, fb, fg = exact(a), exact(b), exact(g)
    for position, tap, output in product(range(len(b)), range(g.shape[1]), range(a.shape[1])):
        yield (
            position,
            tap,
            output,
            sum((fa[p][output] * fg[p][tap] * fb[position][p] for p in range(len(a))), HALF * 0),
        )


@pytest.mark.parametrize("outputs", POINTS)
def test_cook_toom_matrices_compute_a_filter_exactly(outputs: int) -> None:
    matrices = cook_toom(outputs, 3, POINTS[outputs])
    n = outputs + 2
    assert (matrices.A.shape, matrices.B.shape, matrices.G.shape) == ((n, outputs), (n, n), (n, 3))
    assert_convolves(matrices)


IMAGINARY = [(4, 3, (0, 1, -1), (1,)), (6, 3, (0, HALF, -HALF, 2, -2), (1,)), (2, 5, (0, 1, -1), (1,))]
IMAGINARY += [(1, 4, (0,), (2,)), (5, 1, (), (1, HALF)), (4, 5, (0, -1, 3), (HALF, 2))]


@pytest.mark.parametrize("outputs, taps, points, imaginary", IMAGINARY)
def test_values_at_imaginary_points_are_multiplied_as_complex_numbers(
    outputs: int, taps: int, points: tuple[Fraction, ...], imaginary: tuple[Fraction, ...]
) -> None:
    """The product of two polynomials, known at all points, has the coefficients that B^T's transpose makes of its
    values."""
    a, b, g, pairs = cook_toom(outputs, taps, points, imaginary)
    n, reals = outputs + taps - 1, len(points) + 1
    assert (a.shape, b.shape, g.shape, pairs) == ((n, outputs), (n, n), (n, taps), len(imaginary))
    for tap, output in product(range(taps), range(outputs)):
        values = g[:, tap] * a[:, output]
        first, second = (part[reals::2] + 1j * part[reals + 1 :: 2] for part in (g[:, tap], a[:, output]))
        values[reals::2], values[reals + 1 :: 2] = (first * second).real, (first * second).imag
        np.testing.assert_allclose(b @ values, np.arange(n) == tap + output, atol=1e-14)
    at = np.array([1j * float(c) for c in imaginary])
    np.testing.assert_allclose(a[reals::2] + 1j * a[reals + 1 :: 2], at[:, None] ** np.arange(outputs), atol=1e-14)


@given(st.lists(st.fractions(-3, 3, max_denominator=2), min_size=3, max_size=5, unique=True), st.integers(1, 4))
def test_any_distinct_points_will_do(points: list[Fraction], taps: int) -> None:
    assert_convolves(cook_toom(len(points) - taps + 2, taps, points))


@pytest.mark.parametrize("outputs", [1, 2])
@pytest.mark.parametrize("taps, stride", [(3, 1), (3, 2), (4, 2), (5, 2), (3, 3), (5, 3)])
def test_filters_at_a_stride(outputs: int, taps: int, stride: int) -> None:
    assert_convolves(strided(outputs, taps, stride), stride)


@pytest.mark.parametrize("outputs", [1, 2])
@pytest.mark.parametrize("taps, stride", [(3, 1), (3, 2), (4, 2), (5, 2), (3, 3), (5, 3)])
def test_gradients_of_the_input_at_a_stride(outputs: int, taps: int, stride: int) -> None:
    """Output o of the forward pass saw input stride * o + tap; the kernel comes turned, and dy ``reach`` earlier."""
    reach = (taps - 1) // stride
    matrices = strided_gradient(outputs, taps, stride)
    assert (len(matrices.B), matrices.A.shape[1]) == (outputs + reach, outputs * stride)
    for position, turned, output, result in _met(matrices):
        assert result == (1 if output == stride * (position - reach) + taps - 1 - turned else 0)


def test_at_stride_2_five_products_do_for_two_outputs() -> None:
    assert len(strided(2, 3, 2).A) == len(strided_gradient(2, 3, 2).A) == 5


@pytest.mark.parametrize("algorithm", ALGORITHMS.values(), ids=ALGORITHMS)
def test_the_transforms_in_use_convolve(algorithm: Winograd) -> None:
    """In two dimensions, for every pair of a pixel and a tap: 1 in the output where they meet, 0 in all others."""
    a, b, g, _ = two_dimensional(algorithm.form)
    found = np.einsum("pqab,pqkl,ijpq->abklij", a, g, b, optimize=True)
    outputs, taps, inputs = (np.arange(size) for size in (algorithm.m, algorithm.r, len(b)))
    meet = algorithm.stride * outputs[:, None, None] + taps[:, None] == inputs  # (m, r, n)
    np.testing.assert_allclose(found, np.einsum("aki,blj->abklij", meet, meet), atol=1e-14)


@pytest.mark.parametrize("algorithm", ALGORITHMS.values(), ids=ALGORITHMS)
def test_empty_planes_are_never_multiplied(algorithm: Winograd) -> None:
    used = np.zeros((algorithm.Q, algorithm.Q), bool)
    used.reshape(-1)[algorithm.used] = True
    for transform in two_dimensional(algorithm.form)[0:3:2]:
        assert np.array_equal(np.abs(transform).sum(axis=(2, 3)) > 0, used)


SAVING = {"winograd_complex": 46, "winograd_5x5": 46, "winograd_6x6": 78, "winograd_5x5_4x4": 78, "winograd_2x2": 16}


@pytest.mark.parametrize("name, products", SAVING.items())
def test_two_complex_products_do_for_four(name: str, products: int) -> None:
    """16 (36) for real points, 4 (6) times 3 along either axis, and 2 times 3 where both are complex."""
    algorithm = ALGORITHMS[name]
    assert algorithm.products(algorithm.m, algorithm.m) == len(algorithm.used) == products


@pytest.mark.parametrize("matrices", MATRICES)
def test_the_matrices_in_use_are_exact_in_float32(matrices: Matrices) -> None:
    """A and B hold small binary fractions, which float32 represents; only G has thirds and the like."""
    for matrix in (matrices.A, matrices.B):
        assert np.array_equal(matrix.astype(np.float32), matrix)


@pytest.mark.parametrize(
    "algorithm, growth",
    [
        (F2x2, 5 / 3),
        (F4x4, 4.78),
        (F4x4_COMPLEX, 1.6915),
        (F6x6, 2.8458),
        (F2x2_5x5, 1.7635),
        (F4x4_5x5, 2.7162),
        (F2x2_STRIDE_2, 5 / 3),
    ],
    ids=["F2x2", "F4x4", "complex", "F6x6", "5x5", "5x5 4x4", "stride 2"],
)
def test_errors_grow_as_the_table_beside_the_points_says(algorithm: Winograd, growth: float) -> None:
    """Products with relative errors of variance 1: that of the outputs is ``growth``^2 times their own.

    By the formula beside the points, and by throwing dice.
    """
    a, b, g = (part.reshape(-1, size) for part, size in _flat(algorithm))
    taps = algorithm.r**2
    formula = float((np.square(b).sum(1) * np.square(g).sum(1) * np.square(a).mean(1)).sum() / taps)
    assert np.sqrt(formula) == pytest.approx(growth, rel=1e-3)
    dice = np.random.default_rng(0)
    d, k = dice.standard_normal((20_000, b.shape[1])), dice.standard_normal((20_000, taps))
    spoilt = (d @ b.T) * (k @ g.T) * dice.standard_normal((20_000, len(a)))
    assert np.sqrt(np.square(spoilt @ a).mean() / taps) == pytest.approx(growth, rel=0.05)


def _flat(algorithm: Winograd) -> list[tuple[Array, int]]:
    """A, B and G with the planes first, and how many numbers each of them is made of."""
    a, b, g, _ = two_dimensional(algorithm.form)
    return [(a, algorithm.m**2), (b.transpose(2, 3, 0, 1), len(b) ** 2), (g, algorithm.r**2)]


@pytest.mark.parametrize("matrices", MATRICES[2:6])
def test_some_transforms_of_data_need_no_multiplications(matrices: Matrices) -> None:
    """At complex points, and at a stride."""
    for matrix in (matrices.A, matrices.B):
        assert set(np.unique(matrix)) <= {-1, 0, 1}


@pytest.mark.parametrize("points, imaginary", [([0, 0, 1], []), ([0, 1, 1], []), ([], [1, 1]), ([], [1, -1])])
def test_the_same_point_twice_is_refused(points: list[int], imaginary: list[int]) -> None:
    with pytest.raises(ValueError, match="points must be distinct"):
        cook_toom(len(points) + 2 * len(imaginary) - 1, 3, points, imaginary)


@pytest.mark.parametrize("points, imaginary", [([0, 1], []), ([0, 1, -1, 2], []), ([0], []), ([0, 1], [1])])
def test_a_wrong_number_of_points_is_refused(points: list[int], imaginary: list[int]) -> None:
    given = len(points) + 2 * len(imaginary)
    with pytest.raises(ValueError, match=rf"F\(2,3\) needs 3 finite points, got {given}"):
        cook_toom(2, 3, points, imaginary)


@pytest.mark.parametrize("name", ALGORITHMS)
@pytest.mark.parametrize("padding", ["valid", "same", ((2, 0), (1, 2))])
def test_tiles_that_hang_over_the_border(name: str, padding: object, rng: np.random.Generator) -> None:
    """Every remainder of the output's size by the tile's, on both axes."""
    size, stride = ALGORITHMS[name].r, ALGORITHMS[name].stride
    kernel, bias = rng.standard_normal((size, size, 2, 3)), rng.standard_normal(3)
    for height, width in [(size + i, size + 7 - i) for i in range(8)]:
        x = rng.standard_normal((2, height, width, 2))
        options: Any = {"padding": padding, "strides": stride}
        expected, _ = conv2d(x, kernel, bias, algorithm="im2col", **options)
        y, cache = conv2d(x, kernel, bias, algorithm=name, **options)
        np.testing.assert_allclose(y, expected, atol=1e-12)
        dy = rng.standard_normal(y.shape)
        for ours, theirs in zip(
            conv2d_backward(dy, cache), conv2d_backward(dy, cache, algorithm="im2col"), strict=True
        ):
            np.testing.assert_allclose(ours, theirs, atol=1e-12)  # type: ignore[arg-type]


def all_passes(x: Array, kernel: Array, dy: Array, name: str, dtype: type, strides: int = 1) -> list[Array]:
    """y, dx and dkernel of a convolution with "same" padding."""
    y, cache = conv2d(x.astype(dtype), kernel.astype(dtype), padding="same", algorithm=name, strides=strides)
    dx, dkernel, _ = conv2d_backward(dy.astype(dtype), cache)
    assert dx is not None
    assert dkernel is not None
    return [y, dx, dkernel]


def test_larger_tiles_round_worse_and_both_within_the_rule(rng: np.random.Generator) -> None:
    """64 channels, ReLU-like inputs, He-scaled kernels: what a layer in the middle of VGG sees.

    im2col, the plain float32 sum, stands here for Keras: the rule is relative to it or to the unit of rounding. Complex
    points make large tiles round like small ones.
    """
    x = np.maximum(rng.standard_normal((2, 20, 20, 64), np.float32), 0)
    kernel = rng.standard_normal((3, 3, 64, 64), np.float32) * np.float32(np.sqrt(2 / (9 * 64)))
    dy = rng.standard_normal((2, 20, 20, 64), np.float32)

    truth = all_passes(x, kernel, dy, "im2col", np.float64)
    errors = {
        name: [
            (a - b) / np.abs(b).max() for a, b in zip(all_passes(x, kernel, dy, name, np.float32), truth, strict=True)
        ]
        for name in ("im2col", "winograd_2x2", "winograd_complex", "winograd_6x6", "winograd")
    }
    for plain, small, middle, six, large in zip(*errors.values(), strict=True):
        assert np.square(middle).mean() < np.square(six).mean() < np.square(large).mean() / 2
        assert np.abs(six).max() <= max(4 * np.abs(plain).max(), 32 * U)
        assert np.square(middle).mean() < np.square(large).mean() / 4
        assert np.abs(middle).max() <= max(2 * np.abs(plain).max(), 8 * U)
        assert np.square(small).mean() < np.square(large).mean()
        assert np.abs(small).max() <= max(2 * np.abs(plain).max(), 8 * U)
        assert np.abs(large).max() <= max(8 * np.abs(plain).max(), 128 * U)


@pytest.mark.parametrize("name", ["winograd_5x5", "winograd_stride_2"])
def test_other_kernels_and_strides_round_like_the_definition(name: str, rng: np.random.Generator) -> None:
    """im2col stands for Keras again: the narrow rule holds, forward and backward."""
    r, strides = ALGORITHMS[name].r, ALGORITHMS[name].stride
    x = np.maximum(rng.standard_normal((2, 16 * strides, 16 * strides, 64), np.float32), 0)
    kernel = rng.standard_normal((r, r, 64, 64), np.float32) * np.float32(np.sqrt(2 / (r * r * 64)))
    dy = rng.standard_normal((2, 16, 16, 64), np.float32)
    how = ((name, np.float32), ("im2col", np.float32), ("im2col", np.float64))
    for ours, plain, truth in zip(*(all_passes(x, kernel, dy, *one, strides) for one in how), strict=True):
        error, allowed = np.abs(ours - truth).max(), max(2 * np.abs(plain - truth).max(), 8 * U * np.abs(truth).max())
        assert error <= allowed


@pytest.mark.parametrize("name", [name for name in ALGORITHMS if name != "winograd"])
def test_kernel_gradients_of_many_tiles_round_within_the_rule(name: str, rng: np.random.Generator) -> None:
    """Of so many that one float32 sum of all, even in parts, would be outside of it: groups are added up in float64.

    The narrow side of the rule, which does not ask how well Keras rounds; of tiles of eight inputs half of it, because
    one sum of all, 20 to 26 u off, would be within it.
    """
    algorithm, pictures = ALGORITHMS[name], 40
    allowed = 16 * U if name in ("winograd_6x6", "winograd_5x5_4x4") else 8 * U
    side = 28 * algorithm.m
    x = np.maximum(rng.standard_normal((pictures, side * algorithm.stride, side * algorithm.stride, 8), np.float32), 0)
    dy = rng.standard_normal((pictures, side, side, 16), np.float32)
    kernel = np.zeros((algorithm.r, algorithm.r, 8, 16))
    found = []
    for dtype, how in ((np.float32, name), (np.float64, "direct")):
        wide = x.astype(dtype)
        _, cache = conv2d(wide[:1], kernel.astype(dtype), strides=algorithm.stride, padding="same", algorithm=how)
        found.append(conv2d_backward(dy.astype(dtype), cache._replace(x=wide), input_gradient=False)[1])
    ours, truth = found
    assert ours is not None
    assert truth is not None
    assert np.abs(ours - truth).max() <= allowed * np.abs(truth).max()


@pytest.mark.parametrize("name", ALGORITHMS)
def test_all_groups_of_tiles_count(name: str, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch) -> None:
    """Three groups, and part of a fourth, of as many tiles as a sum has."""
    algorithm = ALGORITHMS[name]
    monkeypatch.setattr(algorithm, "sum_tiles", 8)
    monkeypatch.setattr(winograd_gradient, "GROUP_TILES", 8)
    side = 3 * algorithm.m * algorithm.stride
    x, kernel = rng.standard_normal((3, side, side, 2)), rng.standard_normal((algorithm.r, algorithm.r, 2, 3))
    y, cache = conv2d(x, kernel, strides=algorithm.stride, padding="same", algorithm=name)
    dy = rng.standard_normal(y.shape)
    gradients = [conv2d_backward(dy, cache, algorithm=how, input_gradient=False)[1] for how in (name, "im2col")]
    np.testing.assert_allclose(*gradients, atol=1e-12)  # type: ignore[call-overload]


# -- arrays that are written past the cache ----------------------------------------------------------------------------

FACTORS = np.random.default_rng(1).uniform(0.5, 2, (3, 32)).astype(np.float32)


def made_large(rng: np.random.Generator) -> tuple[Array, ...]:
    """x (2, 129, 128, 16), kernel (3, 3, 16, 32) and bias: results of 4.2 MB."""
    shapes = (2, 129, 128, 16), (3, 3, 16, 32), (32,)
    return tuple(rng.standard_normal(shape, np.float32) for shape in shapes)


@pytest.mark.parametrize("finish", [Finish(), Finish(relu=True), Finish(FACTORS, relu=True)], ids=str)
def test_many_pictures_are_written_past_the_cache_with_the_bits_of_one(
    finish: Finish, rng: np.random.Generator
) -> None:
    """Two pictures, whose results are larger than LARGE_BYTES, and each alone, whose are not; with tiles at borders."""
    x, kernel, bias = made_large(rng)
    window = Window.of(3, 1, "same")
    y = F6x6.forward(x, kernel, bias, window, 1, finish)
    assert passes_cache(y, y.shape[3])
    for picture in range(2):
        alone = F6x6.forward(x[picture : picture + 1], kernel, bias, window, 1, finish)
        assert not passes_cache(alone, y.shape[3])
        np.testing.assert_array_equal(y[picture], alone[0])


@pytest.mark.parametrize("algorithm", [F6x6, F4x4_COMPLEX, F2x2], ids=["6x6", "complex", "2x2"])
def test_a_gradient_through_a_relu_past_the_cache_has_the_bits_of_two_passes(
    algorithm: Winograd, rng: np.random.Generator
) -> None:
    dy, kernel, _ = made_large(rng)
    kernel, window = np.ascontiguousarray(kernel.transpose(0, 1, 3, 2)), Window.of(3, 1, "same")
    gate = rng.standard_normal((*dy.shape[:3], 32)).astype(np.float32)
    gate[0, 0, :3, 5] = 0.0, -0.0, np.nan
    dx = algorithm.input_gradient(dy, kernel, gate.shape, window, 1, gate)
    assert passes_cache(dx, 32)
    plain = algorithm.input_gradient(dy, kernel, gate.shape, window, 1)
    assert dx.tobytes() == np.where(gate > 0, plain, np.float32(0)).tobytes()


@pytest.mark.parametrize("algorithm", [F6x6, F2x2], ids=["6x6", "2x2"])
def test_large_transformed_kernels_have_the_bits_of_small_ones(algorithm: Winograd, rng: np.random.Generator) -> None:
    """And every one of them is there: channels that are no multiple of what is transformed together among them."""
    channels, filters = 70, LARGE_BYTES // (4 * 64 * algorithm.Q**2)
    kernel, window = rng.standard_normal((3, 3, channels, filters), np.float32), Window.of(3, 1, "same")
    panels = algorithm.prepare(kernel, window, 1)
    assert passes_cache(panels, panels.shape[3]) == (VECTOR_BYTES >= 32)  # else two vectors are not a whole line
    for p, first in enumerate(range(0, filters, panels.shape[3])):
        part = np.ascontiguousarray(kernel[..., first : first + panels.shape[3]])
        small = algorithm.prepare(part, window, 1)
        assert not passes_cache(small, panels.shape[3])
        np.testing.assert_array_equal(panels[algorithm.used, p], small[algorithm.used, 0])
