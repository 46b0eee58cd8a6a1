"""``minicnn evaluate``: how well a run recognises people it was not trained to recognise on these pictures."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Annotated, Any

import typer

from minicnn.cli import console
from minicnn.cli.options import Backend, DatasetFolder, RunFolder
from minicnn.cli.runs import open_run
from minicnn.report import text


def evaluate(
    folder: RunFolder,
    dataset: DatasetFolder,
    part: Annotated[
        str, typer.Option(help="test, validation or train; all: every face, also without a split.")
    ] = "test",
    pairs: Annotated[Path | None, typer.Option(metavar="FILE", help="LFW's pairs.txt: its protocol in folds.")] = None,
    strangers: Annotated[
        Path | None, typer.Option(metavar="DATASET", help="People who were not trained on: are they called unknown?")
    ] = None,
    rate: Annotated[
        float, typer.Option(help="Share of strangers' faces that may get a name, 0 to 1, for --calibrate.")
    ] = 0.05,
    calibrate: Annotated[
        bool, typer.Option("--calibrate", help="Calibrate on every other stranger, and keep it in the run.")
    ] = False,
    far: Annotated[float, typer.Option(help="False accept rate, 0 to 1, at which VAL is measured.")] = 1e-3,
    baseline: Annotated[
        bool, typer.Option("--baseline/--no-baseline", help="Compare with eigenfaces and a linear SVM.")
    ] = True,
    backend: Backend = "minicnn",
    seed: Annotated[int, typer.Option(min=0, help="For the baseline, and the choice of pairs if there are many.")] = 0,
    report: Annotated[
        Path | None, typer.Option(metavar="FILE", help="The HTML page; without it RUN/evaluation.html.")
    ] = None,
    json: console.Json = False,
) -> None:
    """Measure a run: accuracy beside a baseline, verification by pairs, and how strangers fare. Writes a page.

    The threshold for "unknown" is the run's. --calibrate makes a new one: every other person of --strangers is used to
    calibrate, the others to measure. Later, whoever has a face with the very same crop as one that was calibrated on is
    left out; other crops of the same people are not known again. The rate is a mean over many strangers: one who has a
    double among the known people passes nearly always, most never. With --pairs, all may be strangers: LFW's protocol
    is meant for them.

    Example:  minicnn evaluate runs/friends datasets/friends --strangers datasets/others --calibrate
    """
    import numba

    from detection.dataset.load import PARTS
    from minicnn.cli.evaluate_steps import Evaluation
    from minicnn.environment import describe
    from minicnn.errors import MinicnnError, OptionError, did_you_mean, explain
    from minicnn.io.atomic import write_text
    from minicnn.recognition.lfw_pairs import read_pairs
    from minicnn.recognition.unknown import check_rate, save_thresholds
    from minicnn.report.evaluation import evaluation_page
    from minicnn.report.page import require_libraries

    start = time.perf_counter()
    for number in (rate, far):
        check_rate(number)
    require_libraries()
    console.require_html("--report", report)
    parts = (*PARTS, "all")
    if part not in parts:
        raise OptionError(explain(f"--part as one of {', '.join(PARTS)} or all", repr(part), did_you_mean(part, parts)))
    listed = read_pairs(pairs) if pairs else None
    opened = open_run(folder, backend)
    page = report or opened.run.folder / "evaluation.html"
    console.output_folder(page.parent)
    with console.steps() as say:
        say(f"Asking {opened.engine.name} about the {part} faces of {dataset}")
        evaluation = Evaluation(opened, dataset, part, strangers, seed, by_pairs=listed is not None)
        found: dict[str, Any] = {
            "run": str(folder),
            "dataset": str(dataset),
            "part": part,
            "engine": opened.engine.name,
            "model": opened.run.config.model,
            "objective": opened.run.config.objective,
            "people": opened.run.config.people,
            "classification": evaluation.naming(),
            "verification": evaluation.verification(far),
        }
        found["lfw"] = evaluation.lfw(listed) if listed else None
        thresholds, fresh = opened.identifier.thresholds, False
        if calibrate or "distance" not in thresholds:
            try:
                thresholds, fresh = thresholds | evaluation.calibrated(rate), True  # of a kind it lacks, the old one
            except MinicnnError:
                if calibrate:
                    raise
        if calibrate:
            save_thresholds(opened.run.folder, thresholds)
        found["thresholds"] = {
            kind: {"value": t.value, "kind": kind, "rate": t.rate, "measured": t.measured}
            for kind, t in thresholds.items()
        }
        found["unknown"], found["confidences"] = evaluation.unknown(thresholds, fresh)
        if baseline:
            say("Training the baseline: eigenfaces and a linear SVM")
        found["baseline"] = evaluation.baseline() if baseline else {"problem": "not asked for"}
        found["mistakes"] = evaluation.mistakes()
    found |= {
        "notes": evaluation.notes,
        "command": console.command_line(sys.argv),
        "environment": describe(),
        "threads": {"minicnn": numba.get_num_threads(), "tensorflow": "not used" if backend == "minicnn" else "used"},
        "seconds": time.perf_counter() - start,
    }
    write_text(page, evaluation_page(found, evaluation.pictures(found["mistakes"])))
    if json:
        console.print_json(found)
    else:
        _show(found)
    console.err().print(f"Report: {page}", style="bold", markup=False, soft_wrap=True)
    for note in evaluation.notes:
        console.note(note)


def _show(found: dict[str, Any]) -> None:
    verification, unknown = found["verification"], found["unknown"]
    lines = _show_naming(found["classification"])
    if "accuracy" in found["baseline"]:
        lines.append(f"Baseline, eigenfaces and linear SVM: {text.percent(found['baseline']['accuracy'])}.")
    if "eer" in verification:
        at_far = verification["val_at_far"]
        value = (
            text.percent(at_far["value"]) if at_far["value"] is not None else f"not measurable ({at_far['problem']})"
        )
        lines.append(f"Pairs: EER {text.percent(verification['eer'])}; VAL at FAR {at_far['far']:g}: {value}.")
    if found["lfw"]:
        lfw = found["lfw"]
        lines.append(
            f"LFW protocol: {text.percent(lfw['mean'])} +- {text.percent(lfw['standard_error'])} over "
            f"{len(lfw['accuracies'])} folds, {lfw['used']} pairs ({lfw['missing']} missing)."
        )
    if "value" in unknown:
        lines.append(
            f"With the threshold, a distance of {unknown['value']:.4f}, {unknown['called_unknown']} of "
            f"{text.counted(unknown['faces'], 'known face')} called unknown."
        )
    if "strangers" in unknown:
        low, high = unknown["false_accept_interval"]
        lines.append(
            f"Strangers given a name: {unknown['strangers_named']} of {text.counted(unknown['strangers'], 'face')} of "
            f"{text.counted(unknown['strangers_people'], 'person', 'people')}, "
            f"{text.percent(unknown['false_accept_rate'])} (95 % interval {text.percent(low)} to {text.percent(high)}; "
            f"asked for {text.percent(unknown['rate'])})."
        )
    console.show("\n".join(lines))


def _show_naming(named: dict[str, Any]) -> list[str]:
    """The table of people; and the lines about all of them."""
    if "problem" in named:
        return [named["problem"]]
    columns = [
        console.Column("person"),
        console.Column("faces", "right"),
        console.Column("precision", "right"),
        console.Column("recall", "right"),
        console.Column("F1", "right"),
    ]
    rows = [
        (
            row["person"],
            row["faces"],
            text.percent(row["precision"]),
            text.percent(row["recall"]),
            f"{row['f1']:.3f}",
        )
        for row in named["per_person"]
    ]
    console.table(
        f"{text.counted(named['faces'], 'face')} of {text.counted(len(rows), 'person', 'people')}", columns, rows
    )
    low, high = named["interval"]
    lines = [
        f"Accuracy {text.percent(named['accuracy'])} ({named['right']} of {named['faces']}; 95 % interval "
        f"{text.percent(low)} to {text.percent(high)})."
    ]
    if named["top5"] is not None:
        lines.append(f"Among the best five: {text.percent(named['top5'])}.")
    return lines
