"""``minicnn detectors``: every detector on the same photographs."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from minicnn.cli import console
from minicnn.cli.options import DetectorModel, Place, Upsample
from minicnn.report.text import counted


def detectors(
    place: Place,
    model: DetectorModel = None,
    upsample: Upsample = 0,
    limit: Annotated[int | None, typer.Option(help="Look only at so many photographs.", min=1)] = None,
    json: console.Json = False,
) -> None:
    """Compare the face detectors: in how many photographs each finds a face or misses one, and how long it takes.

    dlib-cnn takes part when --model names its weights. Found is not the same as right: "several" counts photographs
    with more than one find, "alone" those in which no other detector found a face.

    Example:  minicnn detectors photos/ --upsample 1
    """
    from detection.collect import find_photos
    from detection.compare import compare_detectors
    from detection.detectors import DETECTORS, make_detector

    photos = find_photos(place, say=console.note)[:limit]
    doubled = {"upsample": upsample} if upsample else {}
    chosen = [make_detector(name, **(doubled if name.startswith("dlib") else {})) for name in DETECTORS]
    if model:
        chosen.append(make_detector("dlib-cnn", model=str(model), **doubled))
    with console.working(f"Looking at {counted(len(photos), 'photograph')} with {counted(len(chosen), 'detector')}"):
        compared = compare_detectors(photos, chosen)
    rows: list[dict[str, Any]] = [
        {
            "detector": score.detector,
            "found": score.found,
            "missed": score.missed,
            "several": score.several,
            "alone": score.alone,
            "ms": 1000 * score.seconds,
        }
        for score in compared.scores
    ]
    if json:
        console.print_json({"photographs": compared.photographs, "detectors": rows, "unreadable": compared.unreadable})
    else:
        right = [console.Column(name, "right") for name in ("found", "missed", "several", "alone", "ms each")]
        cells = [(*list(row.values())[:-1], f"{row['ms']:.1f}") for row in rows]
        console.table(counted(compared.photographs, "photograph"), [console.Column("detector"), *right], cells)
    for problem in compared.unreadable:
        console.note(problem)
    if not any(score.found for score in compared.scores):
        console.fail("No face found in any of the photographs.")
