"""Somebody's own function, from "FILE.py:FUNCTION" on a command line.

The file is their program, and is executed as such. What goes wrong in it is one message with the line.
"""

from __future__ import annotations

import difflib
import importlib.util
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from minicnn.errors import LoadError, explain


def load_function(place: str) -> Callable[..., Any]:
    """The function behind "FILE.py:FUNCTION". The file is executed; it may import its neighbours.

    Raises LoadError with the file, the line and the reason.
    """
    path, colon, name = place.rpartition(":")
    file = Path(path)
    if not colon or not name.isidentifier():
        raise LoadError(explain("FILE.py:FUNCTION", repr(place), "For example my_conv.py:conv."))
    if file.suffix != ".py" or not file.is_file():
        raise LoadError(explain(f"a Python file {file}", "another kind of file" if file.exists() else "no such file"))
    module = _executed(file)
    found = getattr(module, name, None)
    if not callable(found):
        functions = [key for key, value in vars(module).items() if callable(value) and not key.startswith("_")]
        near = difflib.get_close_matches(name, functions, 1)
        fix = f"Did you mean {near[0]}?" if near else f"It has: {', '.join(functions) or 'no functions'}."
        raise LoadError(explain(f"a function {name} in {file}", "none of that name", fix))
    return found  # type: ignore[no-any-return]


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
        lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(whole)]
        line = getattr(error, "lineno", None) or (lines[-1] if lines else "?")
        raise LoadError(f"{file}, line {line}: {type(error).__name__}: {error}") from error
    finally:
        sys.path.remove(str(whole.parent))
    return module
