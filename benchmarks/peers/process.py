"""The parent's side of a worker: start it, ask it, give up on it, and leave nothing of it behind.

A worker that has nothing to do is stopped (SIGSTOP) and goes on when it is asked: a thread pool that spins while it
waits would take the cores of whoever is being timed, and no setting of seven libraries' pools would be as sure.
"""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from benchmarks.threads import variables

ROOT = Path(__file__).resolve().parents[2]
START_LIMIT = 180.0  # seconds; importing TensorFlow takes twelve on a cold disk
# Each framework waits and computes as it likes: the command `minicnn` has set OMP_WAIT_POLICY for itself, a shell may
# have the others from elsewhere. And bytecode is kept, as it is of installed packages: else the sources of what runs
# from a checkout would be compiled in every process, and only those.
NOT_INHERITED = ("OMP_", "GOMP_", "KMP_", "ONEDNN_", "DNNL_", "TF_ENABLE_", "TF_XLA_", "PYTHONDONTWRITEBYTECODE")
SETTINGS = (
    *("OMP_", "GOMP_", "KMP_", "MKL_", "OPENBLAS_", "NUMBA_", "XLA_", "ONEDNN_", "DNNL_", "KERAS_", "MINICNN_"),
    *("TF_NUM_", "TF_ENABLE_", "TF_XLA_", "TF_CPP_", "MALLOC_", "GLIBC_", "LD_PRELOAD"),
)  # how names of variables begin that may change a speed


class WorkerError(RuntimeError):
    """A worker ended, hung, or said that it could not: the message says which, and what it printed last."""


class Worker:
    """One framework's process. Use it as a context: it is gone when the block ends, however it ends."""

    def __init__(self, name: str, module: str, threads: int, cores: list[int]) -> None:
        self.name = name
        self._log = tempfile.TemporaryFile()  # noqa: SIM115  (closed in close)
        arguments = [module, str(threads), ",".join(map(str, cores))]
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.peers.worker", *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            env=environment(threads),
            start_new_session=True,  # Ctrl-C reaches the parent alone, who ends the others in order
        )
        self._rest = b""
        self._can_stop = False
        try:
            self._can_stop = bool(self._read(START_LIMIT).get("dies_with_parent")) and hasattr(signal, "SIGSTOP")
        except BaseException:
            self.close()
            raise
        self._signal("SIGSTOP")

    def ask(self, limit: float, do: str, **question: Any) -> dict[str, Any]:
        """The answer, within ``limit`` seconds. Raises WorkerError otherwise; then the worker is gone."""
        try:
            self._signal("SIGCONT")
            line = json.dumps({"do": do, **question}) + "\n"
            assert self._process.stdin is not None
            with contextlib.suppress(BrokenPipeError):  # reading says how it ended
                self._process.stdin.write(line.encode())
                self._process.stdin.flush()
            answer = self._read(limit)
        except WorkerError:
            self.close()
            raise
        self._signal("SIGSTOP")
        return answer

    @property
    def alive(self) -> bool:
        """Whether it can still be asked."""
        return self._process.poll() is None

    def close(self) -> None:
        """Kill it and its children, whatever it does; stopped processes can be killed too."""
        if self.alive:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout):
            with contextlib.suppress(OSError):
                if stream is not None:
                    stream.close()
        self._log.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _signal(self, name: str) -> None:
        if self._can_stop:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, getattr(signal, name))

    def _read(self, limit: float) -> dict[str, Any]:
        """One line of JSON. Waits without using the processor."""
        assert self._process.stdout is not None
        with selectors.DefaultSelector() as selector:
            selector.register(self._process.stdout, selectors.EVENT_READ)
            while b"\n" not in self._rest:
                if not selector.select(limit):
                    raise WorkerError(f"{self.name} did not answer within {limit:.0f} seconds")
                piece = os.read(self._process.stdout.fileno(), 1 << 16)
                if not piece:
                    raise WorkerError(f"{self.name}'s process ended ({self._ending()}){self._last_words()}")
                self._rest += piece
        line, _, self._rest = self._rest.partition(b"\n")
        try:
            answer = json.loads(line)
        except ValueError:
            answer = None
        if not isinstance(answer, dict):
            raise WorkerError(f"{self.name} did not answer in JSON: {line[:100]!r}")
        if set(answer) == {"failed"}:
            raise WorkerError(f"{self.name}: {answer['failed']}")
        return answer

    def _ending(self) -> str:
        try:
            code = self._process.wait(10)
        except subprocess.TimeoutExpired:
            return "its output closed"
        if code >= 0:
            return f"exit code {code}"
        with contextlib.suppress(ValueError):
            return f"signal {signal.Signals(-code).name}"
        return f"signal {-code}"

    def _last_words(self) -> str:
        self._log.seek(0, os.SEEK_END)
        self._log.seek(max(0, self._log.tell() - 2000))
        lines = [line.strip() for line in self._log.read().decode(errors="replace").splitlines() if line.strip()]
        return f": {lines[-1][:300]}" if lines else ""


def environment(threads: int) -> dict[str, str]:
    """What a worker inherits, how many threads every pool has, no GPU, and the place where this package is."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith(NOT_INHERITED)}
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH", "")]))
    ours = {"PYTHONPATH": path, "PYTHONUNBUFFERED": "1", "KERAS_BACKEND": "tensorflow"}
    return kept | variables(threads) | ours


def settings(threads: int) -> dict[str, str]:
    """The variables a worker inherits that may change how fast it is."""
    return {key: value for key, value in sorted(environment(threads).items()) if key.startswith(SETTINGS)}
