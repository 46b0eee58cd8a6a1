"""Calls with arguments that there are not: every constructor says what it takes, and keeps its signature."""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from typing import Any

import pytest

from minicnn import Sequential, callbacks, initializers, layers, losses, metrics, optimizers, schedules
from minicnn.constructors import ELSEWHERE, Explained, explained
from minicnn.errors import ArgumentError, OptionError


def made_of(cls: type) -> list[type]:
    """All classes of minicnn that are derived from ``cls``, by whatever steps, and can be made."""
    below = [kind for direct in cls.__subclasses__() for kind in made_of(direct)]
    return below if inspect.isabstract(cls) or not cls.__module__.startswith("minicnn.") else [cls, *below]


@pytest.mark.parametrize("cls", made_of(Explained)[1:], ids=lambda cls: cls.__name__)
def test_every_constructor_explains_what_it_does_not_take(cls: type) -> None:
    with pytest.raises(ArgumentError) as caught:
        cls(ruhbarb=3)
    named = ", ".join(inspect.signature(cls).parameters)
    assert str(caught.value).startswith(f"Expected arguments of {cls.__name__} ({named}). Received: ruhbarb=3.")


def test_the_families_of_constructors_are_all_there() -> None:
    bases = (layers.Layer, optimizers.Optimizer, losses.Loss, metrics.Metric, callbacks.Callback)
    for base in (*bases, schedules.LearningRateSchedule, initializers.Initializer):
        assert issubclass(base, Explained)


def test_signatures_are_those_that_were_written() -> None:
    assert list(inspect.signature(layers.Dense).parameters)[:2] == ["units", "use_bias"]
    assert list(inspect.signature(layers.ReLU).parameters) == ["name", "trainable"]


def test_signatures_are_of_classes_not_of_what_is_called() -> None:
    assert str(inspect.signature(schedules.CosineDecay(0.1, 10))) == "(step: 'float') -> 'float'"

    @dataclass(repr=False)
    class Kept(callbacks.Callback):
        every: int = 3

    assert list(inspect.signature(Kept).parameters) == ["every"]
    assert repr(Kept(5)) == "Kept(every=5)"


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: layers.Dense(10, activation="relu"), r"Dense .*activation='relu'\. .*put Activation\('relu'\) behind"),
        (lambda: layers.Conv2D(8, 3, kernel_regularizer="l2"), r"weight_decay=1e-4"),
        (lambda: layers.Dense(10, input_shape=(4,)), r"Sequential\(layers, input_shape=\(4,\)\)"),
        (lambda: layers.Conv2D(8, 3, paddding="same"), r"Is 'paddding' padding\?"),
        (lambda: layers.Flatten(data_format="channels_first"), r"arguments of Flatten \(name, trainable\)"),
        (lambda: optimizers.Adam(learning_rat=1), r"arguments of Adam .*Is 'learning_rat' learning_rate\?"),
        (lambda: losses.MeanSquaredError(reduction="sum"), r"arguments of MeanSquaredError .*per_sample"),
        (lambda: callbacks.ModelCheckpoint(path="a.npz"), r"Is 'path' filepath\?$"),
        (
            lambda: callbacks.ModelCheckpoint("a.npz", save_weights_only=True),
            r"save_weights_only=True\. A file holds the",
        ),
        (
            lambda: callbacks.ModelCheckpoint("a.npz", save_freq=3),
            r"save_freq=3\. A checkpoint is made after each epoch",
        ),
        (lambda: callbacks.CSVLogger(path="a.csv"), r"'path' is called filename\.$"),
        (lambda: callbacks.CSVLogger("a.csv", separator=";"), r"separated by commas\.$"),
        (
            lambda: layers.Dropout(0.5, seed=3),
            r"seed=3\. Chance .*Sequential\(layers, seed=3\), or Model\(\.\.\., seed=3\)",
        ),
        (lambda: layers.LeakyReLU(alpha=0.1), r"'alpha' is called negative_slope\.$"),
        (lambda: layers.ReLU(max_value=6), r"Activation\('relu6'\) cuts off at 6\.$"),
        (lambda: layers.ReLU(negative_slope=0.1), r"LeakyReLU\(negative_slope=0\.1\) is the layer that has one\.$"),
        (lambda: optimizers.Adam(lr=0.1), r"'lr' is called learning_rate\.$"),
        (lambda: optimizers.SGD(decay=1e-4), r"InverseTimeDecay\(0\.01, decay_steps=1, decay_rate=0\.0001\)"),
        (lambda: layers.Dense(), r"Python refuses: missing a required argument: 'units'"),
        (lambda: layers.Dropout(0.5, None, 3), r"too many positional arguments\. By name alone: name, trainable\."),
        (lambda: Sequential().fit(None, None, steps_per_epoch=3), r"arguments of fit \(x, y, batch_size"),
    ],
)
def test_messages_say_how_to_mend_it(call: Any, message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        call()


def test_it_is_still_the_error_of_python_and_of_options() -> None:
    for kind in (TypeError, OptionError):
        with pytest.raises(kind):
            layers.Dense(10, colour="red")  # type: ignore[call-arg]


def test_a_subclass_of_a_user_is_explained_by_the_class_that_refuses() -> None:
    class Mine(layers.Dense):
        def __init__(self, **options: Any) -> None:
            super().__init__(3, **options)

    assert Mine(use_bias=False).use_bias is False
    with pytest.raises(ArgumentError, match=r"arguments of Dense \(units"):
        Mine(colour="red")


def test_errors_from_inside_a_call_are_left_alone() -> None:
    @explained
    def add(a: Any, b: Any) -> Any:
        return a + b

    with pytest.raises(TypeError, match=r"^unsupported operand") as caught:
        add(1, "2")
    assert not isinstance(caught.value, ArgumentError)
    assert add(1, b=2) == 3


def test_what_stands_elsewhere_is_no_argument_of_the_layers_that_it_is_said_to_be_missing_in() -> None:
    for cls in (layers.Dense, layers.Conv2D, layers.DepthwiseConv2D, layers.MaxPooling2D):
        assert not set(ELSEWHERE) & set(inspect.signature(cls).parameters)


class OfKeras(losses.Loss):
    def call(self, y_true: Any, y_pred: Any) -> Any:
        return y_pred - y_true


class Half(layers.Layer):
    def output_shape(self, input_shape: Any) -> Any:
        return input_shape

    def forward(self, x: Any, context: Any = None) -> Any:
        return x / 2, None


class Counting(metrics.Metric):
    def update_state(self, y_true: Any, y_pred: Any) -> None:
        pass


@pytest.mark.parametrize(
    ("cls", "message"),
    [
        (
            OfKeras,
            r"Expected methods losses, dpredictions in OfKeras, as every Loss .* with call and without losses\. ",
        ),
        (Half, r"Expected the method backward in Half, as every Layer has\. Received: none of \['backward'\]\.$"),
        (lambda: Counting("n"), r"method values in Counting, .* with update_state and without values\. Here values"),
        (losses.Loss, r"Expected a subclass of Loss with methods losses, dpredictions\. Received: Loss itself\.$"),
    ],
)
def test_a_class_that_lacks_methods_is_told_which(cls: Any, message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        cls()
