"""``minicnn recognise``: who is in a photograph, a folder of them, a video, or in front of the camera?"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Annotated, Any

import typer

from minicnn.cli import console
from minicnn.cli.options import Backend, DetectorModel, RunDetector, RunFolder, RunLandmarks, Upsample
from minicnn.cli.runs import NOBODY_UNKNOWN, chosen_detector, open_run
from minicnn.errors import OptionError, explain
from minicnn.report.text import counted

AGREEMENT = 0.995  # of the faces: what --both demands


def recognise(
    folder: RunFolder,
    place: Annotated[
        Path | None, typer.Argument(metavar="PHOTO|FOLDER|VIDEO", help="Where to look; or --camera.")
    ] = None,
    camera: Annotated[int | None, typer.Option(min=0, help="A camera's number, from 0. Stop with Ctrl-C.")] = None,
    out: Annotated[
        Path | None, typer.Option(metavar="OUTDIR", help="Write pictures or video, faces.json and faces.csv here.")
    ] = None,
    every: Annotated[
        float | None, typer.Option(min=0, help="Seconds between the frames that are looked at; 0, or without it: all.")
    ] = None,
    seconds: Annotated[float | None, typer.Option(min=0, help="Stop a video or a camera after so long.")] = None,
    backend: Backend = "minicnn",
    both: Annotated[bool, typer.Option("--both", help="Ask both engines, and report how often they agree.")] = False,
    detector: RunDetector = None,
    upsample: Upsample = 0,
    model: DetectorModel = None,
    landmarks: RunLandmarks = None,
    json: console.Json = False,
) -> None:
    """Find every face, and name it or call it unknown. With --out, photographs or the video are written with names.

    Exit code 0 if at least one face was found; with --both, only if the engines agree about 99.5 % of the faces.

    Example:  minicnn recognise runs/friends holiday/ --out named/
    """
    from detection.collect import find_photos
    from detection.video import is_video
    from minicnn.cli.recognise_steps import Asked, recognise_photos, recognise_video, write_results

    if (place is None) == (camera is None):
        received = "both" if place is not None else "neither"
        raise OptionError(explain("a photograph, folder or video, or --camera", received))
    watched = place or Path()
    moving = camera is not None or is_video(watched)
    if not moving:
        _require_meaning(watched, {"--every": every, "--seconds": seconds})
    opened = open_run(folder, "minicnn" if both else backend)
    asked = Asked(opened, chosen_detector(opened.run.config, detector, upsample, model), landmarks, both=both)
    if out is not None:
        console.output_folder(out)
    if opened.identifier.threshold is None:
        console.note(NOBODY_UNKNOWN)
    photos = [] if moving else find_photos(watched, out, console.note)
    with console.working(f"Looking for faces in {place if camera is None else f'camera {camera}'}"):
        if moving:
            source = watched if camera is None else camera
            rows, problems = recognise_video(asked, source, out, every or 0.0, seconds)
        else:
            rows, problems = recognise_photos(asked, photos, watched, out)
    found = {
        "run": str(folder),
        "engine": "both" if both else opened.engine.name,
        "threshold": opened.identifier.threshold and opened.identifier.threshold.value,
        "faces": rows,
        "problems": problems,
    }
    if both:
        agreeing = sum(row["name"] == row["keras"] for row in rows)
        found |= {"agreeing": agreeing, "agreement": agreeing / len(rows) if rows else None}
    if out is not None:
        write_results(out, found)
    if json:
        console.print_json(found)
    else:
        _show(rows, None if moving else watched, both)
    console.report_problems(problems, len(rows))
    if both:
        _judge(found, len(rows), quiet=json)


def _require_meaning(place: Path, options: dict[str, float | None]) -> None:
    """An option that would be passed over is a misunderstanding."""
    given = [name for name, value in options.items() if value is not None]
    if given:
        fix = "Photographs are all looked at: leave it out."
        raise OptionError(explain(f"{' and '.join(given)} with a video or --camera", f"'{place}'", fix))


def _show(rows: list[dict[str, Any]], place: Path | None, both: bool) -> None:
    """A table of faces: in the photographs of ``place``, or without one in a video."""
    if not rows:
        return
    columns = [
        console.Column("photo") if place else console.Column("second", "right"),
        console.Column("person"),
        console.Column("how sure", "right"),
        *([console.Column("Keras")] if both else []),
        console.Column("nearest", least_width=100),
        console.Column("left, top", least_width=80),
        console.Column("size", "right", least_width=80),
    ]
    shown = [
        (
            console.below(Path(row["photo"]), place) if place else f"{row['second']:.2f}",
            row["name"],
            how_sure(row),
            *([row["keras"]] if both else []),
            f"{row['best']} {row['distance']:.2f}",
            f"{row['left']}, {row['top']}",
            f"{row['right'] - row['left']}x{row['bottom'] - row['top']}",
        )
        for row in rows
    ]
    named = sum(row["known"] for row in rows)
    console.table(f"{counted(len(rows), 'face')}, {named} of them known", columns, shown)


def how_sure(row: dict[str, Any]) -> str:
    """The share of the person who is named, rounded down as in the pictures, or the distance. Of somebody unknown "-":
    the share is that of the person who was rejected.
    """
    if not row["known"]:
        return "-"
    return f"{math.floor(100 * row['probability'])} %" if "probability" in row else f"{row['distance']:.3f}"


def _judge(found: dict[str, Any], faces: int, quiet: bool) -> None:
    if not faces:
        return
    words = f"minicnn and Keras agree about {found['agreeing']} of {counted(faces, 'face')}."
    if found["agreement"] < AGREEMENT:
        console.fail(f"{words} They should about {100 * AGREEMENT:g} %.")
    if not quiet:
        console.show(words)
