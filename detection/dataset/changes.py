"""What somebody did since the last run: photographs that were moved, renamed or removed, and crops that were deleted.

**Photographs.** One that is no longer where it was keeps its crop. It may be on a disk that is not connected, or in
another folder of the same name that the dataset was built from too; its crop may be one that somebody mended by hand.
But whoever builds is told, and told where a photograph with the very same bytes lies now: one that was moved from a
wrong name to the right one leaves a crop under the wrong one, which should be deleted.

**Crops.** What somebody deleted stays deleted, until its photograph is saved anew or the crop put back. Where a
photograph has one face, the crop was there before the journal named it: if it is missing, it was deleted. Where it has
several, the crop is copied at the end of a run, and may not have been there yet: the manifest of an earlier run knows,
unless this run has done the photograph anew. The journal then gets a record with that face alone, which is like one of
a photograph with one face.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
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
    """``gone``: crops that are kept though their photographs are not where they were. ``moved``: those of them whose
    photographs' very bytes lie elsewhere -> where. ``deleted``: photographs, there or gone, that have no crop of their
    own any more.
    """

    moved: dict[str, str]
    gone: tuple[str, ...]
    deleted: frozenset[str]


def find_changes(folder: Path, sources: Sources, journal: Journal, anew: Collection[str]) -> Changes:
    """Compare dataset and photographs with what the journal says; what was deleted is written down there.

    ``anew``: the photographs that this run has done. Raises OSError when the disk refuses.
    """
    present = sources.names
    spelled = {source.casefold(): source for source in present}
    there: dict[str, str] = {}  # SHA-256 -> a photograph with these bytes
    ordered = sorted(wanted(journal, sources), key=lambda record: record.source)
    for record in ordered:
        if record.source in present and record.sha256:
            there.setdefault(record.sha256, record.source)
    moved, gone, deleted = {}, [], set()
    listed = cache(lambda: _listed(folder))
    for record in ordered:
        crop = _crop(record)
        if not record.finds or record.source in anew:
            continue
        if _was_deleted(folder, crop, record, journal, listed):
            deleted.add(record.source)
        elif record.source not in present:
            if _is_one_file(folder, crop, spelled.get(record.source.casefold())):
                deleted.add(record.source)
                continue
            gone.append(crop)
            if record.sha256 in there:
                moved[crop] = there[record.sha256]
    return Changes(moved, tuple(gone), frozenset(deleted))


def wanted(journal: Journal, sources: Sources) -> list[Record]:
    """What the journal says about the people who were asked for."""
    return [record for record in journal.records.values() if record.person not in sources.left_out]


def outdated(folder: Path, records: Sequence[Record]) -> set[str]:
    """Photographs that are others now than those that the last manifest made its crops of: a run that was interrupted
    has seen them, and their crops are still the old ones."""
    listed = _listed(folder)
    crops = {record.source: listed.get(_crop(record)) for record in records}
    return {one.source for one in records if (entry := crops[one.source]) and entry["sha256"] != one.sha256}


def check_left_out(folder: Path, sources: Sources, journal: Journal) -> None:
    """Raise StateError when an earlier run made crops of people who are to be left out now: training takes all it
    finds.

    Where these were deleted since, as it says, the journal forgets them: whoever is wanted again is made again.
    """
    made = [record for record in journal.records.values() if record.person in sources.left_out and record.finds]
    found = {record.person for record in made if (folder / _crop(record)).exists()}
    if found:
        expected = f"no crops of people with fewer than {sources.least} photographs"
        received = f"crops of {counted(len(found), 'such person', 'such people')}: {some(sorted(found))}"
        fix = (
            "Delete their folders in it, or choose another folder; 'minicnn dataset split --min-images' leaves people "
            "out, too."
        )
        raise StateError(f"'{folder}': {explain(expected, received, fix)}")
    for record in made:
        journal.append(replace(record, size=0, modified=0, finds=()))  # no file has this state


def some(names: Sequence[str], most: int = 3) -> str:
    """The first names, and how many there are more.

    >>> some(["a", "b", "c", "d", "e"])
    'a, b, c and 2 more'
    """
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def _crop(record: Record) -> str:
    return crop_path(Photo(record.source, record.person))


def _is_one_file(folder: Path, crop: str, source: str | None) -> bool:
    """Does the file system take this crop's name for that of the crop of the photograph ``source``?

    Then somebody who is called "anna" was renamed to "Anna", and the crop is that of the new name.
    """
    if source is None:
        return False
    path, now = folder / crop, folder / crop_path(Photo(source, ""))
    return path.exists() and now.exists() and path.samefile(now)


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
