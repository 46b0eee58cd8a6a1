"""ONNX Runtime on the processor, all graph optimisations, from a model in memory."""

from __future__ import annotations

from typing import Any

from benchmarks.peers.channels_first import to_channels_first, to_channels_last
from benchmarks.peers.interface import Timed
from benchmarks.peers.onnx_model import onnx_model
from benchmarks.peers.work import Data, Work


class Peer:
    """One session per work; the input is wrapped beforehand and the output is not copied into NumPy."""

    def __init__(self, threads: int) -> None:
        import onnxruntime

        onnxruntime.disable_telemetry_events()
        self._library, self._threads = onnxruntime, threads

    def describe(self) -> dict[str, Any]:
        return {"threads": self._threads, "provider": "CPUExecutionProvider"}

    def ways(self, work: Work) -> tuple[str, ...]:
        return ("session",)

    def build(self, work: Work, data: Data, way: str) -> Timed:
        options = self._library.SessionOptions()
        options.intra_op_num_threads = self._threads
        options.inter_op_num_threads = 1
        options.execution_mode = self._library.ExecutionMode.ORT_SEQUENTIAL
        options.graph_optimization_level = self._library.GraphOptimizationLevel.ORT_ENABLE_ALL
        options.log_severity_level = 3
        model = onnx_model(work, data).SerializeToString()
        session = self._library.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        feed = {"x": self._library.OrtValue.ortvalue_from_numpy(to_channels_first(data.x))}
        return Timed(lambda: session.run_with_ort_values(["y"], feed)[0], lambda y: {"y": to_channels_last(y.numpy())})

    def clear(self) -> None:
        pass
