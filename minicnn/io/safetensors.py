"""safetensors: arrays behind one line of JSON that says where each lies. The format that PyTorch's models travel in.

    8 bytes     length n of the header, little endian
    n bytes     {"conv1.weight": {"dtype": "F32", "shape": [64, 3, 3, 3], "data_offsets": [0, 6912]}, ...,
                 "__metadata__": {"format": "pt"}}
    the rest    the numbers, little endian, first axis slowest, one array after the other

A format made to be read safely: nothing in it can run. Left to check are lies about sizes. So the offsets must tile the
file exactly (no gap, no overlap, no byte left over) and fit shapes and types, before anything is allocated. The reader
is our own because it is this short, and because it reads into arrays with other axes without a copy (``stored.py``),
which the library by that name does not offer.

``write_safetensors`` keeps the network's architecture as JSON under "minicnn" in ``__metadata__``.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping
from typing import Any, BinaryIO

import numpy as np

from minicnn.errors import explain
from minicnn.io.atomic import atomic_write
from minicnn.io.checks import CHUNK, TEXT_LIMIT, parse_json, refuse
from minicnn.io.stored import Stored, fill_rows
from minicnn.shapes import Array

DTYPES = {
    **{"F16": "<f2", "F32": "<f4", "F64": "<f8", "BOOL": "|b1"},
    **{"I8": "|i1", "I16": "<i2", "I32": "<i4", "I64": "<i8", "U8": "|u1", "U16": "<u2", "U32": "<u4", "U64": "<u8"},
}
METADATA = "__metadata__"


def read_header(file: BinaryIO) -> tuple[dict[str, Stored], dict[str, str]]:
    """(arrays by name, metadata) of an open file; no number is read yet. Raises LoadError for a header that lies."""
    size = os.fstat(file.fileno()).st_size
    file.seek(0)
    length = int.from_bytes(file.read(8), "little")
    if size < 8 or length > min(size - 8, TEXT_LIMIT):
        refuse(f"its header announces {length} bytes, of {max(size - 8, 0)} in the file; at most {TEXT_LIMIT} are read")
    header = parse_json(file.read(length), "its header")
    metadata = header.pop(METADATA, {})
    if not isinstance(metadata, dict) or not all(isinstance(value, str) for value in metadata.values()):
        refuse(f"{METADATA} is not a table of texts")
    ends: list[tuple[int, int, str]] = []
    stored: dict[str, Stored] = {}
    for name, entry in header.items():
        shape, dtype, start, end = _entry(name, entry)
        ends.append((start, end, name))
        stored[name] = Stored(shape, dtype, _fill(file, 8 + length + start, dtype, name))
    position = 0
    for start, end, name in sorted(ends):
        if start != position:
            refuse(f"before '{name}' there are gaps or overlaps")
        position = end
    if 8 + length + position != size:
        refuse(f"its arrays end at byte {8 + length + position}, the file at {size}")
    return stored, metadata


def write_safetensors(path: Any, arrays: Mapping[str, Array], metadata: Mapping[str, Any]) -> None:
    """Write ``arrays`` under their addresses, and ``metadata`` as JSON. The file appears complete or not at all."""
    codes = {np.dtype(dtype): code for code, dtype in DTYPES.items()}
    header: dict[str, Any] = {METADATA: {"format": "np", "minicnn": json.dumps(metadata, allow_nan=False)}}
    position = 0
    for name, array in arrays.items():
        offsets = [position, position + array.nbytes]
        header[name] = {"dtype": codes[array.dtype], "shape": array.shape, "data_offsets": offsets}
        position += array.nbytes
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)  # so that the numbers start at a multiple of 8
    with atomic_write(path) as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for array in arrays.values():
            flat = np.ascontiguousarray(array).reshape(-1).view(np.uint8)
            for start in range(0, flat.size, CHUNK):
                file.write(flat[start : start + CHUNK].data)


def _entry(name: str, entry: Any) -> tuple[tuple[int, ...], np.dtype[Any], int, int]:
    if not isinstance(entry, dict) or entry.keys() != {"dtype", "shape", "data_offsets"}:
        refuse(f"the entry '{name}' is not {{dtype, shape, data_offsets}}")
    shape, offsets, code = entry["shape"], entry["data_offsets"], entry["dtype"]
    if code not in DTYPES:
        refuse(explain(f"'{name}' in one of {', '.join(DTYPES)}", repr(code)))
    numbers = [*shape, *offsets] if isinstance(shape, list) and isinstance(offsets, list) else [None]
    if not all(type(number) is int and number >= 0 for number in numbers) or len(offsets) != 2 or len(shape) > 32:
        refuse(f"shape or offsets of '{name}' are no sizes")
    dtype = np.dtype(DTYPES[code])
    if offsets[1] - offsets[0] != math.prod(shape) * dtype.itemsize:
        refuse(f"'{name}' announces shape {tuple(shape)} of {dtype} in {offsets[1] - offsets[0]} bytes")
    return tuple(shape), dtype, offsets[0], offsets[1]


def _fill(file: BinaryIO, start: int, dtype: np.dtype[Any], name: str) -> Any:
    def fill(view: Array) -> None:
        file.seek(start)
        fill_rows(file, view, dtype, name)

    return fill
