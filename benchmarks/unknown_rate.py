"""Do strangers get a name at the rate that was asked for? Many draws of strangers, by the commands themselves.

    minicnn dataset orl build/orl64 --size 64 --margin 0.3
    python -m benchmarks.unknown_rate build/orl64 --strangers 10 --draws 4 --work build/unknown

In each draw some people of the dataset are strangers, and a network learns the others with ``minicnn train
--left-out``. Then ``minicnn evaluate --strangers`` asks it about all strangers with the threshold that the training
calibrated, and, with ``--calibrate``, about every other stranger with a threshold calibrated on the rest. The rate of
all draws together is shown with two intervals of 95 %: as if faces were independent, and by people
(``interval_by_people``), whose faces are alike. The networks of draws are different, so are the people; but known
people in one draw are strangers in another, so draws are not quite independent either.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from minicnn.recognition.unknown import interval, interval_by_people
from minicnn.report.text import percent


@dataclass
class Tally:
    """What became of faces in all draws: were strangers named, and how many known faces were called unknown."""

    named: list[bool] = field(default_factory=list)
    people: list[int] = field(default_factory=list)  # who each stranger is, another number in every draw
    known: int = 0
    unknown: int = 0

    def add(self, found: dict[str, Any], who: Sequence[int]) -> None:
        """Add what ``minicnn evaluate --json`` printed; ``who`` are the strangers it measured, in its order."""
        rates, distances = found["unknown"], found["confidences"]["strangers"]
        if len(distances) != len(who):
            raise RuntimeError(f"{len(who)} faces of strangers were to be measured, not {len(distances)}")
        self.named += [distance <= rates["value"] for distance in distances]
        self.people += who
        self.known += rates["faces"]
        self.unknown += rates["called_unknown"]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dataset", type=Path, help="crops of many people, as `minicnn dataset` makes them")
    parser.add_argument("--work", type=Path, required=True, help="where datasets and runs are made; must not exist")
    parser.add_argument("--draws", type=int, default=4)
    parser.add_argument("--strangers", type=int, default=10, help="people who are strangers in a draw")
    parser.add_argument("--left-out", type=int, default=3, help="trainings without some of the known people")
    parser.add_argument("--rate", type=float, default=0.05, help="share of strangers' faces that may get a name")
    options = parser.parse_args()
    if options.work.exists():
        parser.error(f"'{options.work}' exists: what is left of an earlier run would be measured too")
    people = [folder.name for folder in people_in(options.dataset)]
    if not 4 <= options.strangers <= len(people) - 4:
        parser.error(f"--strangers from 4 to {len(people) - 4}, as there are {len(people)} people")
    left_out, given = Tally(), Tally()
    for draw in range(options.draws):
        order = np.random.default_rng(draw).permutation(people)
        strangers = sorted(order[: options.strangers].tolist())
        work = options.work / str(draw)
        copy_people(options.dataset, work / "strangers", strangers)
        copy_people(options.dataset, work / "known", sorted(order[options.strangers :].tolist()))
        one_draw(work, draw, options.left_out, options.rate, left_out, given)
        show({f"--left-out {options.left_out}": left_out, "--strangers --calibrate": given}, draw + 1, options.rate)
    return 0


def people_in(dataset: Path) -> list[Path]:
    """The folders of its people. A hidden one is no person's: the ORL faces are kept in one."""
    return sorted(folder for folder in dataset.iterdir() if folder.is_dir() and not folder.name.startswith("."))


def copy_people(dataset: Path, folder: Path, people: Sequence[str]) -> None:
    """A dataset of some people's crops, made again by hand: a folder for each of them."""
    for name in people:
        shutil.copytree(dataset / name, folder / name)


def one_draw(work: Path, draw: int, left_out: int, rate: float, by_left_out: Tally, by_given: Tally) -> None:
    """Train on the known, and add to both tallies what strangers and known faces are called."""
    known, strangers, run = (str(work / name) for name in ("known", "strangers", "run"))
    minicnn("dataset", "split", known, "--seed", str(draw))
    options = ["--left-out", str(left_out), "--set", f"stranger_rate={rate}"]
    minicnn("train", known, "--out", run, "--seed", str(draw), *options)
    folders = enumerate(people_in(work / "strangers"))
    who = [100_000 * draw + number for number, folder in folders for _ in folder.iterdir()]
    ask = ["evaluate", run, known, "--strangers", strangers, "--no-baseline", "--json"]
    by_left_out.add(json.loads(minicnn(*ask)), who)
    half = [one for one in who if one % 2]  # with --calibrate, even strangers calibrate and odd ones are measured
    by_given.add(json.loads(minicnn(*ask, "--calibrate", "--rate", str(rate))), half)


def minicnn(*arguments: str) -> str:
    """Run a command, and return what it printed. What it says of its progress is shown."""
    command = [sys.executable, "-m", "minicnn", *arguments]
    return subprocess.run(command, check=True, text=True, stdout=subprocess.PIPE).stdout


def show(tallies: dict[str, Tally], draws: int, rate: float) -> None:
    """A table of the draws so far."""
    title = f'"Unknown" in {draws} draws, asked for {percent(rate)}'
    table = Table("calibrated by", "strangers named", "by faces", "by people", "known called unknown", title=title)
    for name, tally in tallies.items():
        named, count = sum(tally.named), len(tally.named)
        intervals = interval(named, count), interval_by_people(np.array(tally.named), np.array(tally.people))
        between = [f"{percent(low)} to {percent(high)}" for low, high in intervals]
        share = f"{named} of {count}, {percent(named / count)}"
        table.add_row(name, share, *between, f"{tally.unknown} of {tally.known}")
    Console().print(table)


if __name__ == "__main__":
    raise SystemExit(main())
