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
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, NamedTuple, NoReturn

import numpy as np
from numpy.lib import format as npy

from minicnn.errors import LoadError, OptionError, explain
from minicnn.io.atomic import atomic_write
from minicnn.shapes import Array, Shape

METADATA = "metadata.json"
METADATA_LIMIT = 4 << 20  # bytes; an architecture of a thousand layers takes a tenth of it
NAME_LIMIT = 200  # characters
CHUNK = 1 << 24  # bytes read at a time, so that a large array is not held twice
NUMBERS = "biuf"  # bool, integers, floats

Expected = Mapping[str, tuple[Shape, Any]]


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


def read_arrays(path: str | Path, expected: Expected | None = None) -> tuple[dict[str, Array], dict[str, Any]]:
    """(arrays, metadata) of a file that ``write_arrays`` made.

    With ``expected``, {name: (shape, dtype)}, the file must hold exactly these arrays; it is compared before anything
    is allocated. Without it, the arrays take at most as much memory as the file has bytes.

    Raises LoadError, naming the file and the reason, for anything that is not a whole, undamaged file of that kind.
    """
    with _opened(path) as archive:
        metadata = _metadata(archive)
        headers = {
            info.filename.removesuffix(".npy"): _header(archive, info)
            for info in archive.infolist()
            if info.filename != METADATA
        }
        if expected is not None:
            _compare(headers, expected)
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
    try:
        if not Path(path).is_file():  # a named pipe would wait for ever
            _refuse("no such file" if not Path(path).exists() else "not a regular file")
        with open(path, "rb") as file, zipfile.ZipFile(file) as archive:
            _check_members(archive)
            _check_layout(archive, file)
            yield archive
    except LoadError as error:
        raise LoadError(f"Cannot load '{path}': {error}") from error.__cause__
    except Exception as error:  # zipfile and numpy raise a dozen kinds on broken input: all mean the same here
        reason = "not an .npz file, or cut off" if isinstance(error, zipfile.BadZipFile) else "damaged"
        raise LoadError(f"Cannot load '{path}': {reason} ({type(error).__name__}: {error}).") from error


def _refuse(reason: str) -> NoReturn:
    raise LoadError(reason if reason.endswith(".") else f"{reason}.")


def _check_members(archive: zipfile.ZipFile) -> None:
    seen: set[str] = set()
    for info in archive.infolist():
        if problem := _name_problem(info.filename):
            _refuse(f"the member name {info.filename[:NAME_LIMIT]!r} is refused ({problem})")
        if info.filename in seen:
            _refuse(f"the member '{info.filename}' appears twice")
        seen.add(info.filename)
        if info.flag_bits & 1:
            _refuse(f"the member '{info.filename}' is encrypted")
        if info.compress_type != zipfile.ZIP_STORED or info.compress_size != info.file_size:
            fix = "np.savez writes stored members, np.savez_compressed does not."
            _refuse(explain("stored members", f"'{info.filename}', which is compressed", fix))
    if METADATA not in seen:
        _refuse(f"it has no {METADATA}, so minicnn did not write it")


def _check_layout(archive: zipfile.ZipFile, file: IO[bytes]) -> None:
    """The members must follow one another from the first byte up to the directory.

    So none is hidden by a damaged directory, and none shares its bytes with another, which would expand on reading.
    """
    position = 0
    for info in sorted(archive.infolist(), key=lambda info: info.header_offset):
        if info.header_offset != position:
            _refuse(f"before the member '{info.filename}' there are gaps or overlaps")
        file.seek(position + 26)  # in a member's own header: the lengths of its name and of its extra field
        name, extra = struct.unpack("<HH", file.read(4))
        position += 30 + name + extra + info.file_size
    if position != archive.start_dir:
        _refuse("its directory does not list everything it holds")


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
    if len(text) > METADATA_LIMIT:
        raise OptionError(explain(f"metadata of at most {METADATA_LIMIT} bytes", f"{len(text)} bytes"))
    return text


def _metadata(archive: zipfile.ZipFile) -> dict[str, Any]:
    if archive.getinfo(METADATA).file_size > METADATA_LIMIT:
        _refuse(f"{METADATA} is larger than {METADATA_LIMIT} bytes")
    try:
        metadata = json.loads(archive.read(METADATA).decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise LoadError(f"{METADATA} is not JSON ({error}).") from error
    if not isinstance(metadata, dict):
        _refuse(f"{METADATA} is not an object {{...}}")
    return metadata


def _header(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> _Header:
    """Dtype and shape of one member, read from its first bytes and compared with its size."""
    with archive.open(info) as member:
        version = npy.read_magic(member)
        if version == (1, 0):
            shape, fortran_order, dtype = npy.read_array_header_1_0(member)
        elif version == (2, 0):
            shape, fortran_order, dtype = npy.read_array_header_2_0(member)
        else:
            _refuse(f"'{info.filename}' has the unknown .npy version {version}")
        start = member.tell()
    if dtype.kind not in NUMBERS:
        _refuse(explain(f"numbers in '{info.filename}'", f"dtype {dtype}", "Anything else could run code when loaded."))
    size = math.prod(shape) * dtype.itemsize  # in Python's integers, which do not overflow
    if min(shape, default=0) < 0 or start + size != info.file_size:
        _refuse(f"'{info.filename}' announces shape {shape} of {dtype}, which its {info.file_size} bytes do not hold")
    return _Header(tuple(shape), dtype, fortran_order, start)


def _compare(headers: Mapping[str, _Header], expected: Expected) -> None:
    problems = [f"'{name}' is missing" for name in expected if name not in headers]
    problems += [f"'{name}' is unknown" for name in headers if name not in expected]
    for name, (shape, dtype) in expected.items():
        if (header := headers.get(name)) and (header.shape != tuple(shape) or header.dtype != np.dtype(dtype)):
            wanted = f"{tuple(shape)} {np.dtype(dtype)}"
            problems.append(f"'{name}' is {header.shape} {header.dtype}, expected {wanted}")
    if problems:
        more = f"; and {len(problems) - 8} more" if len(problems) > 8 else ""
        _refuse(f"the arrays do not fit: {'; '.join(problems[:8])}{more}")


def _array(archive: zipfile.ZipFile, member_name: str, header: _Header) -> Array:
    """The numbers, read in pieces straight into their array. The checksum is compared at the member's last byte."""
    flat = np.empty(math.prod(header.shape), header.dtype)
    with archive.open(member_name) as member:
        member.read(header.start)
        _fill(member, flat.view(np.uint8), member_name)
    return flat.reshape(header.shape, order="F" if header.fortran_order else "C")


def _fill(member: IO[bytes], target: Array, member_name: str) -> None:
    position = 0
    while position < target.size:
        piece = member.read(min(CHUNK, target.size - position))
        if not piece:
            _refuse(f"'{member_name}' ends early")
        target[position : position + len(piece)] = np.frombuffer(piece, np.uint8)
        position += len(piece)
