"""Which face of a photograph is the person's, when it shows several.

``largest``   the largest face: who a photograph is about mostly stands in front.
``central``   the one closest to the middle. The rule of LFW, whose pictures were cut out around the person they name.
``only``      photographs with several faces are not used.
``alike``     the one most alike to the faces in the person's other photographs. Other people come and go; the person
              whose folder it is comes back in every picture.

"Alike" is measured without a network, which is yet to be trained: by the correlation of the faces' histograms of
oriented gradients (HOG), which see where edges run and not how bright the light was. What all faces have in common says
nothing, so the average face is taken away first. One number says little about two pictures; but a person's own face
resembles *many* of their photographs a little more than a stranger's does, so the mean over the better half of them
decides. Measured on ORL: with six photographs of somebody to compare with, their own face is more alike to them than a
stranger's in 94 of 100 cases; by the correlation of pixels in 90, with the average face left in, in 92.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence

import numpy as np

from detection.boxes import Face
from detection.headers import refuse
from detection.images import to_grey
from detection.optional import load_cv2
from minicnn.errors import LoadError, explain
from minicnn.shapes import Array

POLICIES = ("largest", "only", "alike", "central")
MAX_CANDIDATES = 20  # the largest faces of a crowd; the person is hardly the twenty-first
MAX_REFERENCES = 300  # photographs to compare with: more change nothing, and take memory
SIDE, CELL = 64, 16  # pixels: a face is scaled to SIDE, gradients are summed up per CELL
INNER = 0.8  # the part of a crop that is compared: hair and background change from day to day


def candidates(faces: Sequence[Face], policy: str, size: tuple[int, int], photo: str) -> list[Face]:
    """Those of ``faces`` (largest first) that the policy leaves: one, or for "alike" all that are to be compared.

    ``size`` is the photograph's (width, height). Raises ImageError when the policy is "only" and there are several.
    """
    if policy == "only" and len(faces) > 1:
        raise refuse(photo, "exactly one face (policy 'only')", f"{len(faces)} faces")
    if policy == "alike":
        return list(faces[:MAX_CANDIDATES])
    if policy == "central":
        return [min(faces, key=lambda face: _off_centre(face, size))]
    return list(faces[:1])


def _off_centre(face: Face, size: tuple[int, int]) -> int:
    """How far the middle of a face lies from the middle of its photograph, squared (and times four: whole numbers)."""
    box, (width, height) = face.box, size
    return (box.left + box.right - width) ** 2 + (box.top + box.bottom - height) ** 2


# -- alike ------------------------------------------------------------------------------------------------------------


def look(crop: Array) -> str:
    """What ``choose_alike`` compares of a crop, grey (S, S) or RGB (S, S, 3): its HOG in bytes, base64, 432 bytes."""
    cv2 = load_cv2("Comparing faces")
    grey = crop if crop.ndim == 2 else to_grey(crop)
    border = round((1 - INNER) / 2 * grey.shape[0])
    inner = grey[border : grey.shape[0] - border, border : grey.shape[1] - border]
    small = cv2.resize(inner, (SIDE, SIDE), interpolation=cv2.INTER_AREA)
    hog = cv2.HOGDescriptor((SIDE, SIDE), (2 * CELL, 2 * CELL), (CELL, CELL), (CELL, CELL), 9)
    values = hog.compute(small).ravel()  # each at most 1: blocks are normalised
    return base64.b64encode(np.rint(np.clip(values, 0, 1) * 255).astype(np.uint8).tobytes()).decode("ascii")


def average_look(looks: Sequence[str]) -> Array:
    """The average face, to be taken away before faces are compared: (D,) float32 of (D,) bytes each.

    One is unpacked at a time: those of 10,000 photographs together would take 20 MB.
    """
    total = np.zeros(())
    for text in looks:
        total = total + _bytes((text,))[0]
    return (total / len(looks)).astype(np.float32)


def choose_alike(photographs: Sequence[Sequence[str]], average: Array | float = 0.0) -> list[int]:
    """For every photograph of one person, given as the ``look`` of each of its faces: which face is the person's.

    Where there is nothing to compare with, or two are equally alike, the first (the largest) one. Photographs with one
    face are the ones compared with; where there are fewer than three of these, all are. ``average``: the average face
    of several people (one person's would take away what makes them different).
    """
    several = [i for i, looks in enumerate(photographs) if len(looks) > 1]
    single = [i for i, looks in enumerate(photographs) if len(looks) == 1]
    pool = single if len(single) >= 3 else [i for i, looks in enumerate(photographs) if looks]
    step = max(1, -(-len(pool) // MAX_REFERENCES))
    references = [(i, _vectors(photographs[i], average)) for i in pool[::step]]
    chosen = [0] * len(photographs)
    for index in several:
        others = [vectors for i, vectors in references if i != index]
        if others:
            own = _vectors(photographs[index], average)
            # per other photograph, its most similar face: (faces, D) . (D, faces there) -> (faces, others)
            similar = np.stack([(own @ vectors.T).max(axis=1) for vectors in others], axis=1)
            better_half = np.sort(similar, axis=1)[:, similar.shape[1] // 2 :]
            chosen[index] = int(np.argmax(better_half.mean(axis=1)))
    return chosen


def _vectors(looks: Sequence[str], average: Array | float) -> Array:
    """Standardised, so that a product is a correlation: (faces, D) float32."""
    values = _bytes(looks) - average
    values -= values.mean(axis=1, keepdims=True)
    length = np.linalg.norm(values, axis=1, keepdims=True)
    vectors: Array = values / np.where(length > 0, length, 1)
    return vectors


def _bytes(looks: Sequence[str]) -> Array:
    try:
        raw = [np.frombuffer(base64.b64decode(text, validate=True), np.uint8) for text in looks]
        return np.stack(raw).astype(np.float32)
    except (binascii.Error, ValueError):
        raise LoadError(explain("a dataset's journal as it was written", "damaged looks of faces")) from None
