"""``minicnn verify``: do two photographs show the same person?"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from minicnn.cli import console
from minicnn.cli.options import Backend, DetectorModel, RunDetector, RunFolder, RunLandmarks, Upsample
from minicnn.cli.runs import chosen_detector, open_run, searcher


def verify(
    folder: RunFolder,
    first: Annotated[Path, typer.Argument(metavar="A", help="A photograph; its largest face counts.")],
    second: Annotated[Path, typer.Argument(metavar="B", help="Another.")],
    backend: Backend = "minicnn",
    detector: RunDetector = None,
    upsample: Upsample = 0,
    model: DetectorModel = None,
    landmarks: RunLandmarks = None,
    json: console.Json = False,
) -> None:
    """Compare the largest face of two photographs by the distance of their embeddings, 0 (alike) to 2.

    "The same" is at most the threshold that the run keeps for pairs. It was calibrated on strangers by `minicnn train
    --left-out 3` or `minicnn evaluate --strangers OTHERS --calibrate`, else on people the run knows, which promises
    nothing about others; which it was, is said. A run without validation pictures has none, and gives a distance alone.

    Example:  minicnn verify runs/friends yesterday.jpg today.jpg
    """
    from minicnn.recognition.identify import distances

    opened = open_run(folder, backend)
    search = searcher(opened, chosen_detector(opened.run.config, detector, upsample, model), landmarks)
    faces = [search.largest(photo) for photo in (first, second)]
    distance = float(distances(faces[0][1], faces[1][1])[0, 0])
    threshold = opened.identifier.pair_threshold
    same = bool(threshold.accepts(distance)) if threshold else None
    if json:
        console.print_json(
            {
                "photos": [str(first), str(second)],
                "boxes": [vars(face.box) for face, _ in faces],
                "distance": distance,
                "threshold": threshold.value if threshold else None,
                "calibrated_on": threshold.measured["source"] if threshold else None,
                "false_accept_rate": threshold.rate if threshold else None,
                "same": same,
                "engine": opened.engine.name,
            }
        )
        return
    answer = {True: "The same person", False: "Different people", None: "No answer without a threshold"}[same]
    console.show(f"{answer}: distance {distance:.3f}.")
    if threshold is None:
        console.note("The run has no threshold for pairs: minicnn evaluate RUN DATASET --strangers OTHERS --calibrate.")
        return
    console.show(
        f"The same up to {threshold.value:.3f}, where {100 * threshold.rate:g} % of pairs of different people would "
        f"pass. Calibrated on: {threshold.measured['source']}."
    )
