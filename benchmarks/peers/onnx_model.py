"""A work as an ONNX model: what ONNX Runtime, OpenVINO and MNN's converter read. ``minicnn.io.onnx_file`` writes it.

Channels first, as ONNX is, and with a fixed batch size.
"""

from __future__ import annotations

from typing import Any

from benchmarks.peers.work import Data, Work


def onnx_model(work: Work, data: Data) -> Any:
    """An ``onnx.ModelProto`` with input "x" (N, C, H, W) and output "y"."""
    from minicnn.io.onnx_file import onnx_model as written

    config = {
        "name": work.name,
        "dtype": "float32",
        "input_shape": work.input_shape,
        "layers": [{"class_name": kind, "config": {"name": name, **options}} for kind, name, options in work.rows],
    }
    return written(config, data.weights, batch=work.batch, channels_first=True)
