"""``minicnn orl-protocol``: how many of the AT&T/ORL faces are named wrongly, by the protocol of Lawrence et al. 1997.

40 people, 10 pictures each. Five of everybody's, drawn at random, are learned from, the other five are the test; the
mean error over several such splits counts. (Lawrence, Giles, Tsoi and Back, "Face Recognition: A Convolutional
Neural-Network Approach", report 3.8 %.) A test picture in which no face was found is an error.

**How settings are chosen.** Never on the test half. ``--select`` takes the training half of a split alone and divides
it again, three pictures of everybody to learn from and two to test on: compare settings there (``--set``), and look at
the test halves once, in the end. An error more or less decides little among 400 faces; the loss, which knows how sure
the network was of each, tells settings apart earlier. Every picture of the set is in the test half of some split and in
the training half of others; that much the protocol itself cannot prevent.
"""

from __future__ import annotations

import statistics
import sys
import time
from dataclasses import asdict
from typing import Annotated, Any

import typer

from minicnn.cli import console
from minicnn.cli.engines import check_backend
from minicnn.cli.options import Settings

AGREEMENT = 0.01  # between the two engines' mean errors


def orl_protocol(
    splits: Annotated[int, typer.Option(min=1, help="Random splits; their seeds are SEED, SEED + 1, ...")] = 5,
    seed: Annotated[int, typer.Option(min=0, help="The first split's seed, also that of its training.")] = 0,
    backend: Annotated[str, typer.Option(help="Who trains and predicts: minicnn, keras or both.")] = "minicnn",
    settings: Settings = None,
    select: Annotated[
        bool, typer.Option("--select", help="Split training halves again: to choose settings without test faces.")
    ] = False,
    json: console.Json = False,
) -> None:
    """Train on five faces of each of 40 people, name their other five: the mean error over random splits.

    With --backend both, exit code 0 only if the engines' mean errors are at most one percentage point apart.

    Example:  minicnn orl-protocol --splits 5 --backend both
    """
    backends = ("minicnn", "keras") if backend == "both" else (backend,)
    for name in backends:
        check_backend(name)
    from minicnn.cli.orl_steps import run_splits
    from minicnn.environment import describe
    from minicnn.recognition.recipe import Recipe

    recipe = Recipe().changed(settings or ())
    start = time.perf_counter()
    rows = []
    with console.steps() as say:
        for row in run_splits(range(seed, seed + splits), recipe, backends, select=select, say=say):
            rows.append(row)
            say(f"split {row['seed']}, {row['backend']}: {row['wrong']} of {row['pictures']} wrong")
    means = {name: statistics.fmean(row["error"] for row in rows if row["backend"] == name) for name in backends}
    data = {
        "command": console.command_line(sys.argv),
        "select": select,
        "recipe": asdict(recipe),
        "splits": rows,
        "mean_error": means,
        "seconds": time.perf_counter() - start,
        "environment": describe(),
    }
    if json:
        console.print_json(data)
    else:
        _show(data)
    if max(means.values()) - min(means.values()) > AGREEMENT:
        console.fail("The engines' mean errors are more than one percentage point apart.")


def _show(data: dict[str, Any]) -> None:
    names = ("seed", "faces", "not found", "wrong", "error", "loss", "seconds")
    columns = [console.Column("engine"), *(console.Column(name, "right") for name in names)]
    where = "within training halves" if data["select"] else "test halves"
    title = f"AT&T/ORL, {where}, {data['recipe']['objective']}, {data['recipe']['epochs']} epochs"
    rows: list[tuple[object, ...]] = []
    for name, mean in data["mean_error"].items():
        own = [row for row in data["splits"] if row["backend"] == name]
        rows += [
            (
                *(row[key] for key in ("backend", "seed", "pictures", "not_found", "wrong")),
                f"{row['error']:.2%}",
                "" if row["loss"] is None else f"{row['loss']:.4f}",
                f"{row['seconds']:.0f}",
            )
            for row in own
        ]
        losses = [row["loss"] for row in own if row["loss"] is not None]
        loss = f"{statistics.fmean(losses):.4f}" if losses else ""
        rows.append((name, "mean", "", "", "", f"{mean:.2%}", loss, f"{sum(row['seconds'] for row in own):.0f}"))
    console.table(title, columns, rows)
