"""``minicnn find``: where else is this person?"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any

import typer

from minicnn.cli import console
from minicnn.cli.dataset_tables import progress_bar
from minicnn.cli.options import Backend, DetectorModel, RunDetector, RunFolder, RunLandmarks, Upsample
from minicnn.cli.runs import chosen_detector, open_run, searcher
from minicnn.errors import OptionError, explain
from minicnn.report.text import counted


def find(
    folder: RunFolder,
    photo: Annotated[Path, typer.Argument(metavar="PHOTO", help="Its largest face is sought.")],
    within: Annotated[Path, typer.Option("--in", metavar="FOLDER", help="The photographs to search.")],
    top: Annotated[int, typer.Option(min=1, help="Show so many; --json has all.")] = 20,
    backend: Backend = "minicnn",
    detector: RunDetector = None,
    upsample: Upsample = 0,
    model: DetectorModel = None,
    landmarks: RunLandmarks = None,
    cache: Annotated[bool, typer.Option("--cache/--no-cache", help="Keep embeddings for the next search.")] = True,
    json: console.Json = False,
) -> None:
    """Rank photographs by how near their nearest face is to the one sought. Embeddings are kept: twice is fast.

    PHOTO itself is left out where it lies in FOLDER; a copy of it is found. A photograph that cannot be read, or
    without a face, is reported.

    Example:  minicnn find runs/friends anna.jpg --in holiday/
    """
    from detection.collect import find_photos
    from detection.search import Match

    listed = find_photos(within, say=console.note)
    opened = open_run(folder, backend)
    search = searcher(opened, chosen_detector(opened.run.config, detector, upsample, model), landmarks, cached=cache)
    face, sought = search.largest(photo)
    photos = [each for each in listed if not os.path.exists(each) or not each.samefile(photo)]
    if not photos:
        fix = "Name a folder with photographs to search."
        raise OptionError(explain("other photographs than the one whose face is sought", f"only '{photo}'", fix))
    before = search.cache.hits
    matches: list[Match] = []
    problems: list[dict[str, Any]] = []
    with progress_bar("Searching photographs") as moved:
        for done, found in enumerate(search.matches(sought, photos), start=1):
            moved(done, len(photos))
            if isinstance(found, Match):
                matches.append(found)
            else:
                problems.append({"photo": str(found[0]), "problem": found[1]})
    matches.sort(key=lambda match: (match.distance, str(match.photo)))
    threshold = opened.identifier.pair_threshold
    known = search.cache.hits - before
    if json:
        console.print_json(
            {
                "photo": str(photo),
                "box": vars(face.box),
                "threshold": threshold.value if threshold else None,
                "matches": [
                    {
                        "photo": str(match.photo),
                        "distance": match.distance,
                        "same": bool(threshold.accepts(match.distance)) if threshold else None,
                        "box": vars(match.face.box),
                    }
                    for match in matches
                ],
                "problems": problems,
                "from_cache": known,
            }
        )
    elif matches:
        columns = [console.Column("photo"), console.Column("distance", "right"), console.Column("same person")]
        rows = [
            (
                console.below(match.photo, within),
                f"{match.distance:.3f}",
                ("yes" if threshold.accepts(match.distance) else "no") if threshold else "",
            )
            for match in matches[:top]
        ]
        title = f"The nearest {len(rows)} of {counted(len(matches), 'photograph')} with faces; {known} known before"
        console.table(title, columns, rows)
    for problem in problems:
        console.note(problem["problem"])
    if not matches:
        console.fail(f"No face found in {counted(len(photos), 'photograph')}.")
