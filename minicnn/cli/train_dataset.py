"""What ``minicnn train`` reads: a dataset's crops, as a network takes them, with the people of its split."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from detection.crop import as_input, standardise
from detection.dataset.check import unlisted
from detection.dataset.load import PARTS, SPLIT, FaceDataset, load_dataset, read_split
from detection.dataset.manifest import read_manifest
from minicnn.recognition.recipe import Samples
from minicnn.recognition.train import Data


@dataclass(frozen=True, eq=False)
class Dataset:
    """What ``train`` needs of a dataset folder: pictures, paths of the training crops, and how crops were made."""

    data: Data
    paths: tuple[str, ...]
    crop: dict[str, Any]
    detector: str
    fingerprint: str  # of the training and validation pictures: a run continues on the same ones only
    left_out: tuple[str, ...] = ()  # people of the folder whom the split does not mention
    unlisted: int = 0  # crops of known people that are in no part of the split


def read_dataset(folder: Path) -> Dataset:
    """The parts "train" and "validation" of a dataset; of a folder without a split everything, to train on.

    People whom the split leaves out altogether are not known to the network, so labels count those who are left. Raises
    what ``load_dataset`` raises, and LabelError where a network could not learn from it.
    """
    divided = (folder / SPLIT).is_file()
    split = read_split(folder) if divided else {}
    learned = load_dataset(folder, "train" if divided else None)
    parts = [learned, *([load_dataset(folder, "validation")] if split.get("validation") else [])]
    known = {path.split("/")[0] for part in PARTS for path in split.get(part, ())}
    people = tuple(name for name in learned.people if name in known or not divided)
    manifest = read_manifest(folder)
    settings = dict(manifest.settings) if manifest else {}
    settings.pop("policy", None)  # which face of a photograph: a choice for building a dataset
    detector = str(settings.pop("detector", ""))
    samples = [_samples(part, people) for part in parts]
    data = Data(samples[0], samples[1] if len(samples) > 1 else None, people)
    data.check()
    left_out = tuple(name for name in learned.people if name not in people)
    new = sum(path.split("/")[0] in known for path in unlisted(folder))
    return Dataset(data, learned.paths, settings, detector, _fingerprint(parts), left_out, new)


def _samples(faces: FaceDataset, people: tuple[str, ...]) -> Samples:
    """Network inputs; labels are places in ``people``, which may be fewer than the folder's."""
    place = np.array([people.index(name) if name in people else -1 for name in faces.people], np.int64)
    return Samples(standardise(as_input(faces.crops)), place[faces.labels])


def _fingerprint(parts: Sequence[FaceDataset]) -> str:
    """SHA-256 of paths, labels and pixels."""
    digest = hashlib.sha256()
    for faces in parts:
        digest.update(repr((faces.paths, faces.labels.tolist(), faces.crops.shape)).encode())
        digest.update(np.ascontiguousarray(faces.crops).data)
    return digest.hexdigest()
