"""A disk that is full, without filling one."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager

import pytest


@contextmanager
def full_after(writes: int) -> Iterator[None]:
    """Everything that is synced to the disk from here on is refused with ENOSPC, after so many times."""
    left, real = writes, os.fsync

    def fsync(handle: int) -> None:
        nonlocal left
        left -= 1
        if left < 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        real(handle)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(os, "fsync", fsync)
        yield


@contextmanager
def files_up_to(size: int) -> Iterator[None]:
    """The operating system refuses what would make a file larger than ``size`` bytes, also to compiled libraries."""
    resource = pytest.importorskip("resource", reason="limits as POSIX has them")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
