"""Every algorithm against the definition (``loops``), in all three passes, over a grid of shapes and options.

The definition adds up in float64 and rounds once. In float64 the others must agree with it to rounding; in float32
their error, relative to the largest number of the result, must stay below the bound of docs/architecture.md.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numba
import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from minicnn.ops.conv2d import ALGORITHMS, choose, conv2d, conv2d_backward, im2col, winograd
from minicnn.shapes import Array, Pads, Shape, Window
from tests.cases import kernel_size_for, strides_for

U = 2.0**-24  # half the distance from 1 to the next float32
FAST = [name for name in ALGORITHMS if name != "loops"]
BOUND = dict.fromkeys(ALGORITHMS, 8 * U) | {"winograd_6x6": 32 * U, "winograd_5x5_4x4": 32 * U, "winograd": 128 * U}


@dataclass(frozen=True)
class Case:
    """One convolution: shapes and options."""

    x: Shape
    kernel: Shape
    strides: tuple[int, int] = (1, 1)
    padding: str | Pads = "valid"
    dilation_rate: tuple[int, int] = (1, 1)
    groups: int = 1

    @property
    def window(self) -> Window:
        return Window.of(self.kernel[:2], self.strides, self.padding, self.dilation_rate)

    @property
    def y(self) -> Shape:
        return (self.x[0], *self.window.output_size(*self.x[1:3]), self.kernel[3])

    @property
    def options(self) -> dict[str, Any]:
        return {
            "strides": self.strides,
            "padding": self.padding,
            "dilation_rate": self.dilation_rate,
            "groups": self.groups,
        }

    def algorithms(self) -> list[str]:
        return [name for name in FAST if ALGORITHMS[name].unsupported(self.kernel, self.window, self.groups) is None]

    def __str__(self) -> str:
        changed = [f"{key}{value}" for key, value in self.options.items() if value not in ((1, 1), 1)]
        return " ".join([f"{'x'.join(map(str, self.x))}", f"{'x'.join(map(str, self.kernel))}", *changed])


CASES = [
    # kernels of every kind, on odd and unequal sizes
    Case((1, 1, 1, 1), (1, 1, 1, 1)),
    Case((2, 5, 7, 3), (1, 1, 3, 4)),
    Case((1, 5, 6, 2), (2, 3, 2, 3)),
    Case((1, 6, 5, 2), (2, 3, 2, 3), padding="same"),
    Case((1, 7, 7, 2), (5, 5, 2, 2)),
    Case((2, 4, 3, 2), (5, 5, 2, 1), padding="same"),
    Case((1, 6, 6, 2), (4, 4, 2, 1), padding="same"),
    Case((1, 3, 9, 1), (1, 5, 1, 2), padding="same"),
    Case((1, 9, 2, 1), (4, 1, 1, 2)),
    Case((3, 5, 4, 20), (1, 2, 20, 3)),
    # 3x3: what Winograd takes; sizes below, at and above its tiles, and one tile with a border
    Case((1, 3, 3, 1), (3, 3, 1, 1)),
    Case((1, 1, 1, 2), (3, 3, 2, 2), padding="same"),
    Case((1, 2, 3, 2), (3, 3, 2, 2), padding="same"),
    Case((2, 4, 4, 3), (3, 3, 3, 2), padding="same"),
    Case((1, 5, 5, 2), (3, 3, 2, 3), padding="same"),
    Case((1, 6, 6, 2), (3, 3, 2, 2)),
    Case((3, 7, 9, 2), (3, 3, 2, 2)),
    Case((1, 4, 5, 20), (3, 3, 20, 3), padding="same"),
    Case((1, 5, 6, 2), (3, 3, 2, 2), padding=((2, 1), (0, 2))),
    Case((1, 4, 4, 2), (3, 3, 2, 2), padding=((2, 2), (2, 2))),
    # strides, with positions at the end that no window reaches
    Case((1, 8, 7, 2), (3, 3, 2, 2), strides=(2, 2)),
    Case((1, 8, 7, 2), (3, 3, 2, 2), strides=(2, 3), padding="same"),
    # 3x3 at stride 2: Winograd's other form
    Case((1, 1, 2, 2), (3, 3, 2, 2), strides=(2, 2), padding="same"),
    Case((2, 9, 6, 3), (3, 3, 3, 2), strides=(2, 2), padding="same"),
    Case((1, 5, 12, 2), (3, 3, 2, 20), strides=(2, 2), padding=((2, 1), (0, 2))),
    Case((1, 6, 7, 20), (3, 3, 20, 3), strides=(2, 2), padding=((1, 0), (2, 2))),
    Case((1, 3, 3, 1), (3, 3, 1, 1), strides=(2, 2)),
    Case((2, 7, 6, 2), (2, 2, 2, 3), strides=(1, 2), padding="same"),
    Case((1, 7, 8, 1), (2, 2, 1, 2), strides=(3, 3)),
    Case((1, 7, 8, 2), (1, 1, 2, 2), strides=(2, 3), padding="same"),
    Case((1, 9, 8, 2), (5, 3, 2, 2), strides=(4, 2), padding=((1, 3), (2, 0))),
    # dilation
    Case((1, 7, 9, 2), (3, 3, 2, 2), dilation_rate=(2, 3)),
    Case((1, 6, 5, 2), (3, 2, 2, 2), padding="same", dilation_rate=(2, 2)),
    Case((2, 5, 6, 1), (2, 2, 1, 2), padding=((1, 0), (0, 3)), dilation_rate=(1, 2)),
    # paddings as wide as the kernel and wider: windows that see zeros only
    Case((1, 2, 3, 2), (2, 2, 2, 2), padding=((3, 4), (4, 2))),
    Case((1, 3, 2, 1), (3, 3, 1, 2), padding=((3, 1), (0, 4))),
    Case((1, 4, 3, 1), (1, 1, 1, 1), strides=(2, 2), padding=((3, 0), (1, 5))),
    # groups, depthwise included
    Case((2, 5, 4, 4), (3, 3, 2, 6), padding="same", groups=2),
    Case((1, 5, 5, 6), (2, 3, 2, 3), strides=(2, 2), padding="same", groups=3),
    Case((1, 6, 4, 5), (3, 3, 1, 10), groups=5),
    Case((1, 6, 7, 4), (3, 2, 2, 4), dilation_rate=(2, 2), padding="same", groups=2),
]
COMBINATIONS = [(name, case) for case in CASES for name in case.algorithms()]


@functools.cache
def arrays(case: Case) -> tuple[Array, ...]:
    """x, kernel, bias, dy in float64, of numbers that float32 holds exactly: both precisions see the same input."""
    rng = np.random.default_rng(sum(case.x) + 100 * sum(case.kernel))
    shapes = case.x, case.kernel, case.kernel[3:], case.y
    return tuple(rng.standard_normal(shape, np.float32).astype(float) for shape in shapes)


@functools.cache
def truth(case: Case) -> tuple[Array, ...]:
    """y, dx, dkernel, dbias by the definition, in float64."""
    return passes(case, "loops", "loops", np.float64)


def passes(case: Case, forward: str, backward: str, dtype: Any) -> tuple[Array, ...]:
    x, kernel, bias, dy = (array.astype(dtype) for array in arrays(case))
    y, cache = conv2d(x, kernel, bias, algorithm=forward, **case.options)
    dx, dkernel, dbias = conv2d_backward(dy, cache, algorithm=backward)
    assert dx is not None
    assert dkernel is not None
    assert dbias is not None
    return y, dx, dkernel, dbias


def worst(results: tuple[Array, ...], expected: tuple[Array, ...]) -> float:
    """The largest error of the four results, each relative to its own largest number."""
    return max(float(np.abs(a - b).max() / (np.abs(b).max() or 1)) for a, b in zip(results, expected, strict=True))


def test_the_definition_by_numpy_in_one_line(rng: np.random.Generator) -> None:
    """The oracle has an oracle: sliding windows and one einsum, for a strided convolution without padding."""
    x, kernel = rng.standard_normal((2, 7, 9, 3)), rng.standard_normal((3, 2, 3, 4))
    windows = np.lib.stride_tricks.sliding_window_view(x, (3, 2), axis=(1, 2))[:, ::2, ::3]
    y, _ = conv2d(x, kernel, strides=(2, 3), algorithm="loops")
    np.testing.assert_allclose(y, np.einsum("nhwcij,ijcf->nhwf", windows, kernel), rtol=1e-13, atol=1e-13)


@pytest.mark.parametrize("name, case", COMBINATIONS, ids=str)
def test_float64_agrees_with_the_definition(name: str, case: Case) -> None:
    assert worst(passes(case, name, name, np.float64), truth(case)) <= 1e-12


@pytest.mark.parametrize("name, case", COMBINATIONS, ids=str)
def test_float32_rounds_within_the_rule(name: str, case: Case) -> None:
    assert worst(passes(case, name, name, np.float32), truth(case)) <= BOUND[name]


@pytest.mark.parametrize("case", [CASES[14], CASES[21], CASES[23], CASES[38]], ids=str)
def test_any_forward_goes_with_any_backward(case: Case) -> None:
    for forward in ["loops", *case.algorithms()]:
        for backward in ["loops", *case.algorithms()]:
            assert worst(passes(case, forward, backward, np.float64), truth(case)) <= 1e-12


def test_winograd_is_among_the_combinations() -> None:
    """Unsupported combinations are left out of the table, so make sure that the supported ones are in it."""
    assert sum(name == "winograd" for name, _ in COMBINATIONS) == 10
    assert sum(name == "winograd_6x6" for name, _ in COMBINATIONS) == 10
    assert sum(name == "winograd_stride_2" for name, _ in COMBINATIONS) == 6
    assert sum(name == "direct" for name, _ in COMBINATIONS) == sum(name == "im2col" for name, _ in COMBINATIONS) == 41


@st.composite
def geometries(draw: st.DrawFn) -> Case:
    size = st.tuples(st.integers(1, 3), st.integers(1, 3))
    groups = draw(st.sampled_from([1, 1, 2, 3]))
    kernel = draw(st.sampled_from([(3, 3), (3, 3), (1, 1), (2, 3), (5, 2), (4, 4)]))
    strides = draw(size)
    dilation_rate = draw(size) if strides == (1, 1) else (1, 1)
    pads = st.tuples(st.integers(0, 4), st.integers(0, 4))
    padding = draw(st.one_of(st.sampled_from(["valid", "same"]), st.tuples(pads, pads)))
    channels, filters = draw(st.integers(1, 3)), draw(st.integers(1, 2)) * groups
    x = (draw(st.integers(1, 2)), draw(st.integers(1, 9)), draw(st.integers(1, 9)), channels * groups)
    case = Case(x, (*kernel, channels, filters), strides, padding, dilation_rate, groups)
    spans = zip(x[1:3], case.window.pads(*x[1:3]), case.window.span, strict=True)
    assume(all(n + sum(pad) >= span for n, pad, span in spans))
    assume(np.prod(case.y) * np.prod(kernel) * channels <= 4000)  # the definition is slow
    return case


@given(geometries())
def test_random_geometry_agrees_with_the_definition(case: Case) -> None:
    for name in case.algorithms():
        assert worst(passes(case, name, name, np.float64), truth(case)) <= 1e-12


# -- what holds for convolutions too large for the definition ---------------------------------------------------------

LARGE = [
    Case((2, 17, 19, 20), (3, 3, 20, 13), padding="same"),
    Case((2, 18, 15, 17), (3, 3, 17, 16)),
    Case((2, 19, 22, 17), (3, 3, 17, 20), strides=(2, 2), padding="same"),
    Case((2, 23, 19, 9), (5, 4, 9, 11), strides=(2, 3), padding="same"),
    Case((1, 21, 18, 12), (3, 3, 3, 16), padding="same", dilation_rate=(3, 2), groups=4),
]
LARGE_COMBINATIONS = [(name, case) for case in LARGE for name in case.algorithms()]


@pytest.mark.parametrize("name, case", LARGE_COMBINATIONS, ids=str)
def test_the_gradients_are_the_adjoints_of_the_forward_pass(name: str, case: Case) -> None:
    """<conv(x, k), dy> = <x, dx> = <k, dk>: convolution is linear in x and in k, gradients are the transposed maps."""
    x, kernel, _, dy = arrays(case)
    y, cache = conv2d(x, kernel, algorithm=name, **case.options)
    dx, dkernel, dbias = conv2d_backward(dy, cache)
    assert dx is not None
    assert dkernel is not None
    assert dbias is None
    scale = np.linalg.norm(y) * np.linalg.norm(dy)
    assert abs(np.vdot(y, dy) - np.vdot(x, dx)) <= 1e-13 * scale
    assert abs(np.vdot(y, dy) - np.vdot(kernel, dkernel)) <= 1e-13 * scale


@pytest.mark.parametrize("name, case", LARGE_COMBINATIONS, ids=str)
def test_convolution_is_linear_in_its_input(name: str, case: Case) -> None:
    x, kernel, bias, _ = arrays(case)
    other = np.flip(x, axis=0) * 3 + 1

    def convolve(z: Array) -> Array:
        return conv2d(z, kernel, algorithm=name, **case.options)[0]

    combined = convolve(2 * x - other)
    np.testing.assert_allclose(combined, 2 * convolve(x) - convolve(other), atol=1e-12 * np.abs(combined).max())
    with_bias, _ = conv2d(x, kernel, bias, algorithm=name, **case.options)
    np.testing.assert_allclose(with_bias, convolve(x) + bias, atol=1e-13 * np.abs(with_bias).max())


@pytest.mark.parametrize("name, case", LARGE_COMBINATIONS, ids=str)
def test_all_algorithms_agree_on_larger_shapes(name: str, case: Case) -> None:
    assert worst(passes(case, name, name, np.float64), passes(case, "im2col", "im2col", np.float64)) <= 1e-12
    # Sums twenty times as long as in the table above; how far the rule lets them round is measured beside Keras.
    assert worst(passes(case, name, name, np.float32), passes(case, "im2col", "im2col", np.float64)) <= 4 * BOUND[name]


@pytest.mark.parametrize("name, case", LARGE_COMBINATIONS, ids=str)
def test_small_blocks_give_the_same_sums(name: str, case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = passes(case, name, name, np.float64)
    monkeypatch.setattr(im2col, "BLOCK_BYTES", 20_000)
    monkeypatch.setattr(winograd, "BLOCK_BYTES", 100_000)
    assert worst(passes(case, name, name, np.float64), whole) <= 1e-13


# -- NaN and infinity --------------------------------------------------------------------------------------------------

NAN_CASES = [
    (name, case) for name in FAST for case in [CASES[16], CASES[23], CASES[30], CASES[38]] if name in case.algorithms()
]


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("name, case", NAN_CASES, ids=str)
def test_one_bad_pixel_reaches_the_outputs_that_see_it_and_no_others(name: str, case: Case, value: float) -> None:
    """Winograd computes whole tiles from a sum over all their pixels, so there the whole tile may become NaN."""
    x, kernel, bias, _ = arrays(case)
    spoilt = x.copy()
    spoilt[0, 2, 3, 1] = value
    marker = np.zeros_like(x)
    marker[0, 2, 3, 1] = 1
    seen = conv2d(marker, np.abs(kernel), algorithm="loops", **case.options)[0] > 0
    clean, _ = conv2d(x, kernel, bias, algorithm=name, **case.options)
    with np.errstate(invalid="ignore"):
        y, _ = conv2d(spoilt, kernel, bias, algorithm=name, **case.options)
    assert not np.isfinite(y[seen]).any()
    spread = _tiles_of(seen, getattr(ALGORITHMS[name], "m", 1))
    assert np.array_equal(y[~spread], clean[~spread])
    if np.isinf(value) and not name.startswith("winograd"):
        assert np.isinf(y[seen]).all()


def _tiles_of(seen: Array, m: int) -> Array:
    """Every output of a tile of which one output is seen."""
    spread = np.zeros_like(seen)
    for h in range(0, seen.shape[1], m):
        for w in range(0, seen.shape[2], m):
            tile = np.s_[:, h : h + m, w : w + m]
            spread[tile] = seen[tile].any(axis=(1, 2), keepdims=True)
    return spread


# -- arrays ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name, case", NAN_CASES, ids=str)
def test_strided_inputs_are_read_right_and_left_alone(name: str, case: Case, dtype: Any) -> None:
    """Views into larger arrays, with axes exchanged and reversed, give the same numbers as their compact copies."""
    x, kernel, bias, dy = (_awkward(array.astype(dtype)) for array in arrays(case))
    before = [array.copy() for array in (x, kernel, bias, dy)]
    y, cache = conv2d(x, kernel, bias, algorithm=name, **case.options)
    results = (y, *conv2d_backward(dy, cache))
    for result, expected in zip(results, passes(case, name, name, dtype), strict=True):
        assert result is not None
        assert result.dtype == dtype
        assert result.flags.c_contiguous
        assert np.abs(result - expected).max() <= 16 * np.finfo(dtype).eps * np.abs(expected).max()
    for array, copy in zip((x, kernel, bias, dy), before, strict=True):
        assert array.tobytes() == copy.tobytes()


def _awkward(array: Array) -> Array:
    """The same numbers, not contiguous in memory."""
    store = np.full((*array.shape[::-1], 2), 7.0, array.dtype)
    view = store[..., 1].T[..., ::-1]
    view[...] = array
    return view


@pytest.mark.parametrize("name", ALGORITHMS)
def test_results_are_new_arrays(name: str) -> None:
    size = kernel_size_for(name)
    x, kernel = np.ones((1, 5, 5, 1)), np.ones((size, size, 1, 1))
    y, cache = conv2d(x, kernel, strides=strides_for(name), algorithm=name)
    dx, dkernel, _ = conv2d_backward(np.ones_like(y), cache)
    assert not any(np.shares_memory(a, b) for a in (x, kernel) for b in (y, dx, dkernel) if b is not None)


# -- threads -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def _restore_threads() -> Iterator[None]:
    before = numba.get_num_threads()
    yield
    numba.set_num_threads(before)


@pytest.mark.skipif(numba.config.NUMBA_NUM_THREADS < 2, reason="MINICNN_TEST_THREADS=1 leaves nothing to compare with")
@pytest.mark.usefixtures("_restore_threads")
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name, case", LARGE_COMBINATIONS, ids=str)
def test_the_bits_do_not_depend_on_the_number_of_threads(name: str, case: Case, dtype: Any) -> None:
    numba.set_num_threads(1)
    alone = passes(case, name, name, dtype)
    numba.set_num_threads(2)
    together = passes(case, name, name, dtype)
    assert [a.tobytes() for a in alone] == [b.tobytes() for b in together]


# -- what backward leaves out, and what "auto" chooses ----------------------------------------------------------------


@pytest.mark.parametrize("name", [name for name in ALGORITHMS if name in ("loops", *CASES[14].algorithms())])
def test_backward_leaves_out_what_nobody_asked_for(name: str) -> None:
    x, kernel, bias, dy = arrays(CASES[14])
    _, cache = conv2d(x, kernel, bias, algorithm=name, **CASES[14].options)
    dx, dkernel, dbias = conv2d_backward(dy, cache)
    none, same_dkernel, same_dbias = conv2d_backward(dy, cache, input_gradient=False)
    assert none is None
    assert np.array_equal(same_dkernel, dkernel)  # type: ignore[arg-type]
    assert np.array_equal(same_dbias, dbias)  # type: ignore[arg-type]
    same_dx, *nothing = conv2d_backward(dy, cache, parameter_gradients=False)
    assert np.array_equal(same_dx, dx)  # type: ignore[arg-type]
    assert nothing == [None, None]


@pytest.mark.parametrize(
    "kernel, options, groups, expected",
    [
        ((3, 3, 64, 64), {}, 1, "winograd_6x6"),
        ((3, 3, 16, 16), {"padding": "same"}, 1, "winograd_6x6"),
        ((3, 3, 15, 64), {}, 1, "direct"),
        ((3, 3, 64, 15), {}, 1, "direct"),
        ((3, 3, 128, 128), {"strides": 2}, 1, "winograd_stride_2"),
        ((3, 3, 127, 512), {"strides": 2}, 1, "direct"),
        ((3, 3, 512, 127), {"strides": 2}, 1, "direct"),
        ((3, 3, 512, 512), {"strides": (2, 1)}, 1, "direct"),
        ((3, 3, 512, 512), {"strides": 3}, 1, "direct"),
        ((3, 3, 512, 512), {"strides": 2}, 2, "direct"),
        ((3, 3, 64, 64), {"dilation": 2}, 1, "direct"),
        ((5, 5, 16, 64), {"padding": "same"}, 1, "winograd_5x5_4x4"),
        ((5, 5, 15, 64), {}, 1, "direct"),
        ((5, 5, 64, 64), {"strides": 2}, 1, "direct"),
        ((5, 3, 64, 64), {}, 1, "direct"),
        ((1, 1, 64, 64), {}, 1, "direct"),
        ((3, 3, 64, 64), {}, 2, "direct"),
    ],
)
def test_auto_chooses(kernel: Shape, options: dict[str, Any], groups: int, expected: str) -> None:
    assert choose(kernel, Window.of(kernel[:2], **options), groups) == expected


@pytest.mark.parametrize("size, expected", [(2, "winograd_5x5"), (6, "winograd_5x5"), (7, "winograd_5x5_4x4")])
def test_auto_takes_small_tiles_for_small_pictures_and_large_kernels(size: int, expected: str) -> None:
    window = Window.of((5, 5), padding="same")
    assert choose((5, 5, 64, 64), window, 1, (1, size, size, 64)) == expected


SIZES = {"6x6": (56, 28, 25, 18), "complex": (32, 20, 16, 12), "2x2": (14, 13, 6)}


@pytest.mark.parametrize("size, expected", [(size, name) for name, sizes in SIZES.items() for size in sizes])
@pytest.mark.parametrize("pictures", [1, 8])
def test_auto_takes_smaller_tiles_where_large_ones_hang_over(size: int, expected: str, pictures: int) -> None:
    """Multiplications per channel and filter for each tile, also for one that lies mostly outside; and the time of five
    for each transformed kernel that is read."""
    tiles = {"2x2": (2, 16), "complex": (4, 46), "6x6": (6, 78)}
    cost = {name: (math.ceil(size / m) ** 2 + 5) * products for name, (m, products) in tiles.items()}
    assert expected == min(cost, key=lambda name: cost[name])
    window = Window.of((3, 3), padding="same")
    assert choose((3, 3, 64, 64), window, 1, (pictures, size, size, 64)) == f"winograd_{expected}"


@pytest.mark.parametrize(
    "size, expected", [((19, 30), "winograd_stride_2"), ((18, 56), "direct"), ((56, 18), "direct")]
)
@pytest.mark.parametrize("pictures", [1, 8])
def test_auto_computes_few_outputs_at_stride_2_directly(size: tuple[int, int], expected: str, pictures: int) -> None:
    window = Window.of((3, 3), 2, "same")
    assert choose((3, 3, 128, 256), window, 1, (pictures, *size, 128)) == expected


def test_the_cache_says_what_ran() -> None:
    x, kernel, _, _ = arrays(LARGE[1])
    assert conv2d(x, kernel)[1].algorithm == choose(kernel.shape, Window.of((3, 3)), 1, x.shape)
    assert conv2d(x, kernel, algorithm="direct")[1].algorithm == "direct"
