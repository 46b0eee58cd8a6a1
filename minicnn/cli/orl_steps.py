"""The steps of ``minicnn orl-protocol``: random splits of the AT&T/ORL faces, a training for each.

Settings are compared within the training half of a split: no face of the test half has a part in that.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from detection.crop import as_input, standardise
from detection.orl import OrlCrops, orl_crops
from detection.split import stratified_split
from minicnn.cli import train_steps as steps
from minicnn.cli.demo_steps import CROP
from minicnn.cli.engines import make_engine, make_trainer
from minicnn.recognition.identify import Gallery, person_distances, probabilities
from minicnn.recognition.recipe import Recipe, Samples
from minicnn.recognition.run import Run
from minicnn.recognition.train import Data
from minicnn.recognition.train import train as fit
from minicnn.shapes import Array

TRAIN, TEST = 5, 5  # pictures of everybody
INNER_TRAIN, INNER_TEST = 3, 2  # of a training half, to choose settings


def run_splits(
    seeds: range,
    recipes: Sequence[Recipe],
    backends: Sequence[str],
    *,
    select: bool,
    say: Callable[[str], None],
) -> Iterator[dict[str, Any]]:
    """Train and test on the split of each seed with each engine; with several recipes, the split chooses one before.

    It chooses by the lowest loss within its training half (triplets, which have none: by the fewest mistakes), and
    ``select`` stops there. Rows, in the order in which they are measured: {"seed", "backend", "recipe" its index,
    "part": "inner" or "test", "pictures", "not_found", "wrong", "error", "loss", "seconds"}; the loss is the mean of
    -ln p of the right person where the objective is softmax, over the faces that were found; else None.
    """
    say("Finding the faces")
    crops = orl_crops(CROP)
    for seed in seeds:
        train, test = stratified_split(crops.persons, train=TRAIN, test=TEST, seed=seed)
        first, second = stratified_split(crops.persons[train], train=INNER_TRAIN, test=INNER_TEST, seed=seed)
        for backend in backends:
            chosen, inner = 0, []
            if select or len(recipes) > 1:
                for number, recipe in enumerate(recipes):
                    say(f"Split {seed}, training half, settings {number + 1} of {len(recipes)}: {backend} trains")
                    row = _measured(crops, train[first], train[second], recipe, backend, seed)
                    inner.append(row)
                    yield row | {"recipe": number, "part": "inner"}
                chosen = min(range(len(inner)), key=lambda k: _badness(inner[k]))
            if not select:
                say(f"Split {seed}: {backend} trains")
                row = _measured(crops, train, test, recipes[chosen], backend, seed)
                yield row | {"recipe": chosen, "part": "test"}


def _badness(row: dict[str, Any]) -> float:
    return float(row["error"] if row["loss"] is None else row["loss"])


def _measured(crops: OrlCrops, train: Array, test: Array, recipe: Recipe, backend: str, seed: int) -> dict[str, Any]:
    """One training, and what it makes of the pictures ``test``; a face that was not found is an error."""
    start = time.perf_counter()
    scores = learn_and_score(crops, train[crops.found[train]], test, recipe, backend, seed)
    error = crops.error_rate(test, scores.argmax(axis=1))
    return {
        "seed": seed,
        "backend": backend,
        "pictures": len(test),
        "not_found": int((~crops.found[test]).sum()),
        "wrong": round(error * len(test)),
        "error": error,
        "loss": _loss(scores, crops, test) if recipe.objective == "softmax" else None,
        "seconds": time.perf_counter() - start,
    }


def learn_and_score(crops: OrlCrops, train: Array, test: Array, recipe: Recipe, backend: str, seed: int) -> Array:
    """Train in a folder that is thrown away; how alike the test pictures are to each person, (len(test), people)."""
    x, persons = standardise(as_input(crops.crops)), crops.persons
    people = tuple(f"s{k + 1}" for k in range(int(persons.max()) + 1))
    data = Data(Samples(x[train], persons[train]), None, people)
    dataset = steps.Dataset(data, tuple(crops.names[i] for i in train), {}, "", "")
    with tempfile.TemporaryDirectory() as folder:
        choices = steps.Choices("face-cnn", backend, seed, None, ())
        run, model, _ = steps.begin(Path(folder) / "run", dataset, recipe, choices)
        count = len(recipe.batches(data.train, len(people), seed))
        fit(run, make_trainer(backend, model, recipe, count), recipe, data)
        engine = make_engine(Run.open(run.folder), backend)
        if recipe.objective == "softmax":
            return engine.logits(x[test])
        return -person_distances(engine.embed(x[test]), Gallery(engine.embed(x[train]), persons[train]), len(people))


def _loss(logits: Array, crops: OrlCrops, test: Array) -> float:
    found = crops.found[test]
    right = probabilities(logits)[np.arange(len(test)), crops.persons[test]]
    return float(-np.log(np.maximum(right[found], np.finfo(np.float64).tiny)).mean())
