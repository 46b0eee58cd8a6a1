"""Datasets that others made: the AT&T/ORL faces, and a local folder of Labeled Faces in the Wild (LFW).

Both become a dataset as any photographs do, with the same journal, manifest and list of rejected pictures; what differs
is who finds the face.

ORL: every picture shows one face, cut close, so the detector looks harder (``detection.orl.orl_detector``). The
repaired pictures are laid out in the hidden folder ``.photographs`` of the dataset first: photographs are files here.

LFW: ``Person_Name/Person_Name_0001.jpg``, 250x250 pixels, each cut out around the person it is named after, whoever
else is in it: the face closest to the middle counts. Huang, Ramesh, Berg and Learned-Miller, "Labeled Faces in the
Wild", University of Massachusetts, Amherst, Technical Report 07-49, 2007.
"""

from __future__ import annotations

import os
import re
from dataclasses import replace
from pathlib import Path, PurePosixPath

from detection.dataset.build import Built, Progress, build_dataset, prepare
from detection.dataset.settings import BuildSettings, DetectorMaker
from detection.dataset.sources import Photo, Sources, find_sources
from detection.detectors import DlibHog
from detection.headers import refuse
from detection.images import write_image
from detection.orl import load_orl, orl_detector

PHOTOGRAPHS = ".photographs"


def build_orl(
    folder: str | os.PathLike[str],
    settings: BuildSettings | None = None,
    *,
    processes: int = 1,
    progress: Progress | None = None,
) -> Built:
    """The AT&T/ORL faces as a dataset folder. Raises what ``load_orl`` and ``build_dataset`` raise."""
    orl = load_orl()
    root = Path(folder, PHOTOGRAPHS)
    prepare(Path(folder), root)
    photos = []
    for image, name in zip(orl.images, orl.names, strict=True):
        path = root / name
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            write_image(path, image)
        photos.append(Photo(name, PurePosixPath(name).parts[0]))
    sources = Sources(root, tuple(sorted(photos)), ())
    return build_dataset(sources, folder, orl_detector, settings, processes=processes, progress=progress)


def build_lfw(
    source: str | os.PathLike[str],
    folder: str | os.PathLike[str],
    settings: BuildSettings | None = None,
    *,
    min_images: int = 1,
    make_detector: DetectorMaker = DlibHog,
    processes: int = 1,
    progress: Progress | None = None,
) -> Built:
    """A local LFW folder as a dataset folder: the people who have ``min_images`` photographs or more.

    The policy of ``settings`` is not used. Raises ImageError when the folder is not laid out as LFW is, and what
    ``build_dataset`` raises.
    """
    sources = find_sources(source)
    strange = [photo.source for photo in sources.photos if not _is_lfw(photo)]
    named = tuple(photo for photo in sources.photos if _is_lfw(photo))
    if not named:
        fix = "For other folders: minicnn dataset build."
        raise refuse(str(source), "LFW's names, Person_Name/Person_Name_0001.jpg", f"'{strange[0]}'", fix)
    refused = [(Photo(name, name.split("/")[0]), "not named as LFW's pictures are") for name in strange]
    chosen = Sources(sources.root, named, tuple(sorted([*sources.refused, *refused]))).with_at_least(min_images)
    settings = replace(settings or BuildSettings(), policy="central")
    return build_dataset(chosen, folder, make_detector, settings, processes=processes, progress=progress)


def _is_lfw(photo: Photo) -> bool:
    person, _, name = photo.source.partition("/")
    return re.fullmatch(re.escape(person) + r"_\d{4}\.(jpg|jpeg|png)", name) is not None
