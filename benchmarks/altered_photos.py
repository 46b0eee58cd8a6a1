"""Many photographs from few: copies with changes, so that a large collection need not be kept anywhere.

Each copy is mirrored or not, brighter or darker, grainy, larger or smaller, and saved as JPEG of some quality, by
chance from (seed, number). So no two are the same file, and the same call writes the same collection.
"""

from __future__ import annotations

import functools
import multiprocessing
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from detection.images import list_images, read_image
from detection.optional import load_cv2
from minicnn.errors import ImageError, OptionError, explain
from minicnn.shapes import Array

LARGEST = 1200  # pixels on the longer side: what a camera makes is not needed to find a face


def write_copies(source: Path, folder: Path, photos: int, seed: int, processes: int) -> None:
    """Write ``photos`` altered copies of the photographs in ``source`` (a folder per person) to ``folder``.

    Photographs that cannot be read are copied as they are: a collection has such files too.
    """
    originals = [path for path in list_images(source) if len(path.relative_to(source).parts) > 1]
    if not originals:
        raise OptionError(explain("photographs in a folder per person", f"none in '{source}'"))
    job = functools.partial(_write_copy, source, folder, originals, seed)
    with multiprocessing.get_context("spawn").Pool(processes) as pool:
        for _ in pool.imap_unordered(job, range(photos), chunksize=8):
            pass


def _write_copy(source: Path, folder: Path, originals: Sequence[Path], seed: int, number: int) -> None:
    original = originals[number % len(originals)]
    person = original.relative_to(source).parts[0]
    target = folder / person / f"{number:06d}.jpg"
    if target.exists():
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        rgb = read_image(original)
    except ImageError:
        target.write_bytes(original.read_bytes())
        return
    rng = np.random.default_rng([seed, number])
    encoded = load_cv2("Writing pictures").imencode(
        ".jpg", np.ascontiguousarray(altered(rgb, rng)[:, :, ::-1]), [1, int(rng.integers(60, 96))]
    )[1]  # RGB -> BGR; 1 is cv2.IMWRITE_JPEG_QUALITY
    target.write_bytes(encoded.tobytes())


def altered(rgb: Array, rng: np.random.Generator) -> Array:
    """A variant of a photograph, uint8 (H, W, 3): mirrored, scaled, brightened, with noise."""
    cv2 = load_cv2("Altering photographs")
    if rng.random() < 0.5:
        rgb = rgb[:, ::-1]
    scale = min(1.0, LARGEST / max(rgb.shape[:2])) * rng.uniform(0.7, 1.1)
    size = tuple(max(1, round(scale * length)) for length in rgb.shape[1::-1])
    rgb = cv2.resize(np.ascontiguousarray(rgb), size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
    noisy = rgb * np.float32(rng.uniform(0.75, 1.25)) + rng.normal(0, rng.uniform(0, 6), rgb.shape).astype(np.float32)
    return np.clip(np.rint(noisy), 0, 255).astype(np.uint8)
