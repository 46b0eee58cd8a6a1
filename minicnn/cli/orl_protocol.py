"""``minicnn orl-protocol``: how many of the AT&T/ORL faces are named wrongly, by the protocol of Lawrence et al. 1997.

40 people, 10 pictures each. Five of everybody's, drawn at random, are learned from, the other five are the test; the
mean error over several such splits counts. (Lawrence, Giles, Tsoi and Back, "Face Recognition: A Convolutional
Neural-Network Approach", report 3.8 %.) A test picture in which no face was found is an error.

**How settings are chosen.** Never on the test half. ``--select`` takes the training half of a split alone and divides
it again, four pictures of everybody to learn from and one to test on: compare settings there, and look at the test
halves once, in the end. The defaults are those that ``minicnn demo`` trains with. Every picture of the set is in the
test half of some split and in the training half of others; that much the protocol itself cannot prevent.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Annotated, Any

import typer

from minicnn.cli import console
from minicnn.errors import OptionError, explain

TRAIN, TEST = 5, 5


def orl_protocol(
    splits: Annotated[int, typer.Option(min=1, help="Random splits; their seeds are SEED, SEED + 1, ...")] = 5,
    seed: Annotated[int, typer.Option(min=0, help="The first split's seed, also that of its training.")] = 0,
    backend: Annotated[str, typer.Option(help="Who trains and predicts: minicnn or keras.")] = "minicnn",
    objective: Annotated[
        str, typer.Option(help="softmax, or triplet: named by the nearest training face.")
    ] = "softmax",
    epochs: Annotated[int | None, typer.Option(min=1, help="Instead of the recipe's.")] = None,
    select: Annotated[
        bool, typer.Option("--select", help="Split training halves again: to choose settings without test faces.")
    ] = False,
    json: console.Json = False,
) -> None:
    """Train on five faces of each of 40 people, name their other five: the mean error over random splits.

    Example:  minicnn orl-protocol --splits 5 --backend keras
    """
    from minicnn.environment import describe
    from minicnn.recognition.recipe import Recipe
    from minicnn.recognition.run import BACKENDS

    if backend not in BACKENDS:
        raise OptionError(explain(f"--backend as one of {', '.join(BACKENDS)}", repr(backend)))
    recipe = Recipe(objective=objective)
    recipe = recipe if epochs is None else replace(recipe, epochs=epochs)
    start = time.perf_counter()
    rows = []
    with console.steps() as say:
        for row in run_splits(range(seed, seed + splits), recipe, backend, select=select, say=say):
            rows.append(row)
            say(f"split {row['seed']}: {row['wrong']} of {row['pictures']} wrong, {row['seconds']:.0f} s")
    errors = [row["error"] for row in rows]
    data = {
        "command": console.command_line(sys.argv),
        "backend": backend,
        "select": select,
        "recipe": asdict(recipe),
        "splits": rows,
        "mean_error": statistics.fmean(errors),
        "worst_error": max(errors),
        "seconds": time.perf_counter() - start,
        "environment": describe(),
    }
    if json:
        console.print_json(data)
        return
    columns = [console.Column(name, "right") for name in ("seed", "faces", "not found", "wrong", "error", "seconds")]
    table = [
        (r["seed"], r["pictures"], r["not_found"], r["wrong"], f"{r['error']:.2%}", f"{r['seconds']:.0f}") for r in rows
    ]
    mean = ("mean", "", "", "", f"{data['mean_error']:.2%}", f"{statistics.fmean(r['seconds'] for r in rows):.0f}")
    title = f"AT&T/ORL, {backend}, {objective}, {recipe.epochs} epochs" + (", within training halves" if select else "")
    console.table(title, columns, [*table, mean])


def run_splits(
    seeds: range, recipe: Any, backend: str, *, select: bool, say: Callable[[str], None]
) -> Iterator[dict[str, Any]]:
    """Train and test on the split of each seed: {"seed", "pictures", "not_found", "wrong", "error", "seconds"}."""
    from detection.orl import orl_crops
    from detection.split import stratified_split
    from minicnn.cli.demo_steps import CROP

    say("Finding the faces")
    crops = orl_crops(CROP)
    for seed in seeds:
        say(f"Split {seed}: training")
        start = time.perf_counter()
        train, test = stratified_split(crops.persons, train=TRAIN, test=TEST, seed=seed)
        if select:
            inner = stratified_split(crops.persons[train], train=TRAIN - 1, test=1, seed=seed)
            train, test = train[inner[0]], train[inner[1]]
        predicted = _predict(crops, train[crops.found[train]], test, recipe, backend, seed)
        error = crops.error_rate(test, predicted)
        yield {
            "seed": seed,
            "pictures": len(test),
            "not_found": int((~crops.found[test]).sum()),
            "wrong": round(error * len(test)),
            "error": error,
            "seconds": time.perf_counter() - start,
        }


def _predict(crops: Any, train: Any, test: Any, recipe: Any, backend: str, seed: int) -> Any:
    """Train in a folder that is thrown away; who the network says the test pictures show."""
    from detection.crop import as_input, standardise
    from minicnn.cli import train_steps as steps
    from minicnn.recognition.identify import Gallery, decide_by_distance, decide_by_probability
    from minicnn.recognition.recipe import Samples
    from minicnn.recognition.run import Run
    from minicnn.recognition.train import Data
    from minicnn.recognition.train import train as fit

    x, persons = standardise(as_input(crops.crops)), crops.persons
    people = tuple(f"s{k + 1}" for k in range(int(persons.max()) + 1))
    data = Data(Samples(x[train], persons[train]), None, people)
    dataset = steps.Dataset(data, tuple(crops.names[i] for i in train), {}, "", "")
    with tempfile.TemporaryDirectory() as folder:
        choices = steps.Choices("face-cnn", backend, seed, None, ())
        run, model, _ = steps.begin(Path(folder) / "run", dataset, recipe, choices)
        count = len(recipe.batches(data.train, len(people), seed))
        fit(run, steps.make_trainer(backend, model, recipe, count), recipe, data)
        engine = steps.make_engine(Run.open(run.folder))
        if recipe.objective == "softmax":
            return decide_by_probability(engine.logits(x[test])).best
        gallery = Gallery(engine.embed(x[train]), persons[train])
        return decide_by_distance(engine.embed(x[test]), gallery, len(people)).best
