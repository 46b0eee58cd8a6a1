"""Writing files so that nobody ever finds half of one.

A program can be interrupted at any moment, and a disk can fill up. So the new content goes to a temporary file in the
same folder, is forced onto the disk, and only then renamed to its real name, which the operating system does in one
piece. Whoever opens the file sees the old content or the new, never a mixture.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from minicnn.errors import OptionError, explain


@contextmanager
def atomic_write(path: str | Path) -> Iterator[BinaryIO]:
    """A binary file to write into; it becomes ``path`` when the block ends well, and vanishes when the block raises.

        with atomic_write("weights.bin") as file:
            file.write(b"...")

    A symbolic link stays one: what it points to is replaced. Raises OptionError when the folder does not exist or
    ``path`` is a folder; what the disk itself refuses (no space, no permission) passes through as OSError.
    """
    target = Path(os.path.realpath(path))
    if not target.parent.is_dir():
        raise OptionError(explain("a file in an existing folder", f"'{path}'", f"Create '{target.parent}' first."))
    if target.is_dir():
        raise OptionError(explain("the path of a file to write", f"the folder '{path}'", "Add a file name."))
    # Beside the target: a rename cannot cross file systems. Opened by hand rather than with tempfile, whose files only
    # their owner can read: this one gets the permissions any new file gets.
    temporary = target.with_name(f".{target.name[:100]}.{secrets.token_hex(6)}.tmp")
    handle = os.open(temporary, os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o666)
    try:
        with os.fdopen(handle, "w+b") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, target)
    except BaseException as error:
        with suppress(OSError):
            temporary.unlink()
        if isinstance(error, OSError) and error.filename is None:
            error.filename = str(path)  # a full disk does not say for which file it has no room
        raise
    _sync_folder(target.parent)


def write_text(path: str | Path, text: str) -> None:
    """Write ``text`` as UTF-8, atomically: reports, tables, settings.

    A file's name that is no UTF-8 has letters that UTF-8 cannot say; they are written out, as ``\\udce9``.
    """
    with atomic_write(path) as file:
        file.write(text.encode("utf-8", "backslashreplace"))


def _sync_folder(folder: Path) -> None:
    """The new name must survive a power failure too. Windows has no way to ask for it, and no need."""
    if os.name == "posix":
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
