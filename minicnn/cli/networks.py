"""How networks are named on a command line: vgg-face, face-cnn, 224x224x3."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from minicnn.errors import LoadError, OptionError, did_you_mean, explain

if TYPE_CHECKING:
    from minicnn.models import Architecture

NETWORKS = ("face-cnn", "residual-cnn", "vgg-face")
INPUTS = {"face-cnn": (200, 200, 1), "residual-cnn": (200, 200, 1), "vgg-face": (224, 224, 3)}
CLASSES = {"face-cnn": 40, "residual-cnn": 40, "vgg-face": 2622}
LARGEST = 4096


def parse_shape(text: str) -> tuple[int, int, int]:
    """ "224x224x3" -> (224, 224, 3): rows, columns, channels. Raises OptionError for anything else."""
    match = re.fullmatch(r"(\d{1,4})x(\d{1,4})x(\d{1,4})", text.strip().lower())
    sizes = tuple(map(int, match.groups())) if match else ()
    if len(sizes) != 3 or not all(1 <= size <= LARGEST for size in sizes):
        expected = f"a shape ROWSxCOLUMNSxCHANNELS, each from 1 to {LARGEST}"
        raise OptionError(explain(expected, repr(text), "Grey crops are 200x200x1, VGG-Face's are 224x224x3."))
    return sizes[0], sizes[1], sizes[2]


def no_network(word: str) -> LoadError:
    """The error for a word that names no network in any of the ways that there are."""
    from minicnn.io.models import READABLE

    fix = f"{did_you_mean(word, NETWORKS)} Networks: {', '.join(NETWORKS)}; files: {', '.join(READABLE)}."
    expected = "the folder of a run, a file with a network, or a network's name"
    return LoadError(explain(expected, repr(word), fix.strip()))


def architecture(name: str, input: str | None = None, classes: int | None = None, *, top: bool = True) -> Architecture:
    """The table of a network by its name; None means the network's own default. Raises OptionError for unknown
    names.
    """
    from minicnn.models import face_cnn_table, residual_cnn_table, vgg_face_table

    if name not in NETWORKS:
        expected = f"a network: {', '.join(NETWORKS[:-1])} or {NETWORKS[-1]}"
        raise OptionError(explain(expected, repr(name), did_you_mean(name, NETWORKS)))
    shape = parse_shape(input) if input else INPUTS[name]
    classes = CLASSES[name] if classes is None else classes
    if name == "vgg-face":
        return vgg_face_table(shape, classes, include_top=top)
    if not top:
        raise OptionError(explain("--no-top with vgg-face", f"--no-top with {name}", f"{name} always has its top."))
    return residual_cnn_table(shape, classes) if name == "residual-cnn" else face_cnn_table(shape, classes)
