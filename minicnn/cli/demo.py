"""``minicnn demo``: the whole idea on real faces, from photographs to two trained networks and a report."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from minicnn.cli import console
from minicnn.report import text


def demo(
    out: Annotated[Path, typer.Option(help="Folder for report.html and metrics.json.")] = Path("runs/demo"),
    epochs: Annotated[int, typer.Option(min=1, max=1000, help="Times that every training face is seen.")] = 40,
    seed: Annotated[int, typer.Option(min=0, help="For split, weights, order and augmentation.")] = 0,
    people: Annotated[
        int, typer.Option(min=2, max=40, help="Use the first so many people only; 40 is the whole set.")
    ] = 40,
    json: console.Json = False,
) -> None:
    """Find 400 faces, train a network to tell 40 people apart in minicnn and in Keras, compare everything, show it.

    Takes one to two minutes on two cores, and four where everything has to be compiled first. Exit code 0 only if
    every layer is within the rule of docs/architecture.md.

    Example:  minicnn demo --epochs 10 --out runs/short
    """
    from minicnn.cli import demo_steps as steps
    from minicnn.environment import describe
    from minicnn.io.atomic import write_text
    from minicnn.report.page import demo_page, require_libraries

    require_libraries()
    folder = console.output_folder(out)
    start = time.perf_counter()
    with console.working("Finding faces in the AT&T/ORL photographs"):
        faces = steps.find_faces(people, seed)
    faces_done = time.perf_counter()
    console.note(
        f"{faces.crops.found.sum()} of {text.counted(len(faces.crops.found), 'face')} found. Now training both engines."
    )
    with _training_progress(epochs) as on_epoch:
        model, training = steps.train(faces, epochs, seed, on_epoch)
    training_done = time.perf_counter()
    with console.working("Comparing every layer"):
        parity = steps.compare(model, faces, seed)
    done = time.perf_counter()
    data = {
        "command": console.command_line(sys.argv),
        "settings": steps.settings(faces, epochs, seed),
        "detection": steps.detection_facts(faces),
        "training": training.to_dict(),
        "test": steps.test_facts(faces, training),
        "parity": parity.to_dict(),
        "failures": parity.failures(),
        "environment": describe(),
        "seconds": {
            "faces": faces_done - start,
            "training": training_done - faces_done,
            "layers": done - training_done,
            "total": done - start,
        },
    }
    write_text(folder / "metrics.json", console.to_json(data))
    write_text(folder / "report.html", demo_page(data, steps.pictures(faces, training)))
    if json:
        console.print_json(data)
    else:
        _show(data)
    console.err().print(f"Report: {folder / 'report.html'}", style="bold", markup=False, soft_wrap=True)
    if not parity.ok:
        console.fail("\n".join(["Not within the rule:", *parity.failures()]))


def _show(data: dict[str, Any]) -> None:
    training, test, parity = data["training"], data["test"], data["parity"]
    first, last = training["epochs"][0], training["epochs"][-1]
    rows = []
    for engine, name in (("ours", "minicnn"), ("keras", "Keras")):
        losses = [sum(epoch[engine]["losses"]) / len(epoch[engine]["losses"]) for epoch in (first, last)]
        seconds = text.duration(training["seconds_per_epoch"]["minicnn" if engine == "ours" else "keras"])
        rows.append((name, f"{losses[0]:.3g} to {losses[1]:.3g}", text.percent(test[f"{engine}_error"]), seconds))
    columns = [
        console.Column("engine"),
        console.Column("training loss", "right"),
        console.Column("test error", "right"),
        console.Column("per epoch", "right"),
    ]
    console.table(f"{test['pictures']} faces never seen, {data['settings']['people']} people", columns, rows)
    within = sum(layer["ok"] for layer in parity["layers"])
    console.show(
        f"Both name the same person for {text.percent(training['agreement'])} of them; "
        f"losses differ by at most {text.error(training['loss_difference'])} in any step of training.\n"
        f"{within} of {text.counted(len(parity['layers']), 'layer')} within the rule; "
        f"{text.duration(data['seconds']['total'])} in all."
    )


@contextmanager
def _training_progress(epochs: int) -> Iterator[Callable[[int, Any], None]]:
    """A bar on stderr that says both losses; a line per epoch where there is no terminal."""
    err = console.err()

    def line(number: int, epoch: Any) -> str:
        return f"epoch {number}/{epochs}: loss {epoch.ours.loss:.4f} minicnn, {epoch.keras.loss:.4f} Keras"

    if not err.is_terminal:
        yield lambda number, epoch: err.print(line(number, epoch), soft_wrap=True)
        return
    parts = (TextColumn("{task.description}"), BarColumn(bar_width=16), TimeElapsedColumn())
    with Progress(*parts, console=err) as progress:
        task = progress.add_task(f"epoch 1/{epochs}: both engines compile", total=epochs)
        yield lambda number, epoch: progress.update(task, completed=number, description=line(number, epoch))
