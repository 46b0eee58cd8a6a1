"""Ten thousand photographs through ``minicnn dataset build``, killed on the way: is one lost, is one done twice, does
memory grow?

    python -m benchmarks.dataset_build FACES --photos 10000 --kills 5 --work build/copies

FACES is a folder per person of photographs; copies with changes are made of them (``altered_photos``). The command runs
as somebody would start it, in a session of its own. As often as ``--kills`` says, after a random number of photographs
and a random moment more, the whole session is killed with SIGKILL, and the same command started again. In the end

- every photograph is exactly once in the manifest or the list of rejected ones, and has exactly one line in the
  journal: none was lost, none done twice;
- no crop that was in the journal at a kill was written again: same file (inode), time of change, and bytes.

Exit code 1 when one of these does not hold. Memory is shown over time, for the parent and the largest worker, from
/proc (so this needs Linux). Times include those of new starts.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from benchmarks.altered_photos import write_copies
from detection.dataset.journal import NAME as JOURNAL
from detection.dataset.journal import Record, parse_journal
from detection.dataset.manifest import NAME as MANIFEST
from detection.dataset.manifest import read_manifest, read_rejected

INTERVAL = 0.25  # seconds between two looks at memory
PARTS = 10  # of the run, in the table of memory
PAGE = os.sysconf("SC_PAGE_SIZE")

#: crop -> inode, time of change in nanoseconds, SHA-256
Crops = dict[str, tuple[int, int, str]]


class Look(NamedTuple):
    """Memory at one moment: photographs done, and resident bytes of the command and of its largest worker."""

    done: int
    parent: int
    worker: int


class Progress:
    """How many photographs the journal names; reads only what was added since it was last asked."""

    def __init__(self, journal: Path) -> None:
        self.journal, self.read, self.lines = journal, 0, 0

    def done(self) -> int:
        if self.journal.exists():
            with open(self.journal, "rb") as file:
                file.seek(self.read)
                added = file.read()
            self.read += len(added)
            self.lines += added.count(b"\n")
        return max(0, self.lines - 1)  # the first line is no photograph


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", type=Path, help="a folder per person of photographs")
    parser.add_argument("--work", type=Path, required=True, help="where photographs and dataset are made")
    parser.add_argument("--photos", type=int, default=10_000)
    parser.add_argument("--kills", type=int, default=5)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0, help="of the copies and the kills")
    options = parser.parse_args()
    photos, dataset = options.work / "photos", options.work / "dataset"
    if dataset.exists():
        parser.error(f"'{dataset}' exists: a run that goes on from before measures nothing")
    write_copies(options.source, photos, options.photos, options.seed, options.processes)
    sources = sorted(path.relative_to(photos).as_posix() for path in photos.rglob("*.jpg"))
    command = [sys.executable, "-m", "minicnn", "dataset", "build", str(photos), str(dataset)]
    command += ["--processes", str(options.processes)]

    rng = random.Random(options.seed)
    looks: list[Look] = []
    kept: list[Crops] = []
    start = time.perf_counter()
    latest = max(2, len(sources) * 2 // 3)  # so that the end is not reached before the last kill
    for target in sorted(rng.randrange(1, latest) for _ in range(options.kills)):
        if not run(command, dataset, looks, kill=(target, rng.uniform(0, 0.5))):
            break  # it was faster than the kill
        kept.append(crops_in_journal(dataset))
        print(f"killed with {len(kept[-1])} crops in the journal", flush=True)
    if not (dataset / MANIFEST).exists():
        run(command, dataset, looks)
    seconds = time.perf_counter() - start

    show(looks, len(sources), seconds)
    problems = [*missing_or_double(dataset, sources), *written_again(dataset, kept)]
    print("\n".join(problems) or f"None lost, none done twice, in {len(kept)} kills.")
    return 1 if problems else 0


# -- running and killing ----------------------------------------------------------------------------------------------


def run(command: Sequence[str], dataset: Path, looks: list[Look], kill: tuple[int, float] | None = None) -> bool:
    """Run the command and look at its memory. ``kill``: after how many photographs, and how many seconds more.

    True when it was killed. A command that fails by itself ends the benchmark.
    """
    progress, deadline = Progress(dataset / JOURNAL), None
    process = subprocess.Popen(command, start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    with process:
        while process.poll() is None:
            done = progress.done()
            memory = dict(resident(process.pid))
            parent = memory.pop(process.pid, 0)
            looks.append(Look(done, parent, max(memory.values(), default=0)))
            if kill and deadline is None and done >= kill[0]:
                deadline = time.monotonic() + kill[1]
            if deadline is not None and time.monotonic() >= deadline:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
                return True
            time.sleep(INTERVAL)
        assert process.stderr is not None
        if process.returncode:
            sys.exit(process.stderr.read().decode())
    return False


def resident(session: int) -> Iterator[tuple[int, int]]:
    """(pid, resident bytes) of every process of a session."""
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            after_name = (folder / "stat").read_text().rpartition(")")[2].split()
            if int(after_name[3]) == session:
                yield int(folder.name), PAGE * int((folder / "statm").read_text().split()[1])
        except OSError:  # it ended meanwhile
            continue


# -- what must hold ---------------------------------------------------------------------------------------------------


def records(dataset: Path) -> list[Record]:
    """What the journal says, line by line."""
    with open(dataset / JOURNAL, "rb") as lines:
        return parse_journal(lines, dataset / JOURNAL).records


def crops_in_journal(dataset: Path) -> Crops:
    """Every crop that the journal names."""
    crops: Crops = {}
    for record in records(dataset):
        for find in record.finds:
            info = (dataset / find.crop).stat()
            digest = hashlib.sha256((dataset / find.crop).read_bytes()).hexdigest()
            crops[find.crop] = (info.st_ino, info.st_mtime_ns, digest)
    return crops


def missing_or_double(dataset: Path, sources: Sequence[str]) -> list[str]:
    """Photographs that are not exactly once in the journal, or in manifest and rejected list together."""
    manifest = read_manifest(dataset)
    assert manifest is not None, "the command ended well"
    listed = Counter(entry["source"] for entry in manifest.photographs.values())
    listed.update(row.source for row in read_rejected(dataset))
    lines = Counter(record.source for record in records(dataset))
    wanted = set(sources)
    return [
        f"{source}: {count[source]} times in {where}"
        for where, count in (("manifest and rejected list", listed), ("the journal", lines))
        for source in sorted(wanted | count.keys())
        if count[source] != (source in wanted)
    ]


def written_again(dataset: Path, kept: Sequence[Crops]) -> list[str]:
    """Crops that were in the journal at a kill and are others now."""
    now = crops_in_journal(dataset)
    return [f"{crop}: written again" for crops in kept for crop, state in crops.items() if now.get(crop) != state]


# -- what was measured ------------------------------------------------------------------------------------------------


def show(looks: Sequence[Look], photographs: int, seconds: float) -> None:
    """Photographs per second, and the highest memory in each part of the run."""
    print(f"{photographs} photographs in {seconds:.0f} s: {photographs / seconds:.1f} per second")
    print("  photographs done   parent MiB   largest worker MiB")
    for part in range(PARTS):
        first, last = part * photographs // PARTS, (part + 1) * photographs // PARTS
        within = [look for look in looks if first <= look.done < last or (look.done == last == photographs)]
        if within:
            parent, worker = (max(look[k] for look in within) / 2**20 for k in (1, 2))
            print(f"  {first:7d} to {last:7d}   {parent:10.0f}   {worker:18.0f}")


if __name__ == "__main__":
    sys.exit(main())
