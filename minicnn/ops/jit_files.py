"""The files behind ``jit_cache``: in which folders compiled code lies, from which sources it came, whether it is whole.

A file is a stamp of the sources, the hash of its content, and the content. Nothing here needs Numba.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import os
import re
import secrets
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from minicnn.user_cache import user_cache

SUFFIX = ".jit"
CHOICE = ".choice"  # of an algorithm, see ``ops/conv2d/measured.py``
DIGEST = hashlib.sha256().digest_size
PACKAGE = Path(__file__).resolve().parents[1]

_IMPORT = re.compile(r"^[ \t]*(?:from[ \t]+([\w.]+)[ \t]+import[ \t]+(\([^)]*\)|.*)|import[ \t]+(.+))", re.MULTILINE)


# -- where ------------------------------------------------------------------------------------------------------------


def folders(package: Path = PACKAGE) -> list[Path]:
    """Where compiled code of a package may lie, best place first: NUMBA_CACHE_DIR if set, and no other; else beside
    the sources, then in the user's own cache.

    Two copies of a package never share files: outside the package, the folder's name has the hash of its path.
    """
    label = f"{package.name}-{hashlib.sha256(os.fsencode(package)).hexdigest()[:12]}"
    chosen = os.environ.get("NUMBA_CACHE_DIR")
    if chosen:
        return [Path(chosen) / label]
    of_user = user_cache(label)
    return [package / "__pycache__" / "jit", *([of_user] if of_user else [])]


def files(package: Path = PACKAGE) -> list[Path]:
    """Every file of compiled code that there is for a package, up to date or not."""
    return [path for folder in folders(package) for path in sorted(folder.glob(f"*{SUFFIX}"))]


# -- what the sources say ---------------------------------------------------------------------------------------------


def source_stamp(function: Callable[..., Any]) -> bytes | None:
    """The hash of the file that defines a function and of all files that this one imports, directly or through others:
    of its package, and of minicnn. None where there is no such file, as at Python's prompt.

    Not seen are names that are put together while the program runs, and files beside a script.
    """
    tops = {"minicnn", function.__module__.partition(".")[0]}
    places = frozenset((top, folder) for top in tops if (folder := _folder(top)) is not None)
    return _stamp(function.__code__.co_filename, places)


def package_of(module: str, file: str) -> Path:
    """The folder of the package that a module belongs to; for a script, the folder it lies in."""
    return Path(_folder(module.partition(".")[0]) or _real(os.path.dirname(file)))


def _folder(package: str) -> str | None:
    """Where a package of this name lies that is imported now: later, another may have its name."""
    module = sys.modules.get(package)
    places, file = list(getattr(module, "__path__", [])), getattr(module, "__file__", None)
    if not places and file:
        places = [os.path.dirname(file)]
    return _real(places[0]) if places else None


_real = functools.cache(os.path.realpath)


@functools.cache
def _stamp(file: str, places: frozenset[tuple[str, str]]) -> bytes | None:
    pending = {os.path.realpath(file)}
    seen: dict[str, bytes] = {}
    while pending:
        path = pending.pop()
        try:
            seen[path], imported = _read_source(path, places)
        except OSError:
            return None
        pending |= imported - seen.keys()
    return hashlib.sha256(b"".join(seen[path] for path in sorted(seen))).digest()


@functools.cache
def _read_source(path: str, places: frozenset[tuple[str, str]]) -> tuple[bytes, frozenset[str]]:
    """The hash of a file, and which files it imports. Read once: what runs is what was read first.

    ``places``: the packages that are followed, and where they lie.
    """
    data, folders = Path(path).read_bytes(), dict(places)
    imported: set[str] = set()
    text = data.decode("utf-8", errors="replace").replace("\\\n", " ")
    for origin, members, plain in _IMPORT.findall(text):
        for name in [origin] if origin else re.findall(r"\w[\w.]*", plain):
            folder, rest = _home(name, path, folders)
            if folder is not None:
                imported |= _sources(folder, rest, tuple(re.findall(r"\w+", members)))
    return hashlib.sha256(data).digest(), frozenset(imported)


def _home(name: str, path: str, folders: Mapping[str, str]) -> tuple[str | None, str]:
    """The folder from which the name of a module counts (None: it is not followed), and what is left of the name.

    "minicnn.ops.jit" -> minicnn's folder, "ops.jit"; in the file a/b/c.py: "..x" -> a, "x".
    """
    rest = name.lstrip(".")
    if rest == name:
        top, _, rest = name.partition(".")
        return folders.get(top), rest
    folder = path
    for _ in range(len(name) - len(rest)):
        folder = os.path.dirname(folder)
    return folder, rest


@functools.cache
def _sources(folder: str, module: str, members: tuple[str, ...]) -> frozenset[str]:
    """The source of a module, its name counting from ``folder`` ("" is that package itself); for a package, of those
    ``members`` that are modules too. None of them is imported for it."""
    path = os.path.join(folder, *module.split("."))
    own = next((file for file in (f"{path}.py", os.path.join(path, "__init__.py")) if os.path.isfile(file)), None)
    inside = () if own == f"{path}.py" else members
    found = frozenset().union(*(_sources(folder, f"{module}.{member}".lstrip("."), ()) for member in inside))
    return found | {own} if own else found


# -- one file ---------------------------------------------------------------------------------------------------------


def read(path: Path, stamp: bytes | None) -> bytes | None:
    """The content of a file, if it is there, complete, and of the sources of this stamp."""
    try:
        data = path.read_bytes()
    except OSError:
        return None
    content = data[2 * DIGEST :]
    intact = data[:DIGEST] == stamp and data[DIGEST : 2 * DIGEST] == hashlib.sha256(content).digest()
    return content if intact else None


def write(path: Path, data: bytes) -> None:
    """All or nothing. The name meanwhile ends differently, so nobody reads it."""
    meanwhile = path.with_name(f"{path.name}.{secrets.token_hex(8)}")
    try:
        meanwhile.write_bytes(data)
        os.replace(meanwhile, path)
    except OSError:
        remove(meanwhile)
        raise


def size_of(path: Path) -> int:
    """In bytes; 0 if it is gone by now."""
    try:
        return path.stat().st_size
    except OSError:
        return 0


def remove(path: Path) -> None:
    """Without an error: nobody needs the file any more, and whoever can will remove it."""
    with contextlib.suppress(OSError):  # another process was faster, or the folder can only be read
        path.unlink()


def clear(package: Path = PACKAGE) -> Iterator[Path]:
    """Remove all compiled code of a package, and what an interrupted write left; yields what was removed.

    What was measured goes too: code that is compiled anew may be faster or slower.
    """
    for folder in folders(package):
        for path in sorted([*folder.glob(f"*{SUFFIX}*"), *folder.glob(f"*{CHOICE}*")]):
            remove(path)
            if not path.exists():
                yield path
