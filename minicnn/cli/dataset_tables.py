"""What ``minicnn dataset`` shows: progress while it works, and tables of what came of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import Any

from rich.text import Text

from minicnn.cli import console
from minicnn.report.text import counted


@contextmanager
def progress_bar(what: str) -> Iterator[Callable[[int, int], None]]:
    """A bar on stderr that is moved by (done, total); where there is no terminal, a line at every tenth."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    stderr = console.err()
    if stderr.is_terminal:
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        with Progress(*columns, console=stderr, transient=True) as bars:
            task = bars.add_task(what, total=None)
            yield lambda done, total: bars.update(task, completed=done, total=total)
        return
    shown = -1

    def say(done: int, total: int) -> None:
        nonlocal shown
        if total and 10 * done // total != shown:
            shown = 10 * done // total
            stderr.print(Text(f"{what}: {done} of {total}"), soft_wrap=True)

    yield say


def show_built(built: Any, json: bool) -> None:
    """What a build did (a ``detection.dataset.Built``); without a single crop, an error."""
    if json:
        console.print_json(asdict(built))
    elif built.crops:
        rejected = Counter(row.person for row in built.rejected)
        rows = [(name, built.people.get(name, 0), rejected[name]) for name in sorted(built.people | rejected)]
        columns = [console.Column("person"), console.Column("crops", "right"), console.Column("rejected", "right")]
        console.show(f"{counted(built.crops, 'crop')} from {counted(built.photographs, 'photograph')}")
        console.table("", columns, rows)
        console.show(f"Eyes levelled: {_alignments(built.alignments)}.")
        if built.several:
            console.show(f"Several faces in {built.several} of the photographs.")
    if built.done_before:
        console.note(f"Done before: {counted(built.done_before, 'photograph')}.")
    _show_changes(built)
    if built.rejected:
        unused = counted(len(built.rejected), "photograph")
        console.note(f"{unused} without a crop; the reasons: {built.folder / 'rejected.csv'}")
    if not built.crops:
        first = built.rejected[0]
        what = "No crop is left of" if built.deleted else "No face found in"
        console.fail(f"{what} any of the photographs. '{first.source}': {first.reason}")


def _show_changes(built: Any) -> None:
    """What happened to photographs and crops since the last run, and what can be done about it."""
    from detection.dataset.changes import some

    elsewhere = [f"{built.folder / crop} (now {place})" for crop, place in built.moved.items()]
    nowhere = [crop for crop in built.gone if crop not in built.moved]
    for kept, where in ((elsewhere, "elsewhere now"), (nowhere, "gone")):
        if kept:
            said = f"{counted(len(kept), 'crop')} kept, of photographs that are {where}: {some(kept)}."
            console.note(f"{said} Delete in '{built.folder}' what should go: it stays deleted.")
    if built.deleted:
        crops = counted(len(built.deleted), "crop")
        fix = "To have one again, put it back or save its photograph anew."
        console.note(f"{crops} deleted by hand, and not made again: {some(built.deleted)}. {fix}")


def _alignments(counts: dict[str, int]) -> str:
    ways = {"landmarks": "by landmarks", "eyes": "by OpenCV's eye cascade"}
    return ", ".join(
        [f"{counts[name]} {how}" for name, how in ways.items() if name in counts] + [f"{counts.get('none', 0)} not"]
    )


def show_check(found: Any) -> None:
    """A table of people, and a line for every picture that is there more than once (a ``detection.dataset.Check``)."""
    is_split = found.people[0].parts is not None
    columns = [console.Column("person"), *(console.Column(title, "right") for title in ("crops", "rejected", "again"))]
    columns += [console.Column(title, "right") for title in ("train", "val.", "test") if is_split]
    rows = [(p.name, p.crops, p.rejected, p.repeated, *(p.parts or ())) for p in found.people]
    total = sum(person.crops for person in found.people)
    people = counted(len(found.people), "person", "people")
    console.show(f"{counted(total, 'crop')} of {people}; 'again': pictures that are there twice or more.")
    console.table("", columns, rows)
    for group in found.groups:
        words = ["same file" if group.exact else "near-duplicates"]
        words += [f"under {len(group.people)} names"] if len(group.people) > 1 else []
        words += [f"in {' and '.join(group.parts)}"] if len(group.parts) > 1 else []
        console.show(f"{', '.join(words)}: {'  '.join(group.paths)}")
    console.show(f"Balance: the most crops of a person are {found.balance:.1f} times the fewest.")
    if found.few:
        console.note(f"Few crops: {', '.join(found.few)}")
    if found.unlisted:
        crops = counted(len(found.unlisted), "crop is", "crops are")
        console.note(f"{crops} in no part of the split (added after it, or left out by it): minicnn dataset split")
