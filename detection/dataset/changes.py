"""What somebody did since the last run: photographs that were moved, renamed or removed, and crops that were deleted.

**Photographs.** A photograph under the wrong name is moved to another person's folder, and its crop has to follow, or a
network goes on learning the wrong name. One that is gone, while its very bytes lie elsewhere, was moved: the crop of
its old place is deleted. One that is gone altogether keeps its crop. It may be on a disk that is not connected, or in
another folder of the same name that the dataset was built from too. But whoever builds is told.

**Crops.** What somebody deleted stays deleted, until its photograph is saved anew or the crop put back. Where a
photograph has one face, the crop was there before the journal named it: if it is missing, it was deleted. Where it has
several, the crop is copied at the end of a run, and may not have been there yet: the manifest of an earlier run knows.
The journal then gets a record with that face alone, which is like one of a photograph with one face.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

from detection.dataset.journal import Journal, Record
from detection.dataset.manifest import read_manifest
from detection.dataset.sources import Photo, Sources, crop_path
from minicnn.errors import LoadError, StateError, explain
from minicnn.report.text import counted


@dataclass(frozen=True)
class Changes:
    """``moved``: the crop of the old place, deleted -> where the photograph is now. ``gone``: crops that are kept
    though their photographs are gone. ``deleted``: photographs whose crop somebody deleted, there or gone.
    """

    moved: dict[str, str]
    gone: tuple[str, ...]
    deleted: frozenset[str]


def find_changes(folder: Path, sources: Sources, journal: Journal) -> Changes:
    """Compare dataset and photographs with what the journal says, and write down there what has changed.

    Deletes the crops of photographs that were moved. Raises OSError when the disk refuses.
    """
    there: dict[str, list[str]] = {}  # SHA-256 -> the photographs with these bytes
    present = sources.names
    for record in journal.records.values():
        if record.source in present and record.sha256:
            there.setdefault(record.sha256, []).append(record.source)
    moved, gone, deleted = {}, [], set()
    listed = cache(lambda: _listed(folder))
    for record in sorted(wanted(journal, sources), key=lambda record: record.source):
        crop = crop_path(Photo(record.source, record.person))
        if not record.finds:
            continue
        if record.source not in present and record.sha256 in there:
            if _delete(folder, crop, there[record.sha256]):
                moved[crop] = there[record.sha256][0]
            # No file has this state, so the photograph is done again should it come back.
            gone_to = f"moved to '{there[record.sha256][0]}'"
            journal.append(replace(record, size=0, modified=0, finds=(), reason=gone_to))
        elif _was_deleted(folder, crop, record, journal, listed):
            deleted.add(record.source)
        elif record.source not in present:
            gone.append(crop)
    return Changes(moved, tuple(gone), frozenset(deleted))


def wanted(journal: Journal, sources: Sources) -> list[Record]:
    """What the journal says about the people who were asked for."""
    return [record for record in journal.records.values() if record.person not in sources.left_out]


def check_left_out(folder: Path, sources: Sources, journal: Journal) -> None:
    """Raise StateError when an earlier run made crops of people who are to be left out now: training takes all it
    finds.
    """
    found = {
        record.person
        for record in journal.records.values()
        if record.person in sources.left_out
        and record.finds
        and (folder / crop_path(Photo(record.source, record.person))).exists()
    }
    if found:
        expected = f"no crops of people with fewer than {sources.least} photographs"
        received = f"crops of {counted(len(found), 'such person', 'such people')}: {some(sorted(found))}"
        fix = (
            "Delete their folders in it, or choose another folder; 'minicnn dataset split --min-images' leaves people "
            "out, too."
        )
        raise StateError(f"'{folder}': {explain(expected, received, fix)}")


def some(names: Sequence[str], most: int = 3) -> str:
    """The first names, and how many there are more.

    >>> some(["a", "b", "c", "d", "e"])
    'a, b, c and 2 more'
    """
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def _delete(folder: Path, crop: str, others: Sequence[str]) -> bool:
    """Was there a crop to delete? Not where the file system takes its name for that of one of the ``others``.

    Then somebody who is called "anna" was renamed to "Anna".
    """
    path = folder / crop
    if not path.exists():
        return False
    for source in others:
        now = folder / crop_path(Photo(source, ""))
        if now.exists() and path.samefile(now):
            return False
    path.unlink()
    return True


def _was_deleted(
    folder: Path, crop: str, record: Record, journal: Journal, listed: Callable[[], dict[str, dict[str, Any]]]
) -> bool:
    """Did somebody delete this crop? ``listed`` reads what an earlier run's manifest says."""
    if (folder / crop).exists():
        return False
    if record.finds[0].crop == crop:
        return True
    known = listed().get(crop)
    if known is None or known["sha256"] != record.sha256:
        return False
    chosen = next((find for find in record.finds if list(find.box) == known.get("box")), record.finds[0])
    journal.append(replace(record, finds=(replace(chosen, crop=crop),)))
    return True


def _listed(folder: Path) -> dict[str, dict[str, Any]]:
    try:
        manifest = read_manifest(folder)
    except LoadError:  # damaged: this run writes another one
        return {}
    return manifest.photographs if manifest else {}
