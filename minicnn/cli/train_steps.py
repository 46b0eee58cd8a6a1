"""The steps of ``minicnn train``: a dataset's crops go from detection to an engine, and a run's folder comes back.

These packages do not know each other. Whoever wants to do the same in a notebook finds the way here.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from minicnn.callbacks import Callback
from minicnn.cli.console import output_folder
from minicnn.cli.engines import make_engine, make_trainer
from minicnn.cli.train_dataset import Dataset as Dataset  # whoever takes these steps needs it too
from minicnn.errors import LoadError, OptionError, explain
from minicnn.io.atomic import write_text
from minicnn.io.models import read_description
from minicnn.model import Model
from minicnn.recognition.calibration import Strangers, ask_about, joined
from minicnn.recognition.engine import Engine
from minicnn.recognition.identify import Gallery
from minicnn.recognition.left_out import SOURCE, folds
from minicnn.recognition.networks import check_name, embedding_layer, freeze, make_network, start_from
from minicnn.recognition.recipe import Recipe
from minicnn.recognition.run import HISTORY, PLOTS, Run, RunConfig
from minicnn.recognition.snapshots import Snapshots
from minicnn.recognition.train import Data, finish, read_history, seen_by, train
from minicnn.recognition.unknown import Threshold
from minicnn.report.run_plots import run_plots
from minicnn.report.text import counted
from minicnn.shapes import whole


@dataclass(frozen=True)
class Choices:
    """What the command line says besides the recipe."""

    model: str
    backend: str
    seed: int
    weights: Path | None
    freeze: tuple[str, ...]
    snapshots: int = 0  # epochs from one kept network to the next; 0: none is kept


@dataclass(frozen=True, eq=False)
class Trained:
    """What came of it: every epoch's numbers, and the thresholds that were calibrated."""

    run: Run
    history: list[dict[str, float]]
    thresholds: dict[str, Threshold]


def check_choices(choices: Choices) -> None:
    """Raise what can be known to be wrong before a large dataset is read: a network's name, or a file of weights."""
    check_name(choices.model)
    if choices.weights is not None:
        read_description(choices.weights)


def begin(out: Path, dataset: Dataset, recipe: Recipe, choices: Choices) -> tuple[Run, Model, list[str]]:
    """A new run and its network, with a note on each thing worth knowing."""
    data = dataset.data
    _check_left_out(data, recipe, choices.seed)
    rows, columns, channels = data.train.x.shape[1:]
    model, notes = new_network(data, recipe, choices)
    config = RunConfig(
        model=choices.model,
        input_shape=(rows, columns, channels),
        people=data.people,
        backend=choices.backend,
        objective=recipe.objective,
        embedding_layer=embedding_layer(model, recipe.objective),
        seed=choices.seed,
        crop=dataset.crop,
        detector=dataset.detector,
        settings={
            "recipe": asdict(recipe),
            "views": recipe.views,
            "weights": str(choices.weights) if choices.weights else None,
            "frozen": list(choices.freeze),
            "snapshots": choices.snapshots,
            "data": dataset.fingerprint,
            "training_pictures": len(data.train.labels),
            "validation_pictures": 0 if data.validation is None else len(data.validation.labels),
        },
    )
    for option, asked in (("--left-out", recipe.left_out), ("--people", recipe.people)):
        if asked > len(data.people) and (option == "--left-out" or recipe.objective == "triplet"):
            notes.append(f"{option} {asked}: there are {len(data.people)} people, so it is {len(data.people)}.")
    return Run.create(output_folder(out), config), model, notes


def new_network(data: Data, recipe: Recipe, choices: Choices) -> tuple[Model, list[str]]:
    """A network for the people of ``data``, not yet trained, and what became of weights and frozen layers."""
    rows, columns, channels = data.train.x.shape[1:]
    model = make_network(
        choices.model,
        (rows, columns, channels),
        len(data.people),
        objective=recipe.objective,
        dimensions=recipe.dimensions,
        dropout=recipe.dropout,
        seed=choices.seed,
    )
    notes = []
    if choices.weights is not None:
        taken, new = start_from(model, choices.weights)
        notes.append(
            f"{counted(len(taken), 'array')} from '{choices.weights}'" + (f"; new: {', '.join(new)}." if new else ".")
        )
    if choices.freeze:
        notes.append(f"Frozen: {', '.join(freeze(model, choices.freeze))}.")
    return model, notes


def reopen(out: Path, dataset: Dataset) -> tuple[Run, Model, Recipe]:
    """A run to continue. Raises OptionError when it was begun with other pictures, LoadError for a damaged one."""
    run = Run.open(out)
    try:
        recipe, _ = Recipe(**run.config.settings["recipe"]), choices_of(run.config)
    except (LookupError, TypeError, OptionError) as error:
        raise LoadError(f"Cannot load '{out}': its settings are damaged ({error}).") from error
    if run.config.settings.get("data") != dataset.fingerprint or run.config.people != dataset.data.people:
        fix = "Continue with the dataset as it was, or begin a new run."
        raise OptionError(explain(f"the pictures that '{out}' was begun with", "others, or another split", fix))
    _check_left_out(dataset.data, recipe, run.config.seed)
    return run, run.model(), recipe


def _check_left_out(data: Data, recipe: Recipe, seed: int) -> None:
    """Raise what ``folds`` raises. Their trainings come last, and what is wrong with them should be known first."""
    if recipe.left_out:
        folds(data, recipe.left_out, seed)


def choices_of(config: RunConfig) -> Choices:
    """What a run was begun with, besides its recipe. Raises TypeError or OptionError for what cannot be it."""
    weights, frozen = config.settings.get("weights"), config.settings.get("frozen", [])
    if not all(isinstance(text, str) for text in ([] if weights is None else [weights]) + list(frozen)):
        raise TypeError("weights and frozen are no texts")
    snapshots = whole(config.settings.get("snapshots", 0), "snapshots", least=0)
    place = Path(weights) if weights else None
    return Choices(config.model, config.backend, config.seed, place, tuple(frozen), snapshots)


def carry_out(
    run: Run,
    model: Model,
    dataset: Dataset,
    recipe: Recipe,
    *,
    resume: bool,
    callbacks: Sequence[Callback] = (),
    say: Callable[[str], None] = lambda what: None,
) -> Trained:
    """Train to the end, then write gallery, thresholds and plots. Networks are kept as the run's settings say."""
    every = choices_of(run.config).snapshots
    keeping = [Snapshots(run, model, every)] if every else []
    best, engine = _trained(run, model, dataset.data, recipe, resume=resume, callbacks=[*keeping, *callbacks])
    strangers = _ask_about_left_out(run.config, dataset.data, recipe, say) if recipe.left_out else None
    say("Embedding the known faces")
    thresholds = finish(best, engine, dataset.data, dataset.paths, rate=recipe.stranger_rate, strangers=strangers)
    history = read_history(run.path(HISTORY))
    run.path(PLOTS).mkdir(exist_ok=True)
    for name, svg in run_plots(history).items():
        write_text(run.path(PLOTS) / f"{name}.svg", svg)
    return Trained(best, history, thresholds)


def _trained(
    run: Run, model: Model, data: Data, recipe: Recipe, *, resume: bool = False, callbacks: Sequence[Callback] = ()
) -> tuple[Run, Engine]:
    """Train; the run with its best network, which need not be the last, and an engine that has it."""
    steps = len(recipe.batches(data.train, len(data.people), run.config.seed))
    train(run, make_trainer(run.config.backend, model, recipe, steps), recipe, data, resume=resume, callbacks=callbacks)
    best = Run.open(run.folder)
    return best, make_engine(best, best.config.backend)


def _ask_about_left_out(config: RunConfig, data: Data, recipe: Recipe, say: Callable[[str], None]) -> Strangers:
    """Train a network without each group of people, in a folder that is thrown away; what it makes of their faces."""
    choices = choices_of(config)
    found: list[Strangers] = []
    with tempfile.TemporaryDirectory() as folder:
        for fold in folds(data, recipe.left_out, config.seed):
            say(f"Training without {', '.join(fold.left_out)}, to see how a network takes strangers")
            model, _ = new_network(fold.data, recipe, choices)
            part = Run.create(Path(folder) / str(len(found)), replace(config, people=fold.data.people))
            _, engine = _trained(part, model, fold.data, recipe)
            known = Gallery(engine.embed(fold.data.train.x), fold.data.train.labels)
            assert fold.data.validation is not None, "folds asks for it"
            strangers, held_out = (seen_by(engine, faces) for faces in (fold.strangers, fold.data.validation))
            found.append(ask_about(strangers, known, len(fold.data.people), held_out, SOURCE))
    return joined(found)
