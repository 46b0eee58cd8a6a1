"""The residual face network in Keras: the rows of ``minicnn.models.residual_cnn``, built from Keras's layers."""

from __future__ import annotations

from typing import Any

from minicnn.models.residual_cnn import residual_cnn_table
from reference_keras.twins import keras_model


def residual_cnn(*arguments: Any, dtype: str = "float32", **options: Any) -> Any:
    """The Keras model of ``residual_cnn_table(*arguments, **options)``, with random weights; see there for options."""
    return keras_model(residual_cnn_table(*arguments, **options), dtype=dtype)
