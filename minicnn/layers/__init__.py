"""The layers, in reading order: an operation of ``minicnn.ops``, its options, and the parameters it learns.

``base`` is the contract that all of them keep; then one small file per layer, or per family of them.
"""

from __future__ import annotations

from types import MappingProxyType

from minicnn.layers.activations import ELU, LeakyReLU, ReLU, Sigmoid, Softmax, Tanh
from minicnn.layers.base import INFERENCE, Cache, Context, Layer, Params, Weight
from minicnn.layers.batch_norm import BatchNormalization
from minicnn.layers.conv2d import Conv2D, DepthwiseConv2D
from minicnn.layers.dense import Dense
from minicnn.layers.dropout import Dropout
from minicnn.layers.flatten import Flatten
from minicnn.layers.padding import ZeroPadding2D
from minicnn.layers.pooling import AveragePooling2D, GlobalAveragePooling2D, GlobalMaxPooling2D, MaxPooling2D
from minicnn.layers.unit_normalization import UnitNormalization

#: Every layer by its class name: the only names a file may call layers by.
LAYERS: MappingProxyType[str, type[Layer]] = MappingProxyType(
    {
        layer.__name__: layer
        for layer in (
            Dense,
            Conv2D,
            DepthwiseConv2D,
            ZeroPadding2D,
            MaxPooling2D,
            AveragePooling2D,
            GlobalMaxPooling2D,
            GlobalAveragePooling2D,
            Flatten,
            ReLU,
            LeakyReLU,
            ELU,
            Sigmoid,
            Tanh,
            Softmax,
            Dropout,
            BatchNormalization,
            UnitNormalization,
        )
    }
)

__all__ = [
    "ELU",
    "INFERENCE",
    "LAYERS",
    "AveragePooling2D",
    "BatchNormalization",
    "Cache",
    "Context",
    "Conv2D",
    "Dense",
    "DepthwiseConv2D",
    "Dropout",
    "Flatten",
    "GlobalAveragePooling2D",
    "GlobalMaxPooling2D",
    "Layer",
    "LeakyReLU",
    "MaxPooling2D",
    "Params",
    "ReLU",
    "Sigmoid",
    "Softmax",
    "Tanh",
    "UnitNormalization",
    "Weight",
    "ZeroPadding2D",
]
