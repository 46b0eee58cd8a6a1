"""Photographs of people, a folder each, become a dataset: a crop per photograph, with a record of where it comes from.

    build_dataset("photos", "faces", partial(make_detector, "dlib-hog"), BuildSettings(policy="alike"))

    faces/anna/holiday.jpg.png   crops, called like their photographs
    faces/manifest.json          where each comes from, and how it was made
    faces/rejected.csv           the photographs without a crop, and why
    faces/journal.jsonl          what is done already (see ``detection.dataset.journal``)

A run that was ended at any moment goes on when it is started again; so does a finished one to which photographs were
added. This adds and replaces, and deletes only crops of photographs that are there and turned out to be unusable. One
that was moved or is gone keeps its crop (see ``detection.dataset.changes``).
"""

from __future__ import annotations

import itertools
import os
import re
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from detection.dataset.changes import Changes, check_left_out, find_changes, outdated, wanted
from detection.dataset.faces import average_look, choose_alike
from detection.dataset.hashes import require_imagehash
from detection.dataset.journal import NAME as JOURNAL
from detection.dataset.journal import Find, Journal, Record
from detection.dataset.manifest import Rejected, entry, write_manifest
from detection.dataset.pool import process_all
from detection.dataset.settings import BuildSettings, DetectorMaker
from detection.dataset.sources import Photo, Sources, crop_path, find_sources
from detection.dataset.work import CANDIDATES, GONE, file_state
from detection.headers import refuse
from minicnn.errors import OptionError, StateError, explain
from minicnn.io.atomic import atomic_write

MAX_PROCESSES = 64
VANISHED = "it went away while the dataset was built"
DELETED = "its crop was deleted; to have another, save the photograph anew"

#: called with how many photographs are done, and of how many
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Built:
    """What a run did. ``done_before``: photographs that an earlier run had done already.

    people:     name -> crops
    alignments: "eyes", "landmarks" or "none" -> crops
    several:    photographs with several faces, among which the policy chose
    gone:       crops whose photographs are not where they were; they are kept, and among the ``crops``
    moved:      those of ``gone`` whose photographs' very bytes lie elsewhere -> where
    deleted:    crops that somebody deleted, and that were not made again; their photographs are among the ``rejected``
    """

    folder: Path
    photographs: int
    done_before: int
    crops: int
    people: dict[str, int]
    alignments: dict[str, int]
    several: int
    rejected: tuple[Rejected, ...]
    moved: dict[str, str]
    gone: tuple[str, ...]
    deleted: tuple[str, ...]


def build_dataset(
    source: str | os.PathLike[str] | Sources,
    folder: str | os.PathLike[str],
    make_detector: DetectorMaker,
    settings: BuildSettings | None = None,
    *,
    processes: int = 1,
    progress: Progress | None = None,
) -> Built:
    """Make or go on with the dataset ``folder`` from a folder per person of photographs.

    ``make_detector`` makes the detector in each process. Raises ImageError when there are no photographs, or when the
    disk refuses (what was done stays done); StateError when ``folder`` was begun with other settings, is in use, or has
    crops of people whom ``source`` leaves out; OptionError, LoadError and MissingDependencyError for what is wrong with
    the settings.
    """
    if not isinstance(processes, int) or isinstance(processes, bool) or not 1 <= processes <= MAX_PROCESSES:
        raise OptionError(explain(f"processes as an integer from 1 to {MAX_PROCESSES}", repr(processes)))
    settings = settings or BuildSettings()
    sources = source if isinstance(source, Sources) else find_sources(source)
    target = Path(folder)
    described = settings.as_dict(make_detector())
    require_imagehash()
    try:
        prepare(target, sources.root)
        # Its name, not its whole path: a dataset may be moved together with its photographs.
        header = {"source": sources.root.resolve().name, "settings": described}
        with Journal(target, header) as journal:
            check_left_out(target, sources, journal)
            waiting = [photo for photo in sources.photos if not _is_done(photo, sources.root, journal)]
            total, before = len(sources.photos), len(sources.photos) - len(waiting)
            say = progress or (lambda done, total: None)
            say(before, total)
            with closing(process_all(waiting, processes, sources.root, target, settings, make_detector)) as results:
                anew = set()
                for number, record in enumerate(results, start=before + 1):
                    if record.finds or not _was_gone(record, sources.root):
                        journal.append(record)  # not of a disk that went away: what is known of it stays
                        anew.add(record.source)
                    say(number, total)
            changes = find_changes(target, sources, journal, anew)
            records = wanted(journal, sources)
            return _finish(target, sources, header, records, changes, anew | outdated(target, records), before)
    except OSError as error:
        reason = error.strerror or str(error)
        fix = "Make room or choose another folder. What is done stays done: the same command goes on."
        raise refuse(str(error.filename or target), "a place to write to", reason, fix) from None


def prepare(target: Path, root: Path) -> None:
    """Make the folder for a dataset of the photographs in ``root``, and make sure that it can be one.

    Raises OptionError when one lies in the other (crops would be taken for photographs), StateError for a folder with
    other things in it.
    """
    inside, outside = target.resolve(), root.resolve()
    hidden = outside.is_relative_to(inside) and outside.relative_to(inside).as_posix().startswith(".")
    if inside.is_relative_to(outside) or (outside.is_relative_to(inside) and not hidden):
        fix = "Put it beside them."
        raise OptionError(explain("a dataset folder apart from the photographs", f"'{target}' for '{root}'", fix))
    target.mkdir(parents=True, exist_ok=True)
    if not (target / JOURNAL).exists() and any(not entry.name.startswith(".") for entry in target.iterdir()):
        fix = "Choose a new folder: its files might be mixed up with crops."
        raise StateError(explain(f"an empty folder, or a dataset to go on with ({JOURNAL})", f"'{target}'", fix))


def _sweep(folder: Path) -> None:
    """Delete what ``atomic_write`` had not finished when this run's process, or an earlier run's, was killed."""
    for path in folder.rglob(".*.tmp"):
        if re.fullmatch(r"\..+\.[0-9a-f]{12}\.tmp", path.name):
            path.unlink(missing_ok=True)


def _is_done(photo: Photo, root: Path, journal: Journal) -> bool:
    record = journal.records.get(photo.source)
    return record is not None and (record.size, record.modified) == file_state(root / photo.source)


def _was_gone(record: Record, root: Path) -> bool:
    """Whether there was no such file when it was looked at. A link to nothing is there."""
    return (record.size, record.modified) == GONE and not os.path.islink(root / record.source)


def _finish(
    folder: Path,
    sources: Sources,
    header: dict[str, Any],
    records: list[Record],
    changes: Changes,
    anew: Collection[str],
    before: int,
) -> Built:
    """Choose among several faces, and write the manifest and the list of rejected photographs.

    ``anew``: the photographs that this run has done, or an interrupted one. Of others, a crop that somebody mended by
    hand stays.
    """
    chosen: list[tuple[Record, Find, str]] = []  # with the path of the crop
    known = {record.source for record in records}
    vanished = [(photo, VANISHED) for photo in sources.photos if photo.source not in known]
    rejected = [Rejected(photo.source, photo.person, reason) for photo, reason in [*sources.refused, *vanished]]
    deleted, present = [], sources.names
    ordered = sorted(records, key=lambda record: record.source)
    _sweep(folder)
    choices = _choices([record for record in ordered if record.source not in changes.deleted])
    for record in ordered:
        target = crop_path(Photo(record.source, record.person))
        if not record.finds or record.source in changes.deleted:
            if record.source in present and record.finds:
                rejected.append(Rejected(record.source, record.person, DELETED))
                deleted.append(target)
            elif record.source in present:
                rejected.append(Rejected(record.source, record.person, record.reason))
                if record.source in anew and file_state(sources.root / record.source) != GONE:
                    (folder / target).unlink(missing_ok=True)  # of an earlier state of the photograph
            continue
        find = record.finds[choices.get(record.source, 0)]
        if find.crop != target and (record.source in anew or _is_a_candidate(folder, record, target)):
            _copy_crop(folder, find.crop, target)
        chosen.append((record, find, target))
    write_manifest(folder, header["source"], header["settings"], itertools.starmap(entry, chosen), rejected)
    return Built(
        folder=folder,
        photographs=len(sources.photos) + len(sources.refused),
        done_before=before,
        crops=len(chosen),
        people=dict(sorted(Counter(record.person for record, _, _ in chosen).items())),
        alignments=dict(sorted(Counter(find.alignment for _, find, _ in chosen).items())),
        several=sum(record.faces > 1 for record, _, _ in chosen),
        rejected=tuple(sorted(rejected)),
        moved=changes.moved,
        gone=changes.gone,
        deleted=tuple(deleted),
    )


def _choices(ordered: Sequence[Record]) -> dict[str, int]:
    """For photographs with several candidates: which one, chosen person by person."""
    people: dict[str, list[Record]] = {}
    for record in ordered:
        if record.finds:
            people.setdefault(record.person, []).append(record)
    looks = [find.look for own in people.values() for record in own for find in record.finds if find.look]
    average = average_look(looks) if len(people) > 1 and looks else 0.0
    chosen: dict[str, int] = {}
    for own in people.values():
        if any(len(record.finds) > 1 for record in own):
            picked = choose_alike([[find.look for find in record.finds] for record in own], average)
            chosen |= {record.source: index for record, index in zip(own, picked, strict=True)}
    return chosen


def _is_a_candidate(folder: Path, record: Record, target: str) -> bool:
    """Whether a crop is one of its photograph's faces, or is not there: not one that somebody made by hand."""
    try:
        there = (folder / target).read_bytes()
    except FileNotFoundError:
        return True
    crops = (folder / find.crop for find in record.finds)
    return any(crop.is_file() and crop.read_bytes() == there for crop in crops)


def _copy_crop(folder: Path, candidate: str, target: str) -> None:
    """Copied, not moved: photographs that are added later may change the choice."""
    try:
        data = (folder / candidate).read_bytes()
    except FileNotFoundError as error:
        fix = f"Was '{CANDIDATES}' deleted? Build the dataset again, in a new folder."
        raise StateError(explain("the faces to choose from", f"no '{error.filename}'", fix)) from None
    (folder / target).parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(folder / target) as file:
        file.write(data)
