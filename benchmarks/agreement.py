"""No clock starts before the numbers are right: a fast wrong answer is worth nothing.

What is judged is the very call that will be timed; judging it also compiles and traces it. Whatever differs raises
AssertionError.

A layer: the parity harness applies the rule of ``docs/architecture.md`` to every array (in float64 minicnn and Keras
agree to rounding; in float32 minicnn is not much further from the float64 truth than Keras). Then each call's arrays
must be minicnn's within twice the rule's limit, since both sides may err.

A network: the referee R is minicnn in float64. Logits: Keras must be near R, and minicnn's error within the rule for
networks. The loss and all gradients, or the weights after one step, must be R's within the tolerances below.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from benchmarks.cases import LayerCase, network
from benchmarks.crops import batch
from benchmarks.layer_engines import BACKWARD, FORWARD, MINICNN, layer_call
from benchmarks.model_engines import LEARNING_RATE, LOSS, Timed
from minicnn.layers import Conv2D
from minicnn.shapes import Array
from minicnn.training import backpropagate
from reference_keras.parity import compare_layer
from reference_keras.tolerance import LARGE_TILES, U, max_error, network_limit, rms
from reference_keras.twins import keras_twin

# Relative errors of float32 against R. A wrong network is off by about 1.
LOGITS = 1e-4  # rms
LOSS_ERROR = 1e-4
# rms. An activation within rounding of 0 may open a ReLU on one side and not on the other; two nearly equal ones may
# swap places in a pooling. In face_cnn such a place takes Keras's error from 1e-5 in the layers above to 1e-2 below.
GRADIENT = 5e-2

SEED = 0


class JudgedLayer:
    """A layer that keeps the rule, its input x, an upstream gradient dy, and what a timed call must return."""

    def __init__(self, case: LayerCase) -> None:
        self.layer, self.x = case.make()
        shape = (len(self.x), *self.layer.output_shape(self.x.shape[1:]))
        self.dy = np.random.default_rng(SEED).standard_normal(shape, dtype=np.float32)
        self.rate: float = getattr(self.layer, "rate", 0.0)
        self.limits = {direction: self._limits(direction == BACKWARD) for direction in (FORWARD, BACKWARD)}
        self.ours = {
            direction: layer_call(MINICNN, direction, self.layer, self.x, self.dy)()
            for direction in (FORWARD, BACKWARD)
        }

    def require_same(self, found: Mapping[str, Any], direction: str) -> None:
        """Raise AssertionError unless ``found``, what a timed call returned, is what minicnn computes."""
        arrays = {name: np.asarray(array) for name, array in found.items()}
        ours = self.ours[direction]
        assert arrays.keys() == ours.keys(), f"expected the arrays {list(ours)}, received {list(arrays)}"
        if self.rate and direction == BACKWARD:
            require_dropped(arrays, self.x, self.dy, self.rate)
            return
        for name, array in arrays.items():
            error, limit = max_error(array, ours[name]), 2 * self.limits[direction][name]
            assert error <= limit, f"{name} differs from minicnn's by {error:.2g}, allowed are {limit:.2g}"

    def _limits(self, training: bool) -> dict[str, float]:
        """{array: what the rule allows}, after the harness found that minicnn keeps it; masks cannot be compared."""
        compared = training and not self.rate
        report = compare_layer(self.layer, self.x, backward=training, training=compared, seed=SEED)
        assert report.ok, "\n".join(report.failures())
        return {array.name: array.limit for array in report.arrays}


def require_dropped(arrays: Mapping[str, Array], x: Array, dy: Array, rate: float) -> None:
    """Dropout draws other masks in each engine, but each number is 0 or scaled up, and dx is dropped where y is."""
    for name, source in (("y", x), ("dx", dy)):
        kept = np.isclose(arrays[name], source / (1 - rate), rtol=1e-6, atol=0)
        assert np.all(kept | (arrays[name] == 0)), f"{name} is neither dropped nor scaled by 1 / (1 - {rate})"
    seen = x != 0
    assert np.array_equal(arrays["y"][seen] == 0, arrays["dx"][seen] == 0), "dx is not dropped where y is"


class JudgedModel:
    """A network that keeps the rule, its batch of crops x and persons y, and what a timed call must return."""

    def __init__(self, name: str, size: int) -> None:
        self.model = network(name)
        self.x, self.y = batch(size)
        double = self.model.astype("float64")
        self.logits = double(self.x)
        step = backpropagate(double, LOSS, self.x.astype(np.float64), self.y)
        del double
        self.loss, self.state = step.loss, step.next_state
        self.gradients = {address: gradient.astype(np.float32) for address, gradient in step.gradients.items()}
        keras = rms(keras_twin(self.model)(self.x, training=False).numpy() - self.logits)
        assert keras <= LOGITS * rms(self.logits), f"Keras's logits are off by {keras / rms(self.logits):.2g}"
        self.limit = network_limit(keras, rms(self.logits), large_tiles=self._large_tiles())

    def require_same(self, timed: Timed, engine: str, direction: str) -> None:
        """Run the call once; raise AssertionError unless it computes what the referee does."""
        found = timed.call()
        if direction == FORWARD:
            error = rms(np.asarray(found["y"]) - self.logits)
            limit = self.limit if engine == MINICNN else LOGITS * rms(self.logits)
            assert error <= limit, f"the logits' rms error is {error:.2g}, allowed are {limit:.2g}"
            return
        error = abs(float(found["loss"]) - self.loss) / abs(self.loss)
        assert error <= LOSS_ERROR, f"the loss {float(found['loss']):.7g} should be {self.loss:.7g}"
        if direction == BACKWARD:
            self._require_gradients(found)
        else:
            self._require_step(timed.weights())

    def _require_gradients(self, found: Mapping[str, Any]) -> None:
        assert found.keys() == {"loss", *(f"d{address}" for address in self.gradients)}
        for address, gradient in self.gradients.items():
            error = rms(np.asarray(found[f"d{address}"]) - gradient) / rms(gradient)
            assert error <= GRADIENT, f"the gradient of {address} differs by {error:.2g}"

    def _require_step(self, weights: Mapping[str, Array]) -> None:
        """Each parameter must have moved by -LEARNING_RATE times its gradient, each statistic to its next value."""
        before = self.model.weights
        assert weights.keys() == before.keys()
        for address, gradient in self.gradients.items():
            rounding = U * np.abs(before[address]).max()  # of parameter + step
            error = rms(weights[address] - before[address] + LEARNING_RATE * gradient)
            allowed = GRADIENT * LEARNING_RATE * rms(gradient) + rounding
            assert error <= allowed, f"{address} moved wrongly, by {error:.2g} where {allowed:.2g} is allowed"
        for address, value in self.state.items():
            assert max_error(weights[address], value) <= LOSS_ERROR, f"{address} did not follow the batch"

    def _large_tiles(self) -> bool:
        convolutions = (layer for layer in self.model.path if isinstance(layer, Conv2D))
        return any(layer.algorithm_used() in LARGE_TILES for layer in convolutions)


def require_finite(found: Mapping[str, Any]) -> None:
    """After a hundred steps on one batch the loss must still be a number: NaN and inf are computed at other speeds."""
    value = np.asarray(found["loss"] if "loss" in found else found["y"])
    assert np.all(np.isfinite(value)), "the numbers diverged while they were timed"
