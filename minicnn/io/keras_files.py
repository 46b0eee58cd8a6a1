"""Keras's own files, read and written without Keras: ``.keras``, full-model ``.h5`` and ``.weights.h5``.

    .keras         a zip archive: metadata.json, config.json (the architecture), model.weights.h5 (layout of Keras 3)
    .h5            HDF5: attribute model_config, group model_weights (layout of Keras 2); Keras 2's files too
    .weights.h5    HDF5 with weights alone, in either layout

What is read is the network and its weights; how Keras trained it (optimiser, loss) is not taken over. What is written,
``keras.models.load_model`` opens. A ``.keras`` archive is never unpacked: the HDF5 file is read where it lies, after
the archive's checksum was compared. HDF5 itself has none, so a flipped bit among the numbers of an ``.h5`` shows only
if it makes a NaN. See ``hdf5.py`` for how those files are distrusted.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from minicnn.graph import Graph
from minicnn.io.atomic import atomic_write
from minicnn.io.checks import CHUNK, TEXT_LIMIT, Expected, check_expansion, parse_json, reading, refuse
from minicnn.io.hdf5 import Tree, load_h5py, open_tree
from minicnn.io.keras_config import config_from_keras, config_to_keras
from minicnn.io.keras_places import kinds_of, places_of
from minicnn.io.keras_weights import KERAS_VERSION, write_legacy, write_numbered
from minicnn.io.npz import check_layout, member_start
from minicnn.io.stored import read_stored
from minicnn.shapes import Array

CONFIG, METADATA, WEIGHTS = "config.json", "metadata.json", "model.weights.h5"
MEMBER_LIMIT = 1000


def read_config(path: str | Path) -> tuple[str, dict[str, Any]]:
    """(class name, config) of the network in a ``.keras`` or full-model ``.h5`` file. Raises LoadError."""
    with _opened(path) as (tree, text):
        return config_from_keras(_description(tree, text))


def read_weights(
    path: str | Path, expected: Expected, graph: Graph | None = None, *, allow_nan: bool = False
) -> dict[str, Array]:
    """The arrays of a network from any of Keras's files. ``graph``: of the network that takes them; without it, that is
    the one that the file describes."""
    with _opened(path) as (tree, text):
        has_network = graph is None or text is not None or tree.text("", "model_config")
        description = _description(tree, text) if has_network else None
        stored, places = places_of(tree, description, expected, graph)
        return read_stored(stored, expected, places, allow_nan=allow_nan)


def _description(tree: Tree, text: bytes | None) -> dict[str, Any]:
    """The network as Keras wrote it down. Raises LoadError where the file has weights alone."""
    if text is None:
        text = (tree.text("", "model_config") or "").encode()
        if not text:
            refuse("it holds weights alone, without a network. Build the network, then model.load_weights(path)")
    return parse_json(text, "the description of the network")


def write_keras(path: str | Path, config: Mapping[str, Any], weights: Mapping[str, Array]) -> None:
    """Write a ``.keras`` file. Raises OptionError for a layer that Keras does not have."""
    model = config_to_keras(config)
    with (
        atomic_write(path) as file,
        tempfile.TemporaryFile(dir=Path(path).parent) as numbers,  # an archive's member cannot be written in any order
        zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive,
    ):
        _write_hdf5(numbers, lambda root: write_numbered(root, weights, kinds_of(Graph.from_config(config))))
        archive.writestr(zipfile.ZipInfo(METADATA), json.dumps({"keras_version": KERAS_VERSION, "date_saved": ""}))
        archive.writestr(zipfile.ZipInfo(CONFIG), json.dumps(model, allow_nan=False))
        numbers.seek(0)
        with archive.open(zipfile.ZipInfo(WEIGHTS), "w", force_zip64=True) as member:
            shutil.copyfileobj(numbers, member, CHUNK)


def write_h5(path: str | Path, config: Mapping[str, Any], weights: Mapping[str, Array]) -> None:
    """Write a full-model ``.h5`` file, as Keras's legacy format has it. Raises as ``write_keras`` does."""
    model = config_to_keras(config, legacy=True)

    def write(root: Any) -> None:
        root.attrs["backend"] = "tensorflow"
        root.attrs["keras_version"] = KERAS_VERSION
        root.attrs["model_config"] = json.dumps(model, allow_nan=False)
        names = kinds_of(Graph.from_config(config))
        write_legacy(root.create_group("model_weights"), weights, names, str(config["name"]))

    with atomic_write(path) as file:
        _write_hdf5(file, write)


def write_weights_h5(path: str | Path, config: Mapping[str, Any], weights: Mapping[str, Array]) -> None:
    """Write weights alone, as Keras 3's ``save_weights`` does."""
    with atomic_write(path) as file:
        _write_hdf5(file, lambda root: write_numbered(root, weights, kinds_of(Graph.from_config(config))))


def _write_hdf5(file: Any, write: Callable[[Any], None]) -> None:
    with load_h5py("Writing Keras's files").File(file, "w") as root:
        write(root)


@contextmanager
def _opened(path: str | Path) -> Iterator[tuple[Tree, bytes | None]]:
    """(the HDF5 tree, config.json if it was an archive) of a file whose first bytes say which of both it is."""
    with reading(path, "a file of Keras") as file:
        size = os.fstat(file.fileno()).st_size
        if file.read(2) != b"PK":
            with open_tree(file) as tree:
                yield tree, None
            return
        with zipfile.ZipFile(file) as archive:
            _check_members(archive, file)
            text = archive.read(CONFIG)
            with _member(archive, file, size) as (numbers, start, length), open_tree(numbers, start, length) as tree:
                yield tree, text


def _check_members(archive: zipfile.ZipFile, file: BinaryIO) -> None:
    names = [info.filename for info in archive.infolist()]
    if len(set(names)) != len(names) or len(names) > MEMBER_LIMIT:
        refuse("a member appears twice, or there are too many")
    for name in (CONFIG, WEIGHTS):
        if name not in names:
            refuse(f"it has no {name}, so it is not a .keras file that minicnn reads")
        if archive.getinfo(name).flag_bits & 1:
            refuse(f"'{name}' is encrypted")
    for name in names:
        if name.startswith(("/", "\\")) or ":" in name or ".." in name.replace("\\", "/").split("/"):
            refuse(f"the member name {name[:200]!r} is refused: it leads out of the archive")
    if archive.getinfo(CONFIG).file_size > TEXT_LIMIT:
        refuse(f"{CONFIG} is larger than {TEXT_LIMIT} bytes")
    check_layout(archive, file, gaps=True)


@contextmanager
def _member(archive: zipfile.ZipFile, file: BinaryIO, size: int) -> Iterator[tuple[BinaryIO, int, int]]:
    """(file, start, length) of the weights: where they lie in the archive, or unpacked if they are packed.

    Either way all of it passes by once, a piece at a time, and zipfile compares the checksum.
    """
    info = archive.getinfo(WEIGHTS)
    check_expansion(info.file_size, size)
    with archive.open(info) as member:
        if info.compress_type != zipfile.ZIP_STORED:
            with tempfile.TemporaryFile() as unpacked:  # it has no name: nothing is left behind
                shutil.copyfileobj(member, unpacked, CHUNK)
                unpacked.flush()
                yield unpacked, 0, info.file_size
            return
        while member.read(CHUNK):
            pass
    yield file, member_start(info, file), info.file_size
