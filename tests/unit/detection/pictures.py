"""Picture files made on the spot: sound ones of every kind, to be read or broken. No photograph is committed."""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
from PIL import Image


def gradient(height: int = 48, width: int = 64) -> np.ndarray:
    """An RGB picture, smooth enough for JPEG, in which every corner has another colour: (H, W, 3) uint8."""
    y, x = np.mgrid[0 : 1 : height * 1j, 0 : 1 : width * 1j]
    return (np.stack([x, y, 1 - x * y], axis=-1) * 255).round().astype(np.uint8)


def encode(picture: np.ndarray | Image.Image, kind: str, **options) -> bytes:
    """Pillow's encoder: another one than the decoder under test."""
    image = picture if isinstance(picture, Image.Image) else Image.fromarray(picture)
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def exif(orientation: int, order: str = "<") -> bytes:
    """EXIF data with nothing but tag 0x0112."""
    tiff = struct.pack(
        f"{order}2sHIHHHIHHI", b"II" if order == "<" else b"MM", 42, 8, 1, 0x0112, 3, 1, orientation, 0, 0
    )
    return b"Exif\0\0" + tiff


def png_block(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png_promising(width: int, height: int) -> bytes:
    """A few dozen bytes, well formed in every respect, that claim to be width x height pixels."""
    header = png_block(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + png_block(b"IDAT", zlib.compress(b"")) + png_block(b"IEND", b"")
