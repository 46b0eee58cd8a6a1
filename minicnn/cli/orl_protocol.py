"""``minicnn orl-protocol``: how many of the AT&T/ORL faces are named wrongly, by the protocol of Lawrence et al. 1997.

40 people, 10 pictures each. Five of everybody's, drawn at random, are learned from, the other five are the test; the
mean error over several such splits counts. (Lawrence, Giles, Tsoi and Back, "Face Recognition: A Convolutional
Neural-Network Approach", report 3.8 %.) A test picture in which no face was found is an error.

**How settings are chosen.** Never on the test half. With ``--grid``, every split chooses its own: its training half is
divided again, three pictures of everybody to learn from and two to test on, each combination of the grid is trained on
the three, and the one with the lowest loss on the two learns from all five and is tested. The loss, not the count of
mistakes: one mistake more or less among 80 faces decides little, while the loss knows how sure the network was of each.
``--select`` stops before the test, for whoever looks for a grid. Every picture of the set is in the test half of some
split and in the training half of others; that much the protocol itself cannot prevent.
"""

from __future__ import annotations

import itertools
import statistics
import sys
import time
from collections.abc import Sequence
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
    grid: Annotated[
        list[str] | None,
        typer.Option("--grid", metavar="NAME=A,B", help="Values that each split chooses from; repeatable."),
    ] = None,
    select: Annotated[
        bool, typer.Option("--select", help="Compare settings within training halves only; no test face is looked at.")
    ] = False,
    json: console.Json = False,
) -> None:
    """Train on five faces of each of 40 people, name their other five: the mean error over random splits.

    With --backend both, exit code 0 only if the engines' mean errors are at most one percentage point apart.

    With --grid, each split first chooses settings within its training half.

    Example:  minicnn orl-protocol --splits 5 --backend both --grid epochs=40,80
    """
    backends = ("minicnn", "keras") if backend == "both" else (backend,)
    for name in backends:
        check_backend(name)
    from minicnn.cli.orl_steps import run_splits
    from minicnn.environment import describe
    from minicnn.recognition.recipe import Recipe

    base = Recipe().changed(settings or ())
    combinations = grid_settings(grid or ())
    recipes = [base.changed(combination) for combination in combinations]
    start = time.perf_counter()
    rows = []
    with console.steps() as say:
        for row in run_splits(range(seed, seed + splits), recipes, backends, select=select, say=say):
            rows.append(row | {"settings": " ".join(combinations[row["recipe"]])})
            say(f"split {row['seed']}, {row['backend']}: {row['wrong']} of {row['pictures']} wrong")
    inner = [row for row in rows if row["part"] == "inner"]
    tests = [row for row in rows if row["part"] == "test"]
    means = {
        name: statistics.fmean(row["error"] for row in tests if row["backend"] == name) for name in backends if tests
    }
    data = {
        "command": console.command_line(sys.argv),
        "recipe": asdict(base),
        "inner": inner,
        "splits": tests,
        "mean_error": means,
        "seconds": time.perf_counter() - start,
        "environment": describe(),
    }
    if json:
        console.print_json(data)
    else:
        _show(data)
    if means and max(means.values()) - min(means.values()) > AGREEMENT:
        console.fail("The engines' mean errors are more than one percentage point apart.")


def grid_settings(grid: Sequence[str]) -> list[tuple[str, ...]]:
    """Every combination of values: ["epochs=40,80", "dropout=0,0.3"] -> [("epochs=40", "dropout=0"), ...], all four."""
    named = [text.partition("=") for text in grid]
    return list(
        itertools.product(*([f"{name}{equals}{v}" for v in values.split(",")] for name, equals, values in named))
    )


def _show(data: dict[str, Any]) -> None:
    for part, title in (("inner", "within training halves"), ("splits", "test halves")):
        if data[part]:
            _show_rows(f"AT&T/ORL, {title}, {data['recipe']['objective']}", data[part])


def _show_rows(title: str, rows: list[dict[str, Any]]) -> None:
    """A row for each training, and the mean of each engine; within training halves, of each setting too."""
    numbers = ("seed", "faces", "not found", "wrong", "error", "loss", "seconds")
    columns = [
        console.Column("engine"),
        *(console.Column(name, "right") for name in numbers),
        console.Column("settings", least_width=80),
    ]
    shown: list[tuple[object, ...]] = []
    groups: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for row in rows:
        groups.setdefault((row["backend"], row["settings"] if row["part"] == "inner" else ""), []).append(row)
    for (name, settings), own in groups.items():
        shown += [
            (
                *(row[key] for key in ("backend", "seed", "pictures", "not_found", "wrong")),
                f"{row['error']:.2%}",
                "" if row["loss"] is None else f"{row['loss']:.4f}",
                f"{row['seconds']:.0f}",
                row["settings"],
            )
            for row in own
        ]
        losses = [row["loss"] for row in own if row["loss"] is not None]
        loss = f"{statistics.fmean(losses):.4f}" if losses else ""
        error = f"{statistics.fmean(row['error'] for row in own):.2%}"
        shown.append((name, "mean", "", "", "", error, loss, f"{sum(row['seconds'] for row in own):.0f}", settings))
    console.table(title, columns, shown)
