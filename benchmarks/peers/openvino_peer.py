"""OpenVINO on the processor, told to compute in float32: left alone, it takes bfloat16 where the processor has it."""

from __future__ import annotations

from typing import Any

from benchmarks.peers.channels_first import to_channels_first, to_channels_last
from benchmarks.peers.interface import Timed
from benchmarks.peers.onnx_model import onnx_model
from benchmarks.peers.work import Data, Work


class Peer:
    """One inference request, latency mode; RuntimeError when the compiled model says it is not float32."""

    def __init__(self, threads: int) -> None:
        import openvino

        self._library, self._threads = openvino, threads
        self._said: dict[str, Any] = {}

    def describe(self) -> dict[str, Any]:
        return {"threads": self._threads, **self._said}

    def ways(self, work: Work) -> tuple[str, ...]:
        return ("latency",)

    def build(self, work: Work, data: Data, way: str) -> Timed:
        core = self._library.Core()
        model = core.read_model(onnx_model(work, data).SerializeToString(), b"")
        settings = {
            "INFERENCE_PRECISION_HINT": "f32",
            "INFERENCE_NUM_THREADS": self._threads,
            "NUM_STREAMS": 1,
            "PERFORMANCE_HINT": "LATENCY",
            "ENABLE_CPU_PINNING": False,  # the process is bound to its cores; pinned threads were no faster (NOTES.md)
        }
        compiled = core.compile_model(model, "CPU", settings)
        precision = str(compiled.get_property("INFERENCE_PRECISION_HINT"))
        self._said = {
            "threads": int(compiled.get_property("INFERENCE_NUM_THREADS")),
            "inference_precision": precision,
        }
        if "float32" not in precision and "f32" not in precision:
            raise RuntimeError(f"OpenVINO was told to compute in float32 and chose {precision}")
        request = compiled.create_infer_request()
        request.set_input_tensor(self._library.Tensor(to_channels_first(data.x)))
        return Timed(
            lambda: request.infer(share_outputs=True),  # copied into NumPy after the clock, as ONNX Runtime's and MNN's
            lambda _: {"y": to_channels_last(request.get_output_tensor().data.copy())},
        )

    def clear(self) -> None:
        pass
