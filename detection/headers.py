"""What a picture file says about itself, read before anything is decoded.

A decoder believes the file: a few hundred bytes can promise 60,000 x 60,000 pixels, and the memory is gone before the
first one is read. A download that broke off decodes too, its lower half a flat grey. So the format is recognised by
its first bytes (a name proves nothing), the size is read from the header, and the structure is walked to its end
marker. Nothing here allocates more than a slice of the file.

One thing stays hidden: a JPEG that was cut off and then closed with an end marker has a sound structure. libjpeg
warns on the standard error stream and fills up with grey; OpenCV does not make it an error.

The orientation comes along: cameras store what the sensor saw and note in the EXIF data (tag 0x0112) how to turn it.

References: ITU T.81 annex B (JPEG), the W3C's PNG specification, RFC 9649 (WebP), Netpbm's pgm(5) and ppm(5),
CIPA DC-008 (EXIF).
"""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass

from minicnn.errors import ImageError, explain

FORMATS = "JPEG, PNG, WebP, BMP, PGM or PPM"
BROKEN_OFF = "The file is incomplete: copy or download it again."
DAMAGED = "The file is damaged: copy or download it again."


@dataclass(frozen=True)
class Header:
    """Format, size in pixels as stored, and the EXIF orientation 1 to 8 (1: as stored; also when nothing is said)."""

    format: str
    width: int
    height: int
    orientation: int = 1


def refuse(source: str, expected: str, received: object, fix: str = "") -> ImageError:
    """The error for a picture that cannot be used; it starts with the name of the file."""
    return ImageError(f"'{source}': {explain(expected, received, fix)}")


def read_header(data: bytes, source: str) -> Header:
    """The header of the picture file ``data``; ``source`` names it in errors.

    Raises ImageError when the format is unknown, the file stops early, or it is damaged where that can be seen without
    decoding. What only the decoder can see (wrong Huffman codes, say) is left to the decoder.
    """
    for magic, parse in _PARSERS:
        if re.match(magic, data, re.DOTALL):
            try:
                return parse(data, source)
            except (struct.error, IndexError):  # a field lies beyond the end of the file
                raise refuse(source, "a complete picture", "a file that stops in its header", BROKEN_OFF) from None
    kind = next((name for magic, name in _REFUSED if re.match(magic, data, re.DOTALL)), None)
    if kind is None and b"\0" not in data[:512] and data[:512].isascii():
        kind = "text"
    shown = kind or f"a file that begins with the bytes {data[:8].hex(' ')}"
    raise refuse(source, f"a picture ({FORMATS})", shown, "Convert it to PNG or JPEG, or choose another file.")


# -- JPEG ------------------------------------------------------------------------------------------------------------

# In compressed data, 0xFF is followed by 0 (it stands for itself) or a restart marker D0 to D7. All else is a marker.
_NEXT_MARKER = re.compile(rb"\xff+[^\x00\xff\xd0-\xd7]")
_SIZE_MARKERS = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}  # "start of frame"; the three are tables


def _jpeg(data: bytes, source: str) -> Header:
    size, orientation, scans = None, 1, 0
    position = 2
    while True:
        found = _NEXT_MARKER.search(data, position)
        if found is None:
            raise refuse(source, "a JPEG that ends with its end marker", "one that stops early", BROKEN_OFF)
        position = found.end()
        marker = data[position - 1]
        if marker == 0xD9:
            break
        (length,) = struct.unpack_from(">H", data, position)
        segment = data[position + 2 : position + length]
        if marker in _SIZE_MARKERS and size is None:
            size = struct.unpack_from(">xHH", segment)
        elif marker == 0xE1 and segment.startswith(b"Exif\0\0"):
            orientation = _exif_orientation(segment[6:])
        elif marker == 0xDA:
            scans += 1
        position += length
    if size is None or not scans:
        raise refuse(source, "a JPEG with a size and picture data", "one without", DAMAGED)
    return Header("JPEG", size[1], size[0], orientation)


def _exif_orientation(tiff: bytes) -> int:
    """Tag 0x0112 of the first directory; 1 when it is absent or makes no sense: the picture is usable anyway."""
    order = {b"II": "<", b"MM": ">"}.get(tiff[:2])
    if order is None:
        return 1
    try:
        (start,) = struct.unpack_from(f"{order}I", tiff, 4)
        (entries,) = struct.unpack_from(f"{order}H", tiff, start)
        for entry in range(entries):
            tag, kind, count, value = struct.unpack_from(f"{order}HHIH", tiff, start + 2 + 12 * entry)
            if tag == 0x0112:
                return value if kind == 3 and count == 1 and 1 <= value <= 8 else 1
    except struct.error:
        pass
    return 1


# -- PNG -------------------------------------------------------------------------------------------------------------


def _png(data: bytes, source: str) -> Header:
    size, orientation, position = None, 1, 8
    while True:
        length, kind = struct.unpack_from(">I4s", data, position)
        end = position + 8 + length
        if end + 4 > len(data):
            raise refuse(source, "a PNG that ends with its end marker", "one that stops early", BROKEN_OFF)
        if zlib.crc32(memoryview(data)[position + 4 : end]) != struct.unpack_from(">I", data, end)[0]:
            raise refuse(source, "a PNG whose checksums fit", f"a wrong one in its block {kind!r}", DAMAGED)
        body = data[position + 8 : end]
        if size is None:
            if kind != b"IHDR":
                raise refuse(source, "a PNG that begins with its size", f"the block {kind!r}", DAMAGED)
            size = struct.unpack_from(">II", body)
        elif kind == b"eXIf":
            orientation = _exif_orientation(body)
        elif kind == b"IEND":
            return Header("PNG", size[0], size[1], orientation)
        position = end + 4


# -- WebP, BMP, PGM and PPM ------------------------------------------------------------------------------------------


def _webp(data: bytes, source: str) -> Header:
    (total,) = struct.unpack_from("<I", data, 4)
    if total + 8 > len(data):
        raise refuse(source, f"a WebP of {total + 8} bytes", f"{len(data)}", BROKEN_OFF)
    size, orientation, position = None, 1, 12
    while position + 8 <= total + 8:
        kind, length = struct.unpack_from("<4sI", data, position)
        body = data[position + 8 : position + 8 + length]
        if size is None:
            size = _webp_size(kind, body)
        if kind == b"EXIF":
            orientation = _exif_orientation(body.removeprefix(b"Exif\0\0"))
        position += 8 + length + length % 2
    if size is None:
        raise refuse(source, "a WebP with a picture in it", "one without", DAMAGED)
    return Header("WebP", *size, orientation)


def _webp_size(kind: bytes, body: bytes) -> tuple[int, int] | None:
    if kind == b"VP8X":  # the canvas of a picture with extras: alpha, EXIF, animation
        return 1 + int.from_bytes(body[4:7], "little"), 1 + int.from_bytes(body[7:10], "little")
    if kind == b"VP8L":  # lossless: 14 bits each
        (bits,) = struct.unpack_from("<I", body, 1)
        return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    if kind == b"VP8 ":
        width, height = struct.unpack_from("<HH", body, 6)
        return width & 0x3FFF, height & 0x3FFF
    return None


def _bmp(data: bytes, source: str) -> Header:
    (kind,) = struct.unpack_from("<I", data, 14)
    width, height = struct.unpack_from("<HH" if kind == 12 else "<ii", data, 18)
    return Header("BMP", width, abs(height))  # a negative height: rows from top to bottom


_PNM = re.compile(rb"P[56](?:\s|#[^\n]*\n)+(\d{1,9})(?:\s|#[^\n]*\n)+(\d{1,9})(?:\s|#[^\n]*\n)+(\d{1,5})\s")


def _pnm(data: bytes, source: str) -> Header:
    name = "PGM" if data[1:2] == b"5" else "PPM"
    match = _PNM.match(data[:4096])
    if match is None:
        raise refuse(source, f"a {name} header: width, height and largest value", "something else", DAMAGED)
    width, height, largest = map(int, match.groups())
    if largest not in (255, 65535):  # OpenCV would return the numbers as they are: a picture too dark
        fix = "Convert it to PNG."
        raise refuse(source, f"a {name} with the largest value 255 or 65535", largest, fix)
    size = width * height * (3 if name == "PPM" else 1) * (1 if largest == 255 else 2)
    body = len(data) - match.end()
    if body != size:
        # Too many is not harmless: after a change of line endings, everything would be shifted by some pixels.
        fix = BROKEN_OFF if body < size else "Were its line endings changed? Copy it again, in binary mode."
        raise refuse(source, f"{size} bytes of pixels for {width}x{height}", body, fix)
    return Header(name, width, height)


_PARSERS: tuple[tuple[bytes, Callable[[bytes, str], Header]], ...] = (
    (rb"\xff\xd8\xff", _jpeg),
    (rb"\x89PNG\r\n\x1a\n", _png),
    (rb"RIFF....WEBP", _webp),
    (rb"BM.{12}[\x0c-\x7c]\0\0\0", _bmp),
    (rb"P[56][\s#]", _pnm),
)
_REFUSED = (  # recognised to say what it is, not to read it
    (rb"GIF8[79]a", "a GIF (256 colours, often an animation)"),
    (rb"II\*\0|MM\0\*", "a TIFF, or a camera's raw file"),
    (rb"....ftyp(hei|hev|mif|msf)", "a HEIC picture"),
    (rb"....ftypavi", "an AVIF picture"),
    (rb"....ftyp", "a video"),
    (rb"P[1-4][\s#]", "a PBM, or a PGM or PPM written as text"),
    (rb"%PDF", "a PDF"),
    (rb"PK\x03\x04", "a zip archive"),
    (rb"\s*<", "HTML, SVG or XML"),
)
