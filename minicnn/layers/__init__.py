"""The layers, in reading order: an operation of ``minicnn.ops``, its options, and the parameters it learns.

``base`` is the contract that all of them keep; then one small file per layer, or per family of them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

from minicnn.errors import OptionError, explain
from minicnn.layers.activations import ELU, Activation, LeakyReLU, ReLU, Sigmoid, Softmax, Tanh
from minicnn.layers.base import INFERENCE, Cache, Context, Layer, Params, Weight
from minicnn.layers.batch_norm import BatchNormalization
from minicnn.layers.conv2d import Conv2D
from minicnn.layers.conv2d_transpose import Conv2DTranspose
from minicnn.layers.dense import Dense
from minicnn.layers.depthwise_conv2d import DepthwiseConv2D
from minicnn.layers.dropout import Dropout
from minicnn.layers.flatten import Flatten
from minicnn.layers.layer_norm import LayerNormalization
from minicnn.layers.merging import Add, Concatenate, Multiply
from minicnn.layers.padding import ZeroPadding2D
from minicnn.layers.pooling import AveragePooling2D, GlobalAveragePooling2D, GlobalMaxPooling2D, MaxPooling2D
from minicnn.layers.reshaping import Permute, Reshape
from minicnn.layers.separable_conv2d import SeparableConv2D
from minicnn.layers.symbolic import Input, SymbolicTensor
from minicnn.layers.unit_normalization import UnitNormalization
from minicnn.layers.up_sampling import UpSampling2D

#: Every layer by its class name: the only names a file may call layers by.
LAYERS: MappingProxyType[str, type[Layer]] = MappingProxyType(
    {
        layer.__name__: layer
        for layer in (
            Dense,
            Conv2D,
            DepthwiseConv2D,
            SeparableConv2D,
            Conv2DTranspose,
            ZeroPadding2D,
            MaxPooling2D,
            AveragePooling2D,
            GlobalMaxPooling2D,
            GlobalAveragePooling2D,
            UpSampling2D,
            Flatten,
            Reshape,
            Permute,
            ReLU,
            LeakyReLU,
            ELU,
            Sigmoid,
            Tanh,
            Softmax,
            Activation,
            Dropout,
            BatchNormalization,
            LayerNormalization,
            UnitNormalization,
            Add,
            Multiply,
            Concatenate,
        )
    }
)

MOST_LAYERS = 10_000  # in a description; what is larger did not come from us


def layers_from(rows: Sequence[Mapping[str, Any]]) -> list[Layer]:
    """Layers from what a file says of them, ``{"class_name": ..., "config": ...}`` each; not built.

    Classes come from LAYERS alone. Raises OptionError for an unknown one, LookupError or TypeError for other damage.
    """
    if len(rows) > MOST_LAYERS:
        raise OptionError(explain(f"at most {MOST_LAYERS} layers", f"{len(rows)}"))
    for row in rows:
        if row["class_name"] not in LAYERS:
            raise OptionError(explain(f"layers among {', '.join(LAYERS)}", repr(row["class_name"])))
    return [LAYERS[row["class_name"]](**row["config"]) for row in rows]


__all__ = [
    "ELU",
    "INFERENCE",
    "LAYERS",
    "Activation",
    "Add",
    "AveragePooling2D",
    "BatchNormalization",
    "Cache",
    "Concatenate",
    "Context",
    "Conv2D",
    "Conv2DTranspose",
    "Dense",
    "DepthwiseConv2D",
    "Dropout",
    "Flatten",
    "GlobalAveragePooling2D",
    "GlobalMaxPooling2D",
    "Input",
    "Layer",
    "LayerNormalization",
    "LeakyReLU",
    "MaxPooling2D",
    "Multiply",
    "Params",
    "Permute",
    "ReLU",
    "Reshape",
    "SeparableConv2D",
    "Sigmoid",
    "Softmax",
    "SymbolicTensor",
    "Tanh",
    "UnitNormalization",
    "UpSampling2D",
    "Weight",
    "ZeroPadding2D",
    "layers_from",
]
