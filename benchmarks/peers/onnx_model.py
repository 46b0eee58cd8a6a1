"""A work as an ONNX model, written with ``onnx.helper``: what ONNX Runtime, OpenVINO and MNN's converter read.

Channels first, as ONNX is. ReLU, BatchNormalization and the rest stay nodes of their own: fusing is the runtime's job.
"""

from __future__ import annotations

from typing import Any

from benchmarks.peers.channels_first import CONVOLUTIONS, Step, steps
from benchmarks.peers.work import Data, Work

OPSET = 17
IR_VERSION = 8  # of the file format: old enough for every reader


def onnx_model(work: Work, data: Data) -> Any:
    """An ``onnx.ModelProto`` with input "x" (N, C, H, W) and output "y", its batch size fixed."""
    from onnx import TensorProto, helper, numpy_helper

    nodes, initializers, name = [], [], "x"
    translated = list(steps(work, data.weights))
    for step in translated:
        output = "y" if step is translated[-1] else f"{step.name}:y"
        inputs = [name]
        for key in ("kernel", "bias", "gamma", "beta", "moving_mean", "moving_variance"):
            if key in step.weights:
                initializers.append(numpy_helper.from_array(step.weights[key], f"{step.name}:{key}"))
                inputs.append(f"{step.name}:{key}")
        kind, attributes = _operator(step)
        nodes.append(helper.make_node(kind, inputs, [output], name=step.name, **attributes))
        name = output
    shapes = (_channels_first(work.batch, translated[0].input_shape), _channels_first(work.batch, step.output_shape))
    x, y = (
        helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in zip("xy", shapes, strict=True)
    )
    graph = helper.make_graph(nodes, work.name, [x], [y], initializers)
    opset = [helper.make_opsetid("", OPSET)]
    return helper.make_model(graph, opset_imports=opset, ir_version=IR_VERSION, producer_name="minicnn")


def _operator(step: Step) -> tuple[str, dict[str, Any]]:
    window = {"kernel_shape": step.kernel, "strides": step.strides, "pads": step.pads}
    if step.kind in CONVOLUTIONS:
        return "Conv", {**window, "group": step.groups}
    return {
        "MaxPooling2D": ("MaxPool", window),
        "Dense": ("Gemm", {"transB": 1}),
        "BatchNormalization": ("BatchNormalization", {"epsilon": step.epsilon}),
        "ReLU": ("Relu", {}),
        "Flatten": ("Flatten", {}),
        "Softmax": ("Softmax", {"axis": -1}),
    }[step.kind]


def _channels_first(batch: int, shape: tuple[int, ...]) -> tuple[int, ...]:
    return (batch, shape[2], *shape[:2]) if len(shape) == 3 else (batch, *shape)
