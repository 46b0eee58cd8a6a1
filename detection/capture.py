"""Crops of one person from a camera or a video: the quickest way to a dataset of oneself.

A crop every now and then, not every frame: neighbouring frames are the same picture, and a network that has seen a
hundred of them knows one picture well and the person no better. Frames without a face, or with several when the policy
is "only", are passed over.

How the crops were cut is recorded where training looks for it, in the folder's manifest, so that recognition cuts faces
in the same way. Crops that were cut in two ways are of no use together, so a folder that has others is refused.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from detection.align import EyeFinder, level
from detection.crop import CropSettings, crop_face
from detection.dataset.faces import candidates
from detection.dataset.journal import read_header, require_same
from detection.dataset.manifest import read_manifest, write_list
from detection.dataset.settings import describe
from detection.dataset.work import save_crop
from detection.detectors import Detector
from detection.images import SUFFIXES
from detection.video import Frame
from minicnn.errors import ImageError, OptionError, explain

POLICIES = ("largest", "only", "central")
MAX_LIMIT = 100_000
SOURCE = "capture"  # in a manifest, where that of a build has the name of the photographs' folder


@dataclass(frozen=True)
class Captured:
    """What came of it: ``paths`` of the crops, how many ``frames`` were looked at and how many had no face to use.

    ``recorded``: the folder says how its crops were cut. It does not where there were crops that nothing was known of.
    """

    paths: tuple[Path, ...]
    frames: int
    without: int
    recorded: bool


def person_folder(folder: Path, name: str) -> Path:
    """``folder/name``. Raises OptionError for a name that is no plain folder name."""
    letters = {unicodedata.category(letter) for letter in name}
    if not name.strip() or name.startswith(".") or re.search(r'[/\\:*?"<>|]', name) or letters & {"Cc", "Cs"}:
        fix = "Letters, digits, spaces, - and _ are safe."
        raise OptionError(explain("a person's name that can be the name of a folder", repr(name), fix))
    return folder / name


def capture_faces(
    frames: Iterable[Frame],
    name: str,
    folder: Path,
    detector: Detector,
    settings: CropSettings | None = None,
    *,
    eyes: EyeFinder | None = None,
    policy: str = "largest",
    limit: int = 50,
    progress: Callable[[int, int], None] | None = None,
) -> Captured:
    """Write the crops of one person's face into ``folder/name``, as 0001.png and so on, until there are ``limit``.

    ``frames`` come from ``read_frames``, whose interval says how far apart they are. Numbers go on behind those that
    are there already. ``eyes`` finds the eyes to level; None leaves heads as they are. Raises OptionError for values
    out of range, StateError when ``folder`` has crops that were cut otherwise, OSError when the disk refuses; what was
    written until then stays.
    """
    if policy not in POLICIES:
        raise OptionError(explain(f"policy as one of {', '.join(POLICIES)}", repr(policy)))
    if not isinstance(limit, int) or isinstance(limit, bool) or not 1 <= limit <= MAX_LIMIT:
        raise OptionError(explain(f"limit as an integer from 1 to {MAX_LIMIT}", repr(limit)))
    target, settings = person_folder(folder, name), settings or CropSettings()
    cut = describe(settings, eyes, detector)
    is_first, recorded = _compare(folder, cut)
    number = _last_number(target)
    paths: list[Path] = []
    looked = 0
    for frame in frames:
        looked += 1
        height, width = frame.rgb.shape[:2]
        faces = [face for face in detector.detect(frame.rgb) if face.box.clip(width, height)]
        try:
            chosen = candidates(faces, policy, (width, height), name)[:1] if faces else []
        except ImageError:  # several faces, for policy "only"
            chosen = []
        for face in chosen:
            if is_first and not paths:  # not before: a folder without crops is not made
                folder.mkdir(parents=True, exist_ok=True)
                write_list(folder, SOURCE, cut, ())
            found = eyes.find(frame.rgb, face.box) if eyes else None
            turned = level(frame.rgb, face.box, found.angle) if found else (frame.rgb, face.box)
            number += 1
            paths.append(target / f"{number:04d}.png")
            save_crop(paths[-1], crop_face(*turned, settings))
        if progress:
            progress(len(paths), limit)
        if len(paths) >= limit:
            break
    return Captured(tuple(paths), looked, looked - len(paths), recorded)


def recorded_detector(folder: Path) -> str | None:
    """The name of what found the faces of a folder's crops; None where there are no crops, or nothing says so.

    Raises LoadError for a damaged record.
    """
    name = None if _is_empty(folder) else (_settings(folder) or {}).get("detector")
    return name if isinstance(name, str) else None


def _is_empty(folder: Path) -> bool:
    """Is there no crop yet, and no build that makes some?"""
    return read_header(folder) is None and not any(
        path.suffix.lower() in SUFFIXES for path in folder.glob("[!.]*/**/*")
    )


def _settings(folder: Path) -> dict[str, Any] | None:
    """How a folder's crops are cut. A build that has not ended yet has a journal, and writes the manifest itself."""
    header = read_header(folder)
    manifest = None if header else read_manifest(folder)
    settings = header.get("settings") if header else manifest.settings if manifest else None
    return settings if isinstance(settings, dict) else None


def _compare(folder: Path, cut: dict[str, Any]) -> tuple[bool, bool]:
    """(Are these the first crops of the folder? Is it recorded how its crops are cut?) Raises StateError, see above."""
    if _is_empty(folder):
        return True, True
    settings = _settings(folder)
    if settings is None:
        return False, False
    known = {key: value for key, value in settings.items() if key != "policy"}  # which face, not how it is cut out
    require_same(known, cut, folder, "Capture with the same options, or into another folder.")
    return False, True


def _last_number(folder: Path) -> int:
    if not folder.is_dir():
        return 0
    return max((int(path.stem) for path in folder.glob("*.png") if re.fullmatch(r"\d{1,9}", path.stem)), default=0)
