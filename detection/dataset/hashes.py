"""Is it the same picture? Perceptual hashes: numbers that stay nearly the same when a picture is saved again.

A picture is made small and grey, its cosine transform says how much there is of each slow wave, and every bit of the
hash says whether one wave is stronger than their median. Scaling, another format or compression, a little more light
move few of those bits; another picture moves half of them. How many bits differ is the Hamming distance.

The hash has 256 bits. Measured on the AT&T/ORL faces and on 420 photographs from the web: saved at 0.4 to 1.5 times
the size, as JPEG of quality 30 to 85, or brighter by a fifth, a picture changes in at most 20 bits; cut by 2 % on each
side, in 40. Different photographs of one person from the web differ in 49 bits or more, those of ORL, taken seconds
apart, in 14 or more (3 of 1,800 pairs in no more than 20), those of different people in 60 or more: hence ``DISTANCE``.

Buchner, the package ``imagehash`` (``phash``); Zauner, "Implementation and Benchmarking of Perceptual Image Hash
Functions", 2010.
"""

from __future__ import annotations

import importlib
from collections.abc import Sequence

import numpy as np

from detection.images import to_grey
from detection.optional import load_cv2
from minicnn.errors import LoadError, OptionError, explain, missing
from minicnn.shapes import Array

SIDE = 16  # waves in each direction
BITS = SIDE * SIDE
DISTANCE = 20  # bits: up to it, two pictures are taken for one
LARGE = 256  # pixels: larger pictures are first made as small, so that hashing costs nothing
ROWS = 256  # hashes compared with all others at a time: 80 MB for 10,000 of them


def require_imagehash() -> None:
    """Raise MissingDependencyError when imagehash is not installed: better before than after a long run."""
    try:
        importlib.import_module("imagehash")
    except ModuleNotFoundError as error:
        if error.name != "imagehash":
            raise
        raise missing("imagehash", "recognise", "Finding duplicates") from None


def perceptual_hash(picture: Array) -> str:
    """The hash of a picture, uint8 grey (H, W) or RGB (H, W, 3), as 64 hexadecimal digits."""
    require_imagehash()
    import imagehash
    from PIL import Image

    grey = picture if picture.ndim == 2 else to_grey(picture)
    scale = LARGE / max(grey.shape)
    if scale < 1:
        size = max(1, round(grey.shape[1] * scale)), max(1, round(grey.shape[0] * scale))
        grey = load_cv2("Hashing a picture").resize(grey, size, interpolation=3)  # cv2.INTER_AREA
    return str(imagehash.phash(Image.fromarray(grey), hash_size=SIDE))


def as_numbers(hashes: Sequence[str]) -> Array:
    """Hexadecimal hashes as numbers: (N,) texts -> (N, 4) uint64. Raises LoadError for what is no hash."""
    try:
        raw = b"".join(bytes.fromhex(text) for text in hashes)
        if any(len(text) != BITS // 4 for text in hashes):
            raise ValueError
    except ValueError:
        raise LoadError(explain(f"perceptual hashes of {BITS // 4} hexadecimal digits", "something else")) from None
    return np.frombuffer(raw, np.uint64).reshape(-1, BITS // 64)


def close_pairs(numbers: Array, distance: int) -> tuple[Array, Array]:
    """All pairs of hashes that differ in at most ``distance`` bits: (M, 2) indices i < j, and (M,) how many bits.

    Every hash is compared with every other one, N^2 / 2 comparisons: 10,000 take seconds. Raises OptionError for a
    distance below 0 or above the number of bits.
    """
    if not isinstance(distance, int) or isinstance(distance, bool) or not 0 <= distance <= BITS:
        fix = "0 finds only equal hashes."
        raise OptionError(explain(f"distance as an integer from 0 to {BITS}", repr(distance), fix))
    pairs, distances = [np.zeros((0, 2), np.int64)], [np.zeros(0, np.int64)]
    for start in range(0, len(numbers), ROWS):
        rows = numbers[start : start + ROWS]
        # (R, 1, 4) ^ (1, N, 4) -> (R, N, 4) -> (R, N): bits that differ
        differ = np.bitwise_count(rows[:, None] ^ numbers[None, start:]).sum(axis=2, dtype=np.int64)
        first, second = np.nonzero(differ <= distance)
        later = second > first
        pairs.append(np.stack([first[later], second[later]], axis=1) + start)
        distances.append(differ[first[later], second[later]])
    return np.concatenate(pairs), np.concatenate(distances)


def group(count: int, pairs: Array) -> Array:
    """Who belongs together when the pairs do, directly or by others in between: (count,) numbers of groups, from 0."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    graph = coo_array((np.ones(len(pairs), bool), (pairs[:, 0], pairs[:, 1])), shape=(count, count))
    return np.asarray(connected_components(graph, directed=False)[1], np.int64)
