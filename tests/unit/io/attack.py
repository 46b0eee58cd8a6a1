"""Load files that were damaged on purpose, in a process of its own: with 200 MB more than it takes to be here.

    python -m tests.unit.io.attack FILE ...                 each file once
    python -m tests.unit.io.attack --damage COUNT FILE      COUNT times, each time damaged in another way

A line of JSON for each attempt: what was loaded, what came of it, and the seconds of processor time it took. A crash
of the process, which damaged HDF5 files are known for, leaves the last line unfinished.
"""

from __future__ import annotations

import json
import os
import resource
import sys
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from minicnn import load_model, load_vgg_face
from minicnn.errors import LoadError

LIMIT = 200 << 20  # bytes


def load(path: Path) -> dict[str, Any]:
    """The weights of a network, of whatever kind the name announces."""
    if path.suffix == ".mat" or path.name.startswith("vgg"):
        return dict(load_vgg_face(path, (64, 64, 3), include_top=False).model.weights)
    return dict(load_model(path).weights)


def attempt(path: Path, what: str) -> None:
    """Load one file and print what came of it."""
    print(json.dumps(what), end=" ", flush=True)
    start = _processor_time()
    try:
        weights = load(path)
    except LoadError as error:
        outcome = "LoadError" if path.name in str(error) and len(str(error)) < 2000 else f"vague: {error}"
    except Exception as error:
        outcome = f"{type(error).__name__}: {error}"
    else:
        finite = all(np.isfinite(array).all() for array in weights.values())
        outcome = "loaded" if finite else "loaded NaN"
        outcome += ":" + ",".join(f"{address}{array.shape}" for address, array in weights.items())
    print(json.dumps([outcome, _processor_time() - start]), flush=True)


def _processor_time() -> float:
    """Seconds, those of processes that were started included."""
    return sum(os.times()[:4])


def damaged(content: bytes, rng: np.random.Generator) -> tuple[bytes, str]:
    """Content with something wrong, and what it is."""
    data, place = bytearray(content), int(rng.integers(len(content)))
    kind = int(rng.integers(6))
    if kind == 0:
        return content[:place], f"cut off at {place}"
    if kind <= 2:
        data[place] ^= 1 << int(rng.integers(8))
        return bytes(data), f"bit of byte {place} flipped"
    if kind == 3:
        data[place] = (0, 0xFF, 0x7F, 0x80)[int(rng.integers(4))]
        return bytes(data), f"byte {place} set to {data[place]}"
    width = int(rng.integers(1, 9))
    data[place : place + width] = rng.bytes(width)[: len(data) - place]
    return bytes(data), f"{width} bytes at {place} replaced"


def main(arguments: list[str]) -> None:
    """See the module."""
    h5py.File.in_memory().close()  # everything that is loaded late is loaded now
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + LIMIT, used + LIMIT))
    if arguments[0] == "--damage":
        path = Path(arguments[2])
        content, rng = path.read_bytes(), np.random.default_rng(0)
        target = path.with_name(f"{'vgg_' if path.name.startswith('vgg') else ''}damaged{''.join(path.suffixes)}")
        for _ in range(int(arguments[1])):
            broken, what = damaged(content, rng)
            target.write_bytes(broken)
            attempt(target, what)
        target.unlink()
        return
    for name in arguments:
        attempt(Path(name), name)


if __name__ == "__main__":
    main(sys.argv[1:])
