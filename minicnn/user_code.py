"""Somebody's own function, from "FILE.py:FUNCTION" on a command line.

The file is their program, and is executed as such. What goes wrong in it is one message with the line.
"""

from __future__ import annotations

import importlib.util
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from minicnn.errors import LoadError, did_you_mean, explain


def load_function(place: str) -> Callable[..., Any]:
    """The function behind "FILE.py:FUNCTION". The file is executed; it may import its neighbours.

    Raises LoadError with the file, the line and the reason.
    """
    file, name = locate(place)
    module = _executed(file)
    found = getattr(module, name, None)
    if not callable(found):
        there = [key for key, value in vars(module).items() if callable(value) and not key.startswith("_")]
        own = [key for key in there if getattr(vars(module)[key], "__module__", "") == module.__name__]
        fix = did_you_mean(name, own) or f"It has: {', '.join(own) or 'no functions'}."
        raise LoadError(explain(f"a function {name} in {file}", "none of that name", fix))
    return found  # type: ignore[no-any-return]


def locate(place: str) -> tuple[Path, str]:
    """The file and the function that "FILE.py:FUNCTION" names. Nothing is executed. Raises LoadError without a file."""
    path, colon, name = place.rpartition(":")
    file = Path(path)
    if not colon or not name.isidentifier():
        raise LoadError(explain("FILE.py:FUNCTION", repr(place), "For example my_conv.py:conv."))
    if file.suffix != ".py" or not file.is_file():
        raise LoadError(explain(f"a Python file {file}", "another kind of file" if file.exists() else "no such file"))
    return file, name


def call(function: Callable[..., Any], place: str, **arguments: Any) -> Any:
    """``function(*arguments)``, in that order; ``place`` is where it came from, and the names are for the message.

    Raises LoadError for a function that does not take them, and with the line for what goes wrong in it.
    """
    file, _, name = place.rpartition(":")
    try:
        return function(*arguments.values())
    except (Exception, SystemExit) as error:
        refused = error.__traceback__ is None or error.__traceback__.tb_next is None  # nothing in it was reached
        if isinstance(error, TypeError) and refused:
            expected = f"{place} to be a function that is called as {name}({', '.join(arguments)})"
            raise LoadError(explain(expected, f"one that refuses it: {error}", "Give it these arguments.")) from None
        raise _failed(Path(file), error) from error


def _failed(file: Path, error: BaseException) -> LoadError:
    """What went wrong in somebody's file, with the last line of theirs that was reached."""
    whole = str(file.resolve())
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == whole]
    line = getattr(error, "lineno", None) or (lines[-1] if lines else "?")
    return LoadError(f"{file}, line {line}: {type(error).__name__}: {error}")


def _executed(file: Path) -> Any:
    whole = file.resolve()
    # A name that is no other module's: somebody may call their file json.py.
    spec = importlib.util.spec_from_file_location(f"_user_code_{file.stem}", whole)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses, for one, look for the module that they are written in
    sys.path.insert(0, str(whole.parent))
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:  # exit(0) in the file would say that all is well
        del sys.modules[spec.name]
        raise _failed(file, error) from error
    finally:
        sys.path.remove(str(whole.parent))
    return module
