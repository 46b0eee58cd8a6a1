"""Photographs in and out: RGB, uint8 0..255, (H, W, 3), C-contiguous, and upright.

One rule for every kind of file, so that a picture has the same pixels whatever it came in:

- Formats: JPEG, PNG, WebP, BMP, PGM and PPM (binary), recognised by their content, not by their name.
- At most 50 megapixels, checked in the header, before decoding (``headers.py``). Incomplete files are refused.
- Orientation: the EXIF tag is applied (JPEG, PNG, WebP), once, here. Without a sensible tag: as stored.
- 16 bits per channel: rounded to 8, ``(v + 128) // 257``, so that 65535 becomes 255.
- Transparency: laid over white paper, as a page would show it. What hides under transparent pixels is arbitrary. A
  BMP's fourth byte is padding and is dropped.
- Grey: repeated in R, G and B. CMYK: converted by OpenCV, without colour profiles; these are ignored in all files.
- Animations (WebP, PNG): the first frame.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np

from detection.headers import Header, read_header, refuse
from detection.optional import load_cv2
from detection.regular_files import open_regular
from minicnn.errors import DtypeError, ImageError, OptionError, ShapeError, explain
from minicnn.io.atomic import atomic_write
from minicnn.shapes import Array

MAX_PIXELS = 50_000_000
MAX_BYTES = 512 * 1024 * 1024  # an uncompressed 16-bit picture of 50 megapixels fits; a film does not
MOST_KINDS = 6  # of other files that are named
LONGEST_KIND = 20  # letters
SUFFIXES = (".bmp", ".jfif", ".jpe", ".jpeg", ".jpg", ".pgm", ".png", ".pnm", ".ppm", ".webp")

# -- reading ---------------------------------------------------------------------------------------------------------


def read_image(path: str | os.PathLike[str]) -> Array:
    """Read a photograph: RGB, uint8 0..255, shape (H, W, 3), turned upright.

    Raises ImageError, naming the file, when it is missing, no regular file, no picture of a known format, larger than
    50 megapixels, incomplete or damaged; MissingDependencyError without OpenCV.
    """
    return decode_image(_read_bytes(path), os.fspath(path))


def decode_image(data: bytes, source: str) -> Array:
    """What ``read_image`` returns, from the content of a picture file. ``source`` names it in errors."""
    cv2 = load_cv2("Reading photographs")
    if not data:
        raise refuse(source, "a picture", "an empty file", "Copy or download it again.")
    header = read_header(data, source)
    if not (header.width > 0 and header.height > 0 and header.width * header.height <= MAX_PIXELS):
        size = f"{header.width}x{header.height} pixels"
        raise refuse(source, f"a picture of 1 to {MAX_PIXELS // 10**6} megapixels", size, "Make it smaller first.")
    try:
        # UNCHANGED also means: not turned. The orientation is applied below, by one rule for all formats.
        pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    except cv2.error as error:
        raise refuse(
            source, f"a {header.format} picture", f"OpenCV's refusal: {error.err}", "Convert it to PNG."
        ) from None
    if pixels is None or pixels.shape[:2] != (header.height, header.width):
        raise refuse(
            source,
            f"{header.height} rows of {header.width} pixels, as its {header.format} header says",
            "something OpenCV cannot decode" if pixels is None else f"shape {pixels.shape}",
            "The file is damaged or of a rare kind: open it in another program and save it as PNG.",
        )
    return upright(_rgb(pixels, header), header.orientation)


def upright(picture: Array, orientation: int) -> Array:
    """Turn a picture (H, W) or (H, W, C) as its EXIF orientation 1 to 8 demands; the result is C-contiguous."""
    if orientation not in range(1, 9):
        raise OptionError(explain("an EXIF orientation from 1 to 8", orientation))
    if orientation >= 5:  # 5 to 8: rows and columns change places
        picture = picture.swapaxes(0, 1)
    rows, columns = {2: (1, -1), 3: (-1, -1), 4: (-1, 1), 6: (1, -1), 7: (-1, -1), 8: (-1, 1)}.get(orientation, (1, 1))
    return np.ascontiguousarray(picture[::rows, ::columns])


def _rgb(pixels: Array, header: Header) -> Array:
    """What OpenCV decoded, (H, W), BGR or BGRA, 8 or 16 bits -> RGB uint8 (H, W, 3)."""
    if pixels.dtype == np.uint16:
        pixels = ((pixels.astype(np.uint32) + 128) // 257).astype(np.uint8)
    if pixels.ndim == 2:
        pixels = pixels[:, :, None]
    if pixels.shape[2] == 1:
        return np.repeat(pixels, 3, axis=2)  # (H, W, 1) -> (H, W, 3)
    rgb = pixels[:, :, 2::-1]  # BGR -> RGB; a fourth channel stays behind
    if pixels.shape[2] == 4 and header.format != "BMP":
        alpha = pixels[:, :, 3:].astype(np.uint16)
        rgb = ((rgb * alpha + 255 * (255 - alpha) + 127) // 255).astype(np.uint8)
    return rgb


def _read_bytes(path: str | os.PathLike[str]) -> bytes:
    with open_regular(path, "picture") as file:
        size = os.fstat(file.fileno()).st_size
        if size > MAX_BYTES:
            raise refuse(os.fspath(path), f"a file of at most {MAX_BYTES // 2**20} MiB", f"{size // 2**20} MiB")
        return file.read(MAX_BYTES)


# -- grey ------------------------------------------------------------------------------------------------------------


def check_rgb(picture: Array, name: str = "picture") -> None:
    """Raise DtypeError or ShapeError unless ``picture`` is RGB: uint8 (H, W, 3), with at least one pixel."""
    if not isinstance(picture, np.ndarray) or picture.dtype != np.uint8:
        received = f"dtype {picture.dtype}" if isinstance(picture, np.ndarray) else type(picture).__name__
        raise DtypeError(explain(f"{name} as a uint8 array, 0..255", received, "read_image returns one."))
    if picture.ndim != 3 or picture.shape[2] != 3 or picture.size == 0:
        fix = "Grey to RGB: np.repeat(grey[:, :, None], 3, axis=2)." if picture.ndim == 2 else ""
        raise ShapeError(explain(f"{name} as RGB (H, W, 3)", f"shape {picture.shape}", fix))


def to_grey(rgb: Array) -> Array:
    """Brightness of an RGB picture, uint8 (H, W, 3) -> uint8 (H, W): 0.299 R + 0.587 G + 0.114 B (ITU-R BT.601)."""
    check_rgb(rgb)
    cv2 = load_cv2("Turning a photograph grey")
    grey: Array = cv2.cvtColor(np.ascontiguousarray(rgb), cv2.COLOR_RGB2GRAY)
    return grey


# -- writing ---------------------------------------------------------------------------------------------------------


def write_image(path: str | os.PathLike[str], picture: Array) -> None:
    """Write a grey (H, W) or RGB (H, W, 3) uint8 picture; the suffix of the name chooses the format. Atomic.

    The file is written beside its destination, synced, and renamed: whoever looks finds the old picture or the new one,
    never half of one. JPEG is written at quality 95; PNG, BMP, PGM and PPM keep every pixel. Raises OptionError for an
    unknown suffix, DtypeError or ShapeError for an array that is no picture, ImageError when the folder refuses.
    """
    target = Path(path)
    if target.suffix.lower() not in SUFFIXES:
        fix = "Use .png to keep every pixel."
        raise OptionError(explain(f"a name that ends in one of {', '.join(SUFFIXES)}", f"'{target}'", fix))
    is_grey = isinstance(picture, np.ndarray) and picture.ndim == 2
    check_rgb(np.broadcast_to(picture[:, :, None], (*picture.shape, 3)) if is_grey else picture)
    cv2 = load_cv2("Writing pictures")
    suffix = ".jpg" if target.suffix.lower() in (".jfif", ".jpe") else target.suffix.lower()
    pixels = np.ascontiguousarray(picture if is_grey else picture[:, :, ::-1])  # OpenCV's order is BGR
    try:
        done, encoded = cv2.imencode(suffix, pixels)
    except cv2.error as error:
        done, encoded = False, error.err
    if not done:
        raise ImageError(explain(f"a picture that {suffix} can hold", f"shape {picture.shape}", "Use .png."))
    _write(target, encoded.tobytes())


def _write(target: Path, data: bytes) -> None:
    try:
        with atomic_write(target) as file:
            file.write(data)
    except (OSError, OptionError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        fix = "Check that the folder exists and can be written to."
        raise refuse(str(target), "a place to write a picture to", reason, fix) from None


# -- folders ---------------------------------------------------------------------------------------------------------


def list_images(folder: str | os.PathLike[str]) -> list[Path]:
    """All picture files in a folder and below, chosen by suffix, sorted by path.

    Hidden files and folders are left out (systems keep thumbnails there). Linked folders are not entered; a linked file
    counts if it lies inside ``folder``. Raises ImageError when there is no such folder or no picture in it, or when it
    or a folder below cannot be read: its pictures would be missing without a word.
    """
    return look_through(folder)[0]


def _raise(_: Path, error: ImageError) -> None:
    raise error


def look_through(
    folder: str | os.PathLike[str], closed: Callable[[Path, ImageError], None] = _raise
) -> tuple[list[Path], list[Path]]:
    """(``list_images(folder)``, every other file that is not hidden). Raises what ``list_images`` raises.

    ``closed`` hears of each folder that cannot be read; it is no error then, as long as there is a picture elsewhere.
    """
    root = Path(folder)
    if not root.is_dir():
        what = "a file" if root.exists() else "no such folder"
        raise refuse(str(root), "a folder with pictures", what, "Check the name.")
    inside = root.resolve()
    found: list[Path] = []
    others: list[Path] = []
    hidden = False
    unread: list[tuple[Path, ImageError]] = []

    def cannot_read(error: OSError) -> None:
        path, reason = Path(error.filename or root), error.strerror or error
        unread.append((path, refuse(str(path), "a folder that can be read", reason, "Check its permissions.")))

    for parent, folders, names in os.walk(root, onerror=cannot_read):  # followlinks is off
        hidden = hidden or any(name.startswith(".") for name in [*folders, *names])
        folders[:] = [name for name in folders if not name.startswith(".")]
        for path in (Path(parent, name) for name in names if not name.startswith(".")):
            (found if _is_inside(path, inside) and path.suffix.lower() in SUFFIXES else others).append(path)
    for path, error in unread:
        (closed if found else _raise)(path, error)
    if not found:
        nothing = "nothing but what is hidden" if hidden else "no files at all"
        received = f"{len(others)} other file{'s'[: len(others) != 1]}: {kinds(others)}" if others else nothing
        fix = f"Pictures are recognised by their suffix: {', '.join(SUFFIXES)}."
        raise refuse(str(root), "a folder with at least one picture", received, fix)
    return sorted(found), sorted(others)


def _is_inside(path: Path, folder: Path) -> bool:
    """Is it a file, or a link to one, inside ``folder``?"""
    try:
        return path.is_file() and path.resolve().is_relative_to(folder)
    except OSError:  # its folder may be listed, but not looked into: whoever reads the file is told so
        return True


def kinds(files: Iterable[Path]) -> str:
    """How many files have which suffix, the most frequent first: "3 .heic, 1 .gif".

    A picture's suffix says here that the file itself could not be taken: a link that leaves the folder, or to nothing.
    """
    numbers = Counter(f"{'linked ' * os.path.islink(path)}{_suffix(path) or 'without a suffix'}" for path in files)
    ordered = sorted(numbers.items(), key=lambda kind: (-kind[1], kind[0]))
    words = [f"{number} {kind}" for kind, number in ordered[:MOST_KINDS]]
    rest = sum(number for _, number in ordered[MOST_KINDS:])
    return ", ".join([*words, f"{rest} more"] if rest else words)


def _suffix(path: Path) -> str:
    """In small letters, fit to be printed whatever somebody called the file."""
    suffix = path.suffix.lower()
    return suffix[:LONGEST_KIND] if suffix.isprintable() else ascii(suffix)[1:-1][:LONGEST_KIND]
