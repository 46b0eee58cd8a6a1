"""What the notebooks share: faces to look at, and ways to show pictures and numbers."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib import pyplot as plt

from detection.collect import find_photos, search_photos
from detection.crop import CropSettings, as_input, crop_photo
from detection.orl import SHOTS, load_orl, orl_detector
from minicnn.errors import OptionError, explain
from minicnn.shapes import Array


def faces() -> tuple[Array, Array]:
    """The 400 AT&T/ORL pictures, float32 (400, 112, 92, 1) from 0 to 1, and who is in each (400,), 0 to 39."""
    orl = load_orl()
    return as_input(orl.images), orl.persons


def crops(people: Iterable[int], shots: int, size: int) -> tuple[Array, Array]:
    """Faces of the AT&T/ORL ``people`` (0 to 39), ``shots`` pictures of each, as dlib finds them: (N, size, size, 1)
    from 0 to 1, and who is in each (N,).
    """
    orl, detector, settings = load_orl(), orl_detector(), CropSettings(size=size)
    chosen = [SHOTS * person + shot for person in people for shot in range(shots)]
    coloured = (np.repeat(orl.images[i][..., None], 3, axis=-1) for i in chosen)  # (H, W) -> (H, W, 3), for dlib
    return as_input([crop_photo(rgb, detector, settings)[0].crop for rgb in coloured]), orl.persons[chosen]


def own_crops(folder: Path, size: int) -> tuple[Array, Array, list[str]]:
    """The largest face of every photograph in ``folder``, which has a folder per person: as ``crops``, and the names.

    Prints which photographs could not be used, and why. Raises OptionError for fewer than two people with two faces
    each, ImageError for a folder without any picture.
    """
    detector, settings, found = orl_detector(), CropSettings(size=size), {}
    for person in sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith(".")):
        searched = list(search_photos(find_photos(person), detector, settings))
        for search in searched:
            if search.problem:
                print(search.problem)
        own = [search.crops[0].crop for search in searched if search.crops]
        if len(own) > 1:
            found[person.name] = own
    if len(found) < 2:
        fix = "Make a folder per person with at least two photographs, or remove the folder to use the AT&T/ORL faces."
        raise OptionError(explain(f"at least two people with two faces each in {folder}", f"{len(found)}", fix))
    who = np.repeat(np.arange(len(found)), [len(own) for own in found.values()])
    return as_input([crop for own in found.values() for crop in own]), who, list(found)


def show(*pictures: Any, titles: Sequence[str] = (), columns: int = 6) -> None:
    """Pictures (H, W), (H, W, 1) or (H, W, 3) side by side. Each grey one uses black for its least number."""
    rows = -(-len(pictures) // columns)
    columns = min(columns, len(pictures))
    _, axes = plt.subplots(rows, columns, figsize=(2 * columns, 2.4 * rows), squeeze=False, layout="constrained")
    for axis in axes.flat:
        axis.axis("off")
    for place, (axis, picture) in enumerate(zip(axes.flat, pictures, strict=False)):
        axis.imshow(np.squeeze(picture), cmap="gray")
        axis.set_title(titles[place] if place < len(titles) else "", fontsize=9)
    plt.show()


def numbers(*matrices: Any, titles: Sequence[str] = ()) -> None:
    """Small matrices with their (whole) numbers written into them: blue is positive, red negative."""
    matrices = tuple(np.atleast_2d(np.squeeze(np.asarray(matrix, float))) for matrix in matrices)
    widths = [matrix.shape[1] for matrix in matrices]
    size = (0.5 * sum(widths) + 0.5 * len(matrices), 0.5 * max(matrix.shape[0] for matrix in matrices) + 0.4)
    options = {"figsize": size, "width_ratios": widths, "layout": "constrained"}
    _, axes = plt.subplots(1, len(matrices), squeeze=False, **options)
    for place, (axis, matrix) in enumerate(zip(axes.flat, matrices, strict=True)):
        most = 2 * np.abs(matrix).max() or 1
        axis.imshow(matrix, cmap="RdBu", vmin=-most, vmax=most)
        for (row, column), value in np.ndenumerate(matrix):
            axis.text(column, row, f"{value + 0.0:.0f}", ha="center", va="center", fontsize=8)  # adding 0 makes -0 a 0
        axis.set_title(titles[place] if place < len(titles) else "", fontsize=9)
        axis.set_xticks([])
        axis.set_yticks([])
    plt.show()
