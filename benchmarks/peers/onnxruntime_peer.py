"""ONNX Runtime on the processor, all graph optimisations, from a model in memory."""

from __future__ import annotations

import os
from typing import Any

from benchmarks.peers.channels_first import to_channels_first, to_channels_last
from benchmarks.peers.interface import Timed
from benchmarks.peers.onnx_model import onnx_model
from benchmarks.peers.work import Data, Work

PINNED = "pinned"  # each thread on a core of its own, where otherwise the system moves them among the process's cores


class Peer:
    """One session per work and way; the input is wrapped beforehand and the output is not copied into NumPy."""

    def __init__(self, threads: int) -> None:
        import onnxruntime

        onnxruntime.disable_telemetry_events()
        self._library, self._threads = onnxruntime, threads

    def describe(self) -> dict[str, Any]:
        return {"threads": self._threads, "provider": "CPUExecutionProvider"}

    def ways(self, work: Work) -> tuple[str, ...]:
        return ("session", PINNED) if hasattr(os, "sched_setaffinity") else ("session",)

    def build(self, work: Work, data: Data, way: str) -> Timed:
        options = self._library.SessionOptions()
        options.intra_op_num_threads = self._threads
        options.inter_op_num_threads = 1
        options.execution_mode = self._library.ExecutionMode.ORT_SEQUENTIAL
        options.graph_optimization_level = self._library.GraphOptimizationLevel.ORT_ENABLE_ALL
        options.log_severity_level = 3
        model = onnx_model(work, data).SerializeToString()
        cores = sorted(os.sched_getaffinity(0)) if way == PINNED else []
        if cores:  # of all threads but the one that calls; ONNX Runtime counts from 1
            others = ";".join(str(core + 1) for core in cores[1 : self._threads])
            if others:
                options.add_session_config_entry("session.intra_op_thread_affinities", others)
        session = self._library.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        feed = {"x": self._library.OrtValue.ortvalue_from_numpy(to_channels_first(data.x))}

        def call() -> Any:
            return session.run_with_ort_values(["y"], feed)[0]

        def bound() -> Any:
            """The thread that calls belongs to the pool too. Two system calls take about a microsecond."""
            os.sched_setaffinity(0, cores[:1])
            try:
                return call()
            finally:
                os.sched_setaffinity(0, cores)

        return Timed(bound if cores else call, lambda y: {"y": to_channels_last(y.numpy())})

    def clear(self) -> None:
        pass
