"""``minicnn summary``: a network as a table, layer by layer."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from minicnn.cli import console
from minicnn.cli.networks import NETWORKS, architecture, no_network
from minicnn.errors import OptionError, explain
from minicnn.report import text


def summary(
    model: Annotated[
        str,
        typer.Argument(
            metavar="MODEL",
            help="vgg-face, face-cnn, residual-cnn, a file with a network (.npz, .keras, .h5), or the folder of a run.",
        ),
    ],
    input: Annotated[
        str | None, typer.Option(help="Input shape ROWSxCOLUMNSxCHANNELS; without it the network's own.")
    ] = None,
    classes: Annotated[
        int | None, typer.Option(min=1, max=1_000_000, help="Number of classes; without it the network's own.")
    ] = None,
    top: Annotated[bool, typer.Option("--top/--no-top", help="With or without the dense layers (vgg-face).")] = True,
    json: console.Json = False,
) -> None:
    """Show a network's layers: output shape, parameters, multiplications for one picture.

    Example:  minicnn summary vgg-face --input 200x200x1 --classes 40
    """
    from minicnn.io.models import READABLE
    from minicnn.model import Model
    from minicnn.models.outline import outline
    from minicnn.recognition.run import Run
    from minicnn.saving import load_model
    from minicnn.summary import summarize

    is_run = Path(model).is_dir()
    if model in NETWORKS:
        network: Model = outline(architecture(model, input, classes, top=top))
    elif not is_run and not model.lower().endswith(READABLE):
        raise no_network(model)
    elif input or classes or not top:
        what = "run" if is_run else "file"
        fix = f"The {what} says it."
        raise OptionError(explain(f"a {what} without further options", "--input, --classes or --no-top", fix))
    else:
        network = Run.open(model).model() if is_run else load_model(Path(model))
    rows = summarize(network)
    totals = {"parameters": network.count_params(), "multiplications": sum(row.multiplications for row in rows)}
    if json:
        shape, layers = network.input_shape, [row.to_dict() for row in rows]
        console.print_json({"model": network.name, "input_shape": shape, "layers": layers, "totals": totals})
        return
    branches = not network.graph.is_row  # then who reads whom is what one wants to know
    columns = [
        console.Column("layer"),
        console.Column("kind", least_width=110 if branches else 80),
        console.Column("output"),
        console.Column("parameters", "right"),
        console.Column("multiplications", "right"),
        console.Column("algorithm", least_width=130 if branches else 90),
        console.Column("connected to", least_width=0 if branches else 110),
    ]
    cells = [
        (
            *(r.name, r.kind, text.shape(r.output_shape)),
            *(f"{r.parameters:,}", f"{r.multiplications:,}", r.algorithm, ", ".join(r.reads)),
        )
        for r in rows
    ]
    total = ("total", "", "", f"{totals['parameters']:,}", f"{totals['multiplications']:,}", "", "")
    console.table(f"{network.name}, input {text.shape(network.input_shape or ())}", columns, [*cells, total])
