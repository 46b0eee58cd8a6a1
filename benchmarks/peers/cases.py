"""Which works are timed: both networks, single layers, one epoch of training, one matrix product.

``SINGLE`` are the layers of the project's promise: 3x3 at the sizes VGG-Face has, and the other kinds that a good
framework must not neglect. ``layer_work`` makes a work of any shape from what somebody types.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from benchmarks.peers.work import BACKWARD, FIT, FORWARD, MATMUL, TRAINING, Work
from minicnn.errors import OptionError, explain

NETWORKS = {
    "vgg224": ("vgg_face", (224, 224, 3), 2622),
    "vgg200": ("vgg_face", (200, 200, 1), 40),
    "face_cnn": ("face_cnn", (200, 200, 1), 40),
}
BATCHES = (1, 8, 32)
LAYERS = ("conv", "depthwise", "dense", "pool")
FIT_PICTURES, FIT_BATCH = 200, 20
MATMUL_SIZE = (3072, 2048, 2048)

#: name: (kind, input shape, options)
SINGLE_3X3: dict[str, tuple[str, tuple[int, ...], dict[str, Any]]] = {
    "3x3_64_224": ("conv", (224, 224, 64), {"filters": 64}),
    "3x3_128_112": ("conv", (112, 112, 128), {"filters": 128}),
    "3x3_256_56": ("conv", (56, 56, 256), {"filters": 256}),
    "3x3_512_28": ("conv", (28, 28, 512), {"filters": 512}),
    "3x3_512_14": ("conv", (14, 14, 512), {"filters": 512}),
}
SINGLE_OTHERS: dict[str, tuple[str, tuple[int, ...], dict[str, Any]]] = {
    "1x1_256_56": ("conv", (56, 56, 256), {"filters": 256, "kernel": 1}),
    "1x1_512_14": ("conv", (14, 14, 512), {"filters": 512, "kernel": 1}),
    "3x3s2_128_56": ("conv", (56, 56, 128), {"filters": 256, "strides": 2}),
    "5x5_64_56": ("conv", (56, 56, 64), {"filters": 64, "kernel": 5}),
    "7x7s2_3_224": ("conv", (224, 224, 3), {"filters": 64, "kernel": 7, "strides": 2}),
    "depthwise_128_112": ("depthwise", (112, 112, 128), {}),
    "depthwise_512_14": ("depthwise", (14, 14, 512), {}),
}


def network_work(network: str, direction: str, batch: int) -> Work:
    """One of ``NETWORKS`` up to its logits, without dropout: masks differ, so nothing could be compared."""
    from minicnn.models import face_cnn_table, vgg_face_table

    kind, shape, classes = NETWORKS[network]
    table = {"vgg_face": vgg_face_table, "face_cnn": face_cnn_table}[kind](shape, classes, softmax=False, dropout=0.0)
    rows = tuple((row.kind, row.name, dict(row.options)) for row in table.rows if row.kind != "Dropout")
    short = {FORWARD: "forward", TRAINING: "train", FIT: "fit"}[direction]
    return Work(f"{network}-{short}-b{batch}", direction, batch, tuple(table.input_shape), rows)


def layer_work(
    kind: str,
    shape: Iterable[int],
    *,
    name: str = "",
    direction: str = FORWARD,
    batch: int = 8,
    filters: int = 64,
    kernel: int = 3,
    strides: int = 1,
    padding: str = "same",
) -> Work:
    """One layer: conv, depthwise, dense (``filters`` are its units) or pool (``kernel`` is its window).

    Raises OptionError for another kind, another number of sizes, or what the layer itself refuses.
    """
    shape = tuple(shape)
    if kind not in LAYERS:
        raise OptionError(explain(f"a layer among {', '.join(LAYERS)}", repr(kind)))
    wanted = 1 if kind == "dense" else 3
    if len(shape) != wanted or min(shape) < 1:
        sizes = "one size, such as 4096" if kind == "dense" else "rows,columns,channels, such as 56,56,256"
        raise OptionError(explain(f"an input of {sizes}", ",".join(map(str, shape)) or "nothing"))
    window = {"strides": strides, "padding": padding}
    row: dict[str, tuple[str, dict[str, Any]]] = {
        "conv": ("Conv2D", {"filters": filters, "kernel_size": kernel, **window}),
        "depthwise": ("DepthwiseConv2D", {"kernel_size": kernel, **window}),
        "dense": ("Dense", {"units": filters}),
        "pool": ("MaxPooling2D", {"pool_size": kernel, **window}),
    }
    layer_kind, options = row[kind]
    sizes = "x".join(map(str, shape))
    name = name or f"{kind}-{sizes}" + {"dense": f"-{filters}", "pool": f"-{kernel}x{kernel}"}.get(
        kind, f"-{kernel}x{kernel}s{strides}" + (f"-{filters}" if kind == "conv" else "")
    )
    short = "forward" if direction == FORWARD else "step"
    work = Work(f"{name}-{short}-b{batch}", direction, batch, shape, ((layer_kind, kind, options),))
    work.layers()  # raises what the layer refuses
    return work


def single_works(names: Iterable[str], batches: Iterable[tuple[str, int]]) -> list[Work]:
    """Layers of ``SINGLE_3X3`` and ``SINGLE_OTHERS`` by name, for each (direction, batch)."""
    table = SINGLE_3X3 | SINGLE_OTHERS
    return [
        layer_work(table[name][0], table[name][1], name=name, direction=direction, batch=batch, **table[name][2])
        for name in names
        for direction, batch in batches
    ]


def fit_work() -> Work:
    """One epoch of face_cnn: 200 pictures in batches of 20."""
    return network_work("face_cnn", FIT, FIT_PICTURES)


def matmul_work() -> Work:
    """One large matrix product."""
    return Work("matmul", MATMUL, 1, MATMUL_SIZE)


def all_works() -> dict[str, Work]:
    """Every named work, in the order in which it is timed: what is quick first."""
    layers = single_works([*SINGLE_3X3, *SINGLE_OTHERS], ((FORWARD, 1), (FORWARD, 8), (BACKWARD, 8)))
    networks = [
        network_work(network, direction, batch)
        for network in ("face_cnn", "vgg200", "vgg224")
        for direction in (FORWARD, TRAINING)
        for batch in BATCHES
    ]
    return {work.name: work for work in (matmul_work(), fit_work(), *layers, *networks)}
