"""Photographs through several processes at once, with memory that does not grow with their number.

Processes are started afresh (``spawn``): OpenMP, which OpenCV and Numba may use, does not survive a ``fork``. Each
makes its detector once. Only a few photographs are handed out ahead, and records come back one by one, when ready.

A process whose parent is gone ends too: whoever kills the run with force must not leave half of it behind.
"""

from __future__ import annotations

import itertools
import multiprocessing
import os
import signal
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import connection
from pathlib import Path

from detection.dataset.journal import Record
from detection.dataset.settings import BuildSettings, DetectorMaker
from detection.dataset.sources import Photo
from detection.dataset.work import Worker
from detection.optional import load_cv2
from minicnn.errors import StateError, explain

AHEAD = 3  # photographs handed out per process: nobody waits, and a kill repeats no more than these

_worker: Worker | None = None  # of this process


def process_all(
    photos: Sequence[Photo],
    processes: int,
    root: Path,
    folder: Path,
    settings: BuildSettings,
    make_detector: DetectorMaker,
) -> Iterator[Record]:
    """What became of each photograph, in the order in which they are ready. One process: this one.

    Raises what ``Worker.process`` raises, and StateError when a process was ended from outside.
    """
    if processes == 1 or len(photos) < 2:
        worker = Worker(root, folder, settings, make_detector)
        yield from map(worker.process, photos)
        return
    pool = ProcessPoolExecutor(
        min(processes, len(photos)),
        multiprocessing.get_context("spawn"),
        initializer=_start,
        initargs=(root, folder, settings, make_detector),
    )
    waiting = iter(photos)
    running: set[Future[Record]] = set()
    try:
        running |= {pool.submit(_process, photo) for photo in itertools.islice(waiting, AHEAD * processes)}
        while running:
            done, running = wait(running, return_when=FIRST_COMPLETED)
            running |= {pool.submit(_process, photo) for photo in itertools.islice(waiting, len(done))}
            for future in done:
                yield future.result()
    except BrokenProcessPool:
        fix = "Run the same again: it goes on. With one process, the photograph at fault shows."
        received = "one that was ended from outside, perhaps for its memory"
        raise StateError(explain("worker processes that live", received, fix)) from None
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _start(root: Path, folder: Path, settings: BuildSettings, make_detector: DetectorMaker) -> None:
    global _worker
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches everybody; the parent ends its children in order
    threading.Thread(target=_end_with_parent, daemon=True).start()
    load_cv2("Reading photographs").setNumThreads(1)  # the processes are the parallelism
    _worker = Worker(root, folder, settings, make_detector)


def _process(photo: Photo) -> Record:
    assert _worker is not None, "the pool starts its processes with _start"
    return _worker.process(photo)


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        connection.wait([parent.sentinel])
        os._exit(1)
