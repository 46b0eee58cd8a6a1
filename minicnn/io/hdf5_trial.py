"""Read an HDF5 file once in a process of its own, which may crash or run in circles without harm.

The HDF5 library trusts what it reads: one flipped bit in the table of texts makes it loop for ever, others make it
crash, and neither can be caught in the process where it happens. So a file is read here first, all of it and nothing
kept, with bounds for time and memory. What survives that is read again by ``hdf5.py``.

    python hdf5_trial.py START LENGTH < file            exit code 0: the library survived

Started as a file, so it knows nothing of minicnn. Errors that the library reports are no concern of this trial: it will
report them again.
"""

from __future__ import annotations

import contextlib
import io
import os
import signal
import sys
from typing import Any

MEMORY = 200 << 20  # bytes more than it takes to be here
SECONDS = 1.0  # of processor time, and the time it takes to read every byte
BYTES_PER_SECOND = 100e6
PIECE = 1 << 24
OUT_OF_MEMORY = 3


class Part(io.RawIOBase):
    """``length`` bytes of a file from ``start`` on, as a file of its own."""

    def __init__(self, file: Any, start: int, length: int) -> None:
        self._file, self._start, self._length, self._position = file, start, length, 0

    def readable(self) -> bool:
        """Yes."""
        return True

    def seekable(self) -> bool:
        """Yes."""
        return True

    def tell(self) -> int:
        """Where the next byte comes from."""
        return self._position

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Go there, counted from the start, from here or from the end."""
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self._length}[whence]
        self._position = max(0, base + offset)
        return self._position

    def readinto(self, buffer: Any) -> int:
        """Fill ``buffer`` as far as there is something."""
        view = memoryview(buffer).cast("B")
        count = max(0, min(len(view), self._length - self._position))
        self._file.seek(self._start + self._position)
        count = int(self._file.readinto(view[:count]))
        self._position += count
        return count


def main(start: int, length: int) -> int:
    """Read everything once. See the module."""
    import h5py

    _set_bounds(length)
    file = Part(io.FileIO(0), start, length)
    try:
        with h5py.File(file, "r") as root:
            _read(h5py, root, length)
    except MemoryError:
        return OUT_OF_MEMORY
    except Exception:
        return 0
    return 0


def _set_bounds(length: int) -> None:
    """Without them where the operating system has none; then the caller's patience is the bound."""
    with contextlib.suppress(ImportError, OSError, ValueError, AttributeError):
        import resource

        with open("/proc/self/statm", encoding="ascii") as file:
            used = int(file.read().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (used + MEMORY, used + MEMORY))
    with contextlib.suppress(AttributeError):
        signal.setitimer(signal.ITIMER_PROF, SECONDS + length / BYTES_PER_SECOND)  # ends the process, whatever it does


def _read(h5py: Any, root: Any, length: int) -> None:
    pending, visited = [root], set()
    while pending:
        thing = pending.pop()
        with contextlib.suppress(RuntimeError, OSError, KeyError, TypeError, ValueError):
            address = h5py.h5o.get_info(thing.id).addr
            if address in visited:
                continue
            visited.add(address)
            for name in thing.attrs:
                where = thing.attrs.get_id(name)
                if where.get_storage_size() <= length:
                    thing.attrs[name]
            if isinstance(thing, h5py.Dataset):
                _read_numbers(thing, length)
            else:
                hard = [key for key in thing if isinstance(thing.get(key, getlink=True), h5py.HardLink)]
                pending += [thing[key] for key in hard]


def _read_numbers(dataset: Any, length: int) -> None:
    if dataset.is_virtual or dataset.external or dataset.dtype.kind not in "biuf" or not dataset.size:
        return
    if dataset.size * dataset.dtype.itemsize > (64 << 20) + 8 * length:  # a bomb: never read later either
        return
    if not dataset.shape:
        dataset[()]
        return
    row = dataset.size // len(dataset) * dataset.dtype.itemsize
    step = max(1, PIECE // row)
    if dataset.chunks:
        step = -(-step // dataset.chunks[0]) * dataset.chunks[0]  # whole chunks: none is unpacked twice
    for first in range(0, len(dataset), step):
        dataset[first : first + step]


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), int(sys.argv[2])))
