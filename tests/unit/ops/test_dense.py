"""Dense against the sum in its docstring; its two gradients as adjoints."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minicnn.errors import DtypeError, OptionError, ShapeError
from minicnn.layers import Dense
from minicnn.ops.dense import dense, dense_backward
from minicnn.shapes import Array


def loops(x: Array, kernel: Array, bias: Array) -> Array:
    y = np.empty((*x.shape[:-1], kernel.shape[1]))
    for *position, u in np.ndindex(*y.shape):
        y[(*position, u)] = bias[u] + sum(x[(*position, i)] * kernel[i, u] for i in range(len(kernel)))
    return y


@given(
    st.lists(st.integers(1, 4), min_size=1, max_size=3), st.integers(1, 6), st.integers(1, 5), st.integers(0, 2**32 - 1)
)
def test_forward_equals_the_loops_and_backward_is_its_adjoint(
    front: list[int], inputs: int, units: int, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    x, kernel = rng.standard_normal((*front, inputs)), rng.standard_normal((inputs, units))
    bias, dy = rng.standard_normal(units), rng.standard_normal((*front, units))
    y, cache = dense(x, kernel, bias)
    np.testing.assert_allclose(y, loops(x, kernel, bias), rtol=1e-12, atol=1e-13)
    dx, dkernel, dbias = dense_backward(dy, cache)
    without_bias = np.vdot(dense(x, kernel)[0], dy)
    assert np.vdot(x, dx) == pytest.approx(without_bias, rel=1e-10, abs=1e-10)
    assert np.vdot(kernel, dkernel) == pytest.approx(without_bias, rel=1e-10, abs=1e-10)
    assert np.vdot(bias, dbias) == pytest.approx(np.vdot(y, dy) - without_bias, rel=1e-10, abs=1e-10)


def test_only_what_is_asked_for_is_computed() -> None:
    _, cache = dense(np.ones((2, 3)), np.ones((3, 4)))
    dx, dkernel, dbias = dense_backward(np.ones((2, 4)), cache, input_gradient=False)
    assert (dx, dbias) == (None, None)
    assert dkernel is not None
    dx, dkernel, dbias = dense_backward(np.ones((2, 4)), cache, parameter_gradients=False)
    assert (dkernel, dbias) == (None, None)
    assert dx is not None


def test_errors() -> None:
    x, kernel = np.ones((2, 3)), np.ones((3, 4))
    with pytest.raises(ShapeError, match=r"3 numbers in its last axis.*Received: shape \(2, 5\)"):
        dense(np.ones((2, 5)), kernel)
    with pytest.raises(ShapeError, match="Flatten"):
        dense(np.ones((2, 1, 1, 5)), kernel)
    with pytest.raises(ShapeError, match=r"bias of shape \(4,\)"):
        dense(x, kernel, np.ones(3))
    with pytest.raises(DtypeError, match="same dtype"):
        dense(x, kernel.astype(np.float32))
    with pytest.raises(ShapeError, match="x with 2 axes"):
        dense(np.ones(3), kernel)
    _, cache = dense(x, kernel)
    with pytest.raises(ShapeError, match=r"shape of y, \(2, 4\)"):
        dense_backward(x, cache)
    for units in (0, -1, 2.0, True, None):
        with pytest.raises(OptionError, match="units as an integer"):
            Dense(units)  # type: ignore[arg-type]
