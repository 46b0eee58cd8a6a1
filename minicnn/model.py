"""Model: what every network can do, whatever way its layers are connected.

A subclass says how data flows (``forward``) and how gradients flow back (``backward``). Everything people do with a
network stands here once: compile, fit, evaluate, predict, and its parameters under their addresses
(``"conv1_1/kernel"``).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np

from minicnn import training
from minicnn.callbacks import Callback, History, ProgressBar
from minicnn.compiled import Compiled
from minicnn.data import Batches
from minicnn.errors import ShapeError, StateError, explain
from minicnn.io.models import read_weights, write_model
from minicnn.layers.base import INFERENCE, Cache, Context, Layer, Params
from minicnn.optimizers import Optimizer
from minicnn.shapes import Array, Shape, float_dtype, whole
from minicnn.summary import summary_text


class Model(ABC):
    """Layers plus the way they are connected. See ``Sequential`` for the simplest kind."""

    def __init__(self, layers: Sequence[Layer], *, name: str, dtype: str = "float32", seed: int = 0) -> None:
        self.name = name
        self.dtype = float_dtype(dtype)
        self.seed = whole(seed, "seed", least=0)
        self.layers: list[Layer] = list(layers)
        self.input_shape: Shape | None = None
        self.stop_training = False
        self._compiled: Compiled | None = None

    # -- how data flows ----------------------------------------------------------------------------------------------

    @abstractmethod
    def build(self, input_shape: Shape) -> Shape:
        """Create every layer's parameters for inputs of ``input_shape`` (no batch axis); return the output's shape."""

    @abstractmethod
    def forward(self, x: Array, context: Context = INFERENCE) -> tuple[Array, list[Cache]]:
        """The output, and one cache per layer."""

    @abstractmethod
    def backward(self, dy: Array, caches: list[Cache], *, input_gradient: bool = False) -> tuple[Array | None, Params]:
        """(dx or None, the gradient of every trainable parameter under its address)."""

    @abstractmethod
    def next_state(self, caches: list[Cache]) -> Params:
        """Moving statistics after a training step, under their addresses."""

    @abstractmethod
    def __call__(self, x: Array) -> Array:
        """Inference on one batch; keeps no cache."""

    @property
    @abstractmethod
    def output_shape(self) -> Shape:
        """Shape of one output, without the batch axis."""

    def predict(self, x: Array, batch_size: int = 32) -> Array:
        """Outputs for any number of inputs, computed ``batch_size`` at a time."""
        x = np.asarray(x)
        if x.ndim < 1 or len(x) == 0:
            raise ShapeError(explain("at least one input (N, ...) to predict", f"shape {x.shape}"))
        return training.predict(self, x, whole(batch_size, "batch_size"))

    # -- parameters --------------------------------------------------------------------------------------------------

    @property
    def parameters(self) -> Params:
        """Every learned array under its address, ``"layer/parameter"``. The arrays themselves, not copies."""
        return {f"{layer.name}/{key}": array for layer in self.layers for key, array in layer.params.items()}

    @property
    def state(self) -> Params:
        """Every moving statistic under its address. The arrays themselves, not copies."""
        return {f"{layer.name}/{key}": array for layer in self.layers for key, array in layer.state.items()}

    @property
    def weights(self) -> Params:
        """``parameters`` and ``state`` together: what a file must hold."""
        return {
            f"{layer.name}/{key}": array for layer in self.layers for key, array in (layer.params | layer.state).items()
        }

    def set_weights(self, weights: Mapping[str, Array]) -> None:
        """Copy ``weights`` in. All of them must be there, with the right shapes; otherwise nothing is changed.

        Raises ShapeError that names every address that does not fit. Numbers of another real type are converted.
        """
        self.require_built()
        own, weights = self.weights, {address: np.asarray(array) for address, array in weights.items()}
        problems = [f"missing {address}" for address in own.keys() - weights.keys()]
        problems += [f"unknown {address}" for address in weights.keys() - own.keys()]
        for address in own.keys() & weights.keys():
            came, needed = weights[address], own[address].shape
            if came.shape != needed or came.dtype.kind not in "fiub":
                problems.append(f"{address} is {came.dtype} of shape {came.shape}, needs numbers of shape {needed}")
        if problems:
            raise ShapeError(explain(f"weights that fit '{self.name}'", "; ".join(sorted(problems))))
        for address, array in own.items():
            array[...] = weights[address]

    @property
    def parameter_count(self) -> int:
        return sum(array.size for array in self.weights.values())

    @abstractmethod
    def astype(self, dtype: str) -> Self:
        """A copy of the network, weights included, that computes in ``dtype``; not compiled."""

    # -- training ----------------------------------------------------------------------------------------------------

    def compile(
        self,
        optimizer: str | Optimizer = "rmsprop",
        loss: str | Any = "sparse_categorical_crossentropy",
        metrics: Sequence[str | Any] | None = None,
    ) -> None:
        """Choose how to train. Names are Keras's; instances allow options: ``SGD(0.01, momentum=0.9)``."""
        self._compiled = Compiled.of(optimizer, loss, metrics or ())

    @property
    def compiled(self) -> Compiled:
        return self.require_compiled()

    def require_compiled(self) -> Compiled:
        if self._compiled is None:
            raise StateError(
                explain(f"'{self.name}' to be compiled", "a model without optimizer and loss", "Call compile() first.")
            )
        return self._compiled

    @property
    def optimizer(self) -> Optimizer:
        return self.compiled.optimizer

    def fit(
        self,
        x: Array | Batches,
        y: Array | None = None,
        *,
        batch_size: int = 32,
        epochs: int = 1,
        verbose: int | str = "auto",
        callbacks: Sequence[Callback] | None = None,
        validation_split: float = 0.0,
        validation_data: training.Data | None = None,
        shuffle: bool = True,
        class_weight: Mapping[int, float] | None = None,
        sample_weight: Array | None = None,
        initial_epoch: int = 0,
        augment: Callable[[Array, np.random.Generator], Array] | None = None,
    ) -> History:
        """Train for ``epochs`` and return the History.

        ``x`` (N, ...) with targets ``y``, or ready-made ``Batches``. The order of pictures, what augmentation does to
        them and what dropout drops follow from ``self.seed``: two runs agree bit for bit. ``validation_split`` keeps
        the *last* part of the data out, before any shuffling, as Keras does. ``verbose``: 0 silent, 1 a progress bar,
        2 a line per epoch, "auto" a bar in a terminal and lines elsewhere.
        """
        whole(epochs, "epochs")
        whole(initial_epoch, "initial_epoch", least=0)
        self.require_compiled()
        batches, validation = training.prepare(
            x,
            y,
            batch_size=batch_size,
            shuffle=shuffle,
            seed=self.seed,
            validation_split=validation_split,
            validation_data=validation_data,
            sample_weight=sample_weight,
            class_weight=class_weight,
            augment=augment,
        )
        self._build_from(batches.x)
        bar = [] if verbose == 0 else [ProgressBar(verbose)]
        return training.fit(
            self,
            batches,
            epochs=epochs,
            initial_epoch=initial_epoch,
            validation=validation,
            callbacks=[*(callbacks or ()), *bar],
        )

    def evaluate(
        self, x: Array, y: Array, *, batch_size: int = 32, sample_weight: Array | None = None
    ) -> dict[str, float]:
        """Mean loss and metrics on data the network is not trained on: ``{"loss": ..., "accuracy": ...}``."""
        data = (x, y) if sample_weight is None else (x, y, sample_weight)
        return training.evaluate(self, training.in_order(data, batch_size))

    def train_on_batch(self, x: Array, y: Array, sample_weight: Array | None = None) -> dict[str, float]:
        """One step of gradient descent; the loss and metrics of this batch, before the step."""
        self.require_compiled()
        self._build_from(x)
        step = training.train_step(self, x, y, sample_weight)
        return {"loss": step.loss, **self._measure(y, step.predictions)}

    def test_on_batch(self, x: Array, y: Array, sample_weight: Array | None = None) -> dict[str, float]:
        """Loss and metrics of one batch in inference mode."""
        predictions = self(x)
        loss, _ = self.compiled.loss.forward(y, predictions, sample_weight)
        return {"loss": loss, **self._measure(y, predictions)}

    def _measure(self, y: Array, predictions: Array) -> dict[str, float]:
        metrics = training.fresh(self.compiled.metrics)
        for metric in metrics:
            metric.update(y, predictions)
        return {metric.name: metric.result() for metric in metrics}

    def _build_from(self, x: Array) -> None:
        if self.input_shape is None:
            self.build(tuple(np.shape(x)[1:]))

    def require_built(self) -> None:
        if self.input_shape is None:
            raise StateError(
                explain(
                    f"'{self.name}' to be built",
                    "a model that does not know its input's shape",
                    "Give input_shape when making it, or call build(input_shape).",
                )
            )

    # -- looking and keeping -----------------------------------------------------------------------------------------

    def summary(self, print_fn: Callable[[str], object] = print) -> None:
        """Print a table of the layers: output shape, parameters, multiplications."""
        self.require_built()
        print_fn(summary_text(self))

    def save(self, path: str | Path) -> None:
        """Write architecture and weights to one file. The ending of its name says how: see ``minicnn.io.models``.

        ``.npz`` is our own format and the only one that also keeps how training went so far; ``.keras``, ``.h5``,
        ``.safetensors`` and ``.onnx`` are for others, ``.weights.h5`` holds weights alone. The file appears complete or
        not at all. ``minicnn.load_model`` is the way back. Raises OptionError for another ending, or a layer that the
        format does not know.
        """
        self.require_built()
        training = None if self._compiled is None else self._compiled.state()
        write_model(path, type(self).__name__, self.config(), self.weights, training)

    def load_weights(self, path: str | Path, *, allow_nan: bool = False) -> None:
        """Take over the weights of a file, whose network must have the same layers with weights in the same order.

        Reads what ``save`` writes but ``.onnx``, and Keras's files with and without a network. All of it is read and
        checked before the first weight changes, so for a moment both are in memory. Raises LoadError, naming the file
        and the reason; also for NaN and infinity, unless ``allow_nan``.
        """
        self.require_built()
        own = self.weights
        shapes = {address: array.shape for address, array in own.items()}
        classes = {layer.name: type(layer).__name__ for layer in self.layers}
        arrays, _ = read_weights(path, shapes, self.dtype, None, classes=classes, allow_nan=allow_nan)
        for address, array in own.items():
            array[...] = arrays[address]

    @abstractmethod
    def config(self) -> dict[str, Any]:
        """What makes this network again, without its weights; only what JSON can hold."""
