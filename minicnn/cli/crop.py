"""``minicnn crop``: faces cut out, as files."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from minicnn.cli import console
from minicnn.cli.options import Colour, DetectorModel, DetectorName, Margin, Place, Size, Upsample, detector_maker
from minicnn.report.text import counted


def crop(
    place: Place,
    outdir: Annotated[Path, typer.Argument(metavar="OUTDIR", help="Folder for the crops; it is made if need be.")],
    size: Size = 200,
    colour: Colour = "grey",
    margin: Margin = 0.1,
    policy: Annotated[
        str, typer.Option(help="Which faces of a photograph: largest, only (several are an error) or all.")
    ] = "largest",
    detector: DetectorName = "dlib-hog",
    upsample: Upsample = 0,
    model: DetectorModel = None,
    json: console.Json = False,
) -> None:
    """Find faces, cut them out, and write each as a PNG.

    Crops are called like their photograph, with -1, -2, ... behind it, in the same subfolders. Exit code 0 if at least
    one crop was written; every photograph without a usable face is reported.

    Example:  minicnn crop photos/ faces/ --size 224 --colour rgb --policy all
    """
    from detection.collect import find_photos, search_photos
    from detection.crop import CropSettings
    from detection.images import write_image

    settings = CropSettings(size, colour, margin, policy)
    photos = find_photos(place, outdir, console.note)
    chosen = detector_maker(detector, upsample, model)()
    folder = console.output_folder(outdir)
    crops: list[dict[str, Any]] = []
    problems: list[dict[str, Any]] = []
    replaced = 0
    for searched in search_photos(photos, chosen, settings):
        if searched.problem:
            problems.append(console.problem(searched))
        for number, found in enumerate(searched.crops, start=1):
            target = console.result_path(folder, searched.photo, place, f"-{number}.png")
            replaced += target.exists()
            write_image(target, found.crop)
            crops.append({"photo": str(searched.photo), "crop": str(target), "score": found.face.score})
    if json:
        console.print_json({"photos": len(photos), "crops": crops, "problems": problems})
    elif crops:
        columns = [console.Column("photo"), console.Column("crop"), console.Column("score", "right")]
        rows = [
            (console.below(Path(c["photo"]), place), Path(c["crop"]).relative_to(folder), f"{c['score']:.2f}")
            for c in crops
        ]
        console.table(
            f"{counted(len(crops), 'crop')} from {counted(len(photos), 'photograph')}, in {folder}", columns, rows
        )
    if replaced:
        console.note(f"{counted(replaced, 'file')} of the same name {'was' if replaced == 1 else 'were'} overwritten.")
    console.report_problems(problems, len(crops))
