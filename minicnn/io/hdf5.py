"""HDF5 files, read as if an enemy had made them.

HDF5 is a file system in a file, with more doors than a network needs. A name may lead out of the file (external links),
a dataset may keep its numbers in any other file (external storage, virtual datasets), a filter may be a library that
is loaded to unpack the numbers, and a few bytes may announce terabytes that were never written. So the tree is walked
once, from the root, along hard links alone; every other kind of link is an error. Afterwards names are looked up in
what was found, and a path like "../x" is a name that nobody has. Datasets give up shape, type, storage and filters
before a number is read.

The library itself is not safe from damaged files either: it has crashed and run in circles on single flipped bits. So
each file is first read in a process of its own (``hdf5_trial.py``), which takes about half a second.

h5py, which does the reading, comes with the extra ``files``.
"""

from __future__ import annotations

import importlib
import io
import math
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, BinaryIO

import numpy as np

from minicnn.errors import explain, missing
from minicnn.io import hdf5_trial
from minicnn.io.checks import TEXT_LIMIT, check_expansion, refuse
from minicnn.io.stored import Stored
from minicnn.shapes import Array

MAGIC = b"\x89HDF\r\n\x1a\n"
OBJECT_LIMIT = 50_000
DEPTH_LIMIT = 32
FILTERS = {1: "gzip", 2: "shuffle", 3: "fletcher32", 32000: "lzf"}  # what h5py brings itself; others are plugins
CHUNK_LIMIT = 64 << 20  # bytes of one unpacked chunk
PATIENCE = 60.0  # seconds for a trial, where the machine is slow; processor time is bounded there


def load_h5py(purpose: str) -> Any:
    """The module h5py. Raises MissingDependencyError, naming the extra, when it is not installed."""
    try:
        return importlib.import_module("h5py")
    except ImportError:
        raise missing("h5py", "files", purpose) from None


@dataclass(frozen=True)
class Tree:
    """Everything in a file that hard links lead to: {"conv1/kernel": h5py.Dataset}, {"conv1": h5py.Group}."""

    groups: dict[str, Any]
    datasets: dict[str, Any]
    size: int  # bytes of the file

    def stored(self, name: str) -> Stored:
        """A dataset of plain numbers that lie in this file. Raises LoadError for any other kind."""
        if name not in self.datasets:
            refuse(f"it has no dataset '{name}'")
        return _stored(name, self.datasets[name])

    def text(self, group: str, attribute: str) -> str | None:
        """An attribute that is one text, or None where there is none."""
        values = _strings(self.groups[group], attribute)
        if values is not None and len(values) != 1:
            refuse(explain(f"one text as '{attribute}' of '{group}'", f"{len(values)}"))
        return values[0] if values else None

    def names(self, group: str, attribute: str) -> list[str] | None:
        """A list of names; Keras splits one that is too long for HDF5 over ``attribute0``, ``attribute1``, ..."""
        values = _strings(self.groups[group], attribute)
        if values is not None:
            return values
        parts: list[str] = []
        index = 0
        while (values := _strings(self.groups[group], f"{attribute}{index}")) is not None:
            parts += values
            index += 1
        return parts if index else None


@contextmanager
def open_tree(file: BinaryIO, start: int = 0, length: int | None = None) -> Iterator[Tree]:
    """The tree of an HDF5 file, or of one that lies within ``file`` from byte ``start``. Use in ``checks.reading``."""
    h5py = load_h5py("Reading an HDF5 file")
    length = os.fstat(file.fileno()).st_size if length is None else length
    file.seek(start)
    if file.read(len(MAGIC)) != MAGIC:
        refuse("it is not an HDF5 file")
    _try_out(file, start, length)
    part = io.BufferedReader(hdf5_trial.Part(file, start, length), 1 << 16)
    with h5py.File(part, "r") as root:
        tree = Tree(*_walk(h5py, root), length)
        check_expansion(sum(_bytes(dataset) for dataset in tree.datasets.values()), length)
        yield tree


_survived: tuple[Any, ...] = ()  # the last file that did: loading a network opens it three times


def _try_out(file: BinaryIO, start: int, length: int) -> None:
    """Let the library read it in a process of its own. Raises LoadError when that does not end well."""
    global _survived
    state = os.fstat(file.fileno())
    identity = (state.st_dev, state.st_ino, state.st_size, state.st_mtime_ns, state.st_ctime_ns, start, length)
    if identity == _survived:
        return
    command = [sys.executable, hdf5_trial.__file__, str(start), str(length)]
    try:
        trial = subprocess.run(command, stdin=file, capture_output=True, timeout=PATIENCE, check=False)
    except subprocess.TimeoutExpired:
        refuse("the HDF5 library runs in circles on it")
    if trial.returncode:
        words = trial.stderr.decode("utf-8", "replace").strip().splitlines()[-1:] or [f"exit code {trial.returncode}"]
        refuse(f"the HDF5 library crashes, runs in circles or fills the memory on it ({words[0][:200]})")
    _survived = identity


def _walk(h5py: Any, root: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    groups: dict[str, Any] = {"": root}
    datasets: dict[str, Any] = {}
    visited = {h5py.h5o.get_info(root.id).addr}
    pending = [("", root, 0)]
    while pending:
        path, group, depth = pending.pop()
        for key in group:
            name = f"{path}/{key}" if path else key
            if not isinstance(group.get(key, getlink=True), h5py.HardLink):
                refuse(f"'{name}' is a link, which may lead out of the file")
            child = group[key]
            address = h5py.h5o.get_info(child.id).addr
            if address in visited or depth > DEPTH_LIMIT or len(visited) > OBJECT_LIMIT:
                refuse(f"at '{name}' it stands twice, too deep, or there is too much")
            visited.add(address)
            if isinstance(child, h5py.Group):
                groups[name] = child
                pending.append((name, child, depth + 1))
            elif isinstance(child, h5py.Dataset):
                datasets[name] = child
            else:
                refuse(f"'{name}' is neither a group nor a dataset")
    return groups, datasets


def _bytes(dataset: Any) -> int:
    return math.prod(dataset.shape or ()) * int(dataset.dtype.itemsize)


def _stored(name: str, dataset: Any) -> Stored:
    if dataset.dtype.kind not in "biuf" or dataset.dtype.itemsize > 8 or dataset.shape is None:
        refuse(explain(f"numbers in '{name}'", f"dtype {dataset.dtype}"))
    if dataset.is_virtual or dataset.external:
        refuse(f"'{name}' keeps its numbers in another file")
    properties = dataset.id.get_create_plist()
    filters = [properties.get_filter(i)[0] for i in range(properties.get_nfilters())]
    if unknown := [code for code in filters if code not in FILTERS]:
        refuse(f"'{name}' is packed by filter {unknown[0]}; known are {', '.join(FILTERS.values())}")
    if dataset.chunks and math.prod(dataset.chunks) * dataset.dtype.itemsize > CHUNK_LIMIT:
        refuse(f"'{name}' has chunks {dataset.chunks}, larger than {CHUNK_LIMIT} bytes")
    if not dataset.chunks and dataset.id.get_storage_size() != _bytes(dataset):
        refuse(f"'{name}' announces {_bytes(dataset)} bytes and holds {dataset.id.get_storage_size()}")
    if dataset.chunks and not filters and dataset.id.get_storage_size() < _bytes(dataset):
        refuse(f"'{name}' has chunks that were never written")

    def fill(view: Array) -> None:
        if view.size and view.flags.c_contiguous:
            dataset.read_direct(view)
        elif view.size:  # an arrangement that is not the file's own: row by row
            for index in range(len(view)):
                view[index] = dataset[index]

    return Stored(tuple(dataset.shape), np.dtype(dataset.dtype), fill)


def _strings(group: Any, attribute: str) -> list[str] | None:
    """An attribute of one or more texts; None where there is none. Its announced size is checked before it is read."""
    if attribute not in group.attrs:
        return None
    where = group.attrs.get_id(attribute)
    h5py = load_h5py("Reading an HDF5 file")
    count = math.prod(where.shape or ())
    if count == 0:
        return []
    if count > OBJECT_LIMIT or count * where.dtype.itemsize > TEXT_LIMIT or len(where.shape) > 1:
        refuse(f"the attribute '{attribute}' announces {count} values")
    if where.dtype.kind != "S" and h5py.check_string_dtype(where.dtype) is None:
        refuse(explain(f"texts as '{attribute}'", f"dtype {where.dtype}"))
    values = group.attrs[attribute]
    several: Sequence[Any] = [values] if isinstance(values, str | bytes) else list(np.atleast_1d(values))
    texts = [value.decode("utf-8") if isinstance(value, bytes) else str(value) for value in several]
    if sum(map(len, texts)) > TEXT_LIMIT:
        refuse(f"the attribute '{attribute}' is longer than {TEXT_LIMIT} bytes")
    return texts
