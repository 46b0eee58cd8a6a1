"""Which crops of a dataset are the same picture: what ``dataset check`` reports and ``dataset split`` keeps together.

Two crops are duplicates when they come from the same file, byte by byte, or are the same file; near-duplicates when
their photographs (as the manifest knows them) or the crops themselves have perceptual hashes that hardly differ. The
photograph shows it when the same group was cut out around two different people; the crop shows it when the photograph
was trimmed.
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from detection.dataset.hashes import DISTANCE, as_numbers, close_pairs, group, perceptual_hash
from detection.dataset.load import crop_files
from detection.dataset.manifest import read_manifest
from detection.images import read_image
from minicnn.shapes import Array


@dataclass(frozen=True, eq=False)  # arrays have no single truth value to compare by
class Similar:
    """``paths`` of the crops and the ``people`` they belong to, (N,) each.

    near: (N,) numbers of groups; crops of one group are near-duplicates, directly or by others in between
    same: (N,) numbers of groups of exact duplicates
    """

    paths: tuple[str, ...]
    people: tuple[str, ...]
    near: Array
    same: Array

    def groups(self) -> list[Array]:
        """Indices of each group of two or more near-duplicates, in the order of their first crop."""
        order = np.argsort(self.near, kind="stable")
        pieces = np.split(order, np.flatnonzero(np.diff(self.near[order])) + 1)
        return sorted((piece for piece in pieces if len(piece) > 1), key=lambda piece: int(piece[0]))


def find_similar(folder: str | os.PathLike[str], distance: int = DISTANCE) -> Similar:
    """Compare all crops of a dataset folder. ``distance``: how many of 256 bits near-duplicates may differ in.

    Reads every crop once. Raises what ``crop_files`` and ``read_image`` raise, OptionError for a distance out of range.
    """
    root = Path(folder)
    files = crop_files(root)
    manifest = read_manifest(root)
    known = manifest.photographs if manifest else {}
    paths = tuple(files)
    crops = as_numbers([perceptual_hash(read_image(root / path)) for path in paths])
    digests = [known[path]["sha256"] if path in known else _digest(root / path) for path in paths]
    same = np.unique(digests, return_inverse=True)[1].astype(np.int64)
    pairs = [close_pairs(crops, distance)[0], _chains(same)]
    listed = np.array([index for index, path in enumerate(paths) if path in known], np.int64)
    if len(listed):
        photographs = as_numbers([known[paths[index]]["phash"] for index in listed])
        pairs.append(listed[close_pairs(photographs, distance)[0]])
    near = group(len(paths), np.concatenate(pairs))
    return Similar(paths, tuple(files.values()), near, same)


def _chains(groups: Array) -> Array:
    """Pairs that tie each group together: neighbours in the order of groups."""
    order = np.argsort(groups, kind="stable")
    pairs = np.stack([order[:-1], order[1:]], axis=1)
    tied: Array = pairs[groups[pairs[:, 0]] == groups[pairs[:, 1]]]
    return tied


def _digest(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
