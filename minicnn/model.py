"""Model: a network with everything people do with one: compile, fit, evaluate, predict, save.

    x = Input((32, 32, 1))
    y = ReLU()(Conv2D(8, 3, padding="same")(x))
    y = Add()([y, Conv2D(8, 3, padding="same")(y)])
    model = Model(x, Dense(10)(Flatten()(y)))

Layers are called on symbolic tensors, which note how they are connected; ``Model`` follows the notes back from the
outputs. For layers in a row there is ``Sequential``, which is a Model too.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Hashable, Mapping, Sequence
from contextlib import nullcontext
from typing import Any
from weakref import WeakKeyDictionary, WeakSet, ref

import numpy as np

from minicnn import training
from minicnn.callbacks import Callback, History, ProgressBar, announced, listening, told
from minicnn.compiled import Compiled
from minicnn.constructors import explained
from minicnn.data import Batches, batch_of
from minicnn.errors import OptionError, ShapeError, StateError, explain
from minicnn.given import as_numbers, targets_of
from minicnn.graph import Graph, reach
from minicnn.layers.base import Tensors, not_a_prediction
from minicnn.layers.symbolic import Symbols, as_tensors, input_names, is_symbolic
from minicnn.network import one_or_all
from minicnn.optimizers import Optimizer
from minicnn.shapes import Array, whole
from minicnn.storable import Storable
from minicnn.training_data import Data, in_order, prepare

_trained_by: WeakKeyDictionary[Optimizer, Any] = WeakKeyDictionary()  # the network, and its layers


class Model(Storable):
    """The layers between ``inputs`` and ``outputs``, each a symbolic tensor or a list of them; built at once.

    ``fit``, ``evaluate`` and the like need one output; several inputs can be trained on with ``train_on_batch``.
    Raises OptionError for inputs that are missing or lead nowhere, and what ``build`` raises.
    """

    stop_training = False

    def __init__(
        self, inputs: Symbols, outputs: Symbols, *, name: str = "functional", dtype: str = "float32", seed: int = 0
    ) -> None:
        given, made = as_tensors(inputs, "inputs"), as_tensors(outputs, "outputs")
        super().__init__(Graph.of(given, made), input_names(given), name=name, dtype=dtype, seed=seed)
        self.build(one_or_all([tensor.shape for tensor in given]))

    def __call__(self, x: Tensors, training: bool = False) -> Any:
        """Inference on one batch. Of symbolic tensors, what this model's layers make of them, sharing its weights.

        ``training=True`` is there to be refused: that is ``forward``.
        """
        if training:
            raise not_a_prediction()
        if not is_symbolic(x):
            return self.infer(x)
        tensors = self.symbols(x)
        return one_or_all([tensors[value] for value in self.graph.outputs])

    @explained
    def predict(self, x: Tensors, batch_size: int | None = None, verbose: int | str = 0) -> Tensors:
        """Outputs for any number of inputs, computed ``batch_size``, or 32, at a time. ``verbose``: 0 silent, others a
        line."""
        arrays = [as_numbers(part) for part in self._each(x, self.graph.inputs, "x")]
        lengths = {len(array) if array.ndim else 0 for array in arrays}
        if len(lengths) > 1 or 0 in lengths:
            shapes = ", ".join(f"shape {array.shape}" for array in arrays)
            raise ShapeError(explain("at least one input (N, ...) to predict, as many of each", shapes))
        size = batch_of(batch_size)
        with told(verbose, -(-len(arrays[0]) // size)):
            return training.predict(self, arrays, size)

    # -- training ----------------------------------------------------------------------------------------------------

    @explained
    def compile(
        self,
        optimizer: str | Optimizer = "rmsprop",
        loss: str | Any = "sparse_categorical_crossentropy",
        *,
        metrics: Sequence[str | Any] | None = None,
    ) -> None:
        """Choose how to train. Names are Keras's; instances allow options: ``SGD(0.01, momentum=0.9)``. Only by its
        name come ``metrics``: what stands third in Keras are the weights of several losses. Raises OptionError."""
        if len(self.graph.outputs) > 1:
            fix = "Train a Model that ends in one of them, on the same layers."
            raise OptionError(explain(f"one output to take the loss of, '{self.name}'", f"{self.output_shape}", fix))
        compiled = Compiled.of(optimizer, loss, metrics or ())
        self._refuse_anothers(compiled.optimizer)
        self._compiled = compiled
        doubts = self._compiled.doubts(self.path[-1]) if self.path else None
        if doubts:
            warnings.warn(doubts, stacklevel=3)  # behind ``explained``

    def _refuse_anothers(self, optimizer: Optimizer) -> None:
        """An optimiser that made steps remembers each weight's past, which means nothing to another network."""
        model, layers = _trained_by.get(optimizer, (None, None)) if isinstance(optimizer, Hashable) else (None, None)
        if optimizer.iterations and model and model() is not self and layers.isdisjoint(self._layers):
            fix = f"It remembers its steps there. Make a new one: {type(optimizer).__name__}(...)."
            raise OptionError(explain(f"an optimizer for '{self.name}' alone", "one that trained another network", fix))

    def _claim_optimizer(self) -> None:
        """Before the first step: from now on, the optimiser is this network's."""
        optimizer = self.compiled.optimizer
        self._refuse_anothers(optimizer)
        if isinstance(optimizer, Hashable):
            _trained_by[optimizer] = ref(self), WeakSet(self._layers)

    @property
    def compiled(self) -> Compiled:
        """What ``compile`` chose. Raises StateError before it has."""
        if self._compiled is None:
            raise StateError(
                explain(f"'{self.name}' to be compiled", "a model without optimizer and loss", "Call compile() first.")
            )
        return self._compiled

    @property
    def optimizer(self) -> Optimizer:
        return self.compiled.optimizer

    @explained
    def fit(
        self,
        x: Array | Batches,
        y: Array | None = None,
        *,
        batch_size: int | None = None,
        epochs: int = 1,
        verbose: int | str = "auto",
        callbacks: Callback | Sequence[Callback] | None = None,
        validation_split: float = 0.0,
        validation_data: Data | Batches | None = None,
        shuffle: bool = True,
        class_weight: Mapping[int, float] | None = None,
        sample_weight: Array | None = None,
        initial_epoch: int = 0,
        augment: Callable[[Array, np.random.Generator], Array] | None = None,
    ) -> History:
        """Train for ``epochs`` and return the History.

        ``x`` (N, ...) with targets ``y`` in batches of ``batch_size``, or 32; or ready-made ``Batches``. The order of
        pictures, what augmentation does to them and what dropout drops follow from ``self.seed``: two runs agree bit
        for bit. ``validation_split`` keeps the *last* part of the data out, before any shuffling, as Keras does.
        ``verbose``: 0 silent, 1 a progress bar, 2 a line per epoch, "auto" a bar in a terminal and lines elsewhere.
        """
        self._require_one_input()
        whole(epochs, "epochs")
        whole(initial_epoch, "initial_epoch", least=0)
        _ = self.compiled  # raises before data are cut up and anything is built
        batches, validation = prepare(
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
        self._claim_optimizer()
        for part in (batches, validation):
            if part is not None and part.y is not None:
                self.compiled.loss.check_targets(part.y, self.output_shape)  # all of them, before the first step
        if not self.trainable:
            reason = "every layer with parameters has trainable=False" if self.parameters else "it has no parameters"
            warnings.warn(f"Nothing in '{self.name}' learns: {reason}.", stacklevel=3)
        listeners = listening(callbacks)
        if verbose != 0:
            listeners.append(ProgressBar(verbose))
        with nullcontext() if verbose == 0 else announced():
            return training.fit(
                self, batches, epochs=epochs, initial_epoch=initial_epoch, validation=validation, callbacks=listeners
            )

    @explained
    def evaluate(
        self,
        x: Array | Batches,
        y: Array | None = None,
        *,
        batch_size: int | None = None,
        verbose: int | str = 0,
        sample_weight: Array | None = None,
    ) -> dict[str, float]:
        """Mean loss and metrics on data the network is not trained on: ``{"loss": ..., "accuracy": ...}``.

        ``x`` (N, ...) with targets ``y`` in batches of ``batch_size``, or 32; or ready-made ``Batches``, which do not
        augment. ``verbose``: 0 silent, others a line. Raises OptionError, ShapeError, LabelError.
        """
        self._require_one_input()
        shuffle = None if isinstance(x, Batches) else False
        batches, _ = prepare(x, y, batch_size=batch_size, shuffle=shuffle, seed=self.seed, sample_weight=sample_weight)
        in_order(batches, None)  # raises for Batches that augment: what is measured are the pictures as they are
        with told(verbose, len(batches)) as logs:
            logs |= training.evaluate(self, batches)
        return logs

    @explained
    def train_on_batch(self, x: Array, y: Array, sample_weight: Array | None = None) -> dict[str, float]:
        """One step of gradient descent; the loss and metrics of this batch, before the step."""
        metrics, y = self.compiled.metrics, targets_of(y)  # raises before anything is built
        self._build_from(x)
        self._claim_optimizer()
        step = training.train_step(self, x, y, sample_weight)
        return {"loss": step.loss, **training.measure(metrics, y, step.predictions)}

    @explained
    def test_on_batch(self, x: Array, y: Array, sample_weight: Array | None = None) -> dict[str, float]:
        """Loss and metrics of one batch in inference mode."""
        y, predictions = targets_of(y), self(x)
        loss, _ = self.compiled.loss.forward(y, predictions, sample_weight)
        return {"loss": loss, **training.measure(self.compiled.metrics, y, predictions)}

    def _require_one_input(self) -> None:
        if self.graph.inputs > 1:
            fix = "Use train_on_batch and test_on_batch([a, b, ...], y), a batch at a time."
            raise OptionError(explain("one input, to cut data into batches", f"{self.input_names}", fix))

    def _build_from(self, x: Array) -> None:
        if not self.shapes:
            self.build(as_numbers(x).shape[1:])

    def up_to(self, *layers: str) -> Model:
        """The part of this network that computes the outputs of ``layers``, sharing its weights. Raises OptionError."""
        last = [len(self.path) - 1 - self.path[::-1].index(self.get_layer(layer)) for layer in layers]
        tensors = self.symbols()
        wanted = [tensors[self.graph.inputs + place] for place in last]
        inputs = [tensor for tensor in tensors[: self.graph.inputs] if tensor in reach(wanted)]
        name = "_".join([self.name, "to", *layers])
        return Model(inputs, wanted, name=name, dtype=str(self.dtype), seed=self.seed)
