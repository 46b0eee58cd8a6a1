"""``minicnn check``: somebody's own function against Keras's layer, with the reason where they differ."""

from __future__ import annotations

import contextlib
import difflib
import importlib.util
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from minicnn.cli import console
from minicnn.errors import LoadError, MissingDependencyError, explain


def check(
    function: Annotated[str, typer.Argument(metavar="FILE.py:FUNCTION", help="Your own code, which is run.")],
    layer: Annotated[str, typer.Option(help="Keras's name: Conv2D, MaxPooling2D, Adam, ...")] = "Conv2D",
    backward: Annotated[bool, typer.Option("--backward/--forward", help="Check the gradients.")] = False,
    keras: Annotated[bool, typer.Option("--keras/--no-keras", help="Ask Keras too, where it is installed.")] = True,
    seconds: Annotated[float, typer.Option(min=1, help="At most this long for the cases.")] = 60.0,
    json: console.Json = False,
) -> None:
    """Run your own function on a grid of cases, and say what is wrong and why.

    The function has Keras's argument names, as many of them as you like: x, kernel, bias, strides, padding,
    dilation_rate; dy for a backward pass. It is compared in float64; the smallest case that fails is shown with its
    arithmetic, and the mistake is named if it is one of the known ones and gives exactly your numbers. FILE.py is your
    own code: it is executed. Exit code 0 only if every case is right.

    Examples:  minicnn check my_conv.py:conv        minicnn check pool.py:grad --layer MaxPooling2D --backward
    """
    from minicnn.checking import check_layer

    with contextlib.redirect_stdout(sys.stderr):  # what the file prints is no result of ours
        checked = load(function)
        report = check_layer(checked, layer, backward=backward, keras=_keras() if keras else None, seconds=seconds)
    if json:
        console.print_json(report.to_dict())
    else:
        console.out().print(str(report), markup=False, soft_wrap=True)
    if not report.ok:
        raise typer.Exit(console.FAILED)


def load(place: str) -> Callable[..., Any]:
    """The function behind "FILE.py:FUNCTION". The file is executed. Raises LoadError with the file and the reason."""
    path, colon, name = place.rpartition(":")
    file = Path(path)
    if not colon or not name.isidentifier():
        raise LoadError(explain("FILE.py:FUNCTION", repr(place), "For example my_conv.py:conv."))
    if file.suffix != ".py" or not file.is_file():
        raise LoadError(explain(f"a Python file {file}", "another kind of file" if file.exists() else "no such file"))
    spec = importlib.util.spec_from_file_location(file.stem, file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.path.insert(0, str(file.parent.resolve()))  # so that it can import its neighbours
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:  # exit(0) in the file would say that all is well
        lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if Path(frame.filename) == file]
        line = getattr(error, "lineno", None) or (lines[-1] if lines else "?")
        raise LoadError(f"{file}, line {line}: {type(error).__name__}: {error}") from error
    finally:
        sys.path.remove(str(file.parent.resolve()))
    found = getattr(module, name, None)
    if not callable(found):
        functions = [key for key, value in vars(module).items() if callable(value) and not key.startswith("_")]
        near = difflib.get_close_matches(name, functions, 1)
        fix = f"Did you mean {near[0]}?" if near else f"It has: {', '.join(functions) or 'no functions'}."
        raise LoadError(explain(f"a function {name} in {file}", "none of that name", fix))
    return found  # type: ignore[no-any-return]


def _keras() -> Any:
    """Who to ask about Keras; None where it is not installed."""
    from reference_keras.backend import load_keras
    from reference_keras.checking import keras_results

    try:
        load_keras()
    except MissingDependencyError:
        return None
    return keras_results
