"""What only a new process can tell: the time from its start to a first prediction, and its peak memory.

    python -m benchmarks.peers.fresh minicnn start          prints one line when the first prediction is there
    python -m benchmarks.peers.fresh keras training         prints the peak in bytes

Each framework builds the network in its own way, from the rows alone, with its own initial weights: neither pays for
importing the other. The peak is VmHWM, reset after building, so that what initialising weights takes is not counted;
what the framework itself occupies is.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks.peers.process import environment
from benchmarks.peers.statistics import Result, Row
from benchmarks.peers.work import Work
from benchmarks.peers.worker import bind, trim

START, FORWARD, TRAINING, SCRATCH = "start", "forward", "training", "scratch"
MEMORY_BATCH, CALLS = 8, 3
LIMIT = 600.0  # seconds


def start_up(peers: Sequence[str], threads: int, cores: list[int], rounds: int, say: Callable[[str], None]) -> Result:
    """Seconds from starting Python to face_cnn's first prediction; one run in front fills the caches of
    machine code and of bytecode."""
    result = Result("start-up", "process start to first prediction of face_cnn")
    return _rounds(result, peers, START, threads, cores, rounds + 1, say, skip=1)


def peak_memory(
    peers: Sequence[str], direction: str, threads: int, cores: list[int], say: Callable[[str], None]
) -> Result:
    """Bytes: the peak of VGG-Face (224x224x3, batch 8), forward or training step, after its weights are made."""
    result = Result(f"memory-{direction}", f"peak memory of VGG-Face, {direction}, batch {MEMORY_BATCH}", unit="bytes")
    return _rounds(result, peers, direction, threads, cores, 1, say)


def scratch(work: Work, threads: int, cores: list[int]) -> float:
    """Bytes that minicnn's forward pass of a layer needs beyond input, weights and output. RuntimeError if it fails."""
    return _run("minicnn", SCRATCH, threads, cores, work.to_json())


def _rounds(
    result: Result,
    peers: Sequence[str],
    what: str,
    threads: int,
    cores: list[int],
    rounds: int,
    say: Callable[[str], None],
    skip: int = 0,
) -> Result:
    result.rows = [Row(peer, "fresh process") for peer in peers]
    for number in range(rounds):
        for row in result.rows:
            if not row.ok:
                continue
            say(f"{result.name}: {row.peer}, round {number + 1} of {rounds}")
            try:
                measured = _run(row.peer, what, threads, cores)
            except RuntimeError as error:
                row.refuse("failed", str(error))
                continue
            if number >= skip:
                row.rounds.append(measured)
    return result


def _run(peer: str, what: str, threads: int, cores: list[int], rows: dict[str, Any] | None = None) -> float:
    """Seconds until the line, or the number in it. RuntimeError says how it failed."""
    arguments = [sys.executable, "-m", "benchmarks.peers.fresh", peer, what, ",".join(map(str, cores))]
    surroundings = environment(threads) | {"BENCH_ROWS": json.dumps(rows or rows_of(what))}
    with tempfile.TemporaryFile("w+") as complaints:
        start = time.perf_counter()
        process = subprocess.Popen(
            arguments,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=complaints,
            env=surroundings,
            start_new_session=True,
            text=True,
        )
        alarm = threading.Timer(LIMIT, os.killpg, (process.pid, signal.SIGKILL))
        alarm.start()
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            seconds = time.perf_counter() - start
            process.wait()
        except BaseException:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            raise
        finally:
            alarm.cancel()
            process.stdout.close()  # type: ignore[union-attr]
        if process.returncode or not line.startswith("{"):
            complaints.seek(0)
            last = [text for text in complaints.read().splitlines() if text.strip()]
            how = f"code {process.returncode}: {last[-1][:300] if last else 'silent'}"
            raise RuntimeError(f"its process ended with {how}")
    return seconds if what == START else float(json.loads(line)["peak"])


def rows_of(what: str) -> dict[str, Any]:
    """The table that a framework other than minicnn builds its network from."""
    from minicnn.models import face_cnn_table, vgg_face_table

    table = face_cnn_table() if what == START else vgg_face_table(softmax=False, dropout=0.0)
    rows = [(row.kind, row.name, dict(row.options)) for row in table.rows]
    return {"input_shape": table.input_shape, "rows": rows}


# -- in the new process -----------------------------------------------------------------------------------------------


def minicnn_network(what: str) -> Callable[[Any], Any]:
    """Rows -> a call on a batch."""
    if what == START:
        from minicnn.models import face_cnn

        return face_cnn()
    from minicnn.models import vgg_face

    model = vgg_face(softmax=False, dropout=0.0)
    if what == FORWARD:
        return model
    from minicnn.losses import SparseCategoricalCrossentropy
    from minicnn.optimizers import SGD
    from minicnn.training import train_step

    model.compile(SGD(1e-3), SparseCategoricalCrossentropy(from_logits=True))
    return lambda x: train_step(model, x, _labels(len(x)))


def keras_network(what: str) -> Callable[[Any], Any]:
    """The same rows in Keras, without importing minicnn. The first prediction is an eager call: a compiled one is
    traced first, which takes longer.
    """
    import keras
    import tensorflow

    rows = json.loads(os.environ["BENCH_ROWS"])
    keras.config.set_floatx("float32")  # whatever the user's keras.json says, here and in the next line
    keras.config.set_image_data_format("channels_last")
    layers = [getattr(keras.layers, kind)(name=name, **options) for kind, name, options in rows["rows"]]
    model = keras.Sequential([keras.Input(rows["input_shape"]), *layers])
    if what == START:
        return lambda x: model(x, training=False).numpy()
    if what == FORWARD:
        return tensorflow.function(lambda x: model(x, training=False))
    optimizer, loss = keras.optimizers.SGD(1e-3), keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    optimizer.build(model.trainable_variables)

    @tensorflow.function
    def step(x: Any) -> Any:
        with tensorflow.GradientTape() as tape:
            value = loss(_labels(len(x)), model(x, training=True))
        optimizer.apply(tape.gradient(value, model.trainable_variables), model.trainable_variables)
        return value

    return step


def _labels(count: int) -> Any:
    import numpy as np

    return np.arange(count)


def reset_peak() -> None:
    """From here on VmHWM counts anew (Linux)."""
    trim()
    Path("/proc/self/clear_refs").write_text("5")


def memory(which: str = "VmHWM") -> int:
    """Bytes in RAM: the most there were at once, or with "VmRSS" those there are now."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(1024 * int(line.split()[1]) for line in lines if line.startswith(f"{which}:"))


def measure_scratch() -> int:
    """A small layer of the same kind first, so that compiled code is there; then one call's peak, less its output."""
    from benchmarks.peers.work import make_data
    from minicnn.models.table import build

    work = Work.from_json(json.loads(os.environ["BENCH_ROWS"]))
    ((kind, name, options),) = work.rows
    small = replace(
        work, batch=1, input_shape=(*work.input_shape[:2], 2), rows=((kind, name, {**options, "filters": 2}),)
    )
    for each in (small, work):
        model, x = build(each.architecture()), make_data(each).x
        reset_peak()
        before = memory("VmRSS")
        y = model(x)
    return max(0, memory() - before - y.nbytes)


def main(peer: str, what: str, cores: str) -> None:
    """Build, compute, print."""
    bind([int(core) for core in cores.split(",")])
    import numpy as np

    if what == SCRATCH:
        print(json.dumps({"peak": measure_scratch()}), flush=True)
        return
    call = {"minicnn": minicnn_network, "keras": keras_network}[peer](what)
    if what == START:
        call(np.zeros((1, 200, 200, 1), np.float32))
        print(json.dumps({"peak": None}), flush=True)
        os._exit(0)  # what comes after the first prediction is not measured, and need not be waited for
    x = np.random.default_rng(0).standard_normal((MEMORY_BATCH, 224, 224, 3), dtype=np.float32)
    reset_peak()
    for _ in range(CALLS):
        call(x)
    print(json.dumps({"peak": memory()}), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:4])
