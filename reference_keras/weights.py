"""Weights from minicnn to Keras and back, by name: ``"conv1_1/kernel"`` on both sides.

Both keep kernels as (KH, KW, C, F), dense weights as (in, out) and pictures as (N, H, W, C), so nothing is transposed
and nothing is rounded: what arrives is bit for bit what was sent, as long as both sides have the same dtype.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from minicnn.errors import DtypeError, ShapeError, explain
from minicnn.model import Model
from minicnn.shapes import Array


def keras_variables(keras_model: Any) -> dict[str, Any]:
    """Every weight variable of a Keras model under "layer/weight". Seeds of dropout layers are no weights."""
    return {f"{layer.name}/{variable.name}": variable for layer in keras_model.layers for variable in layer.weights}


def to_keras(model: Model, keras_model: Any) -> None:
    """Copy every weight of ``model`` into ``keras_model``, moving statistics included.

    Raises ShapeError, listing everything that is missing, left over or of another shape, and DtypeError for another
    dtype; then nothing was copied.
    """
    variables = keras_variables(keras_model)
    _check(model.weights, variables, giver=f"minicnn '{model.name}'", taker=f"Keras '{keras_model.name}'")
    for address, array in model.weights.items():
        variables[address].assign(array)


def from_keras(keras_model: Any, model: Model) -> None:
    """Copy every weight of ``keras_model`` into ``model``. Raises as ``to_keras`` does; then nothing was copied."""
    variables = keras_variables(keras_model)
    _check(variables, model.weights, giver=f"Keras '{keras_model.name}'", taker=f"minicnn '{model.name}'")
    for address, array in model.weights.items():
        array[...] = variables[address].numpy()


def _check(given: Mapping[str, Any], taken: Mapping[str, Array | Any], giver: str, taker: str) -> None:
    problems = [f"{address} is missing in {giver}" for address in taken if address not in given]
    problems += [f"{address} is unknown to {taker}" for address in given if address not in taken]
    both = [address for address in taken if address in given]
    problems += [
        f"{address} is {tuple(given[address].shape)} in {giver}, {tuple(taken[address].shape)} in {taker}"
        for address in both
        if tuple(given[address].shape) != tuple(taken[address].shape)
    ]
    fix = "Build both from the same table, with the same input_shape and classes."
    if problems:
        raise ShapeError(explain(f"the same weights in {giver} and {taker}", "; ".join(problems), fix))
    dtypes = {address: (_dtype(given[address]), _dtype(taken[address])) for address in both}
    unequal = [f"{address}: {one} and {other}" for address, (one, other) in dtypes.items() if one != other]
    if unequal:
        fix = "Convert first: model.astype(...), or keras_twin(model, dtype=...)."
        raise DtypeError(explain(f"the same dtype in {giver} and {taker}", "; ".join(unequal[:3]), fix))


def _dtype(array: Any) -> str:
    return str(np.dtype(array.dtype))
