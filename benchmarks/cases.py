"""Which layers are timed, and on what: three families, all fed by the crops.

- **of the networks**: the layers of face_cnn (8 crops) and VGG-Face (1 crop), each on what reaches it in its network;
- **others**: the layers and options that neither network has, on face_cnn's feature maps;
- **calls**: rows of ``tests/cases.py``, the table that every test shares. Their arrays are so small that nothing but
  the cost of calling is left. One row per kind of layer, all of them with ``--long``; a row added there is timed here.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from benchmarks.crops import SIZE, batch, pixels
from minicnn.layers import (
    ELU,
    LAYERS,
    AveragePooling2D,
    Conv2D,
    DepthwiseConv2D,
    Dropout,
    GlobalAveragePooling2D,
    GlobalMaxPooling2D,
    Layer,
    LeakyReLU,
    Sigmoid,
    Softmax,
    Tanh,
    ZeroPadding2D,
)
from minicnn.model import Model
from minicnn.models import Architecture, build, face_cnn_table, vgg_face_table
from minicnn.shapes import Array
from tests.cases import CASES, Case, row

CROP = (SIZE, SIZE, 1)
PEOPLE = 40

#: the tables of both networks, up to the logits; without dropout, because the engines draw different masks
TABLES: MappingProxyType[str, Architecture] = MappingProxyType(
    {
        "face_cnn": face_cnn_table(CROP, PEOPLE, softmax=False, dropout=0.0),
        "vgg_face": vgg_face_table(CROP, PEOPLE, softmax=False, dropout=0.0),
    }
)
LAYER_BATCH = MappingProxyType({"face_cnn": 8, "vgg_face": 1})
WEIGHTY = (
    "Conv2D",
    "Dense",
)  # where the time goes: every shape of them is timed, of other kinds the first in a network


@dataclass(frozen=True)
class LayerCase:
    """A name, the kind of layer, and how to get the built layer and its input (N, ...), float32."""

    id: str
    kind: str
    make: Callable[[], tuple[Layer, Array]]


@functools.cache
def network(name: str) -> Model:
    """The network of a table with its initial weights; made once, so nobody may change its weights."""
    return build(TABLES[name])


@functools.cache
def reaching(name: str) -> dict[str, Array]:
    """{layer: what reaches it in its network when the crops are put in}."""
    y, _ = batch(LAYER_BATCH[name])
    found = {}
    for layer in network(name).path:
        found[layer.name] = y
        y = layer(y)
    return found


def network_layers(name: str) -> Iterator[LayerCase]:
    """The layers of a network that differ in more than their name. Builds nothing until a case is made."""
    seen: set[Any] = set()
    shape = TABLES[name].input_shape
    for kind, layer_name, options, _ in TABLES[name].rows:
        output = LAYERS[kind](**options).output_shape(shape)
        mark = (kind, shape, output) if kind in WEIGHTY else kind
        if mark not in seen and kind != "Dropout":  # at rate 0 it does nothing; see others()
            yield LayerCase(f"{name}/{layer_name}", kind, functools.partial(_in_network, name, layer_name))
        seen.add(mark)
        shape = output


def others() -> Iterator[LayerCase]:
    """What neither network has, each in the place of face_cnn's first layer of another kind: pooling's or ReLU's maps,
    or the features that reach the dense layer.
    """
    options: list[tuple[str, type[Layer], dict[str, Any]]] = [
        ("MaxPooling2D", Conv2D, {"filters": 32, "kernel_size": 3, "padding": "same", "strides": 2}),
        ("MaxPooling2D", Conv2D, {"filters": 32, "kernel_size": 3, "padding": "same", "dilation_rate": 2}),
        ("MaxPooling2D", Conv2D, {"filters": 32, "kernel_size": 3, "padding": "same", "groups": 4}),
        ("MaxPooling2D", DepthwiseConv2D, {"kernel_size": 3, "padding": "same"}),
        ("MaxPooling2D", AveragePooling2D, {"pool_size": 2}),
        ("MaxPooling2D", GlobalAveragePooling2D, {}),
        ("MaxPooling2D", GlobalMaxPooling2D, {}),
        ("MaxPooling2D", ZeroPadding2D, {"padding": 1}),
        ("Dense", Dropout, {"rate": 0.3}),
        *(("ReLU", kind, {}) for kind in (LeakyReLU, ELU, Sigmoid, Tanh, Softmax)),
    ]
    for place, kind, chosen in options:
        name = row(kind, (0,), **chosen).id.partition("@")[0]
        make = functools.partial(_in_place_of, place, kind, chosen)
        yield LayerCase(f"{name}@{place}", kind.__name__, make)


def calls(*, every_row: bool) -> Iterator[LayerCase]:
    """Rows of the shared table: the first of each kind of layer, or all. Layers that merge are timed in networks."""
    seen: set[str] = set()
    for case in CASES:
        if isinstance(case.input_shape, list):
            continue
        kind = case.id.partition("(")[0]
        if every_row or kind not in seen:
            yield LayerCase(f"call:{case.id}", kind, functools.partial(_of_row, case))
        seen.add(kind)


def layer_cases(*, every_row: bool = False) -> list[LayerCase]:
    """All families, largest arrays first."""
    networks = [case for name in TABLES for case in network_layers(name)]
    return [*networks, *others(), *calls(every_row=every_row)]


def _in_network(name: str, layer_name: str) -> tuple[Layer, Array]:
    layer = next(layer for layer in network(name).path if layer.name == layer_name)
    return layer, reaching(name)[layer_name]


def _in_place_of(place: str, kind: type[Layer], options: dict[str, Any]) -> tuple[Layer, Array]:
    name = next(row.name for row in TABLES["face_cnn"].rows if row.kind == place)
    x = reaching("face_cnn")[name]
    return Case("", lambda: kind(**options), x.shape).built(), x


def _of_row(case: Case) -> tuple[Layer, Array]:
    return case.built(), pixels(case.input_shape)
