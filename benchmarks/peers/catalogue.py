"""Every peer: which module speaks to it, which packages it needs, how to get them, and what it can do.

Reading this imports no framework.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from benchmarks.peers.work import BACKWARD, FIT, FORWARD, MATMUL, TRAINING
from minicnn.environment import version_of
from minicnn.errors import OptionError, explain

MINICNN = "minicnn"


@dataclass(frozen=True)
class Entry:
    """``packages``: distributions that must be there. ``install``: what to type when they are not. ``copies``: of all
    weights that it holds at once, where several of its ways learn."""

    name: str
    title: str
    packages: tuple[str, ...]
    directions: tuple[str, ...]
    install: str = "pip install -c constraints.txt -e '.[peers]'"
    copies: int = 1

    @property
    def module(self) -> str:
        """Where its functions are."""
        return f"benchmarks.peers.{self.name}_peer"

    @property
    def absent(self) -> list[str]:
        """Packages that are not installed."""
        return [package for package in self.packages if version_of(package) is None]


_LAYERS_AND_NETWORKS = (FORWARD, BACKWARD, TRAINING)
PEERS = {
    entry.name: entry
    for entry in (
        Entry(MINICNN, "minicnn", ("numba",), (*_LAYERS_AND_NETWORKS, FIT, MATMUL)),
        Entry(
            "keras",
            "Keras",
            ("keras", "tensorflow"),
            (*_LAYERS_AND_NETWORKS, FIT),
            "pip install -c constraints.txt -e '.[keras]'",
            copies=2,
        ),
        Entry("torch", "PyTorch", ("torch",), _LAYERS_AND_NETWORKS, "pip install torch==2.13.0  # CPU build", copies=2),
        Entry("onnxruntime", "ONNX Runtime", ("onnxruntime", "onnx"), (FORWARD,), "pip install onnxruntime onnx"),
        Entry("openvino", "OpenVINO", ("openvino", "onnx"), (FORWARD,), "pip install openvino onnx"),
        Entry("ncnn", "ncnn", ("ncnn",), (FORWARD,), "pip install ncnn"),
        Entry("mnn", "MNN", ("MNN", "onnx"), (FORWARD,), "pip install MNN onnx"),
        Entry("openblas", "OpenBLAS", ("numpy",), (MATMUL,)),
    )
}


def choose(names: Iterable[str] | None = None) -> tuple[list[Entry], list[Entry]]:
    """(peers that are there, peers that are missing), minicnn always first. Raises OptionError for an unknown name."""
    wanted = list(PEERS) if names is None else list(dict.fromkeys([MINICNN, *names]))
    unknown = [name for name in wanted if name not in PEERS]
    if unknown:
        raise OptionError(explain(f"peers among {', '.join(PEERS)}", ", ".join(map(repr, unknown))))
    entries = [PEERS[name] for name in wanted]
    return [e for e in entries if not e.absent], [e for e in entries if e.absent]
