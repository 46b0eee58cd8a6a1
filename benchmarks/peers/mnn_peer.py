"""MNN in float32 (precision "high"), from an ONNX model through its own converter.

The converter is called where it is, in the extension ``_tools``: the package around it, ``MNN.tools``, runs "pip
install" for a library that reports to MNN's makers as soon as it is imported, and that library replaces the version of
protobuf that everybody else here needs.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from benchmarks.peers.channels_first import to_channels_first, to_channels_last
from benchmarks.peers.interface import Timed
from benchmarks.peers.onnx_model import onnx_model
from benchmarks.peers.work import Data, Work


class Peer:
    """A session of the interpreter: the input is copied in beforehand, the output copied out after the clock."""

    def __init__(self, threads: int) -> None:
        import MNN

        self._library, self._threads = MNN, threads

    def describe(self) -> dict[str, Any]:
        return {"threads": self._threads, "precision": "high"}

    def ways(self, work: Work) -> tuple[str, ...]:
        return ("session",)

    def build(self, work: Work, data: Data, way: str) -> Timed:
        import _tools as converter  # MNN's, beside its folder

        library = self._library
        with tempfile.TemporaryDirectory() as folder:
            source, target = Path(folder) / "net.onnx", Path(folder) / "net.mnn"
            source.write_bytes(onnx_model(work, data).SerializeToString())
            converter.mnnconvert(
                [
                    "mnnconvert",
                    "-f",
                    "ONNX",
                    "--modelFile",
                    str(source),
                    "--MNNModel",
                    str(target),
                    "--bizCode",
                    "bench",
                ]
            )
            interpreter = library.Interpreter(str(target))
        session = interpreter.createSession({"backend": "CPU", "numThread": self._threads, "precision": "high"})
        x, name = to_channels_first(data.x), library.Tensor_DimensionType_Caffe
        given = interpreter.getSessionInput(session)
        interpreter.resizeTensor(given, x.shape)
        interpreter.resizeSession(session)
        given.copyFrom(library.Tensor(x.shape, library.Halide_Type_Float, x, name))

        def result(_: Any) -> dict[str, Any]:
            found = interpreter.getSessionOutput(session)
            shape = found.getShape()
            host = library.Tensor(shape, library.Halide_Type_Float, name)
            found.copyToHostTensor(host)
            return {"y": to_channels_last(host.getNumpyData().reshape(shape).copy())}

        return Timed(lambda: interpreter.runSession(session), result)

    def clear(self) -> None:
        pass
