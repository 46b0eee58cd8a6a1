"""The bytes of a MATLAB file, as they lie there or packed by zlib, and the tags in front of its elements."""

from __future__ import annotations

import struct
import zlib
from typing import BinaryIO, NamedTuple

from minicnn.io.checks import CHUNK, refuse

HEADER = 128  # bytes
PACKED_PIECE = 1 << 16  # bytes of packed data at a time


class Plain:
    """Bytes as they lie in the file."""

    def __init__(self, file: BinaryIO) -> None:
        self._file, self.position = file, HEADER

    def read(self, size: int) -> bytes:
        """The next bytes; all of them or an error."""
        self._file.seek(self.position)
        data = self._file.read(size)
        if len(data) != size:
            refuse("it is cut off")
        self.position += size
        return data

    def skip_to(self, position: int) -> None:
        """Go there, forward or back."""
        self.position = position


class Packed:
    """Bytes that are unpacked as they are asked for. Going back means starting again."""

    def __init__(self, file: BinaryIO, start: int, packed_size: int) -> None:
        self._file, self._start, self.packed_size = file, start, packed_size
        self._restart()

    def _restart(self) -> None:
        self._unpack, self._taken, self.position = zlib.decompressobj(), 0, 0

    def read(self, size: int) -> bytes:
        """The next unpacked bytes; all of them or an error."""
        pieces = []
        missing = size
        while missing:
            piece = self._some(missing)
            if not piece:
                refuse("packed data end early")
            pieces.append(piece)
            missing -= len(piece)
        self.position += size
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def _some(self, most: int) -> bytes:
        while not self._unpack.eof:
            data = self._unpack.unconsumed_tail
            if not data:
                self._file.seek(self._start + self._taken)
                data = self._file.read(min(PACKED_PIECE, self.packed_size - self._taken))
                self._taken += len(data)
            piece = self._unpack.decompress(data, most)
            if piece or not data:
                return piece
        return b""

    def skip_to(self, position: int) -> None:
        """Go there; what lies between is unpacked and dropped."""
        if position < self.position:
            self._restart()
        while self.position < position:
            self.read(min(CHUNK, position - self.position))

    def finish(self, end: int) -> None:
        """Unpack to the end, where zlib's checksum stands, and compare it."""
        self.skip_to(end)
        if self._some(1) or not self._unpack.eof:
            refuse("packed data go on, or break off, where they should end")


Stream = Plain | Packed


class Tag(NamedTuple):
    """An element: its type, its size in bytes, and its data where they are small enough to lie within the tag."""

    type: int
    size: int
    small: bytes | None


def read_tag(stream: Stream, end: int) -> Tag:
    """The element that starts here and must end before ``end``."""
    first, second = struct.unpack("<II", stream.read(8))
    if first >> 16:
        tag = Tag(first & 0xFFFF, first >> 16, struct.pack("<I", second))
        if tag.size > 4:
            refuse("a small element is not small")
        return tag
    if stream.position + second > end:
        refuse(f"an element announces {second} bytes, more than what encloses it")
    return Tag(first, second, None)
