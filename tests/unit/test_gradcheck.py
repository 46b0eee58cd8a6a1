"""The gradient checker must accept what is right, name what is wrong, and never count a kink as either."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minicnn.errors import DtypeError, OptionError, ShapeError, StateError
from minicnn.gradcheck import check_gradient, check_layer_gradient, check_model_gradient
from minicnn.initializers import RandomNormal
from minicnn.layers.base import INFERENCE, Context, Layer, Weight
from minicnn.shapes import Array, Shape


class Affine(Layer):
    """y = x @ kernel + bias, with a switch for each mistake a backward pass can contain."""

    def __init__(self, mistake: str = "", **arguments: Any) -> None:
        super().__init__(**arguments)
        self.mistake = mistake

    def output_shape(self, input_shape: Shape) -> Shape:
        return (3,)

    def parameter_specs(self, input_shape: Shape) -> dict[str, Weight]:
        return {"kernel": Weight((3, 3), RandomNormal(stddev=1.0)), "bias": Weight((3,), RandomNormal(stddev=1.0))}

    def forward(self, x: Array, context: Context = INFERENCE) -> tuple[Array, Array]:
        return x @ self.params["kernel"] + self.params["bias"], x

    def backward(
        self, dy: Array, cache: Array, *, input_gradient: bool = True
    ) -> tuple[Array | None, dict[str, Array]]:
        dx = dy @ (self.params["kernel"] if self.mistake == "transposed" else self.params["kernel"].T)
        dbias = dy.mean(axis=0) if self.mistake == "mean for sum" else dy.sum(axis=0)
        gradients = {"kernel": cache.T @ dy, "bias": dbias}
        if self.mistake == "one entry":
            gradients["kernel"][2, 1] *= 1 + 1e-5
        if self.mistake == "nan":
            gradients["bias"][1] = np.nan
        if self.mistake == "shape":
            gradients["bias"] = dbias[None]
        if self.mistake == "missing":
            del gradients["bias"]
        return dx, gradients if self.trainable else {}


class Elementwise(Layer):
    """A function without parameters, applied to every number."""

    def __init__(self, function: Any, derivative: Any) -> None:
        super().__init__()
        self.function, self.derivative = function, derivative

    def output_shape(self, input_shape: Shape) -> Shape:
        return input_shape

    def forward(self, x: Array, context: Context = INFERENCE) -> tuple[Array, Array]:
        return self.function(x), x

    def backward(
        self, dy: Array, cache: Array, *, input_gradient: bool = True
    ) -> tuple[Array | None, dict[str, Array]]:
        return dy * self.derivative(cache), {}


def built(layer: Layer, shape: Shape = (3,), dtype: Any = np.float64) -> Layer:
    layer.build(shape, np.random.default_rng(5), dtype)
    return layer


def batch(*shape: int) -> Array:
    return np.random.default_rng(7).standard_normal(shape)


def relu() -> Layer:
    return built(Elementwise(lambda x: np.maximum(x, 0), lambda x: (x > 0).astype(float)))


def test_a_right_layer_passes_and_every_entry_is_compared() -> None:
    report = check_layer_gradient(built(Affine()), batch(4, 3))
    assert report.passed(1e-9), report
    assert (report.checked, report.kinks) == (12 + 9 + 3, 0)
    assert [array.name for array in report.arrays] == ["x", "kernel", "bias"]


@pytest.mark.parametrize(
    ("mistake", "name", "index"),
    [("transposed", "x", None), ("mean for sum", "bias", None), ("one entry", "kernel", (2, 1)), ("nan", "bias", (1,))],
)
def test_a_wrong_layer_is_named_with_its_worst_entry(mistake: str, name: str, index: Any) -> None:
    report = check_layer_gradient(built(Affine(mistake)), batch(4, 3))
    assert not report.passed(1e-6)
    assert report.worst is not None
    assert report.worst.name == name
    assert index is None or report.worst.index == index
    assert report.max_relative_error == report.worst.error > 1e-6
    for array in report.arrays:  # the arrays without the mistake stay clean
        assert (array.max_relative_error <= 1e-8) == (array.name != name)
    assert name in str(report)
    assert "analytic" in str(report)


@pytest.mark.parametrize("mistake", ["shape", "missing"])
def test_gradients_that_do_not_match_their_arrays_are_an_error(mistake: str) -> None:
    with pytest.raises(ShapeError, match="bias"):
        check_layer_gradient(built(Affine(mistake)), batch(4, 3))


def test_a_frozen_layer_is_checked_for_dx_and_says_what_it_left_out() -> None:
    report = check_layer_gradient(built(Affine(trainable=False)), batch(4, 3))
    assert report.passed()
    assert report.without_gradient == ("bias", "kernel")
    assert "kernel" in str(report)
    assert "frozen" in str(report)


def test_parameters_and_input_are_exactly_restored() -> None:
    layer, x = built(Affine()), batch(4, 3)
    before = {name: array.copy() for name, array in layer.params.items()}
    arrays, kept = dict(layer.params), x.copy()
    check_layer_gradient(layer, x)
    assert np.array_equal(x, kept)
    for name, array in layer.params.items():
        assert array is arrays[name]
        assert np.array_equal(array, before[name])


def test_parameters_are_restored_when_the_forward_pass_fails() -> None:
    layer = built(Affine())
    before, calls, forward = layer.params["kernel"].copy(), [0], layer.forward

    def failing(x: Array, context: Context = INFERENCE) -> tuple[Array, Any]:
        calls[0] += 1
        if calls[0] == 60:  # 2 passes to begin with, 48 for x, so in the middle of the kernel
            assert not np.array_equal(layer.params["kernel"], before)
            raise RuntimeError("on purpose")
        return forward(x, context)

    layer.forward = failing  # type: ignore[method-assign]
    with pytest.raises(RuntimeError, match="on purpose"):
        check_layer_gradient(layer, batch(4, 3))
    assert np.array_equal(layer.params["kernel"], before)


def test_relu_at_zero_is_a_kink_reported_with_its_index() -> None:
    x = batch(3, 4)
    x[1, 2] = 0.0
    report = check_layer_gradient(relu(), x)
    assert report.passed()
    assert report.kinks == 1
    assert report.checked == 11
    assert report.arrays[0].kinks == ((1, 2),)


@settings(max_examples=60, deadline=None)
@given(st.floats(-3e-4, 3e-4))
def test_relu_near_zero_never_shows_a_wrong_error(at: float) -> None:
    """Wherever the kink lies, an entry is measured on one side of it or left out; never compared across it."""
    x = np.full((1, 3), 0.7)
    x[0, 1] = at
    report = check_layer_gradient(relu(), x)
    assert report.checked + report.kinks == 3
    assert report.max_relative_error <= 4e-6
    if abs(at) > 2.1e-6:  # two of the smallest steps
        assert report.kinks == 0


def test_a_tie_between_maxima_is_a_kink_on_both_sides() -> None:
    def maximum(x: Array) -> Array:
        return x.max(axis=1, keepdims=True)

    def first(x: Array) -> Array:
        return np.eye(x.shape[1])[x.argmax(axis=1)]

    layer = built(Elementwise(maximum, first))
    assert check_layer_gradient(layer, np.array([[1.0, 3.0, 2.0]])).kinks == 0
    report = check_layer_gradient(layer, np.array([[3.0, 1.0, 3.0]]))
    assert report.arrays[0].kinks == ((0, 0), (0, 2))
    assert report.checked == 1


def test_a_wrong_gradient_is_no_kink() -> None:
    report = check_layer_gradient(built(Elementwise(np.tanh, lambda x: 1 + np.tanh(x) ** 2)), batch(3, 4))
    assert report.kinks == 0
    assert report.max_relative_error > 1e-2


def test_sharp_bends_are_measured_with_smaller_steps_not_called_kinks() -> None:
    sharp = built(Elementwise(lambda x: np.tanh(50 * x), lambda x: 50 * (1 - np.tanh(50 * x) ** 2)))
    report = check_layer_gradient(sharp, 0.02 * batch(3, 4))
    assert report.kinks == 0
    assert report.passed(), report


def test_when_everything_is_a_kink_nothing_has_passed() -> None:
    report = check_layer_gradient(relu(), np.zeros((2, 3)))
    assert report.kinks == 6
    assert report.checked == 0
    assert report.worst is None
    assert not report.passed()
    assert "nothing was compared" in str(report)


def test_a_layer_that_returns_a_view_of_its_input_is_measured_correctly() -> None:
    flatten = built(Elementwise(lambda x: x.reshape(len(x), -1), lambda x: 1.0))
    report = check_layer_gradient(flatten, batch(3, 4))
    assert report.passed(1e-9)
    assert report.worst is not None
    assert abs(report.worst.numeric) > 1e-3


def test_a_number_that_is_not_finite_fails() -> None:
    with np.errstate(invalid="ignore"):
        report = check_layer_gradient(
            built(Elementwise(np.sqrt, lambda x: 0.5 / np.sqrt(np.abs(x)))), np.array([[1.0, -1.0]])
        )
    assert report.max_relative_error == float("inf")
    assert not report.passed()


def test_the_limit_samples_from_the_seed() -> None:
    def entries(seed: int) -> list[Any]:
        seen: list[Any] = []
        layer = built(Affine())
        x = batch(50, 3)
        forward = layer.forward

        def watching(values: Array, context: Context = INFERENCE) -> tuple[Array, Any]:
            seen.extend(map(tuple, np.argwhere(values != x)))
            return forward(values, context)

        layer.forward = watching  # type: ignore[method-assign]
        assert check_layer_gradient(layer, x, seed=seed, limit=7).arrays[0].checked == 7
        return seen

    assert entries(1) == entries(1) != entries(2)
    assert len(set(entries(1))) == 7


def test_dropout_like_randomness_is_held_still_by_the_context() -> None:
    class Noise(Elementwise):
        def forward(self, x: Array, context: Context = INFERENCE) -> tuple[Array, Array]:
            mask = context.rng(self.name).random(x.shape)
            return x * mask, mask

    layer = built(Noise(None, lambda mask: mask))
    assert check_layer_gradient(layer, batch(3, 4), context=Context(training=True, seed=3, step=9)).passed(1e-9)


def test_wrong_use_is_refused() -> None:
    with pytest.raises(DtypeError, match="float64"):
        check_layer_gradient(built(Affine()), batch(4, 3).astype(np.float32))
    with pytest.raises(DtypeError, match="kernel"):
        check_layer_gradient(built(Affine(), dtype=np.float32), batch(4, 3))
    with pytest.raises(StateError):
        check_layer_gradient(Affine(), batch(4, 3))
    with pytest.raises(OptionError, match="limit"):
        check_layer_gradient(built(Affine()), batch(4, 3), limit=0)
    with pytest.raises(ShapeError):
        check_gradient(lambda x: float(x.sum()), lambda x: np.ones(2), np.ones(3))


@given(st.lists(st.floats(-3, 3), min_size=1, max_size=6))
def test_plain_functions(values: list[float]) -> None:
    x = np.array(values)
    assert check_gradient(lambda x: float(np.sin(x).sum()), np.cos, x).passed(1e-8)
    report = check_gradient(lambda x: float(np.exp(x).sum()), lambda x: 1.01 * np.exp(x), x)
    assert abs(report.max_relative_error - 0.01 / 1.01) < 1e-6


class SquaredError:
    def forward(self, targets: Array, predictions: Array) -> tuple[float, Any]:
        return float(np.mean((predictions - targets) ** 2)), (targets, predictions)

    def backward(self, cache: Any) -> Array:
        targets, predictions = cache
        return 2 * (predictions - targets) / predictions.size


class TwoLayers:
    """tanh(affine) twice; ``forget`` leaves out the derivative of the tanh between them, ``lose`` a gradient."""

    def __init__(self, forget: bool = False, lose: str = "") -> None:
        self.layers = [built(Affine(name="a")), built(Affine(name="b"))]
        self.forget, self.lose = forget, lose

    @property
    def parameters(self) -> dict[str, Array]:
        return {f"{layer.name}/{name}": array for layer in self.layers for name, array in layer.params.items()}

    def forward(self, x: Array, context: Context) -> tuple[Array, Any]:
        hidden, first = self.layers[0].forward(x, context)
        y, second = self.layers[1].forward(np.tanh(hidden), context)
        return y, (first, hidden, second)

    def backward(self, dy: Array, caches: Any, *, input_gradient: bool) -> tuple[Array | None, dict[str, Array]]:
        first, hidden, second = caches
        dhidden, b = self.layers[1].backward(dy, second)
        assert dhidden is not None
        dx, a = self.layers[0].backward(dhidden if self.forget else dhidden * (1 - np.tanh(hidden) ** 2), first)
        named = {"a": a, "b": b}
        found = {f"{layer}/{name}": g for layer, gradients in named.items() for name, g in gradients.items()}
        return dx, {address: g for address, g in found.items() if address != self.lose}


def test_a_whole_network() -> None:
    report = check_model_gradient(TwoLayers(), SquaredError(), batch(5, 3), np.ones((5, 3)), limit=None)
    assert report.passed(1e-8), report
    assert [array.name for array in report.arrays] == ["x", "a/kernel", "a/bias", "b/kernel", "b/bias"]
    wrong = check_model_gradient(TwoLayers(forget=True), SquaredError(), batch(5, 3), np.ones((5, 3)))
    failing = [array.name for array in wrong.arrays if array.max_relative_error > 1e-6]
    assert failing == ["x", "a/kernel", "a/bias"]  # what lies below the mistake, nothing above it


def test_a_network_that_loses_a_gradient_on_the_way_has_not_passed() -> None:
    model = TwoLayers(lose="a/bias")
    with pytest.raises(ShapeError, match=r"\['bias', 'kernel'\] from layer 'a'. Received: \['kernel'\]"):
        check_model_gradient(model, SquaredError(), batch(5, 3), np.ones((5, 3)))


def test_a_frozen_layer_of_a_network_needs_no_gradient() -> None:
    model = TwoLayers()
    model.layers[0].trainable = False
    report = check_model_gradient(model, SquaredError(), batch(5, 3), np.ones((5, 3)))
    assert report.passed(1e-8), report
    assert report.without_gradient == ("a/bias", "a/kernel")
