"""The command ``minicnn`` and its commands."""

from __future__ import annotations

import io
import sys
from typing import Annotated

import typer

from minicnn import __version__
from minicnn.cli import (
    bench,
    capture,
    check,
    compare,
    convert,
    crop,
    dataset,
    demo,
    detect,
    detectors,
    doctor,
    evaluate,
    explain,
    explore,
    find,
    orl_protocol,
    parity,
    recognise,
    summary,
    train,
    verify,
    warmup,
    weights,
)
from minicnn.cli.console import Commands

app = typer.Typer(
    name="minicnn",
    cls=Commands,
    no_args_is_help=True,
    pretty_exceptions_enable=False,  # a bug shows Python's own traceback, which everybody can paste
    rich_markup_mode=None,  # plain help: Rich's table of options leaves a narrow terminal no room for words
    context_settings={"help_option_names": ["-h", "--help"]},
    help="""Convolutional networks from scratch, compared with Keras layer by layer, on real faces.

Start with `minicnn demo`; if something is missing, `minicnn doctor` knows what to install.""",
)

app.command()(demo.demo)
app.command()(detect.detect)
app.command()(crop.crop)
app.command()(detectors.detectors)
app.add_typer(dataset.app, name="dataset")
app.command()(capture.capture)
app.command()(train.train)
app.command()(evaluate.evaluate)
app.command()(recognise.recognise)
app.command()(verify.verify)
app.command()(find.find)
app.command()(orl_protocol.orl_protocol)
app.command()(compare.compare)
app.command()(explain.explain)
app.command()(explore.explore)
app.command()(check.check)
app.command()(parity.parity)
app.command()(summary.summary)
app.command()(convert.convert)
app.add_typer(weights.app, name="weights")
app.command()(bench.bench)
app.command()(doctor.doctor)
app.command()(warmup.warmup)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"minicnn {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    pass


def main() -> None:
    """What the installed command ``minicnn`` calls."""
    if isinstance(sys.stdout, io.TextIOWrapper):  # a letter that its encoding lacks is no reason to fail
        sys.stdout.reconfigure(errors="backslashreplace")
    app()
