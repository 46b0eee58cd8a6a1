"""What a layer is, in words and numbers: for the strip of layers, and for the layer that is being looked at.

What a pixel of a map looks at is sent for whole rows and columns at once: the page can then follow the pointer without
asking again. That is exact, because windows lie along rows and columns.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from minicnn.explorer.planes import Planes
from minicnn.explorer.scene import Scene
from minicnn.layers import (
    Conv2D,
    Conv2DTranspose,
    GlobalAveragePooling2D,
    GlobalMaxPooling2D,
    Layer,
    Permute,
)
from minicnn.shapes import Window
from minicnn.study import ReceptiveField, receptive_field
from minicnn.study.receptive_field import SEEN
from minicnn.study.use import Use
from minicnn.summary import LayerSummary, summarize

POOLED_WHOLE = (GlobalAveragePooling2D, GlobalMaxPooling2D)

Spans = list[tuple[int, int]]  # of each row (or column): the first position it looks at, and one past the last


def describe_layers(scene: Scene) -> list[dict[str, Any]]:
    """Every value that pictures can be made of, in the order of data: the input, then layer by layer."""
    rows = {row.name: row for row in summarize(scene.model)}
    return [_describe(scene, name, rows.get(name.partition("@")[0])) for name in scene.names]


def _describe(scene: Scene, name: str, row: LayerSummary | None) -> dict[str, Any]:
    planes = scene.planes(name)
    described: dict[str, Any] = {
        "name": name,
        "shape": planes.shape,
        "planes": {"count": planes.count, "rows": planes.rows, "columns": planes.columns, "vector": planes.is_vector},
    }
    if row is None:  # an input of the network: no layer makes it
        made = {"kind": "Input", "reads": (), "parameters": 0, "multiplications": 0, "algorithm": "", "words": ""}
        return described | made | {"kernels": False}
    layer = scene.forward.use(name).layer
    return described | {
        "kind": row.kind,
        "reads": scene.forward.use(name).reads,
        "parameters": row.parameters,
        "multiplications": row.multiplications,
        "algorithm": row.algorithm,
        "words": _words(layer),
        "kernels": isinstance(layer, Conv2D) and layer.groups == 1,
    }


def _words(layer: Layer) -> str:
    """Its options, as one would say them: "3×3 window, stride 2, padding same"."""
    window = getattr(layer, "window", None)
    if not isinstance(window, Window):
        return ""
    words = [f"{window.size[0]}×{window.size[1]} window", f"stride {_one_or_two(window.strides)}"]
    if window.dilation != (1, 1):
        words.append(f"dilation {_one_or_two(window.dilation)}")
    return ", ".join([*words, f"padding {window.padding}"])


def _one_or_two(pair: tuple[int, int]) -> str:
    return str(pair[0]) if pair[0] == pair[1] else f"{pair[0]} and {pair[1]}"


def about_layer(scene: Scene, name: str) -> dict[str, Any]:
    """What the pixels of a layer's maps look at: in the maps it reads ("window"), and of the input ("field").

    "channels" says of each map which one of those it reads, where that is one alone. Raises OptionError for a name
    there is not.
    """
    planes = scene.planes(name)
    if scene.forward.value(name) == 0:
        return {"source": None, "window": None, "field": None, "channels": None, "dilation": (1, 1)}
    use = scene.forward.use(name)
    window, spans = getattr(use.layer, "window", None), _window_spans(use, planes)
    return {
        "source": use.reads[0] if use.reads[0] in scene.names else None,
        "window": spans,
        "field": _field_spans(scene, name, planes),
        "channels": _channels(use, planes) if spans else None,
        "dilation": window.dilation if isinstance(window, Window) else (1, 1),
    }


def _window_spans(use: Use, planes: Planes) -> dict[str, Spans] | None:
    """In the maps that the layer reads; None where it reads none, or no rows and columns in particular."""
    layer, read = use.layer, use.xs[0].shape[1:]
    if len(read) != 3:
        return None
    if isinstance(layer, POOLED_WHOLE):
        return {"rows": [(0, read[0])], "columns": [(0, read[1])]}
    if planes.is_vector or isinstance(layer, Permute):  # there a row may be made of a column
        return None
    window, is_transposed = getattr(layer, "window", None), isinstance(layer, Conv2DTranspose)
    if isinstance(window, Window) and not is_transposed:  # with the padding that a window reaches into
        pads, sizes = window.pads(read[0], read[1]), (planes.rows, planes.columns)
        rows, columns = (
            [(i * s - pad[0], i * s - pad[0] + span) for i in range(n)]
            for n, s, pad, span in zip(sizes, window.strides, pads, window.span, strict=True)
        )
        return {"rows": rows, "columns": columns}
    if is_transposed or read == planes.shape:  # the window of the first leads from y to x; the others have none
        row, column = planes.rows // 2, planes.columns // 2
        return {
            "rows": [_read(use, i, column).box[0] for i in range(planes.rows)],
            "columns": [_read(use, row, i).box[1] for i in range(planes.columns)],
        }
    return None


def _channels(use: Use, planes: Planes) -> list[int] | None:
    """Of each map, the channel that it reads; None if a map reads several, or the layer makes no maps."""
    if planes.is_vector or len(_read(use, planes.rows // 2, planes.columns // 2).places[2]) > 1:
        return None
    each = planes.count // use.xs[0].shape[3]  # maps of one channel, one after the other
    return [k // each for k in range(planes.count)]


def _read(use: Use, row: int, column: int) -> ReceptiveField:
    """The places of the layer's first input, no further back, that a pixel of its first map is made of."""
    pixel = tuple(np.array([place]) for place in (row, column, 0))
    return ReceptiveField(SEEN[type(use.layer)](use.layer, pixel, [x.shape[1:] for x in use.xs], 0))


def _field_spans(scene: Scene, name: str, planes: Planes) -> dict[str, Spans] | None:
    """Of the input, if that is a picture: a row's span is the same in all columns, and the other way round.

    None for a vector whose numbers look at different places.
    """
    if len(scene.model.shapes[0]) != 3:
        return None

    def spans(row: int, column: int) -> list[tuple[int, int]]:
        box = receptive_field(scene.model, name, planes.index(row, column, 0)).box
        return list(box[:2])  # rows and columns, not channels

    if planes.is_vector:
        last = scene.planes(name).shape[0] - 1
        first, other = spans(0, 0), spans(*divmod(last, planes.columns))
        return {"rows": first[:1], "columns": first[1:]} if first == other else None
    middle = planes.rows // 2, planes.columns // 2  # where no window lies in the padding alone
    return {
        "rows": [spans(row, middle[1])[0] for row in range(planes.rows)],
        "columns": [spans(middle[0], column)[1] for column in range(planes.columns)],
    }
