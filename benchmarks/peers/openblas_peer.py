"""NumPy's matrix product, which is OpenBLAS's in the builds pip installs: the opponent of the register kernel."""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks.peers.interface import Timed
from benchmarks.peers.work import Data, Work


class Peer:
    """``np.matmul``; its threads come from the environment, before NumPy loads."""

    def __init__(self, threads: int) -> None:
        self._threads = threads

    def describe(self) -> dict[str, Any]:
        from minicnn.environment import threads

        pools = threads()["blas"]  # empty without threadpoolctl
        return {"threads": pools[0]["threads"] if pools else self._threads, "pools": pools}

    def ways(self, work: Work) -> tuple[str, ...]:
        return ("matmul",)

    def build(self, work: Work, data: Data, way: str) -> Timed:
        return Timed(lambda: np.matmul(data.x, data.y), lambda y: {"y": y})

    def clear(self) -> None:
        pass
