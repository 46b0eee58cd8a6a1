"""Dense: every output looks at every input. One matrix product, and the two products of its gradients.

    y[..., u]       = bias[u] + sum over i of  x[..., i] * kernel[i, u]                 y = x @ kernel + bias
    dx              = dy @ kernel^T
    dkernel[i, u]   = sum over all rows of  x[..., i] * dy[..., u]                      x^T @ dy
    dbias[u]        = sum over all rows of  dy[..., u]

A product of P x Q and Q x R matrices costs 2PQR floating point operations; the three here cost the same. At small
batches they are bound by reading or writing the kernel's numbers (fc6 of VGG-Face: 411 MB), each of them once:
``dense_products`` does that, and ``gradients`` says how dkernel need not be written at all. At large batches they are
products like any other: ``dense_blocks``.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from minicnn.errors import ShapeError, explain
from minicnn.ops import dense_products as products
from minicnn.ops.activations import ActivationCache, relu_backward
from minicnn.ops.checks import check_batch, check_bias, check_upstream
from minicnn.ops.column_sums import column_sums
from minicnn.ops.gradients import OuterProducts
from minicnn.shapes import Array, check_array, check_same_dtype


class DenseCache(NamedTuple):
    """Both factors of the product: each one's gradient needs the other. ``y`` only with ReLU, which looks at its sign.

    ``factored``: may dkernel be returned as its factors?
    """

    x: Array
    kernel: Array
    has_bias: bool
    y: Array | None = None
    factored: bool = False


def dense(
    x: Array, kernel: Array, bias: Array | None = None, *, relu: bool = False, factored: bool = False
) -> tuple[Array, DenseCache]:
    """(N, ..., I), (I, U), (U,) -> (N, ..., U) and the cache for ``dense_backward``. Usually x is (N, I).

    ``relu`` cuts y off at zero while it is in the cache. ``factored`` lets ``dense_backward`` return dkernel as
    ``OuterProducts``, for at most as many samples as inputs and as units. Raises ShapeError when the sizes do not meet,
    DtypeError for mixed or unknown dtypes.
    """
    x = check_batch(x, least=2)
    check_array(kernel, "kernel", 2, "(I, U)")
    check_same_dtype(x, kernel, "x", "kernel")
    inputs, units = kernel.shape
    if x.shape[-1] != inputs:
        fix = "Put a Flatten layer in front." if x.ndim > 2 else ""
        raise ShapeError(explain(f"x with {inputs} numbers in its last axis", f"shape {x.shape}", fix))
    check_bias(bias, (units,), kernel, "(U,)", "one number per unit")
    kernel = np.ascontiguousarray(kernel)
    y = products.forward(x.reshape(-1, inputs), kernel, bias, relu)  # (N, ..., I) -> (N*..., I) -> (N*..., U)
    y = y.reshape(*x.shape[:-1], units)
    return y, DenseCache(x, kernel, bias is not None, y if relu else None, factored)


def dense_backward(
    dy: Array, cache: DenseCache, *, input_gradient: bool = True, parameter_gradients: bool = True
) -> tuple[Array | None, Array | OuterProducts | None, Array | None]:
    """(N, ..., U) -> (dx, dkernel, dbias). What is switched off, or was never there, comes back as None.

    Raises ShapeError and DtypeError when ``dy`` is not shaped like y.
    """
    x, kernel, has_bias, y, factored = cache
    inputs, units = kernel.shape
    dy = check_upstream(dy, (*x.shape[:-1], units), x.dtype)
    if y is not None:
        dy = relu_backward(dy, ActivationCache(y))
    dy_rows = dy.reshape(-1, units)  # (N, ..., U) -> (N*..., U)
    dx = products.input_gradient(dy_rows, kernel).reshape(x.shape) if input_gradient else None
    if not parameter_gradients:
        return dx, None, None
    dkernel = OuterProducts(x.reshape(-1, inputs), dy_rows)
    spares = factored and len(dy_rows) <= min(inputs, units)  # factors of more are larger than dkernel
    return dx, dkernel if spares else dkernel.array(), column_sums(dy_rows) if has_bias else None
