"""Files with trained weights that a user brings along: for dlib's landmarks and its convolutional detector."""

from __future__ import annotations

import os
from pathlib import Path

from minicnn.errors import LoadError, explain


def model_file(path: str | os.PathLike[str], what: str) -> str:
    """The full path of a file that is there. ``what`` names it in errors.

    Raises LoadError when it is missing or is no regular file (dlib would wait for ever at a pipe). What is in it, the
    library behind it has to judge.
    """
    file = Path(path)
    if file.is_file():
        return os.path.realpath(file)
    received = "a folder" if file.is_dir() else "something else" if file.exists() else "no such file"
    raise LoadError(f"'{path}': {explain(what, received, 'Check the name and the folder.')}")


def refused(path: str, what: str, error: Exception) -> LoadError:
    """The error for a file that its library cannot use."""
    reason = " ".join(str(error).split())[:160] or type(error).__name__
    fix = "Such files are published compressed (.bz2): unpack it first, or download it again."
    return LoadError(f"'{path}': {explain(what, f'a file that dlib refuses: {reason}', fix)}")
