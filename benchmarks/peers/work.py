"""What a peer is asked to compute: layers in a row, their weights, an input, and in which direction.

A single layer is a network of one row, so every peer has one translator: rows of ``minicnn.models.table`` into its own
layers. A work crosses to the worker as a small JSON object and two ``.npz`` files (weights and data), in minicnn's
layouts: pictures (N, H, W, C), kernels (KH, KW, C, F), dense weights (in, out). Who wants others turns them round
before the clock starts.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

FORWARD = "forward"
BACKWARD = "forward+backward"
TRAINING = "training step"
FIT = "fit"
MATMUL = "matmul"
DIRECTIONS = (FORWARD, BACKWARD, TRAINING, FIT, MATMUL)

LEARNING_RATE = 1e-3  # small: the same batch is learnt again and again, and the loss must stay finite
Arrays = dict[str, NDArray[Any]]


@dataclass(frozen=True)
class Work:
    """``rows``: (kind, name, options) of every layer. ``input_shape``: no batch axis; MATMUL: (rows, inner, columns).

    "forward" is inference: y. "forward+backward" is what a layer does in training: y, dx and the gradient of every
    parameter, for the upstream gradient dy. "training step" is those of a network, from sparse cross-entropy on logits,
    and plain SGD. "fit" is one epoch of such steps, through the framework's own ``fit``.
    """

    name: str
    direction: str
    batch: int
    input_shape: tuple[int, ...]
    rows: tuple[tuple[str, str, Mapping[str, Any]], ...] = field(default=())

    def to_json(self) -> dict[str, Any]:
        """What JSON can carry; ``from_json`` reads it."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Work:
        """The work again, tuples where they were."""
        rows = tuple((kind, name, {key: _tuples(value) for key, value in o.items()}) for kind, name, o in data["rows"])
        return cls(data["name"], data["direction"], data["batch"], tuple(data["input_shape"]), rows)

    @property
    def layer_kind(self) -> str:
        """The kind of the only layer, or ""."""
        return self.rows[0][0] if len(self.rows) == 1 else ""

    def architecture(self) -> Any:
        """The table (``minicnn.models.Architecture``)."""
        from minicnn.models import Architecture
        from minicnn.models.table import Row

        return Architecture(self.name, self.input_shape, tuple(Row(*row) for row in self.rows))

    def flops(self) -> float:
        """Multiplications and additions of the *direct* algorithm, whatever a peer does: dividing by the time gives a
        rate above the processor's peak where Winograd saves multiplications. Backward costs twice forward.
        """
        if self.direction == MATMUL:
            return 2.0 * float(np.prod(self.input_shape))
        per_picture = sum(layer.flops for layer in self.layers())
        return per_picture * self.batch * (1 if self.direction == FORWARD else 3)

    def intensity(self) -> float:
        """Flops per byte that must at least be moved: see ``minicnn.roofline``. What learns reads x, weights and dy and
        writes y, dx and dweights: twice as many bytes, for three times the flops."""
        moved = sum(size.bytes(self.batch) for size in self.layers())
        return self.flops() / (moved if self.direction == FORWARD else 2 * moved)

    def layers(self) -> list[LayerSize]:
        """The size of every layer, found without allocating its weights."""
        from minicnn.layers import LAYERS

        shape, found = self.input_shape, []
        for kind, name, options in self.rows:
            layer = LAYERS[kind](name=name, **options)
            output = tuple(layer.output_shape(shape))
            weights = sum(int(np.prod(spec.shape)) for spec in layer.parameter_specs(shape).values())
            found.append(LayerSize(kind, name, tuple(shape), output, weights, 2.0 * layer.multiplications(shape)))
            shape = output
        return found


@dataclass(frozen=True)
class LayerSize:
    """One layer, for one picture: no batch axis in its shapes, ``weights`` a count, the direct algorithm's flops."""

    kind: str
    name: str
    input_shape: tuple[int, ...]
    output_shape: tuple[int, ...]
    weights: int
    flops: float

    def bytes(self, batch: int) -> float:
        """What must at least be moved for a batch: input and output once per picture, the weights once."""
        pictures = float(np.prod(self.input_shape)) + float(np.prod(self.output_shape))
        return 4.0 * (batch * pictures + self.weights)


@dataclass(frozen=True)
class Data:
    """weights under their addresses ("conv1/kernel"); ``x`` the input; ``y`` labels (networks) or dy (layers), or the
    second matrix. Empty arrays where a direction needs none.
    """

    weights: Arrays
    x: NDArray[Any]
    y: NDArray[Any]


def make_data(work: Work, seed: int = 0) -> Data:
    """Weights as minicnn initialises them (biases random, so that a forgotten one shows), and random inputs."""
    rng = np.random.default_rng(seed)
    if work.direction == MATMUL:
        rows, inner, columns = work.input_shape
        return Data({}, _normal(rng, (rows, inner)), _normal(rng, (inner, columns)))
    from minicnn.models.table import build

    model = build(work.architecture())
    for address, array in model.parameters.items():
        if address.endswith("/bias"):
            array[...] = 0.1 * _normal(rng, array.shape)
    if work.direction == FIT:
        return Data(model.weights, *fit_pictures(work.batch, work.input_shape))
    x = _normal(rng, (work.batch, *work.input_shape))
    output = tuple(model.output_shape)
    if work.direction == BACKWARD:
        return Data(model.weights, x, _normal(rng, (work.batch, *output)))
    if work.direction == TRAINING:
        return Data(model.weights, x, rng.integers(0, output[-1], work.batch))
    return Data(model.weights, x, np.empty(0, np.float32))


def fit_pictures(count: int, shape: tuple[int, ...]) -> tuple[NDArray[Any], NDArray[Any]]:
    """Crops of the ORL faces, five of each person in turn; random ones where the extra 'faces' is not installed."""
    from minicnn.errors import MissingDependencyError

    try:
        from detection.crop import as_input
        from detection.orl import orl_crops

        found = orl_crops()
        order = np.argsort([np.sum(found.persons[:i] == p) for i, p in enumerate(found.persons)], kind="stable")
        chosen = [i for i in order if found.found[i]][:count]
        if shape == (200, 200, 1) and len(chosen) == count:
            return as_input(found.crops[chosen]), found.persons[chosen]
    except MissingDependencyError:
        pass
    rng = np.random.default_rng(0)
    return rng.random((count, *shape), dtype=np.float32), np.arange(count) % 40


def _normal(rng: np.random.Generator, shape: tuple[int, ...]) -> NDArray[Any]:
    return rng.standard_normal(shape, dtype=np.float32)


def _tuples(value: Any) -> Any:
    return tuple(map(_tuples, value)) if isinstance(value, list) else value
