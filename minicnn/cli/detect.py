"""``minicnn detect``: where the faces are."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from minicnn.cli import console
from minicnn.cli.options import DetectorModel, DetectorName, Place, Upsample, detector_maker
from minicnn.report.text import counted


def detect(
    place: Place,
    detector: DetectorName = "dlib-hog",
    upsample: Upsample = 0,
    model: DetectorModel = None,
    draw: Annotated[Path | None, typer.Option(metavar="OUTDIR", help="Write the photographs with boxes here.")] = None,
    json: console.Json = False,
) -> None:
    """Find faces and print where they are: boxes in pixels (left, top, right, bottom), right and bottom exclusive.

    Exit code 0 if at least one face was found. A photograph that cannot be read, or without a face, is reported.

    Example:  minicnn detect holiday.jpg --upsample 1 --draw found/
    """
    from detection.collect import find_photos, search_photos
    from detection.draw import draw_faces
    from detection.images import write_image

    photos = find_photos(place, draw, console.note)
    folder = console.output_folder(draw) if draw else None
    faces: list[dict[str, Any]] = []
    problems: list[dict[str, Any]] = []
    for searched in search_photos(photos, detector_maker(detector, upsample, model)()):
        if searched.problem:
            problems.append(console.problem(searched))
        for face in searched.faces:
            box = face.box
            row = {"photo": str(searched.photo), "left": box.left, "top": box.top, "right": box.right}
            row |= {"bottom": box.bottom, "width": box.width, "height": box.height, "score": face.score}
            faces.append(row | {"detector": face.detector})
        if folder and searched.faces and searched.rgb is not None:
            target = console.result_path(folder, searched.photo, place, ".png")
            write_image(target, draw_faces(searched.rgb, searched.faces))
    if json:
        console.print_json({"photos": len(photos), "faces": faces, "problems": problems})
    elif faces:
        columns = [
            console.Column("photo"),
            console.Column("left, top"),
            console.Column("right, bottom"),
            console.Column("size", "right"),
            console.Column("score", "right"),
        ]
        rows = [
            (
                console.below(Path(f["photo"]), place),
                f"{f['left']}, {f['top']}",
                f"{f['right']}, {f['bottom']}",
                f"{f['width']}x{f['height']}",
                f"{f['score']:.2f}",
            )
            for f in faces
        ]
        console.table(f"{counted(len(faces), 'face')} in {counted(len(photos), 'photograph')}", columns, rows)
    console.report_problems(problems, len(faces))
