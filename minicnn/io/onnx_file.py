"""A network as an ONNX model, which ONNX Runtime, OpenVINO and many others compute.

ONNX puts channels before pixels, (N, C, H, W), and so do its kernels, (F, C, KH, KW). Three things follow:

- the input is turned round once, at the start, and the output back at the end, so that outsiders see the network as
  minicnn has it; with ``channels_first`` both stay as ONNX has them;
- padding "same" becomes numbers, because Keras puts the odd one after and not all runtimes do;
- Flatten would put numbers into another order. If a dense layer follows, the rows of its kernel are put into that order
  too, which costs nothing later; otherwise pictures are turned back first.

ReLU, batch normalisation and the rest stay nodes of their own: fusing is the runtime's job. Dropout does nothing in
inference and has no node. ``onnx_operators.OPERATORS`` has a line per layer. The package ``onnx`` comes with the extra
``files``.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from minicnn.errors import OptionError, explain, missing
from minicnn.io.atomic import atomic_write
from minicnn.io.onnx_operators import OPERATORS, Builder, Value, kind
from minicnn.layers import LAYERS
from minicnn.shapes import Array, Shape

OPSET = 17
IR_VERSION = 8  # of the file format: old enough for every reader
PASSING = ("ReLU", "LeakyReLU", "ELU", "Sigmoid", "Tanh", "Dropout")  # every number for itself, whatever the order


def write_onnx(path: str | Path, config: Mapping[str, Any], weights: Mapping[str, Array]) -> None:
    """Write a ``Sequential.config()`` and its weights. The file appears complete or not at all."""
    with atomic_write(path) as file:
        file.write(onnx_model(config, weights).SerializeToString())


def onnx_model(
    config: Mapping[str, Any], weights: Mapping[str, Array], *, batch: int | None = None, channels_first: bool = False
) -> Any:
    """An ``onnx.ModelProto`` with input "x" and output "y", each with a batch axis: any size, or ``batch``.

    Raises OptionError for a layer that has no line in ``OPERATORS`` and for networks beyond protobuf's 2 GB,
    MissingDependencyError without the package onnx.
    """
    onnx = load_onnx()
    if sum(array.nbytes for array in weights.values()) >= 2**31 - 2**20:
        raise OptionError(explain("less than 2 GB of weights for one .onnx file", "more", "Save it as .safetensors."))
    layers = [LAYERS[row["class_name"]](**row["config"]) for row in config["layers"]]
    shape: Shape = tuple(config["input_shape"])
    builder = Builder(onnx.helper, np.dtype(config["dtype"]))
    picture = len(shape) == 3 and channels_first
    value = Value("x", shape, first=picture)
    size = "N" if batch is None else batch
    axes = [[size, *(_as_first(shape) if picture else shape)]]
    for place, layer in enumerate(layers):
        own = {key.split("/", 1)[1]: array for key, array in weights.items() if key.startswith(f"{layer.name}/")}
        translate = OPERATORS.get(kind(layer))
        if translate is None:
            raise OptionError(explain(f"layers among {', '.join(OPERATORS)} to write ONNX", kind(layer)))
        if kind(layer) == "Flatten":
            following = next((name for name in map(kind, layers[place + 1 :]) if name not in PASSING), "")
            value = value if following == "Dense" else builder.turn(value, first=False)
        value = replace(translate(builder, layer, value, own), shape=layer.output_shape(value.shape))
    value = builder.turn(value, first=channels_first)
    builder.nodes.append(onnx.helper.make_node("Identity", [value.name], ["y"], name="y"))
    axes.append([size, *(_as_first(value.shape) if value.first else value.shape)])
    element = onnx.helper.np_dtype_to_tensor_dtype(builder.dtype)
    x, y = (onnx.helper.make_tensor_value_info(name, element, a) for name, a in zip("xy", axes, strict=True))
    constants = [onnx.numpy_helper.from_array(array, name) for name, array in builder.constants.items()]
    graph = onnx.helper.make_graph(builder.nodes, str(config["name"]), [x], [y], constants)
    opset = [onnx.helper.make_opsetid("", OPSET)]
    return onnx.helper.make_model(graph, opset_imports=opset, ir_version=IR_VERSION, producer_name="minicnn")


def load_onnx() -> Any:
    """The module onnx. Raises MissingDependencyError, naming the extra, when it is not installed."""
    try:
        return importlib.import_module("onnx")
    except ImportError:
        raise missing("onnx", "files", "Writing an ONNX file") from None


def _as_first(shape: Shape) -> Shape:
    return (shape[2], *shape[:2])
