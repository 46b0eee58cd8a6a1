"""A peer without a framework, for the tests. Its ways: right, wrong, broken, deadly, endless, talkative, indiscreet."""

from __future__ import annotations

import os
import socket
import time
from typing import Any

import numpy as np

from benchmarks.peers.interface import Timed
from benchmarks.peers.work import Data, Work


class Peer:
    """Computes the matrix product of a work, or misbehaves as the environment variable FAKE_WAYS says."""

    def __init__(self, threads: int) -> None:
        self.threads = threads

    def describe(self) -> dict[str, Any]:
        return {"threads": self.threads, "algorithms": {}}

    def ways(self, work: Work) -> tuple[str, ...]:
        return tuple(os.environ.get("FAKE_WAYS", "right").split(","))

    def build(self, work: Work, data: Data, way: str) -> Timed:
        def call() -> Any:
            if way == "dies":
                os.abort()
            if way == "hangs":
                time.sleep(60)
            if way == "raises":
                raise ValueError("this way is broken")
            if way == "talks":
                print("a framework prints what it likes")
                os.write(1, b"also from C\n")
            if way == "installs":
                os.system("exit 0")
            if way == "reports":
                socket.create_connection(("127.0.0.1", 9), timeout=1)
            return data.x @ data.y * (1.01 if way == "wrong" else 1)

        return Timed(call, lambda y: {"y": np.asarray(y)})

    def clear(self) -> None:
        pass
