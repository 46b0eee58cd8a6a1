"""``minicnn parity``: everything minicnn has against the Keras that is installed."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Annotated, Any

import typer

from minicnn.cli import console
from minicnn.cli.networks import NETWORKS, architecture
from minicnn.errors import OptionError, did_you_mean, explain
from minicnn.report import text


def parity(
    model: Annotated[str | None, typer.Argument(metavar="MODEL", help="face-cnn, residual-cnn or vgg-face.")] = None,
    only: Annotated[
        list[str] | None,
        typer.Option(help="layers, losses, optimizers, schedules, initializers, metrics or defaults; may be repeated."),
    ] = None,
    steps: Annotated[int, typer.Option(min=1, help="Training steps for each optimiser.")] = 100,
    batch: Annotated[int, typer.Option(min=1, max=1024, help="With MODEL: random pictures at once.")] = 4,
    input: Annotated[str | None, typer.Option(help="With MODEL: 224x224x3, 200x200x1, ...")] = None,
    seed: Annotated[int, typer.Option(min=0, help="For inputs, weights and upstream gradients.")] = 0,
    report: Annotated[Path | None, typer.Option(metavar="FILE", help="Write an HTML page.")] = None,
    json: console.Json = False,
) -> None:
    """Compare minicnn with the installed Keras: every layer in every option, losses, optimisers and all the rest.

    Without MODEL, all families: layers forward and backward, losses, 100 steps of training with every optimiser,
    schedules, initialisers, metrics, and the defaults of both sides' arguments. First in float64, where only rounding
    may separate the two; then in float32, against float64: who is closer? With MODEL, its layers one by one, and the
    first that diverges. Exit code 0 only if everything is within the rule in docs/architecture.md.

    Example:  minicnn parity --only layers --report parity.html

    Example:  minicnn parity vgg-face
    """
    from minicnn.environment import describe
    from minicnn.io.atomic import write_text

    start = time.perf_counter()
    console.require_html("--report", report)
    if report:
        console.output_folder(report.parent)
        from minicnn.report.page import require_libraries

        require_libraries()
    found = network(model, input, batch, seed) if model else lab(only, steps, seed)
    found |= {"seed": seed, "command": console.command_line(sys.argv), "environment": describe()}
    found["seconds"] = time.perf_counter() - start
    if report:
        from minicnn.report.parity import parity_page

        write_text(report, parity_page(found))
        console.say(f"Report: {report}")
    if json:
        console.print_json(found)
    elif model:
        show_network(found)
    else:
        show_lab(found)
    if found["failures"]:
        console.fail("\n".join(["Not within the rule:", *found["failures"]]))


def lab(only: list[str] | None, steps: int, seed: int) -> dict[str, Any]:
    """The families that were asked for, as data."""
    from reference_keras.lab import FAMILIES, run_lab

    families = tuple(only or FAMILIES)
    unknown = [family for family in families if family not in FAMILIES]
    if unknown:
        raise OptionError(explain(f"--only with some of {', '.join(FAMILIES)}", ", ".join(unknown)))
    with console.steps() as say:
        return run_lab(families, steps=steps, seed=seed, say=lambda family: say(f"Comparing {family}")).to_dict()


def network(name: str, input: str | None, batch: int, seed: int) -> dict[str, Any]:
    """One network's layers on random pictures, as data."""
    import numpy as np

    from minicnn.models import build
    from reference_keras.parity import compare_layers
    from reference_keras.ulps import SIDES

    if name not in NETWORKS:
        raise OptionError(explain(f"a network: {' or '.join(NETWORKS)}", repr(name), did_you_mean(name, NETWORKS)))
    table = architecture(name, input)
    x = np.random.default_rng(seed).random((batch, *table.input_shape), dtype=np.float32)
    with console.working(f"Comparing {table.name} layer by layer"):
        compared = compare_layers(build(table, seed=seed), x, ulps=True, seed=seed)
    closer = [layer.closer for layer in compared.layers]
    return compared.to_dict() | {
        "failures": compared.failures(),
        "closer": {who: closer.count(who) for who in SIDES},
    }


def show_lab(found: dict[str, Any]) -> None:
    """A line per class, then the totals."""
    columns = [
        console.Column("family", least_width=90),
        console.Column("class"),
        console.Column("cases", "right"),
        console.Column("float64", "right"),
        console.Column("minicnn", "right"),
        console.Column("Keras", "right"),
        console.Column("closer", "right", least_width=70),
        console.Column("rule"),
    ]
    rows = []
    for line in found["kinds"]:
        numbers = [text.error(line[key]) if line[key] is not None else "" for key in ("float64", "ours", "keras")]
        ok = console.verdict(line["ok"] == line["rows"])
        rows.append((line["family"], line["kind"], line["rows"], *numbers, closer_text(line["closer"]), ok))
    versions = found["versions"]
    console.table(f"minicnn {versions['minicnn']} and Keras {versions['keras']}: largest differences", columns, rows)
    console.show("Errors are the largest of a line's cases; who is closer is asked of each case by itself.")
    show_ulps(found["edges"], found["ulps"])
    ok = sum(row["ok"] for row in found["rows"])
    console.show(
        f"Closer to float64: {closer_text(found['closer']) or 'not compared'}.\n"
        f"{shares_text(found['closer'])}"
        f"{ok} of {text.counted(len(found['rows']), 'case')} within the rule; {text.duration(found['seconds'])} in all."
    )
    for name, reason in found["left_out"].items():
        console.note(f"Not compared: {name}. {reason}")


def shares_text(closer: dict[str, int]) -> str:
    """A line: minicnn's share of all cases, and of those in which anybody rounds. "" where nothing was compared."""
    compared = sum(closer.values())
    rounded = compared - closer["both exact"]
    if not rounded:
        return ""
    shares = [text.percent(closer["minicnn"] / count) for count in (compared, rounded)]
    return f"That is minicnn in {shares[0]} of all cases, {shares[1]} of the {rounded} in which either side rounds.\n"


def closer_text(closer: dict[str, int]) -> str:
    """ "minicnn 40, equal 2, Keras 8, both exact 10"; "" where nothing was compared."""
    return ", ".join(f"{who} {count}" for who, count in closer.items() if count)


def show_ulps(edges: list[float], ulps: dict[str, list[int]]) -> None:
    """How far single numbers are from the truth, in units in the last place."""
    if not any(ulps["ours"]):
        return
    names = [f"<= {edge:g}" for edge in edges] + [f"> {edges[-1]:g}"]
    totals = {side: sum(counts) for side, counts in ulps.items()}
    rows = [
        (name, *(text.percent(ulps[side][i] / totals[side]) for side in ("ours", "keras")))
        for i, name in enumerate(names)
    ]
    columns = [console.Column("ulp"), console.Column("minicnn", "right"), console.Column("Keras", "right")]
    console.table(
        f"Errors of {text.count(totals['ours'])} numbers in float32, in units in the last place", columns, rows
    )


def show_network(found: dict[str, Any]) -> None:
    """A line per layer, then where the two part."""
    columns = [
        console.Column("layer"),
        console.Column("float64", "right"),
        console.Column("minicnn", "right"),
        console.Column("Keras", "right"),
        console.Column("closer"),
        console.Column("worst element", least_width=100),
        console.Column("rule"),
    ]
    rows = []
    for layer in found["layers"]:
        worst = max(layer["arrays"], key=lambda array: (not array["right"], array["ours"] / array["limit"]))
        numbers = (
            text.error(max(a["float64"] for a in layer["arrays"])),
            text.error(worst["ours"]),
            text.error(worst["keras"]),
        )
        element = f"{worst['name']}{list(worst['ulps']['worst'])}"
        rows.append((layer["name"], *numbers, layer["closer"], element, console.verdict(layer["ok"])))
    console.table(f"{found['model']}, batch {found['batch']}: error against float64", columns, rows)
    console.show(
        f"First layer that diverges: {found['first_divergence'] or 'none'}. "
        f"Closer to float64: {closer_text(found['closer'])}.\n"
        f"Whole network, rms error: minicnn {found['network']['ours_rms']:.2g}, "
        f"Keras {found['network']['keras_rms']:.2g}; {text.duration(found['seconds'])} in all."
    )
