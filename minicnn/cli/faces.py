"""The faces a command works on: from a photograph or a folder, or, without either, the AT&T/ORL set."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from minicnn.cli import console
from minicnn.errors import OptionError, explain
from minicnn.report.text import counted


@dataclass(frozen=True, eq=False)
class Batch:
    """``crops`` uint8 (N, H, W) or (N, H, W, 3); ``names`` of the photographs; ``source`` in words."""

    crops: Any
    names: tuple[str, ...]
    source: str
    problems: tuple[str, ...] = ()


def face_batch(place: Path | None, detector: Any, input_shape: tuple[int, ...], batch: int) -> Batch:
    """The first ``batch`` faces as crops of the network's input size; fewer when there are fewer.

    A photograph gives all its faces, a folder all of every photograph's. Without any, the command fails.
    """
    from detection.collect import find_photos, search_photos
    from detection.crop import CropSettings

    rows, columns, channels = input_shape
    if rows != columns or channels not in (1, 3):
        fix = "Crops are square, grey (1 channel) or RGB (3)."
        raise OptionError(explain("an input NxNx1 or NxNx3, to feed it crops", f"{rows}x{columns}x{channels}", fix))
    settings = CropSettings(size=rows, colour="grey" if channels == 1 else "rgb", policy="all")
    if place is None:
        return orl_batch(settings, batch)
    crops, problems = [], []
    for searched in search_photos(find_photos(place), detector, settings):
        crops += [(found.crop, f"{searched.photo.name}") for found in searched.crops]
        problems += [console.problem(searched)] if searched.problem else []
        if len(crops) >= batch:
            break
    console.report_problems(problems, len(crops))
    arrays, names = zip(*crops[:batch], strict=True)
    return Batch(
        arrays,
        names,
        f"{counted(len(names), 'face')} from '{place}'",
        tuple(problem["problem"] for problem in problems),
    )


def orl_batch(settings: Any, batch: int) -> Batch:
    """Faces of different people first: the first picture of everybody, then the second of everybody, ..."""
    import dataclasses

    import numpy as np

    from detection.orl import orl_crops

    orl = orl_crops(dataclasses.replace(settings, policy="largest"))
    order = np.argsort([int(name.split("/")[1].split(".")[0]) for name in orl.names], kind="stable")
    chosen = [i for i in order if orl.found[i]][:batch]
    return Batch(
        orl.crops[chosen], tuple(orl.names[i] for i in chosen), f"{counted(len(chosen), 'face')} of the AT&T/ORL set"
    )
