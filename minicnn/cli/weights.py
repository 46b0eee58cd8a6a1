"""``minicnn weights``: trained weights that others published."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

from minicnn.cli import console

app = typer.Typer(cls=console.Commands, no_args_is_help=True, help="Trained weights that others published.")


@app.callback()
def _weights() -> None:
    """Keeps ``fetch`` a command of its own: a group of one would lose its name."""


@app.command()
def fetch(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Whose: vgg-face.")],
    folder: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="Where to keep it; without it in $MINICNN_WEIGHTS, or the user's cache."),
    ] = None,
    json: console.Json = False,
) -> None:
    """Download weights and compare their checksum; goes on where an earlier attempt broke off.

    Without a network, the error says where to put the file by hand. Then: minicnn convert FILE vgg.npz --vgg-face

    Example:  minicnn weights fetch vgg-face
    """
    from minicnn.io.download import fetch as download
    from minicnn.io.download import published

    wanted = published(name)
    console.note(wanted.about)
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with Progress(*columns, console=console.err(), transient=True) as bar:
        task = bar.add_task(wanted.file, total=None)
        path = download(wanted, folder, lambda there, total: bar.update(task, completed=there, total=total))
    if json:
        console.print_json({"name": name, "file": str(path), "sha256": wanted.sha256})
    else:
        console.show(str(path), fold=False)
