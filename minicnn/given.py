"""What people give to a network: inputs, targets, weights of samples. Checked once, in the same way at every door."""

from __future__ import annotations

import reprlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from minicnn.errors import DtypeError, LabelError, OptionError, ShapeError, explain
from minicnn.shapes import Array

GENERATORS = "Generators and data sets are not read: put what they give into arrays, or train_on_batch with each batch."


def require_array(x: Any, expected: str = "inputs as an array (N, ...), or Batches") -> Any:
    """``x``, if it is an array or can become one. Raises OptionError.

    An iterator or a data set has no length to cut into batches; and of whatever has a ``__getitem__`` NumPy would read
    item after item until there is an IndexError, which may be never.
    """
    if not hasattr(x, "__array__") and (isinstance(x, str) or not isinstance(x, Sequence)):
        raise OptionError(explain(expected, type(x).__name__, GENERATORS))
    return x


def as_array(x: Any, what: str) -> Array:
    """``x`` as an array of any dtype. Raises ShapeError for lists of different lengths."""
    try:
        return np.asarray(x)
    except ValueError as error:
        raise ShapeError(explain(what, f"{type(x).__name__}, of which NumPy says: {error}")) from error


def as_numbers(x: Any) -> Array:
    """``x`` as an array of numbers. Raises DtypeError for what are none, ShapeError for lists of different lengths."""
    if hasattr(x, "__getitem__") and not hasattr(x, "__array__") and not isinstance(x, Sequence):
        raise DtypeError(explain("numbers", type(x).__name__, GENERATORS))
    array = as_array(x, "an array of numbers")
    if array.dtype.kind not in "fiub":
        fix = "Convert pictures with x.astype('float32')." if hasattr(x, "astype") else ""
        raise DtypeError(explain("numbers", f"dtype {array.dtype}" if fix else reprlib.repr(x), fix))
    return array


def targets_of(y: Any, length: int | None = None) -> Array:
    """Targets as an array of finite numbers, ``length`` of them. Raises ShapeError, LabelError."""
    targets = as_array(require_array(y, "targets as an array"), "targets as an array")
    if length is not None and (targets.ndim < 1 or len(targets) != length):
        fix = "One row of y for each row of x."
        raise ShapeError(explain(f"one target for each of the {length} inputs", f"y of shape {targets.shape}", fix))
    if targets.dtype.kind not in "biuf":
        fix = "Turn names into numbers: np.unique(names, return_inverse=True)[1]."
        raise LabelError(explain("targets as numbers", f"dtype {targets.dtype}", fix))
    if targets.dtype.kind == "f" and not np.isfinite(targets).all():
        raise LabelError(explain("finite targets", "NaN or inf among them"))
    return targets


def weights_of(sample_weight: Any, length: int | None = None) -> Array:
    """Weights as an array of finite numbers of at least 0, with ``length`` in front. Raises ShapeError, OptionError.

    (N,), or (N, 1); for a network that says something of each pixel, one for each: (N, H, W).
    """
    what = "sample_weight as an array"
    weight = as_array(require_array(sample_weight, what), what)
    if weight.dtype.kind not in "biuf" or (length is not None and (weight.ndim < 1 or len(weight) != length)):
        expected = f"sample_weight with a number for each of the {'' if length is None else f'{length} '}inputs"
        raise ShapeError(explain(expected, f"shape {weight.shape}, dtype {weight.dtype}"))
    if not np.isfinite(weight).all() or (weight < 0).any():
        raise OptionError(explain("finite sample weights of at least 0", f"{weight.min()} to {weight.max()}"))
    return weight


def weights_like(sample_weight: Any, losses: Array) -> Array:
    """Weights, one for each of the ``losses``, in their dtype; (N, ..., 1) too. Raises ShapeError, OptionError."""
    weights = weights_of(sample_weight)
    if weights.shape == (*losses.shape, 1):
        weights = weights[..., 0]
    elif weights.shape != losses.shape:
        fix = "There is a loss for each sample, and for each pixel where predictions have several."
        raise ShapeError(explain(f"one sample_weight per loss, shape {losses.shape}", f"shape {weights.shape}", fix))
    return weights.astype(losses.dtype)
