"""Which works are timed: both networks, single layers, one epoch of training, one matrix product.

``SINGLE_3X3`` and ``SINGLE_OTHERS`` are the layers of the project's promise: 3x3 at the sizes VGG-Face has, and other
convolutions. ``SINGLE_KINDS`` are the other kinds of layers that a good framework must not neglect. ``layer_work``
makes a work of any shape from what somebody types.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from benchmarks.peers.work import BACKWARD, FIT, FORWARD, MATMUL, TRAINING, Work
from minicnn.errors import OptionError, did_you_mean, explain

NETWORKS = {
    "vgg224": ("vgg_face", (224, 224, 3), 2622),
    "vgg200": ("vgg_face", (200, 200, 1), 40),
    "face_cnn": ("face_cnn", (200, 200, 1), 40),
}
BATCHES = (1, 8, 32)
#: Activations that have no layer of their own.
CURVES = ("silu", "gelu", "mish", "softplus", "softsign", "selu", "exponential", "relu6", "hard_sigmoid")
#: What ``layer_work`` calls them: the layer, and which of its options follow from ``filters``, ``kernel`` and the like.
LAYERS: dict[str, tuple[str, tuple[str, ...]]] = {
    "conv": ("Conv2D", ("filters", "kernel_size", "strides", "padding")),
    "depthwise": ("DepthwiseConv2D", ("kernel_size", "strides", "padding")),
    "transpose": ("Conv2DTranspose", ("filters", "kernel_size", "strides", "padding")),
    "dense": ("Dense", ("units",)),
    "separable": ("SeparableConv2D", ("filters", "kernel_size", "strides", "padding")),
    "pool": ("MaxPooling2D", ("pool_size", "strides", "padding")),
    "average": ("AveragePooling2D", ("pool_size", "strides", "padding")),
    "global_average": ("GlobalAveragePooling2D", ()),
    "global_max": ("GlobalMaxPooling2D", ()),
    "nearest": ("UpSampling2D", ("size", "interpolation")),
    "bilinear": ("UpSampling2D", ("size", "interpolation")),
    "pad": ("ZeroPadding2D", ()),
    "batch_norm": ("BatchNormalization", ()),
    "layer_norm": ("LayerNormalization", ()),
    "unit_norm": ("UnitNormalization", ()),
    "relu": ("ReLU", ()),
    "leaky_relu": ("LeakyReLU", ()),
    "elu": ("ELU", ()),
    "sigmoid": ("Sigmoid", ()),
    "tanh": ("Tanh", ()),
    "softmax": ("Softmax", ()),
    **dict.fromkeys(CURVES, ("Activation", ("activation",))),
}
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
#: Each other kind of layer once: nearly all of them wait for memory, and need one pass over it.
SINGLE_KINDS: dict[str, tuple[str, tuple[int, ...], dict[str, Any]]] = {
    f"{kind}_64_56": (kind, (56, 56, 64), options)
    for kind, options in {
        "pool": {"kernel": 2, "strides": 2},
        "average": {"kernel": 2, "strides": 2},
        "global_average": {},
        "global_max": {},
        "nearest": {"strides": 2},
        "bilinear": {"strides": 2},
        "pad": {},
        "separable": {},
        "transpose": {"strides": 2},
        "batch_norm": {},
        "layer_norm": {},
        "unit_norm": {},
        "relu": {},
        "leaky_relu": {},
        "elu": {},
        "sigmoid": {},
        "tanh": {},
        "softmax": {},
        **{kind: {} for kind in CURVES},
    }.items()
} | {
    "pool3s2_64_112": ("pool", (112, 112, 64), {"kernel": 3, "strides": 2}),
    "dense_512_4608": ("dense", (4608,), {"filters": 512}),
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
    """One layer of ``LAYERS``. ``filters`` are a dense layer's units, ``kernel`` a pool's window, ``strides`` how many
    times up-sampling enlarges, twice if it is 1. Raises OptionError for another kind, another number of sizes, or what
    the layer itself refuses.
    """
    shape = tuple(shape)
    if kind not in LAYERS:
        raise OptionError(explain(f"a layer among {', '.join(LAYERS)}", repr(kind), did_you_mean(kind, LAYERS)))
    wanted = 1 if kind == "dense" else 3
    if len(shape) != wanted or min(shape) < 1:
        sizes = "one size, such as 4096" if kind == "dense" else "rows,columns,channels, such as 56,56,256"
        raise OptionError(explain(f"an input of {sizes}", ",".join(map(str, shape)) or "nothing"))
    layer_kind, names = LAYERS[kind]
    values: dict[str, Any] = {"filters": filters, "units": filters, "kernel_size": kernel, "pool_size": kernel}
    values |= {"strides": strides, "padding": padding, "size": strides if strides > 1 else 2}
    values |= {"interpolation": kind, "activation": kind}
    options = {option: values[option] for option in names}
    name = name or "-".join([kind, "x".join(map(str, shape)), *_details(options)])
    short = "forward" if direction == FORWARD else "step"
    work = Work(f"{name}-{short}-b{batch}", direction, batch, shape, ((layer_kind, kind, options),))
    work.layers()  # raises what the layer refuses
    return work


def means_nothing_to(kind: str) -> set[str]:
    """Which of ``filters``, ``kernel``, ``strides`` and ``padding`` a layer of ``LAYERS`` does not have."""
    names = set(LAYERS[kind][1])
    known = {"filters": {"filters", "units"}, "kernel": {"kernel_size", "pool_size"}, "strides": {"strides", "size"}}
    return {option for option, own in (known | {"padding": {"padding"}}).items() if names.isdisjoint(own)}


def _details(options: Mapping[str, Any]) -> list[str]:
    """Parts of a layer's name: 3x3s2, 64."""
    window = options.get("kernel_size") or options.get("pool_size")
    found = [f"{window}x{window}s{options['strides']}"] if window else []
    return found + [str(options[key]) for key in ("filters", "units", "size") if key in options]


def single_works(names: Iterable[str], batches: Iterable[tuple[str, int]]) -> list[Work]:
    """Layers of the three tables by name, for each (direction, batch)."""
    table = SINGLE_3X3 | SINGLE_OTHERS | SINGLE_KINDS
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
    names = [*SINGLE_3X3, *SINGLE_OTHERS, *SINGLE_KINDS]
    layers = single_works(names, ((FORWARD, 1), (FORWARD, 8), (BACKWARD, 8)))
    networks = [
        network_work(network, direction, batch)
        for network in ("face_cnn", "vgg200", "vgg224")
        for direction in (FORWARD, TRAINING)
        for batch in BATCHES
    ]
    return {work.name: work for work in (matmul_work(), fit_work(), *layers, *networks)}
