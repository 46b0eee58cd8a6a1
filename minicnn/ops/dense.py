"""Dense: every output looks at every input. One matrix product, and the two products of its gradients.

    y[..., u]       = bias[u] + sum over i of  x[..., i] * kernel[i, u]                 y = x @ kernel + bias
    dx              = dy @ kernel^T
    dkernel[i, u]   = sum over all rows of  x[..., i] * dy[..., u]                      x^T @ dy
    dbias[u]        = sum over all rows of  dy[..., u]

A product of P x Q and Q x R matrices costs 2PQR floating point operations; the three here cost the same. At small
batches they are bound by reading the kernel (fc6 of VGG-Face: 411 MB). The transposes are views, which the BLAS reads
as they lie: no copy.
"""

from __future__ import annotations

from typing import NamedTuple

from minicnn.errors import ShapeError, explain
from minicnn.ops.checks import check_batch, check_upstream
from minicnn.shapes import Array, check_array, check_same_dtype

TERMS = 512  # of a sum that are added up at once


class DenseCache(NamedTuple):
    """Both factors of the product: each one's gradient needs the other."""

    x: Array
    kernel: Array
    has_bias: bool


def dense(x: Array, kernel: Array, bias: Array | None = None) -> tuple[Array, DenseCache]:
    """(N, ..., I), (I, U), (U,) -> (N, ..., U) and the cache for ``dense_backward``. Usually x is (N, I).

    Raises ShapeError when the sizes do not meet, DtypeError for mixed or unknown dtypes.
    """
    x = check_batch(x, least=2)
    check_array(kernel, "kernel", 2, "(I, U)")
    check_same_dtype(x, kernel, "x", "kernel")
    inputs, units = kernel.shape
    if x.shape[-1] != inputs:
        fix = "Put a Flatten layer in front." if x.ndim > 2 else ""
        raise ShapeError(explain(f"x with {inputs} numbers in its last axis", f"shape {x.shape}", fix))
    y = _product(x.reshape(-1, inputs), kernel)  # (N, ..., I) -> (N*..., I) -> (N*..., U)
    if bias is not None:
        check_array(bias, "bias", 1, "(U,)")
        check_same_dtype(bias, kernel, "bias", "kernel")
        if bias.shape != (units,):
            raise ShapeError(explain(f"bias of shape ({units},), one number per unit", f"shape {bias.shape}"))
        y += bias
    return y.reshape(*x.shape[:-1], units), DenseCache(x, kernel, bias is not None)


def dense_backward(
    dy: Array, cache: DenseCache, *, input_gradient: bool = True, parameter_gradients: bool = True
) -> tuple[Array | None, Array | None, Array | None]:
    """(N, ..., U) -> (dx, dkernel, dbias). What is switched off, or was never there, comes back as None.

    Raises ShapeError and DtypeError when ``dy`` is not shaped like y.
    """
    x, kernel, has_bias = cache
    inputs, units = kernel.shape
    dy = check_upstream(dy, (*x.shape[:-1], units), x.dtype)
    dy_rows = dy.reshape(-1, units)  # (N, ..., U) -> (N*..., U)
    dx = _product(dy_rows, kernel.T).reshape(x.shape) if input_gradient else None
    if not parameter_gradients:
        return dx, None, None
    dkernel = _product(x.reshape(-1, inputs).T, dy_rows)
    return dx, dkernel, dy_rows.sum(axis=0) if has_bias else None


def _product(a: Array, b: Array) -> Array:
    """a @ b, (P, Q) x (Q, R) -> (P, R), with every sum over Q taken 512 terms at a time.

    For a few rows the BLAS adds up all Q terms in one go, and each addition rounds a sum that has grown long: at fc6 of
    VGG-Face, Q = 25088, that is five times the error of adding up shorter sums. In time they cost nothing.
    """
    total: Array = a[:, :TERMS] @ b[:TERMS]
    for start in range(TERMS, a.shape[1], TERMS):
        total += a[:, start : start + TERMS] @ b[start : start + TERMS]
    return total
