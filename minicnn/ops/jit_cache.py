"""Compiled code on disk: found again by what it was compiled from, and never trusted further than that.

Compiling one function takes a second, loading it some milliseconds. Numba has a cache of its own, and this one takes
its place, because that one

- looks only at the file of the function itself. Whoever edits ``simd.py`` would go on running, without a word, the
  winograd of yesterday, which has yesterday's ``simd.py`` pasted in. Here the stamp of a function covers its file and
  every file of the package that this one imports, directly or not (``jit_files.source_stamp``);
- refuses to start where it cannot write. Here every folder is read, whether or not it can be written; new code goes to
  the first that can; where none can, functions are compiled again in each run, and one warning says so;
- believes what it reads. A file cut short by a full disk ends in a crash. Here each file begins with the hash of its
  content, and what does not match it is compiled anew;
- loads all of Numba's compiler before it loads anything, and reads more than it needs (``jit_bytes``).

One file per function and signature, ``<module>.<function>-<key>.jit``. The key stands for everything else that decides
what the machine code is: the argument types, the values a closure captured, the options it is compiled with, the
versions of Python, Numba, llvmlite and NumPy, the processor with its features, and the width of its vectors; so
machines with different processors can share one folder. A file is written under another name first and renamed when it
is complete, so processes that compile the same function at the same time each see a whole file or none.

Loading a file runs what it says (``jit_bytes``): do not point NUMBA_CACHE_DIR at a folder in which somebody you do not
trust can write.
"""

from __future__ import annotations

import contextlib
import hashlib
import platform
import re
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from minicnn.ops.jit_bytes import from_bytes, to_bytes
from minicnn.ops.jit_files import DIGEST, SUFFIX, folders, package_of, read, remove, source_stamp, write

counts: Counter[str] = Counter()  # how many functions this process has "loaded" and "compiled"


class NotKept(Exception):  # noqa: N818  (no error: the answer to a question)
    """A function would have to be compiled, inside ``only_load``."""


class DiskCache:
    """What Numba asks of a dispatcher's cache, for one function."""

    def __init__(self, function: Callable[..., Any], options: Mapping[str, Any]) -> None:
        self._function, self._options = function, sorted(options.items())
        self._stamp = source_stamp(function)  # now: when the function is first called, its file may have been edited
        self._package = package_of(function.__module__, function.__code__.co_filename)
        self._name = re.sub(r"[^\w.]", "", f"{function.__module__}.{function.__qualname__}")[-100:]

    @property
    def cache_path(self) -> str:
        """The folder that is tried first."""
        return str(folders(self._package)[0])

    def enable(self) -> None:
        """Numba's caches can be switched off and on; this one is simply not installed where none is wanted."""

    def disable(self) -> None:
        """See ``enable``."""

    def flush(self) -> None:
        """Forget this function, in all its signatures."""
        for folder in folders(self._package):
            for path in folder.glob(f"{self._name}-*{SUFFIX}"):
                remove(path)

    def load_overload(self, signature: Any, target: Any) -> Any:
        """The compiled function for these argument types, or None if it must be compiled."""
        name = self._file_name(signature, target.codegen())
        for folder in folders(self._package):
            content = read(folder / name, self._stamp)
            if content is None:
                continue
            try:
                result = from_bytes(content, target)
            except Exception:  # written by something else than it says: whatever is wrong, compiling helps
                continue
            counts["loaded"] += 1
            return result
        if _compiling_refused:
            raise NotKept(self._name)
        for waiting in [*_to_be_told]:
            while waiting:
                waiting.pop()()
        return None

    def save_overload(self, signature: Any, result: Any) -> None:
        """Keep what was just compiled, in the first folder that takes it."""
        counts["compiled"] += 1
        if self._stamp is None or failure():
            return
        if result.library.has_dynamic_globals or any(not lifted.can_cache for lifted in result.lifted):
            warnings.warn(f"{self._name} cannot be kept: it uses addresses of this process.", RuntimeWarning, 2)
            return
        name, content = self._file_name(signature, result.codegen), to_bytes(result)
        reason: OSError | None = None
        for folder in folders(self._package):
            try:
                folder.mkdir(parents=True, exist_ok=True)
                self._remove_outdated(folder)
                write(folder / name, self._stamp + hashlib.sha256(content).digest() + content)
                return
            except OSError as error:
                reason = reason or error
        _give_up(str(reason))

    def _file_name(self, signature: Any, codegen: Any) -> str:
        compiler = (codegen.magic_tuple(), _versions(), _settings(), self._options)
        key = (str(signature), *compiler, _captured(self._function))
        return f"{self._name}-{hashlib.sha256(repr(key).encode()).hexdigest()[:24]}{SUFFIX}"

    def _remove_outdated(self, folder: Path) -> None:
        """Files of this function whose sources have changed since: nothing will ever ask for them again."""
        for path in folder.glob(f"{self._name}-*{SUFFIX}"):
            with contextlib.suppress(FileNotFoundError):  # another process may have removed it meanwhile
                with open(path, "rb") as file:
                    outdated = file.read(DIGEST) != self._stamp
                if outdated:
                    remove(path)


def _captured(value: Any) -> Any:
    """What a closure captured, the same in every process. Functions count by name: their files are in the stamp."""
    function = getattr(value, "py_func", getattr(value, "_defn", value))
    if hasattr(function, "__code__"):
        cells = [_captured(cell.cell_contents) for cell in function.__closure__ or ()]
        return function.__module__, function.__qualname__, function.__code__.co_firstlineno, cells
    if hasattr(value, "tobytes"):  # the repr of a large array leaves out its middle
        return str(value.dtype), value.shape, value.tobytes()
    return repr(value)


def _versions() -> tuple[str, ...]:
    import llvmlite
    import numba
    import numpy

    return platform.python_version(), numba.__version__, llvmlite.__version__, numpy.__version__


def _settings() -> tuple[Any, ...]:
    """What the environment can change about compiling, and the width that is written into the code of vectors."""
    from numba import config

    from minicnn.ops import simd

    names = ("OPT", "LOOP_VECTORIZE", "SLP_VECTORIZE", "BOUNDSCHECK", "DEBUGINFO_DEFAULT")
    return *(getattr(config, name, None) for name in names), simd.VECTOR_BYTES


_reasons: list[str] = []  # why nothing could be kept; asked once, said once


_compiling_refused: list[bool] = []


@contextlib.contextmanager
def only_load() -> Iterator[None]:
    """Inside, what would have to be compiled raises NotKept."""
    _compiling_refused.append(True)
    try:
        yield
    finally:
        _compiling_refused.pop()


_to_be_told: list[list[Callable[[], object]]] = []


@contextlib.contextmanager
def before_compiling(tell: Callable[[], object]) -> Iterator[None]:
    """Inside, ``tell`` is called once, before a function is compiled: somebody is going to wait."""
    waiting = [tell]  # a list of its own, so that each takes away what it put there
    _to_be_told.append(waiting)
    try:
        yield
    finally:
        _to_be_told[:] = [other for other in _to_be_told if other is not waiting]


def failure() -> str | None:
    """Why compiled code could not be kept, if it could not."""
    return _reasons[0] if _reasons else None


def _give_up(reason: str) -> None:
    _reasons.append(reason)
    warnings.warn(
        f"minicnn cannot keep compiled code, so every run compiles again ({reason}). Set NUMBA_CACHE_DIR to a folder "
        "that can be written; `minicnn doctor` shows which is in use.",
        RuntimeWarning,
        stacklevel=2,
    )
