"""Everything the page can ask for: an address, and the function that answers. A picture is bytes (PNG), data a dict.

The server puts these addresses on the web, ``export`` asks the same functions and writes the answers into a file. All
arguments are words, as they stand in an address; what they mean is checked here. ``target`` is the class from which
gradients start, ``epoch`` a network of the training (``replay``); without them, the likeliest class and the network as
it is.

Every function computes under the explorer's lock, which whoever calls has to hold (``Explorer.lock``).
"""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any

import numpy as np

from minicnn.errors import OptionError, explain
from minicnn.explorer import algorithms, pictures, playground
from minicnn.explorer.about import about_layer, describe_layers
from minicnn.explorer.costs import measured_costs
from minicnn.explorer.explorer import Explorer
from minicnn.explorer.numbers import MOST_TERMS, taken_apart
from minicnn.explorer.scene import Scene
from minicnn.explorer.text import whole_word
from minicnn.shapes import Array
from minicnn.summary import summarize

Answer = bytes | dict[str, Any]

LIVELIEST = 4  # maps of a layer that stand for it in the strip
TOP = 10  # classes whose scores are sent
GRADIENT_OF = {
    "probability": "the loss, were CLASS the right answer,",
    "score": "the score of CLASS",
    "embedding": "CLASS of the embedding",
}


# -- the whole ---------------------------------------------------------------------------------------------------------


def state(explorer: Explorer) -> Answer:
    """What the page begins with: the network's layers, the photograph, the scores."""
    scene, subject = explorer.scene(), explorer.subject
    scores = scene.scores
    top = np.argsort(-scores, kind="stable")[:TOP]
    named = [{"class": int(k), "name": subject.class_name(int(k)), "score": float(scores[k])} for k in top]
    kind = "probability" if scene.ends_in_softmax else "embedding" if subject.embeds else "score"
    return {
        "number": explorer.number,
        "model": {
            "name": subject.model.name,
            "parameters": subject.model.count_params(),
            "multiplications": sum(row.multiplications for row in summarize(subject.model)),
            "note": subject.note,
        },
        "photo": scene.photo.to_dict(),
        "scores": {"kind": kind, "of": scores.size, "top": named},
        "target": scene.best,
        "gradient_of": GRADIENT_OF[kind],
        "layers": describe_layers(scene),
        "kernels": list(playground.KERNELS),
        "training": explorer.replay.to_dict(),
    }


def beside(explorer: Explorer, target: str | None = None, epoch: str | None = None) -> Answer:
    """Lets the other framework begin, so that its numbers are there when they are asked for."""
    explorer.ask_beside(_class(target), _epoch(epoch))
    return {}


def photo(explorer: Explorer) -> Answer:
    """The photograph, at most as large as a page shows it."""
    return pictures.photo_png(explorer.scene().photo.rgb)


def crop(explorer: Explorer) -> Answer:
    """The face, as it was cut out."""
    return pictures.photo_png(explorer.scene().photo.crop)


# -- layers and their maps ---------------------------------------------------------------------------------------------


def layer(explorer: Explorer, layer: str, epoch: str | None = None) -> Answer:
    """What a layer reads: the window and the receptive field of each of its rows and columns."""
    return about_layer(explorer.scene(_epoch(epoch)), layer)


def strip(
    explorer: Explorer, direction: str, layer: str, target: str | None = None, epoch: str | None = None
) -> Answer:
    """A layer's liveliest maps below each other: those whose numbers vary most."""
    scene = explorer.scene(_epoch(epoch))
    values, planes = scene.values(direction, layer, _class(target)), scene.planes(layer)
    chosen = [0]
    if not planes.is_vector:
        spread = np.nan_to_num(values.std(axis=(0, 1)))
        chosen = sorted(np.argsort(-spread, kind="stable")[:LIVELIEST].tolist())
    return pictures.sheet_png([planes.plane(values, k) for k in chosen], pictures.limit_of(values), across=1)


def sheet(
    explorer: Explorer,
    direction: str,
    layer: str,
    page: str,
    target: str | None = None,
    epoch: str | None = None,
    most: str | None = None,
) -> Answer:
    """PER_SHEET maps of a layer, from ``page`` 0 on, or the ``most`` first of them; one scale for all of the layer."""
    scene, first = explorer.scene(_epoch(epoch)), whole_word(page, "page") * pictures.PER_SHEET
    values, planes = scene.values(direction, layer, _class(target)), scene.planes(layer)
    if first >= planes.count:
        raise OptionError(explain(f"a page that '{layer}' has, of {planes.count} maps", page))
    many = pictures.PER_SHEET if most is None else min(pictures.PER_SHEET, max(1, whole_word(most, "most")))
    numbers = range(first, min(first + many, planes.count))
    return pictures.sheet_png([planes.plane(values, k) for k in numbers], pictures.limit_of(values))


def one_map(
    explorer: Explorer, direction: str, layer: str, number: str, target: str | None = None, epoch: str | None = None
) -> Answer:
    """One map, a pixel per number; its own largest number is fully opaque."""
    plane = _plane(explorer.scene(_epoch(epoch)), direction, layer, number, target)
    return pictures.map_png(plane, pictures.limit_of(plane))


def values(
    explorer: Explorer, direction: str, layer: str, number: str, target: str | None = None, epoch: str | None = None
) -> Answer:
    """The numbers of one map: little-endian float32 in base64, row by row."""
    plane = _plane(explorer.scene(_epoch(epoch)), direction, layer, number, target)
    return {
        "base64": base64.b64encode(plane.astype("<f4").tobytes()).decode(),
        "least": float(plane.min()),
        "most": float(plane.max()),
        "zeros": float(np.mean(plane == 0)),
    }


def kernel(explorer: Explorer, layer: str, number: str, epoch: str | None = None) -> Answer:
    """The weights that make map ``number`` of a convolution: "taps" (C, KH, KW), and the channel that counts most.

    How much a channel counts is estimated by the size of its weights times that of its map.
    """
    use = explorer.scene(_epoch(epoch)).forward.use(layer)
    weights = algorithms.require_convolution(use.layer).params["kernel"]
    f = whole_word(number, "map")
    if f >= weights.shape[3]:
        raise OptionError(explain(f"a map from 0 to {weights.shape[3] - 1}", number))
    taps = weights[..., f].transpose(2, 0, 1)  # (KH, KW, C) -> (C, KH, KW)
    sizes = np.square(taps).sum(axis=(1, 2)) * np.square(use.xs[0][0]).mean(axis=(0, 1))
    strongest = int(sizes.argmax())
    return {"taps": np.round(taps, 6).tolist(), "limit": pictures.limit_of(taps), "strongest": strongest}


def filters(explorer: Explorer, layer: str, epoch: str | None = None) -> Answer:
    """The first kernels of a convolution as pictures, for the first channel that they read."""
    weights = algorithms.require_convolution(explorer.scene(_epoch(epoch)).forward.use(layer).layer).params["kernel"]
    shown = [np.ascontiguousarray(weights[:, :, 0, f]) for f in range(min(weights.shape[3], pictures.PER_SHEET))]
    return pictures.sheet_png(shown, pictures.limit_of(weights))


# -- one number --------------------------------------------------------------------------------------------------------


def number(
    explorer: Explorer,
    direction: str,
    layer: str,
    number: str,
    row: str,
    column: str,
    target: str | None = None,
    epoch: str | None = None,
    most: str | None = None,
) -> Answer:
    """One number taken apart, into ``most`` terms, and the other framework's number in the same place."""
    scene = explorer.scene(_epoch(epoch))
    index = scene.planes(layer).index(*_place(row, column, number))
    explanation = scene.explain(direction, layer, index, _class(target))
    return taken_apart(explanation, MOST_TERMS if most is None else whole_word(most, "most")) | {
        "keras": explorer.number_beside(direction, layer, index, _class(target), _epoch(epoch))
    }


def ways(explorer: Explorer, layer: str, number: str, row: str, column: str, epoch: str | None = None) -> Answer:
    """One output of a convolution by loops, im2col and Winograd."""
    scene = explorer.scene(_epoch(epoch))
    use = scene.forward.use(layer)
    algorithms.require_convolution(use.layer)
    r, c, f = scene.planes(layer).index(*_place(row, column, number))
    return algorithms.ways(use.layer, use.xs[0][0], (r, c, f))


def play(
    explorer: Explorer, kernel: str = "edges", padding: str = "same", stride: str = "1", dilation: str = "1"
) -> Answer:
    """The playground: ``kernel`` is a name from KERNELS, or nine numbers with commas between them."""
    try:
        taps = playground.KERNELS.get(kernel) or tuple(map(float, kernel.split(",")))
    except ValueError:
        names = ", ".join(playground.KERNELS)
        raise OptionError(explain(f"a kernel: {names}, or nine numbers", repr(kernel))) from None
    picture = playground.small_picture(explorer.scene().photo.crop)
    return playground.play(picture, taps, padding, whole_word(stride, "stride"), whole_word(dilation, "dilation"))


def costs(explorer: Explorer) -> Answer:
    """Time, multiplications and memory of each layer, measured now, and what this machine could do."""
    return measured_costs(explorer.scene())


ROUTES: dict[str, Callable[..., Answer]] = {
    "state": state,
    "beside": beside,
    "photo.png": photo,
    "crop.png": crop,
    "layers/{layer}": layer,
    "strips/{direction}/{layer}.png": strip,
    "sheets/{direction}/{layer}/{page}.png": sheet,
    "maps/{direction}/{layer}/{number}.png": one_map,
    "values/{direction}/{layer}/{number}": values,
    "kernels/{layer}/{number}": kernel,
    "filters/{layer}.png": filters,
    "numbers/{direction}/{layer}/{number}/{row}/{column}": number,
    "ways/{layer}/{number}/{row}/{column}": ways,
    "play": play,
    "costs": costs,
}


def _plane(scene: Scene, direction: str, layer: str, number: str, target: str | None) -> Array:
    return scene.planes(layer).plane(scene.values(direction, layer, _class(target)), whole_word(number, "map"))


def _place(row: str, column: str, number: str) -> tuple[int, int, int]:
    return whole_word(row, "row"), whole_word(column, "column"), whole_word(number, "map")


def _class(target: str | None) -> int | None:
    return None if target is None else whole_word(target, "class")


def _epoch(epoch: str | None) -> int | None:
    return None if epoch is None else whole_word(epoch, "epoch")
