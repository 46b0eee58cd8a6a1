"""``minicnn train``: a network learns to tell the people of a dataset apart."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from minicnn.cli import console
from minicnn.cli.engines import check_backend
from minicnn.cli.options import Backend, DatasetFolder, Objective, Settings
from minicnn.cli.runs import NOBODY_UNKNOWN
from minicnn.errors import OptionError, explain
from minicnn.report.text import counted

if TYPE_CHECKING:
    from minicnn.callbacks import Callback

STAYS = ("context", "dataset", "out", "resume", "json")  # what --resume may be combined with


def train(
    context: typer.Context,
    dataset: DatasetFolder,
    out: Annotated[Path, typer.Option(metavar="RUN", help="Folder for everything that comes of it.")],
    model: Annotated[
        str,
        typer.Option(
            help="face-cnn, residual-cnn, vgg-face, or FILE.py:function of yours: function(input_shape, classes) "
            "returns a network that ends in Dense(classes)."
        ),
    ] = "face-cnn",
    backend: Backend = "minicnn",
    objective: Objective = "softmax",
    epochs: Annotated[int, typer.Option(min=1, help="Times that every picture is seen.")] = 40,
    batch: Annotated[int, typer.Option(min=1, help="Pictures per step (softmax).")] = 10,
    learning_rate: Annotated[float, typer.Option(help="At first; it falls to 0 along a cosine.")] = 0.001,
    patience: Annotated[
        int, typer.Option(min=0, help="Stop after so many epochs without a better validation loss; 0: never.")
    ] = 0,
    balance: Annotated[bool, typer.Option(help="Weigh people alike, however many pictures each has.")] = True,
    augment: Annotated[bool, typer.Option(help="Show moved, turned, zoomed, mirrored pictures.")] = True,
    dropout: Annotated[
        float, typer.Option(help="Share of numbers, 0 to 1, that the network's dropout layers silence.")
    ] = 0.0,
    views: Annotated[bool, typer.Option(help="Predictions: mean of six views of each picture.")] = True,
    people: Annotated[int, typer.Option(min=2, help="People per step (triplet).")] = 10,
    pictures: Annotated[int, typer.Option(min=2, help="Pictures of each of them (triplet).")] = 4,
    margin: Annotated[float, typer.Option(help="Between own and other people's squared distances (triplet).")] = 0.2,
    dimensions: Annotated[int, typer.Option(min=1, help="Numbers in an embedding (triplet).")] = 128,
    left_out: Annotated[
        int,
        typer.Option(
            min=0, help='Trainings more, each without some people, to calibrate "unknown" on them; 3 will do.'
        ),
    ] = 0,
    settings: Settings = None,
    weights: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Start from the weights of a network (.npz, .keras, .h5).")
    ] = None,
    freeze: Annotated[str, typer.Option(help="Layers that do not learn: conv1,bn1 or conv*.")] = "",
    snapshots: Annotated[
        int, typer.Option(min=0, help="Keep the network every so many epochs, for `minicnn explore RUN`; 0: do not.")
    ] = 0,
    seed: Annotated[int, typer.Option(min=0, help="All chance follows from it.")] = 0,
    resume: Annotated[bool, typer.Option("--resume", help="Continue the run in RUN as it was begun.")] = False,
    json: console.Json = False,
) -> None:
    """Train a network on the crops of a dataset; everything that comes of it is in the folder RUN.

    Trains on the part "train" of the dataset's split and watches "validation"; without a split, on everything.
    Interrupted at any moment, --resume continues to the same weights, bit for bit.

    To call strangers unknown, a run needs to have seen some. With --left-out 3, three networks more are trained, each
    without a third of the people, and asked about them: the threshold lets 5 % of strangers' faces get a name (--set
    stranger_rate=0.01: 1 %), as a mean over many strangers.

    Example:  minicnn train faces/ --out runs/faces --epochs 60 --left-out 3
    """
    from dataclasses import asdict

    from minicnn.cli import train_steps as steps
    from minicnn.cli.train_dataset import read_dataset
    from minicnn.recognition.recipe import AUGMENT, Recipe
    from minicnn.recognition.run import MODEL

    check_backend(backend)
    if resume and (given := _given(context)):
        fix = "A run goes on as it was begun; its settings are in config.json."
        raise OptionError(explain("--resume without other settings", ", ".join(given), fix))
    start = time.perf_counter()
    if not resume:  # first: what is wrong with the options is said before a large dataset is read
        recipe = Recipe(
            objective=objective,
            epochs=epochs,
            batch=batch,
            learning_rate=learning_rate,
            patience=patience,
            balanced=balance,
            dropout=dropout,
            people=people,
            pictures=pictures,
            margin=margin,
            dimensions=dimensions,
            augment=asdict(AUGMENT) if augment else {},
            views=views,
            left_out=left_out,
        ).changed(settings or ())
        chosen = tuple(name.strip() for name in freeze.split(",") if name.strip())
        choices = steps.Choices(model, backend, seed, weights, chosen, snapshots)
        steps.check_choices(choices)
    with console.working("Reading the dataset"):
        faces = read_dataset(dataset)
    if resume:
        run, network, recipe = steps.reopen(out, faces)
    else:
        run, network, notes = steps.begin(out, faces, recipe, choices)
        for note in notes:
            console.note(note)
    if faces.left_out:
        console.note(f"Not in the split, so not in the network: {', '.join(faces.left_out)}.")
    if faces.unlisted:
        split = console.command_line(["minicnn", "dataset", "split", str(dataset)])
        crops = counted(faces.unlisted, "crop is", "crops are")
        console.note(f"{crops} in no part of the split (added after it?): {split}")
    if faces.data.validation is None:
        console.note("No validation pictures: the last epoch's network is kept, and no threshold is calibrated.")
    try:
        with _progress(recipe.epochs) as callback:
            done = steps.carry_out(run, network, faces, recipe, resume=resume, callbacks=[callback], say=console.note)
    except KeyboardInterrupt:
        if not run.path(MODEL).exists():  # while the engine was loading
            console.fail("Interrupted before the training began: the same command begins it.")
        again = console.command_line(["minicnn", "train", str(dataset), "--out", str(out), "--resume"])
        console.fail(f"Interrupted. Continue with: {again}")
    _show(done, time.perf_counter() - start, as_json=json)


def _given(context: typer.Context) -> list[str]:
    """Options that were typed, other than those that go with --resume."""
    sources = {option: context.get_parameter_source(str(option.name)) for option in context.command.params}
    typed = [option for option, source in sources.items() if source is not None and source.name == "COMMANDLINE"]
    return [option.opts[0] for option in typed if option.name not in STAYS]


def _show(done: Any, seconds: float, *, as_json: bool) -> None:
    history, config = done.history, done.run.config
    kept = kept_epoch(history)
    if as_json:
        console.print_json(
            {
                "run": str(done.run.folder),
                "config": {"people": config.people, "backend": config.backend, "objective": config.objective},
                "epochs": len(history),
                "kept_epoch": kept + 1,
                "history": history,
                "thresholds": {
                    kind: {"value": threshold.value, "rate": threshold.rate, **threshold.measured}
                    for kind, threshold in done.thresholds.items()
                },
                "seconds": seconds,
            }
        )
        return
    columns = [console.Column("epoch"), *(console.Column(name, "right") for name in history[kept])]
    rows = [
        (f"{epoch + 1} ({what})", *(f"{value:.4g}" for value in history[epoch].values()))
        for epoch, what in sorted({len(history) - 1: "last", kept: "kept"}.items())
    ]
    console.table(
        f"{counted(len(config.people), 'person', 'people')}, {config.backend}, {seconds:.0f} s: {done.run.folder}",
        columns,
        rows,
    )
    for threshold in done.thresholds.values():
        console.show(_promise(threshold), fold=False)
    if "distance" not in done.thresholds:
        console.note(NOBODY_UNKNOWN)


def kept_epoch(history: Sequence[Mapping[str, float]]) -> int:
    """The first epoch with the lowest validation loss, where NaN is never the lowest; without validation the last."""
    losses = [row.get("val_loss", -epoch) for epoch, row in enumerate(history)]
    return min(range(len(losses)), key=lambda epoch: (math.isnan(losses[epoch]), losses[epoch]))


def _promise(threshold: Any) -> str:
    """What a threshold says, the rate that was asked for, and what it rests on."""
    measured, rate = threshold.measured, f"{100 * threshold.rate:g} %"
    few = "" if measured["reachable"] else " (which so few faces cannot promise)"
    what, answer, strangers = {
        "distance": ("faces", "somebody known", "faces of strangers get a name"),
        "pair": ("pairs of faces", "one person (verify)", "pairs of different people pass"),
    }[threshold.kind]
    low, high = measured.get("interval", (None, None))
    between = "" if low is None else f", 95 % interval of the rate {100 * low:.1f} to {100 * high:.1f} %"
    return (
        f"A distance up to {threshold.value:.3g} is {answer}: {rate} of {strangers}{few}. Calibrated on "
        f"{measured['strangers']} {what} of {counted(measured['people'], 'person', 'people')} "
        f"({measured['source']}{between})."
    )


@contextmanager
def _progress(epochs: int) -> Iterator[Callback]:
    """On stderr: a bar with the newest numbers where there is a terminal, a line per epoch where there is none."""
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

    from minicnn.callbacks import Callback

    err = console.err()

    def line(epoch: int, logs: Mapping[str, float] | None) -> str:
        return f"epoch {epoch + 1}/{epochs}: " + ", ".join(f"{k} {v:.4f}" for k, v in (logs or {}).items())

    class Lines(Callback):
        def on_epoch_end(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
            err.print(line(epoch, logs), soft_wrap=True)

    if not err.is_terminal:
        yield Lines()
        return
    parts = (TextColumn("{task.description}"), BarColumn(bar_width=16), TimeElapsedColumn(), TimeRemainingColumn())
    with Progress(*parts, console=err) as progress:
        task = progress.add_task("the first step compiles", total=None)

        class Bar(Callback):
            def on_epoch_begin(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
                self.epoch = epoch
                progress.update(task, total=self.params["epochs"] * self.params["steps"])

            def on_train_batch_end(self, batch: int, logs: Mapping[str, float] | None = None) -> None:
                done = self.epoch * self.params["steps"] + batch + 1
                progress.update(task, completed=done, description=line(self.epoch, logs))

            def on_epoch_end(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
                progress.console.print(line(epoch, logs), soft_wrap=True)

        yield Bar()
