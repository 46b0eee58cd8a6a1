"""A dataset folder as arrays: what training and evaluation begin with.

Any folder with a folder of pictures per person will do, also one that ``dataset build`` did not make, as long as the
pictures are of one size. ``split.json`` says which are for training, validation and test.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from detection.crop import COLOURS
from detection.dataset.manifest import read_manifest
from detection.headers import refuse
from detection.images import look_through, read_image
from minicnn.errors import ImageError, LoadError, OptionError, explain
from minicnn.shapes import Array

SPLIT = "split.json"
PARTS = ("train", "validation", "test")
MAX_SPLIT_BYTES = 1 << 28
SYSTEM_FOLDERS = ("lost+found", "System Volume Information")  # those of Windows that begin with "$", too


@dataclass(frozen=True, eq=False)  # arrays have no single truth value to compare by
class FaceDataset:
    """``crops`` uint8 (N, H, W) of a grey dataset, else (N, H, W, 3); ``labels`` (N,) int64, indices into ``people``.

    ``people`` are the names of everybody in the folder, sorted, whichever part was loaded: labels agree between parts.
    ``paths`` of the crops below the folder, with "/".
    """

    crops: Array
    labels: Array
    people: tuple[str, ...]
    paths: tuple[str, ...]


def crop_files(folder: str | os.PathLike[str]) -> dict[str, str]:
    """Path below the folder -> person, for every picture in the folder of a person; sorted by path.

    Raises ImageError when there is no such folder, no picture in a person's folder, or a folder that cannot be read.
    What a system keeps for itself at the top of a disk may be closed: nobody is called so.
    """
    root = Path(folder)

    def closed(path: Path, error: ImageError) -> None:
        if path.parent != root or not (path.name in SYSTEM_FOLDERS or path.name.startswith("$")):
            raise error

    below = [path.relative_to(root) for path in look_through(root, closed)[0]]
    files = {path.as_posix(): path.parts[0] for path in below if len(path.parts) > 1}
    if not files:
        fix = "'minicnn dataset build' makes one."
        raise refuse(str(root), "a folder with a folder of crops per person", "pictures outside of any", fix)
    return dict(sorted(files.items()))


def load_dataset(folder: str | os.PathLike[str], part: str | None = None) -> FaceDataset:
    """The crops of a dataset folder; with ``part`` "train", "validation" or "test" those that ``split.json`` names.

    Raises ImageError for a folder without crops, a damaged crop, crops of several sizes, or one in colour among those
    of a grey dataset; LoadError when ``split.json`` is missing, damaged, names what is not there, or leaves the part
    empty; OptionError for another ``part``.
    """
    files = crop_files(folder)
    people = tuple(sorted(set(files.values())))
    paths = tuple(files) if part is None else _part(Path(folder), part, files)
    index = {person: number for number, person in enumerate(people)}
    labels = np.array([index[files[path]] for path in paths], np.int64)
    crops = read_crops(Path(folder), paths, has_colour(Path(folder), files))
    return FaceDataset(crops, labels, people, paths)


def has_colour(folder: Path, paths: Iterable[str]) -> bool:
    """Are a dataset's crops RGB? What its manifest says; without one, whether any of its crops has a colour.

    So all parts of a dataset have the same channels, and RGB crops of black and white photographs are RGB crops. Reads
    crops until one has a colour, where there is no manifest.
    """
    manifest = read_manifest(folder)
    if manifest and manifest.settings.get("colour") in COLOURS:
        return bool(manifest.settings["colour"] == "rgb")
    return not all(_is_grey(read_image(folder / path)) for path in paths)


def read_crops(root: Path, paths: Sequence[str], colour: bool) -> Array:
    """Pictures of one size: (N, H, W) uint8, or (N, H, W, 3) with ``colour``.

    Raises ImageError, naming the file, for one of another size, and for one in colour where there should be none.
    """
    crops: list[Array] = []
    for path in paths:
        rgb = read_image(root / path)
        size = crops[0].shape[:2] if crops else rgb.shape[:2]
        if rgb.shape[:2] != size:
            expected = f"crops of one size, {size[1]}x{size[0]} as in '{paths[0]}'"
            fix = "'minicnn dataset build' makes crops of one size."
            raise refuse(str(root / path), expected, f"{rgb.shape[1]}x{rgb.shape[0]}", fix)
        if not colour and not _is_grey(rgb):
            fix = "Make all crops with the same --colour."
            raise refuse(str(root / path), "a grey crop, as the dataset's manifest says", "one in colour", fix)
        crops.append(rgb if colour else rgb[:, :, 0].copy())  # a copy: a view would keep all three channels
    return np.stack(crops)


def _is_grey(rgb: Array) -> bool:
    return bool((rgb == rgb[:, :, :1]).all())


def read_split(folder: Path) -> dict[str, Any]:
    """What ``split.json`` says: "seed" and the three parts, each a list of paths. Raises LoadError."""
    path = folder / SPLIT
    if not path.is_file():
        fix = f"Run: minicnn dataset split {folder}"
        raise LoadError(f"'{path}': {explain('a split into training, validation and test', 'no such file', fix)}")
    try:
        if path.stat().st_size > MAX_SPLIT_BYTES:
            raise ValueError
        data = json.loads(path.read_text(encoding="utf-8"))
        parts = [data[part] for part in PARTS]
        if not all(isinstance(part, list) and all(isinstance(name, str) for name in part) for part in parts):
            raise TypeError
    except (ValueError, KeyError, TypeError, RecursionError):
        expected = "JSON with the lists train, validation and test"
        raise LoadError(f"'{path}': {explain(expected, 'something else', 'Split the dataset again.')}") from None
    return dict(data)


def _part(root: Path, part: str, files: dict[str, str]) -> tuple[str, ...]:
    if part not in PARTS:
        raise OptionError(explain(f"part as one of {', '.join(PARTS)}", repr(part)))
    names = read_split(root)[part]
    unknown = [name for name in names if name not in files]
    if unknown:
        received = f"'{unknown[0]}', which is not there" + (f" (and {len(unknown) - 1} more)" if unknown[1:] else "")
        raise LoadError(f"'{root / SPLIT}': {explain('crops of this folder', received, 'Split the dataset again.')}")
    if not names:
        fix = f"Split the dataset again, with a share for {part}."
        raise LoadError(f"'{root / SPLIT}': {explain(f'at least one crop for {part}', 'none', fix)}")
    return tuple(names)
