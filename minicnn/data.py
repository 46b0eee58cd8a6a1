"""Data in batches: which pictures are seen together, in which order, and what each of them counts.

Gradient descent looks at a few pictures at a time and takes a step. The order changes from epoch to epoch, because a
network that always meets the same neighbours learns the order too. Here it is a function of ``(seed, epoch)`` and of
nothing else: epoch 7 of a resumed run is epoch 7 of the run that was never interrupted.

    batches = Batches(x, y, batch_size=32, seed=1)
    for epoch in range(10):
        for x_batch, y_batch, weight in batches.epoch(epoch):
            ...
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from minicnn.errors import LabelError, OptionError, ShapeError, explain
from minicnn.given import as_array, require_array, targets_of, weights_of
from minicnn.options import flag, function, number
from minicnn.shapes import FLOATS, Array, whole

Batch = tuple[Array, Array | None, Array | None]  # x, y, weight
Augmentation = Callable[[Array, np.random.Generator], Array]

_ORDER, _AUGMENT = zlib.crc32(b"order"), zlib.crc32(b"augment")  # two streams of chance from one seed


class Batches:
    """``x`` (N, ...) and targets ``y`` (N, ...) cut into batches of ``batch_size``, or 32; the last may be smaller.

    ``shuffle`` draws a new order for each epoch. ``sample_weight`` (N,) says what each picture counts in the loss, or
    (N, ...) what each of its pixels does, where predictions have several; ``class_weight`` {class: weight} says it for
    whole classes, in integer or one-hot labels: classes it does not name count 1, and it may name classes of which
    there are no pictures. The two exclude each other. All as in Keras.
    ``augment(x, rng)`` changes each batch's pictures, see ``minicnn.augmentation``; its chance too follows from seed,
    epoch and the number of the batch.

    Raises ShapeError for lengths that differ and for no data, LabelError for labels that cannot be, OptionError for the
    rest. Cost: a shuffled batch is a copy of its pictures, an unshuffled one a view.
    """

    def __init__(
        self,
        x: Array,
        y: Array | None = None,
        *,
        batch_size: int | None = None,
        shuffle: bool = True,
        seed: int = 0,
        sample_weight: Array | None = None,
        class_weight: Mapping[int, float] | None = None,
        augment: Augmentation | None = None,
    ) -> None:
        self.x = as_array(require_array(x), "inputs as an array (N, ...)")
        self.batch_size = batch_of(batch_size)
        self.seed = whole(seed, "seed", least=0)
        self.shuffle = flag("shuffle", shuffle)
        fix = "Augment(...) of minicnn.augmentation makes one; your own takes (x, rng) and returns pictures."
        self.augment: Augmentation | None = None if augment is None else function("augment", augment, fix)
        if self.x.ndim < 1 or len(self.x) == 0:
            raise ShapeError(explain("at least one input (N, ...)", f"shape {self.x.shape}"))
        self.y = None if y is None else targets_of(y, len(self.x))
        if sample_weight is not None and class_weight is not None:
            fix = "Multiply them yourself and pass the product as sample_weight."
            raise OptionError(explain("sample_weight or class_weight", "both", fix))
        dtype = self.x.dtype if self.x.dtype in FLOATS else np.dtype(np.float32)
        self.weight = None if sample_weight is None else weights_of(sample_weight, len(self.x)).astype(dtype)
        if class_weight is not None:
            if self.y is None:
                raise OptionError(explain("targets y to apply class_weight to", "y=None"))
            self.weight = _class_weights(self.y, class_weight, dtype)

    def __repr__(self) -> str:
        arrays = (("x", self.x), ("y", self.y), ("weight", self.weight))
        parts = [f"{name} {array.shape} {array.dtype}" for name, array in arrays if array is not None]
        return f"<{type(self).__name__}: {', '.join(parts)}; batches of {self.batch_size}: {len(self)}>"

    def __len__(self) -> int:
        """The number of batches in an epoch."""
        return -(-len(self.x) // self.batch_size)  # ceil

    def __iter__(self) -> Iterator[Batch]:
        return self.epoch(0)

    def epoch(self, epoch: int) -> Iterator[Batch]:
        """(x, y, weight) of every batch; y and weight are None where there are none."""
        epoch = whole(epoch, "epoch", least=0)
        for batch, chosen in enumerate(self.choose(epoch)):
            x = self.x[chosen]
            if self.augment is not None:
                x = x.copy() if x.base is not None else x  # a slice; whoever augments may write to what he gets
                x = self._augmented(x, np.random.default_rng([self.seed, epoch, _AUGMENT, batch]))
            yield x, None if self.y is None else self.y[chosen], None if self.weight is None else self.weight[chosen]

    def choose(self, epoch: int) -> Iterator[Any]:
        """Which pictures make up each batch: indices, or a slice."""
        order = np.random.default_rng([self.seed, epoch, _ORDER]).permutation(len(self.x)) if self.shuffle else None
        for batch in range(len(self)):
            part = slice(batch * self.batch_size, (batch + 1) * self.batch_size)
            yield part if order is None else order[part]

    def _augmented(self, x: Array, rng: np.random.Generator) -> Array:
        assert self.augment is not None
        changed = self.augment(x, rng)
        if np.shape(changed) != x.shape:
            raise ShapeError(explain(f"augment to return a batch of shape {x.shape}", f"shape {np.shape(changed)}"))
        return changed


class PeopleBatches(Batches):
    """Batches of ``people`` different people with ``pictures`` pictures each: what the triplet loss compares.

    ``y`` (N,) are class indices. People come in rounds, a new order in each, so nobody is seen much more often than
    others, however many pictures there are of each. Who has fewer than ``pictures`` gives some of them several times;
    augmentation makes them differ. An epoch is as many batches as it takes to show N pictures, and again a function
    of (seed, epoch). Raises as ``Batches`` does, and LabelError for fewer than two people.
    """

    def __init__(
        self,
        x: Array,
        y: Array,
        *,
        people: int = 10,
        pictures: int = 4,
        seed: int = 0,
        augment: Augmentation | None = None,
    ) -> None:
        labels = np.asarray(y)
        self.pictures = whole(pictures, "pictures", least=2)
        if labels.ndim != 1 or labels.dtype.kind not in "iu" or np.unique(labels).size < 2:
            received = f"shape {labels.shape}, dtype {labels.dtype}, {np.unique(labels).size} different"
            raise LabelError(explain("class indices (N,) of at least two people", received))
        self.people = min(whole(people, "people", least=2), np.unique(labels).size)
        super().__init__(x, labels, batch_size=self.people * self.pictures, seed=seed, augment=augment)

    def choose(self, epoch: int) -> Iterator[Array]:
        rng = np.random.default_rng([self.seed, epoch, _ORDER])
        assert self.y is not None
        of = {label: np.flatnonzero(self.y == label) for label in np.unique(self.y)}
        waiting: list[Any] = []
        for _ in range(len(self)):
            if len(waiting) < self.people:  # a new round, behind what is left of the last one
                order = rng.permutation(list(of))
                waiting += sorted(order, key=lambda label: label in waiting)  # stable: those waiting come last again
            now, waiting = waiting[: self.people], waiting[self.people :]
            yield np.concatenate([_draw(of[label], self.pictures, rng) for label in now])


def batch_of(size: int | None) -> int:
    """How many samples make a batch: 32 unless told, as in Keras. Raises OptionError."""
    return 32 if size is None else whole(size, "batch_size")


def _draw(indices: Array, count: int, rng: np.random.Generator) -> Array:
    """``count`` of the indices; none comes twice before all came once."""
    rounds = [rng.permutation(indices) for _ in range(-(-count // len(indices)))]
    return np.concatenate(rounds)[:count]


def one_hot(labels: Array, classes: int, dtype: Any = np.float32) -> Array:
    """Integer labels (N,) as rows of zeros with a one at the label: (N,) -> (N, classes).

    >>> one_hot(np.array([2, 0]), 3).tolist()
    [[0.0, 0.0, 1.0], [1.0, 0.0, 0.0]]
    """
    labels = np.asarray(labels)
    classes = whole(classes, "classes")
    if labels.ndim != 1 or labels.dtype.kind not in "iu":
        raise LabelError(explain("integer labels (N,)", f"shape {labels.shape}, dtype {labels.dtype}"))
    if labels.size and not 0 <= labels.min() <= labels.max() < classes:
        raise LabelError(explain(f"labels from 0 to {classes - 1}", f"{labels.min()} to {labels.max()}"))
    rows = np.zeros((len(labels), classes), dtype)
    rows[np.arange(len(labels)), labels] = 1
    return rows


def _class_weights(y: Array, class_weight: Mapping[int, float], dtype: np.dtype[Any]) -> Array:
    """One weight per sample. A label is the position of the largest entry in a one-hot row, or the number itself."""
    if not isinstance(class_weight, Mapping):
        raise OptionError(explain("class_weight as {class: weight}", repr(class_weight)))
    one_hot = y.ndim == 2 and y.shape[1] > 1
    labels = y.argmax(axis=-1) if one_hot else y.reshape(len(y), -1)[:, 0]
    indices = np.round(labels).astype(np.int64)
    if y.ndim > 2 or not np.array_equal(indices, labels) or indices.min() < 0:
        raise LabelError(explain("class indices (N,) or one-hot rows (N, classes) to weigh by class", f"y {y.shape}"))
    weights: dict[int, float] = {}
    for key, value in class_weight.items():
        index = whole(key, "a class in class_weight", least=0)
        weights[index] = number(f"the weight of class {index}", value, least=0)
        # Indices do not say how many classes there are: the largest may be in the validation data alone.
        if one_hot and index >= y.shape[1]:
            raise OptionError(explain(f"classes 0 to {y.shape[1] - 1} in class_weight", f"class {index}"))
    classes, places = np.unique(indices, return_inverse=True)  # and the largest may be no class but a mistake
    table = np.array([weights.get(int(label), 1.0) for label in classes], dtype)
    return table[places]
