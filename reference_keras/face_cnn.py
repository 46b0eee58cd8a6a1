"""The small face network in Keras: the rows of ``minicnn.models.face_cnn``, built from Keras's layers."""

from __future__ import annotations

from typing import Any

from minicnn.models.face_cnn import face_cnn_table
from reference_keras.twins import keras_model


def face_cnn(*arguments: Any, dtype: str = "float32", **options: Any) -> Any:
    """The Keras model of ``face_cnn_table(*arguments, **options)``, with random weights; see there for the options."""
    return keras_model(face_cnn_table(*arguments, **options), dtype=dtype)
