"""Opening what somebody named: a regular file, or one clear error that says what it is instead."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO

from detection.headers import refuse


@contextmanager
def open_regular(source: str | os.PathLike[str], kind: str) -> Iterator[BinaryIO]:
    """The file, to read in a ``with`` block. ``kind`` is what it should be, in errors: "picture" or "video".

    Raises ImageError, naming the file, when it is missing, a folder, a pipe or a device (which could keep us waiting
    for ever), or when the operating system refuses to open or read it.
    """
    name = os.fspath(source)
    try:
        mode = os.stat(source).st_mode
        file = open(source, "rb") if stat.S_ISREG(mode) else None  # noqa: SIM115  (closed below)
    except FileNotFoundError:
        raise refuse(name, f"a {kind} file", "no such file", "Check the name and the folder.") from None
    except (OSError, ValueError) as error:  # ValueError: a name with a zero byte
        raise _unreadable(name, kind, error) from None
    if file is None:
        what = "a folder" if stat.S_ISDIR(mode) else "a pipe, a device or a socket"
        raise refuse(name, f"a {kind} file", what, "Name one file.")
    with file:
        try:
            yield file
        except OSError as error:
            raise _unreadable(name, kind, error) from None


def _unreadable(name: str, kind: str, error: Exception) -> Exception:
    reason = getattr(error, "strerror", None) or str(error)
    return refuse(name, f"a readable {kind} file", reason, "Check the name and the permissions.")
