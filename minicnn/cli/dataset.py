"""``minicnn dataset``: photographs of people -> crops, checked and divided, ready to train with."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from minicnn.cli import console
from minicnn.cli.dataset_tables import progress_bar, show_built, show_check
from minicnn.cli.options import (
    Align,
    Colour,
    DatasetFolder,
    DetectorModel,
    DetectorName,
    Landmarks,
    Margin,
    Size,
    Upsample,
    build_settings,
    detector_maker,
)

app = typer.Typer(cls=console.Commands, no_args_is_help=True, help="Make, check and divide a dataset of faces.")

Source = Annotated[Path, typer.Argument(metavar="SOURCE", help="A folder with a folder of photographs per person.")]
Dest = Annotated[Path, typer.Argument(metavar="DEST", help="Folder of the dataset; it is made if need be.")]
Processes = Annotated[int | None, typer.Option(help="How many work at a time; without it one per core, at least two.")]
Distance = Annotated[int | None, typer.Option(help="Bits of 256 in which near-duplicates may differ; without it 20.")]


@app.command()
def build(
    source: Source,
    dest: Dest,
    policy: Annotated[
        str, typer.Option(help="Of several faces: alike (to the person's others), largest, central, or only (none).")
    ] = "alike",
    size: Size = 200,
    colour: Colour = "grey",
    margin: Margin = 0.1,
    detector: DetectorName = "dlib-hog",
    upsample: Upsample = 0,
    model: DetectorModel = None,
    align: Align = "eyes",
    landmarks: Landmarks = None,
    processes: Processes = None,
    json: console.Json = False,
) -> None:
    """Find, choose, align and cut out the face of every photograph.

    A run that was interrupted goes on when it is started again, and so does a finished one. Photographs without a crop
    are in DEST/rejected.csv, with the reason; where each crop comes from is in DEST/manifest.json. Exit code 0 if there
    is at least one crop.

    A photograph that was moved to another name or person gets a crop there. The old crop is kept, as that of one that
    is gone, and named: delete it if it should go. A crop that you delete stays deleted until its photograph is saved
    anew, or moved.

    Example:  minicnn dataset build photos/ faces/ --upsample 1
    """
    from detection.dataset.build import build_dataset

    settings = build_settings(size, colour, margin, policy, align, landmarks)
    maker = detector_maker(detector, upsample, model)
    with progress_bar("Photographs") as progress:
        built = build_dataset(source, dest, maker, settings, processes=_workers(processes), progress=progress)
    show_built(built, json)


@app.command()
def orl(
    dest: Dest,
    size: Size = 200,
    colour: Colour = "grey",
    margin: Margin = 0.1,
    align: Align = "none",
    landmarks: Landmarks = None,
    processes: Processes = None,
    json: console.Json = False,
) -> None:
    """The AT&T/ORL faces, 40 people with 10 pictures each, as a dataset. They come with minicnn's extra "faces".

    Example:  minicnn dataset orl orl/ && minicnn dataset split orl/ --test 5 --validation 0
    """
    from detection.dataset.ready_made import build_orl

    settings = build_settings(size, colour, margin, "largest", align, landmarks)
    with progress_bar("Photographs") as progress:
        built = build_orl(dest, settings, processes=_workers(processes), progress=progress)
    show_built(built, json)


@app.command()
def lfw(
    source: Annotated[Path, typer.Argument(metavar="SOURCE", help="LFW: Person_Name/Person_Name_0001.jpg.")],
    dest: Dest,
    min_images: Annotated[int, typer.Option(help="Leave out people with fewer pictures.", min=1)] = 2,
    size: Size = 200,
    colour: Colour = "grey",
    margin: Margin = 0.1,
    detector: DetectorName = "dlib-hog",
    upsample: Upsample = 0,
    model: DetectorModel = None,
    align: Align = "eyes",
    landmarks: Landmarks = None,
    processes: Processes = None,
    json: console.Json = False,
) -> None:
    """A local folder of Labeled Faces in the Wild as a dataset: of every picture, the face closest to its middle.

    Started again with a smaller --min-images it adds people; with a larger one it needs another DEST.

    Example:  minicnn dataset lfw lfw/ faces/ --min-images 20
    """
    from detection.dataset.ready_made import build_lfw

    settings = build_settings(size, colour, margin, "central", align, landmarks)
    options: dict[str, Any] = {"min_images": min_images, "make_detector": detector_maker(detector, upsample, model)}
    with progress_bar("Photographs") as progress:
        built = build_lfw(source, dest, settings, processes=_workers(processes), progress=progress, **options)
    show_built(built, json)


@app.command()
def check(
    folder: DatasetFolder,
    distance: Distance = None,
    min_images: Annotated[int, typer.Option(help="People with fewer crops are named.", min=1)] = 5,
    sheet: Annotated[Path | None, typer.Option(metavar="FILE.png", help="Draw a row of crops per person.")] = None,
    columns: Annotated[int, typer.Option(help="Crops of a person on the sheet.", min=1)] = 12,
    json: console.Json = False,
) -> None:
    """Look for duplicates, one photograph under two names, leakage between the parts of the split, and gaps.

    Exit code 1 when training or its test would be worthless: one person only, one crop each, a picture under two names
    or in two parts.

    Example:  minicnn dataset check faces/ --sheet faces.png
    """
    from dataclasses import asdict

    from detection.dataset.check import check_dataset
    from detection.dataset.hashes import DISTANCE
    from detection.dataset.sheet import write_sheet

    with console.working("Comparing crops"):
        found = check_dataset(folder, distance=DISTANCE if distance is None else distance, min_images=min_images)
        if sheet:
            write_sheet(folder, sheet, [path for group in found.groups for path in group.paths], columns)
    if json:
        ready = {"ready": not found.problems, "problems": found.problems, "balance": found.balance}
        console.print_json(asdict(found) | ready)
    else:
        show_check(found)
    if sheet:
        console.note(f"Picture sheet: {sheet}")
    if found.problems:
        console.fail(" ".join(found.problems))


@app.command()
def split(
    folder: DatasetFolder,
    test: Annotated[
        float, typer.Option(help="For the test: a share of everybody's crops (0.25), or from 1 on how many (2).")
    ] = 0.25,
    validation: Annotated[float, typer.Option(help="For validation: likewise; 0: none.")] = 0.15,
    seed: Annotated[int, typer.Option(help="Another seed, another split.", min=0)] = 0,
    distance: Distance = None,
    min_images: Annotated[int, typer.Option(help="Leave out people with fewer crops.", min=1)] = 1,
    json: console.Json = False,
) -> None:
    """Divide a dataset into training, validation and test, person by person; near-duplicates stay on one side.

    Example:  minicnn dataset split faces/ --test 0.25 --validation 0.15 --seed 1
    """
    from detection.dataset.hashes import DISTANCE
    from detection.dataset.load import PARTS
    from detection.dataset.split import split_dataset

    bits = DISTANCE if distance is None else distance
    with console.working("Comparing crops"):
        done = split_dataset(folder, validation=validation, test=test, seed=seed, distance=bits, min_images=min_images)
    counts = {part: len(getattr(done, part)) for part in PARTS}
    if json:
        console.print_json({"seed": seed, "crops": counts, "notes": done.notes})
    else:
        console.table(f"Seed {seed}", [console.Column("part"), console.Column("crops", "right")], counts.items())
    for text in done.notes:
        console.note(text)


def _workers(processes: int | None) -> int:
    """Without a number, one per core; at least two, so that a photograph at which a process dies costs no more than
    that process.
    """
    from detection.dataset.build import MAX_PROCESSES
    from minicnn.environment import cores

    return min(max(2, cores()), MAX_PROCESSES) if processes is None else processes
