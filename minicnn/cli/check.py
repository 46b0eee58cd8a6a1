"""``minicnn check``: somebody's own function against Keras's layer, with the reason where they differ."""

from __future__ import annotations

import contextlib
import sys
from typing import Annotated, Any

import typer

from minicnn.cli import console
from minicnn.errors import MissingDependencyError


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

    Example:  minicnn check my_conv.py:conv

    Example:  minicnn check pool.py:grad --layer MaxPooling2D --backward
    """
    from minicnn.checking import check_layer
    from minicnn.user_code import load_function

    with contextlib.redirect_stdout(sys.stderr):  # what the file prints is no result of ours
        checked = load_function(function)
        report = check_layer(checked, layer, backward=backward, keras=_keras() if keras else None, seconds=seconds)
    if json:
        console.print_json(report.to_dict())
    else:
        console.show(str(report), fold=False)
    if not report.ok:
        raise typer.Exit(console.FAILED)


def _keras() -> Any:
    """Who to ask about Keras; None where it is not installed."""
    from reference_keras.backend import load_keras
    from reference_keras.checking import keras_results

    try:
        load_keras()
    except MissingDependencyError:
        return None
    return keras_results
