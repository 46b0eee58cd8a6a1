"""Arrays and a little text in one file: NumPy's ``.npz``, written so that anyone can open it, read as if an enemy had
made it.

An ``.npz`` is a zip archive with one ``.npy`` file per array, here named by the parameter's address, and a
``metadata.json`` beside them. ``np.load(path)["conv1/kernel"]`` works on it without minicnn.

    metadata.json         {"format": ..., ...}
    conv1/kernel.npy      header: dtype, order, shape; then the numbers
    conv1/bias.npy

Members are stored, not compressed: trained weights look like noise and hardly shrink, and a file that cannot expand
cannot be a bomb. Times are left out, so equal content gives equal bytes.

What a reader checks, in this order, before it makes room for a single number: that this is a zip archive; every
member's name (no absolute paths, no "..", none twice), that it is stored and not encrypted, and that the members fill
the file without gaps or overlaps; every header's dtype (numbers only: NumPy's object arrays are programs), shape and
size; and names, shapes and dtypes against what the caller expects. While reading, the archive's checksums tell a
flipped bit. NaN and inf are ordinary values here: a network that has diverged can be saved, and looked at.
"""

from __future__ import annotations

import json
import math
import struct
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np
from numpy.lib import format as npy

from minicnn.errors import OptionError, explain
from minicnn.io.atomic import atomic_write
from minicnn.io.checks import CHUNK, TEXT_LIMIT, Expected, compare, parse_json, reading, refuse
from minicnn.shapes import Array, Shape

METADATA = "metadata.json"
NAME_LIMIT = 200  # characters
NUMBERS = "biuf"  # bool, integers, floats


def write_arrays(path: str | Path, arrays: Mapping[str, Array], metadata: Mapping[str, Any]) -> None:
    """Write ``arrays`` under their names ("conv1/kernel") and ``metadata`` (anything JSON can hold) to one ``.npz``
    file.

    The file appears complete or not at all. Raises OptionError for a name that could not be read back, for an array
    that does not hold plain numbers, and for metadata that JSON cannot hold.
    """
    text = _encode(metadata)
    for name, array in arrays.items():
        if problem := _name_problem(f"{name}.npy"):
            raise OptionError(explain("array names like 'conv1/kernel'", f"{name!r} ({problem})"))
        if not isinstance(array, np.ndarray) or array.dtype.kind not in NUMBERS:
            received = f"dtype {array.dtype}" if isinstance(array, np.ndarray) else type(array).__name__
            raise OptionError(explain(f"'{name}' as an array of numbers", received))
    with atomic_write(path) as file, zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr(zipfile.ZipInfo(METADATA), text)
        for name, array in arrays.items():
            with archive.open(zipfile.ZipInfo(f"{name}.npy"), "w", force_zip64=True) as member:
                npy.write_array(member, np.asarray(array, order="C"), allow_pickle=False)


def read_arrays(
    path: str | Path, expected: Expected | None = None, *, leave_out: Callable[[str], bool] = lambda name: False
) -> tuple[dict[str, Array], dict[str, Any]]:
    """(arrays, metadata) of a file that ``write_arrays`` made.

    With ``expected``, {name: (shape, dtype)}, the file must hold exactly these arrays; it is compared before anything
    is allocated. Without it, the arrays take at most as much memory as the file has bytes. Arrays for whose names
    ``leave_out`` holds are not looked at.

    Raises LoadError, naming the file and the reason, for anything that is not a whole, undamaged file of that kind.
    """
    with _opened(path) as archive:
        metadata = _metadata(archive)
        headers = {
            info.filename.removesuffix(".npy"): _header(archive, info)
            for info in archive.infolist()
            if info.filename != METADATA and not leave_out(info.filename)
        }
        if expected is not None:
            compare(headers, expected)
        return {name: _array(archive, f"{name}.npy", header) for name, header in headers.items()}, metadata


def read_metadata(path: str | Path) -> dict[str, Any]:
    """The metadata alone; the arrays are not read. Raises LoadError as ``read_arrays`` does."""
    with _opened(path) as archive:
        return _metadata(archive)


class _Header(NamedTuple):
    shape: Shape
    dtype: np.dtype[Any]
    fortran_order: bool
    start: int  # bytes before the numbers


@contextmanager
def _opened(path: str | Path) -> Iterator[zipfile.ZipFile]:
    """The archive, its members checked. Whatever a broken file makes the libraries raise becomes a LoadError."""
    with reading(path, "an .npz file") as file, zipfile.ZipFile(file) as archive:
        _check_members(archive)
        check_layout(archive, file)
        yield archive


def _check_members(archive: zipfile.ZipFile) -> None:
    seen: set[str] = set()
    for info in archive.infolist():
        if problem := _name_problem(info.filename):
            refuse(f"the member name {info.filename[:NAME_LIMIT]!r} is refused ({problem})")
        if info.filename in seen:
            refuse(f"the member '{info.filename}' appears twice")
        seen.add(info.filename)
        if info.flag_bits & 1:
            refuse(f"the member '{info.filename}' is encrypted")
        if info.compress_type != zipfile.ZIP_STORED or info.compress_size != info.file_size:
            fix = "np.savez writes stored members, np.savez_compressed does not."
            refuse(explain("stored members", f"'{info.filename}', which is compressed", fix))
    if METADATA not in seen:
        refuse(f"it has no {METADATA}, so minicnn did not write it")


def check_layout(archive: zipfile.ZipFile, file: IO[bytes], *, gaps: bool = False) -> None:
    """The members must follow one another from the first byte up to the directory; with ``gaps``, not overlap.

    So none is hidden by a damaged directory, and none shares its bytes with another, which would expand on reading.
    """
    position = 0
    for info in sorted(archive.infolist(), key=lambda info: info.header_offset):
        if info.header_offset < position or (info.header_offset > position and not gaps):
            refuse(f"before the member '{info.filename}' there are gaps or overlaps")
        position = member_start(info, file) + info.compress_size
    if position > archive.start_dir or (position < archive.start_dir and not gaps):
        refuse("its directory does not list everything it holds")


def member_start(info: zipfile.ZipInfo, file: IO[bytes]) -> int:
    """Where in the archive a member's own bytes begin."""
    file.seek(info.header_offset + 26)  # in a member's own header: the lengths of its name and of its extra field
    name, extra = struct.unpack("<HH", file.read(4))
    return info.header_offset + 30 + int(name) + int(extra)


def _name_problem(name: str) -> str:
    """Why a member may not be called that; empty when it may."""
    if name == METADATA:
        return ""
    stem = name.removesuffix(".npy")
    if stem == name:
        return "not an .npy member"
    if len(name) > NAME_LIMIT:
        return f"longer than {NAME_LIMIT} characters"
    if not stem.isprintable() or any(character in stem for character in '\\:*?"<>|'):
        return "characters that mean something else in paths"
    if any(part in ("", ".", "..") for part in stem.split("/")):
        return "an absolute path, or a part that is empty, '.' or '..'"
    return ""


def _encode(metadata: Mapping[str, Any]) -> str:
    try:
        text = json.dumps(dict(metadata), allow_nan=False, indent=1)
    except (TypeError, ValueError) as error:
        raise OptionError(
            explain("metadata that JSON can hold", str(error), "Use str, int, float, lists, dicts.")
        ) from error
    if len(text) > TEXT_LIMIT:
        raise OptionError(explain(f"metadata of at most {TEXT_LIMIT} bytes", f"{len(text)} bytes"))
    return text


def _metadata(archive: zipfile.ZipFile) -> dict[str, Any]:
    if archive.getinfo(METADATA).file_size > TEXT_LIMIT:
        refuse(f"{METADATA} is larger than {TEXT_LIMIT} bytes")
    return parse_json(archive.read(METADATA), METADATA)


def _header(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> _Header:
    """Dtype and shape of one member, read from its first bytes and compared with its size."""
    with archive.open(info) as member:
        version = npy.read_magic(member)
        if version == (1, 0):
            shape, fortran_order, dtype = npy.read_array_header_1_0(member)
        elif version == (2, 0):
            shape, fortran_order, dtype = npy.read_array_header_2_0(member)
        else:
            refuse(f"'{info.filename}' has the unknown .npy version {version}")
        start = member.tell()
    if dtype.kind not in NUMBERS:
        refuse(explain(f"numbers in '{info.filename}'", f"dtype {dtype}", "Anything else could run code when loaded."))
    size = math.prod(shape) * dtype.itemsize  # in Python's integers, which do not overflow
    if min(shape, default=0) < 0 or start + size != info.file_size:
        refuse(f"'{info.filename}' announces shape {shape} of {dtype}, which its {info.file_size} bytes do not hold")
    return _Header(tuple(shape), dtype, fortran_order, start)


def _array(archive: zipfile.ZipFile, member_name: str, header: _Header) -> Array:
    """The numbers, read in pieces straight into their array. The checksum is compared at the member's last byte."""
    flat = np.empty(math.prod(header.shape), header.dtype)
    with archive.open(member_name) as member:
        member.read(header.start)
        _fill(member, flat.view(np.uint8), member_name)
    array = flat.reshape(header.shape, order="F" if header.fortran_order else "C")
    return array if array.flags.c_contiguous else array.copy()  # loops read and write rows


def _fill(member: IO[bytes], target: Array, member_name: str) -> None:
    position = 0
    while position < target.size:
        piece = member.read(min(CHUNK, target.size - position))
        if not piece:
            refuse(f"'{member_name}' ends early")
        target[position : position + len(piece)] = np.frombuffer(piece, np.uint8)
        position += len(piece)
