"""What a layer is, in words and numbers: for the strip of layers, and for the layer that is being looked at.

What a pixel of a map looks at is sent for whole rows and columns at once: the page can then follow the pointer without
asking again. That is exact, because windows lie along rows and columns.
"""

from __future__ import annotations

from typing import Any

from minicnn.explorer.planes import Planes
from minicnn.explorer.scene import Scene
from minicnn.layers import (
    Conv2D,
    Conv2DTranspose,
    GlobalAveragePooling2D,
    GlobalMaxPooling2D,
    Layer,
    SeparableConv2D,
)
from minicnn.shapes import Shape, Window

from minicnn.summary import LayerSummary, summarize

POOLED_WHOLE = (GlobalAveragePooling2D, GlobalMaxPooling2D)
ALL_CHANNELS = (Conv2D, Conv2DTranspose, SeparableConv2D)  # each of their maps reads every channel

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
    layer = scene.forward.layer(name)
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

    Raises OptionError for a name there is not.
    """
    planes = scene.planes(name)
    if scene.forward.value(name) == 0:
        return {"source": None, "window": None, "field": None, "own_channel": False, "dilation": (1, 1)}
    use = scene.forward.use(name)
    window = getattr(use.layer, "window", None)
    return {
        "source": use.reads[0] if use.reads[0] in scene.names else None,
        "window": _window_spans(use.layer, use.xs[0].shape[1:], planes),
        "field": _field_spans(scene, name, planes),
        "own_channel": not planes.is_vector and not isinstance(use.layer, ALL_CHANNELS),
        "dilation": window.dilation if isinstance(window, Window) else (1, 1),
    }


def _window_spans(layer: Layer, read: Shape, planes: Planes) -> dict[str, Spans] | None:
    """In the maps that the layer reads; None where it reads none, or no part of them in particular."""
    if len(read) != 3:
        return None
    if isinstance(layer, POOLED_WHOLE):
        return {"rows": [(0, read[0])], "columns": [(0, read[1])]}
    window = getattr(layer, "window", None)
    if isinstance(window, Window) and not planes.is_vector:
        pads, sizes = window.pads(read[0], read[1]), (planes.rows, planes.columns)
        rows, columns = (
            [(i * s - pad[0], i * s - pad[0] + span) for i in range(n)]
            for n, s, pad, span in zip(sizes, window.strides, pads, window.span, strict=True)
        )
        return {"rows": rows, "columns": columns}
    if read == planes.shape:  # number by number
        return {"rows": [(i, i + 1) for i in range(read[0])], "columns": [(i, i + 1) for i in range(read[1])]}
    return None


def _field_spans(scene: Scene, name: str, planes: Planes) -> dict[str, Spans]:
    """TEMPORARY until study.receptive_field."""
    rows, columns = _compose(scene, scene.forward.value(name))
    return {"rows": rows, "columns": columns}


def _compose(scene: Scene, value: int):  # type: ignore[no-untyped-def]
    shape = scene.forward.values[value].shape[1:]
    if value == 0:
        return [(i, i + 1) for i in range(shape[0])], [(i, i + 1) for i in range(shape[1])]
    use = scene.forward.use_at(value - 1)
    node = scene.model.graph.nodes[value - 1]
    windows = _window_spans(use.layer, use.xs[0].shape[1:], Planes.of(shape)) if len(shape) == 3 else None
    parts = []
    for source in node.sources:
        below = _compose(scene, source)
        if windows is None:
            parts.append([[(min(a for a, _ in axis), max(b for _, b in axis))] for axis in below])
            continue
        axes = []
        for axis, window in zip(below, (windows["rows"], windows["columns"]), strict=True):
            spans = []
            for a, b in window:
                inside = axis[max(a, 0) : max(b, 0)]
                spans.append((min(s for s, _ in inside), max(e for _, e in inside)))
            axes.append(spans)
        parts.append(axes)
    merged = []
    for k in range(2):
        merged.append([(min(p[0] for p in each), max(p[1] for p in each)) for each in zip(*(part[k] for part in parts))])
    return merged
