"""A network as an ONNX model, which ONNX Runtime, OpenVINO and many others compute.

ONNX puts channels before pixels, (N, C, H, W), and so do its kernels, (F, C, KH, KW). Three things follow:

- the input is turned round once, at the start, and the output back at the end, so that outsiders see the network as
  minicnn has it; with ``channels_first`` both stay as ONNX has them;
- padding "same" becomes numbers, because Keras puts the odd one after and not all runtimes do;
- Flatten would put numbers into another order. If a dense layer follows, the rows of its kernel are put into that order
  too, which costs nothing later; otherwise pictures are turned back first.

ReLU, batch normalisation and the rest stay nodes of their own: fusing is the runtime's job. Dropout does nothing in
inference and has no node. ``onnx_operators.OPERATORS`` has a line per layer; where ways meet, all have channels first
or all have them last. The package ``onnx`` comes with the extra ``files``.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from minicnn.errors import OptionError, explain, missing
from minicnn.graph import Graph, described
from minicnn.io.atomic import atomic_write
from minicnn.io.onnx_activations import CHAINS
from minicnn.io.onnx_builder import Builder, Value, kind
from minicnn.io.onnx_operators import OPERATORS
from minicnn.shapes import Array, Shape

OPSET = 17
IR_VERSION = 8  # of the file format: old enough for every reader
#: Layers, and activations by name, that treat every number for itself, whatever the order.
PASSING = ("ReLU", "LeakyReLU", "ELU", "Sigmoid", "Tanh", "Dropout", *CHAINS)


def write_onnx(path: str | Path, config: Mapping[str, Any], weights: Mapping[str, Array]) -> None:
    """Write a ``Model.config()`` and its weights. The file appears complete or not at all."""
    with atomic_write(path) as file:
        file.write(onnx_model(config, weights).SerializeToString())


def onnx_model(
    config: Mapping[str, Any], weights: Mapping[str, Array], *, batch: int | None = None, channels_first: bool = False
) -> Any:
    """An ``onnx.ModelProto`` with input "x" and output "y", each with a batch axis: any size, or ``batch``.

    Several are called "x_0", "x_1", ... Raises OptionError for networks beyond protobuf's 2 GB,
    MissingDependencyError without the package onnx.
    """
    onnx = load_onnx()
    if sum(array.nbytes for array in weights.values()) >= 2**31 - 2**20:
        raise OptionError(explain("less than 2 GB of weights for one .onnx file", "more", "Save it as .safetensors."))
    graph, shapes = described(config)
    builder = Builder(onnx.helper, np.dtype(config["dtype"]))
    x_names, y_names = _names("x", graph.inputs), _names("y", len(graph.outputs))
    values = [
        Value(name, shape, first=channels_first and len(shape) == 3)
        for name, shape in zip(x_names, shapes, strict=False)
    ]
    inputs = values[:]
    _translate(builder, graph, shapes, values, weights)
    outputs = []
    for name, number in zip(y_names, graph.outputs, strict=True):
        outputs.append(builder.turn(values[number], first=channels_first))
        builder.nodes.append(onnx.helper.make_node("Identity", [outputs[-1].name], [name], name=name))
    element = onnx.helper.np_dtype_to_tensor_dtype(builder.dtype)
    size = "N" if batch is None else batch

    def info(name: str, value: Value) -> Any:
        axes = [size, *(_as_first(value.shape) if value.first else value.shape)]
        return onnx.helper.make_tensor_value_info(name, element, axes)

    constants = [onnx.numpy_helper.from_array(array, name) for name, array in builder.constants.items()]
    x, y = [*map(info, x_names, inputs)], [*map(info, y_names, outputs)]
    made = onnx.helper.make_graph(builder.nodes, str(config["name"]), x, y, constants)
    opset = [onnx.helper.make_opsetid("", OPSET)]
    return onnx.helper.make_model(made, opset_imports=opset, ir_version=IR_VERSION, producer_name="minicnn")


def _translate(
    builder: Builder, graph: Graph, shapes: Sequence[Shape], values: list[Value], weights: Mapping[str, Array]
) -> None:
    """Every node's operators; ``values``, at first the inputs, gets what each node makes."""
    free = _free_orders(graph)
    for number, node in enumerate(graph.nodes, graph.inputs):
        layer, given = node.layer, node.pick(values)
        own = {key.split("/", 1)[1]: array for key, array in weights.items() if key.startswith(f"{layer.name}/")}
        if kind(layer) == "Flatten" and not free[number]:
            given = builder.turn(given, first=False)
        values.append(replace(OPERATORS[kind(layer)](builder, layer, given, own), shape=shapes[number]))


def _names(letter: str, count: int) -> list[str]:
    return [letter] if count == 1 else [f"{letter}_{number}" for number in range(count)]


def _free_orders(graph: Graph) -> list[bool]:
    """For every value whether only dense layers read its numbers, so that their kernels can take them in any order.

    Layers that treat every number for itself may stand between.
    """
    free = [value not in graph.outputs for value in range(graph.inputs + len(graph.nodes))]
    for value, node in reversed([*enumerate(graph.nodes, graph.inputs)]):
        name = getattr(node.layer, "activation", kind(node.layer))
        if name != "Dense" and not (name in PASSING and free[value]):
            for source in node.sources:
                free[source] = False
    return free


def load_onnx() -> Any:
    """The module onnx. Raises MissingDependencyError, naming the extra, when it is not installed."""
    try:
        return importlib.import_module("onnx")
    except ImportError:
        raise missing("onnx", "files", "Writing an ONNX file") from None


def _as_first(shape: Shape) -> Shape:
    return (shape[2], *shape[:2])
