"""Photographs through several processes at once, with memory that does not grow with their number.

Processes are started afresh (``spawn``): OpenMP, which OpenCV and Numba may use, does not survive a ``fork``. Each
makes its detector once. Only a few photographs are handed out ahead, and records come back one by one, when ready.

**When a process dies.** A damaged file can bring down the library that decodes it, and a huge one the whole process
when memory runs out; no error is raised then, the process is gone. Which of the photographs at work was to blame nobody
knows. So each of these is tried again, alone in a process of its own: the one at which that dies too is to blame, and
becomes a record with a reason. The others go on together.

A process whose parent is gone ends too: whoever kills the run with force must not leave half of it behind.
"""

from __future__ import annotations

import itertools
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import connection
from pathlib import Path

from detection.dataset.journal import Record
from detection.dataset.settings import BuildSettings, DetectorMaker
from detection.dataset.sources import Photo
from detection.dataset.work import Worker, file_state
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
    """What became of each photograph, in the order in which they are ready. One process: this one, for better or worse.

    Raises what ``Worker.process`` raises, and StateError when processes die before they are given a photograph.
    """
    if processes == 1:
        worker = Worker(root, folder, settings, make_detector)
        yield from map(worker.process, photos)
        return

    def start(count: int) -> ProcessPoolExecutor:
        context = multiprocessing.get_context("spawn")
        return ProcessPoolExecutor(count, context, initializer=_start, initargs=(root, folder, settings, make_detector))

    waiting = iter(photos)
    while suspects := (yield from _together(waiting, min(processes, len(photos)), start)):
        yield from _one_by_one(suspects, root, start)


def _together(
    waiting: Iterator[Photo], processes: int, start: Callable[[int], ProcessPoolExecutor]
) -> Generator[Record, None, list[Photo]]:
    """Records as they are ready; returns the photographs that were at work when a process died, or none at the end."""
    running: dict[Future[Record], Photo] = {}
    suspects: list[Photo] = []
    pool = start(max(1, processes))
    try:
        while True:
            for photo in itertools.islice(waiting, 0 if suspects else AHEAD * processes - len(running)):
                try:
                    running[pool.submit(_process, photo)] = photo
                except BrokenProcessPool:
                    suspects.append(photo)
                    break
            if not running:
                return suspects
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                photo = running.pop(future)
                try:
                    yield future.result()
                except BrokenProcessPool:
                    suspects.append(photo)
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _one_by_one(suspects: Sequence[Photo], root: Path, start: Callable[[int], ProcessPoolExecutor]) -> Iterator[Record]:
    """The photographs, each with a process to itself as long as that lives."""
    pool = start(1)
    try:
        for photo in suspects:
            try:
                pool.submit(os.getpid).result()
            except BrokenProcessPool:
                fix = "Is there enough memory? The same command goes on where this one stopped."
                raise StateError(explain("worker processes that live", "one that died at its start", fix)) from None
            try:
                yield pool.submit(_process, photo).result()
            except BrokenProcessPool:
                pool.shutdown(wait=True)
                pool = start(1)
                reason = explain(
                    "a photograph that can be searched",
                    "one at which the process that reads it dies, also alone",
                    "Save it anew in another program, or make it smaller.",
                )
                yield Record(photo.source, photo.person, *file_state(root / photo.source), reason=reason)
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
