"""``minicnn explore``: a local page on which a network can be looked into, down to one number."""

from __future__ import annotations

import socket
from contextlib import nullcontext
from pathlib import Path
from typing import Annotated

import typer

from minicnn.cli import console
from minicnn.cli.options import RunDetector, RunLandmarks, Upsample
from minicnn.errors import OptionError, explain, missing

OPENING = "Opening the network and finding the face (the first time, code is compiled: minicnn warmup)"


def explore(
    subject: Annotated[
        str | None,
        typer.Argument(metavar="RUN|MODEL", help="A run, a file (.npz, .keras, .h5), or a network's name."),
    ] = None,
    photo: Annotated[Path | None, typer.Argument(metavar="PHOTO", help="Without it: an AT&T/ORL face.")] = None,
    weights: Annotated[
        Path | None, typer.Option(metavar="FILE", help="With vgg-face: its published weights, in any format.")
    ] = None,
    keras: Annotated[bool, typer.Option("--keras/--no-keras", help="Keras's numbers beside minicnn's.")] = True,
    export: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write one self-contained page instead of serving it.")
    ] = None,
    depth: Annotated[
        int | None, typer.Option(min=1, help="With --export: maps of each layer that the page holds; 8 if not given.")
    ] = None,
    layers: Annotated[
        str | None, typer.Option(help="With --export: only these layers (conv1,pool2 or conv*) and what they read.")
    ] = None,
    port: Annotated[
        int | None, typer.Option(min=1, max=65535, help="Without it, the first free one from 8765 on.")
    ] = None,
    browser: Annotated[bool, typer.Option("--browser/--no-browser", help="Open the page in a browser.")] = True,
    detector: RunDetector = None,
    upsample: Upsample = 0,
    landmarks: RunLandmarks = None,
) -> None:
    """Look into a network on a page of this machine: feature maps, gradients, and the arithmetic of every number.

    Without arguments, face-cnn with random weights looks at a face of the AT&T/ORL set. The page can open other
    photographs. Nothing leaves this machine, and no other can reach the page.

    Example:  minicnn explore photo.jpg

    Example:  minicnn explore runs/friends photo.jpg --export page.html
    """
    from detection.images import SUFFIXES
    from minicnn.cli import explore_steps as steps
    from minicnn.explorer.explorer import Explorer

    if photo is None and subject is not None and subject.lower().endswith(SUFFIXES):
        photo, subject = Path(subject), None
    console.require_html("--export", export)
    if export is None and (depth is not None or layers is not None):
        raise OptionError(explain("--depth and --layers together with --export", "no --export"))
    with _listen(port) if export is None else nullcontext() as listening:  # first: what it refuses is said at once
        with console.working(OPENING):
            looking = steps.prepare_looking(subject or "face-cnn", weights, detector, upsample, landmarks)
            explorer = Explorer(
                looking.subject,
                looking.first(photo),
                looking.read,
                beside=steps.keras_beside(keras),
                replay=looking.replay,
            )
        if export is not None:
            _export(explorer, export, depth or 8, layers or "*")
        elif listening is not None:
            from minicnn.explorer.serving import serve

            serve(explorer, listening, browser=browser, say=console.say)


def _listen(port: int | None) -> socket.socket:
    try:
        from minicnn.explorer.serving import listen
    except ImportError as error:
        raise missing(error.name or "starlette", "explore", "The explorer's page") from None
    return listen(port)


def _export(explorer: object, path: Path, depth: int, layers: str) -> None:
    from minicnn.explorer.export import export_page
    from minicnn.io.atomic import write_text

    console.output_folder(path.parent)
    with console.working("Computing what the page shows"):
        page = export_page(explorer, depth=depth, layers=tuple(layers.split(",")))  # type: ignore[arg-type]
    write_text(path, page)
    console.say(f"Page: {path} ({len(page) / 2**20:.1f} MiB)")
