"""Layers in a row, and rows that part and meet."""

from __future__ import annotations

import numpy as np

from minicnn.models import face_cnn
from minicnn.report.plots import GOOD, INK, KERAS, MUTED, OURS
from minicnn.shapes import Shape
from website.pictures.sheet import arrow, box, sheet, words

SHOWN = ("crop", "conv1", "conv2", "pool2", "conv3", "pool3", "conv4", "pool4", "conv5", "fc6")


def face_cnn_strip() -> str:
    """face_cnn's layers: as high as their pictures, as wide as their channels are many."""
    shape: Shape = (200, 200, 1)
    shapes = {"crop": shape}
    for layer in face_cnn(shape).layers:
        shapes[layer.name] = shape = layer.output_shape(shape)
    with sheet(17.4, 6.9, "face-cnn-strip") as (axes, drawing):
        middle = 0.8
        for name, shape in ((name, shapes[name]) for name in SHOWN):
            height = 5.0 * np.sqrt(shape[0] / 200) if len(shape) == 3 else 1.2
            width = 0.3 + 0.09 * np.sqrt(shape[-1])
            colour = KERAS if name.startswith("pool") else GOOD if name.startswith("fc") else OURS
            box(axes, (middle - width / 2, 2.6 - height / 2), width, height, "", colour)
            size = f"{shape[0]}²" if len(shape) == 3 else ""
            for y, told in ((5.5, name), (6.05, size), (6.6, f"x{shape[-1]}")):
                words(axes, (middle, y), told, size=7.5, colour=INK if told == name else MUTED)
            middle += 1.75
    return drawing.svg


def chain() -> str:
    """A layer forward and backward: what it gets, gives, and remembers."""
    with sheet(15.0, 5.4, "chain") as (axes, drawing):
        box(axes, (4.4, 0.6), 5.8, 1.3, "layer.forward(x)")
        box(axes, (4.4, 3.6), 5.8, 1.3, "layer.backward(dy, cache)", KERAS)
        arrow(axes, (2.2, 1.25), (4.3, 1.25), OURS)
        arrow(axes, (10.3, 1.25), (12.4, 1.25), OURS)
        arrow(axes, (12.4, 4.25), (10.3, 4.25), KERAS)
        arrow(axes, (4.3, 4.25), (2.2, 4.25), KERAS)
        arrow(axes, (7.3, 2.0), (7.3, 3.5), MUTED)
        for x, y, told in ((1.6, 1.25, "x"), (13.0, 1.25, "y"), (13.0, 4.25, "dy"), (1.6, 4.25, "dx")):
            words(axes, (x, y), told)
        words(axes, (7.6, 2.75), "cache", size=8.5, colour=MUTED, where="left")
        arrow(axes, (5.8, 4.95), (4.4, 5.3), KERAS)
        words(axes, (4.2, 5.3), "dkernel, dbias", size=8.5, where="right")
    return drawing.svg


def branches() -> str:
    """A way that parts and meets: forward a sum, backward a sum."""
    with sheet(15.0, 7.8, "branches") as (axes, drawing):
        for top, colour, back in ((0.2, OURS, False), (4.2, KERAS, True)):
            box(axes, (5.2, top), 3.6, 1.1, "Conv2D", colour)
            box(axes, (10.4, top + 1.5), 1.8, 1.1, "Add", colour)
            ways = [((2.2, top + 2.05), (10.3, top + 2.05)), ((2.2, top + 1.9), (5.1, top + 0.6))]
            ways += [((8.9, top + 0.6), (10.9, top + 1.4)), ((12.3, top + 2.05), (13.9, top + 2.05))]
            for start, end in ways:
                arrow(axes, end if back else start, start if back else end, colour)
            words(axes, (1.6, top + 2.05), "dx" if back else "x")
            words(axes, (14.5, top + 2.05), "dy" if back else "y")
            told = "the two that arrive at x are added" if back else "x is read twice"
            words(axes, (0.2, top + 2.95), told, size=8.5, colour=MUTED, where="left")
    return drawing.svg
