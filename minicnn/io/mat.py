"""MATLAB files of level 5 (``save -v6`` and ``-v7``): the variables in them, without reading the large ones.

A file is 128 bytes of header and then elements: a tag (type and size in bytes) and as many bytes, up to a multiple of
8. An element of type MATRIX is an array, made of elements itself: flags, sizes, name, then numbers, text, or the arrays
within a cell or struct. One of type COMPRESSED holds a MATRIX packed by zlib.

``read_variables`` walks through all of it once: texts and small arrays become Python values, larger arrays of numbers
become ``Stored``, read when somebody asks, with their axes as MATLAB has them (the first axis fastest). SciPy's reader
would unpack everything first and ask later; here every size is compared with what encloses it before a byte is taken.
Function handles and objects are kept as ``Unreadable``: they are stepped over, never made.

    cell -> list      struct -> dict (1x1) or list of dicts      char -> str      numbers -> Stored
"""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass
from typing import Any, BinaryIO, NamedTuple

import numpy as np

from minicnn.io.checks import check_expansion, refuse
from minicnn.io.mat_streams import Packed, Plain, Stream, Tag, read_tag
from minicnn.io.stored import Stored, fill_rows
from minicnn.shapes import Array

MATRIX, COMPRESSED = 14, 15
NUMBERS = {1: "i1", 2: "u1", 3: "<i2", 4: "<u2", 5: "<i4", 6: "<u4", 7: "<f4", 9: "<f8", 12: "<i8", 13: "<u8"}
TEXTS = {1: "utf-8", 2: "utf-8", 4: "utf-16-le", 16: "utf-8", 17: "utf-16-le", 18: "utf-32-le"}
CELL, STRUCT, CHAR = 1, 2, 4
NUMERIC = {6: "<f8", 7: "<f4", 8: "i1", 9: "u1", 10: "<i2", 11: "<u2", 12: "<i4", 13: "<u4", 14: "<i8", 15: "<u8"}
OTHERS = {3: "an object", 5: "a sparse array", 16: "a function handle", 17: "an object"}
COMPLEX = 0x0800
ELEMENT_LIMIT = 100_000
DEPTH_LIMIT = 16
TEXT_LIMIT = 1 << 16


class Unreadable(NamedTuple):
    """Something that is not numbers, text, or arrays of these."""

    kind: str


def read_variables(file: BinaryIO, size: int) -> dict[str, Any]:
    """{name: value} of a MATLAB file of ``size`` bytes. Raises LoadError for a file that lies about its sizes."""
    file.seek(0)
    header = file.read(128)
    if header.startswith(b"MATLAB 7.3") or header.startswith(b"\x89HDF"):
        refuse("it is a MATLAB 7.3 file. Save it in MATLAB with -v7")
    if len(header) < 128 or header[124:128] != b"\x00\x01IM":
        refuse("it is not a little-endian MATLAB file of level 5")
    plain = Plain(file)
    walker = Walker()
    variables: dict[str, Any] = {}
    while plain.position < size:
        tag = read_tag(plain, size)
        start = plain.position
        stream: Plain | Packed = plain
        end = start + tag.size
        if tag.type == COMPRESSED:
            stream = Packed(file, start, tag.size)
            tag = read_tag(stream, 2**63)
            check_expansion(tag.size, size)
            end = stream.position + tag.size
        if tag.type != MATRIX:
            refuse(f"at byte {start} there is no array (type {tag.type})")
        name, value = walker.array(stream, end, 0)
        if name in variables:
            refuse(f"two variables have the name '{name[:100]}'")
        variables[name] = value
        if isinstance(stream, Packed):
            stream.finish(end)
            plain.skip_to(start + stream.packed_size)
        else:
            plain.skip_to(end)
    return variables


@dataclass
class Walker:
    """Reads arrays within arrays, and counts them."""

    elements: int = 0

    def array(self, stream: Stream, end: int, depth: int) -> tuple[str, Any]:
        """(name, value) of the MATRIX element whose content starts here and ends at ``end``."""
        self.elements += 1
        if self.elements > ELEMENT_LIMIT or depth > DEPTH_LIMIT:
            refuse("there are too many arrays, or they lie too deep in one another")
        if stream.position == end:
            return "", []  # an empty place in a cell
        flags = struct.unpack("<II", self._bytes(stream, end, 8))[0]
        kind = flags & 0xFF
        if kind in OTHERS:
            stream.skip_to(end)
            return f"{OTHERS[kind]} {self.elements}", Unreadable(OTHERS[kind])
        sizes = self._bytes(stream, end, 4 * 32)
        shape = struct.unpack(f"<{len(sizes) // 4}i", sizes)
        if len(shape) < 2 or min(shape) < 0:
            refuse(f"an array announces the sizes {shape}")
        name = self._bytes(stream, end, 256).decode("ascii", "replace")
        count = math.prod(shape)
        if kind == CELL:
            return name, self._several(stream, end, depth, count)
        if kind == STRUCT:
            return name, self._structs(stream, end, depth, count)
        if kind == CHAR:
            return name, self._text(stream, end)
        if kind not in NUMERIC or flags & COMPLEX:
            refuse(f"'{name}' is an array of unknown or complex type {kind}")
        return name, self._numbers(stream, end, shape, np.dtype(NUMERIC[kind]), name)

    def _several(self, stream: Stream, end: int, depth: int, count: int) -> list[Any]:
        if count > ELEMENT_LIMIT:
            refuse(f"a cell or struct announces {count} arrays")
        values = []
        for _ in range(count):
            tag = read_tag(stream, end)
            if tag.type != MATRIX or tag.small is not None:
                refuse("in a cell or struct there is something that is no array")
            inner = stream.position + tag.size
            values.append(self.array(stream, inner, depth + 1)[1])
            stream.skip_to(inner)
        return values

    def _structs(self, stream: Stream, end: int, depth: int, count: int) -> Any:
        width = struct.unpack("<i", self._bytes(stream, end, 4))[0]
        names = self._bytes(stream, end, TEXT_LIMIT)
        if not 1 <= width <= 256 or len(names) % width:
            refuse("the names of a struct's fields are damaged")
        fields = [names[i : i + width].split(b"\0")[0].decode("ascii", "replace") for i in range(0, len(names), width)]
        values = self._several(stream, end, depth, count * len(fields))
        step = max(1, len(fields))
        rows = [dict(zip(fields, values[i : i + step], strict=True)) for i in range(0, len(values), step)]
        return rows[0] if count == 1 and rows else rows

    def _text(self, stream: Stream, end: int) -> str:
        tag = read_tag(stream, end)
        if tag.type not in TEXTS or tag.size > TEXT_LIMIT:
            refuse(f"a text is longer than {TEXT_LIMIT} bytes, or of the unknown type {tag.type}")
        return self._content(stream, tag).decode(TEXTS[tag.type], "replace")

    def _numbers(self, stream: Stream, end: int, shape: tuple[int, ...], dtype: np.dtype[Any], name: str) -> Stored:
        tag = read_tag(stream, end)
        kept = np.dtype(NUMBERS[tag.type]) if tag.type in NUMBERS else refuse(f"numbers of unknown type {tag.type}")
        if math.prod(shape) * kept.itemsize != tag.size:  # MATLAB may keep whole numbers in a smaller type
            refuse(f"an array announces shape {shape} of {kept} in {tag.size} bytes")
        if tag.small is not None:
            values = np.frombuffer(tag.small[: tag.size], kept).reshape(shape, order="F")
            return Stored(shape, dtype, lambda view: np.copyto(view, values, casting="unsafe"))
        start = stream.position
        stream.skip_to(start + tag.size)

        def fill(view: Array) -> None:
            stream.skip_to(start)
            fill_rows(stream, view.T, kept, name)  # the first axis fastest is the last axis fastest, turned round

        return Stored(shape, dtype, fill)

    def _bytes(self, stream: Stream, end: int, most: int) -> bytes:
        tag = read_tag(stream, end)
        if tag.size > most:
            refuse(f"an element of {tag.size} bytes where at most {most} belong")
        return self._content(stream, tag)

    @staticmethod
    def _content(stream: Stream, tag: Tag) -> bytes:
        if tag.small is not None:
            return tag.small[: tag.size]
        data = stream.read(tag.size)
        stream.skip_to(stream.position + -tag.size % 8)
        return data
