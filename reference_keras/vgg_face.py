"""VGG-Face in Keras: the rows of ``minicnn.models.vgg_face``, built from Keras's layers."""

from __future__ import annotations

from typing import Any

from minicnn.models.vgg_face import vgg_face_table
from reference_keras.twins import keras_model


def vgg_face(*arguments: Any, dtype: str = "float32", **options: Any) -> Any:
    """The Keras model of ``vgg_face_table(*arguments, **options)``, with random weights; see there for the options."""
    return keras_model(vgg_face_table(*arguments, **options), dtype=dtype)
