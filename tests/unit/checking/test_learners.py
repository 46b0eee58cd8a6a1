"""Functions as learners write them: right ones pass, each classic mistake is called by its name alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from minicnn import check_layer
from tests.unit.checking import learners

Maker = Callable[[str], Callable[..., Any]]

#: (how the function is made, the layer, backward?, the mistakes that it can make)
LEARNERS: list[tuple[Maker, str, bool, tuple[str, ...]]] = [
    (
        learners.conv,
        "Conv2D",
        False,
        (
            *("kernel flipped", "kernel axes swapped", "kernel channels swapped", "kernel read as OIHW"),
            *("input read as NCHW", "output returned as NCHW", "padding ignored", "odd padding before"),
            *("padding for stride 1", "half the window on both sides", "all padding after", "stride ignored"),
            *("strides swapped", "dilation ignored", "bias missing", "bias added twice", "bias added at every tap"),
            *("bias added at every product", "edges repeated instead of zeros"),
        ),
    ),
    (
        learners.conv_backward,
        "Conv2D",
        True,
        (
            *("kernel flipped", "dkernel flipped", "mean instead of sum over the batch", "padding left on dx"),
            *("mean instead of sum over positions", "only the last sample counts", "upstream gradient ignored"),
        ),
    ),
    (learners.dense, "Dense", False, ("kernel transposed", "kernel reshaped instead of transposed", "bias missing")),
    (
        learners.max_pool,
        "MaxPooling2D",
        False,
        (
            *("padded with zeros", "padding ignored", "odd padding before", "strides always the pool size"),
            "output size rounded up",
        ),
    ),
    (
        learners.max_pool_backward,
        "MaxPooling2D",
        True,
        ("gradient to all ties", "gradient split among ties", "overlapping windows overwritten"),
    ),
    (learners.average_pool, "AveragePooling2D", False, ("padding counted",)),
    (learners.global_max_backward, "GlobalMaxPooling2D", True, ("gradient to all ties",)),
    (
        learners.batch_norm,
        "BatchNormalization",
        False,
        (
            *("epsilon 1e-5", "epsilon outside the root", "unbiased variance", "moving variance unbiased"),
            *("momentum swapped", "statistics per number"),
        ),
    ),
    (
        learners.batch_norm_backward,
        "BatchNormalization",
        True,
        ("mean and variance as constants", "variance as a constant"),
    ),
    (learners.softmax, "Softmax", False, ("maximum not subtracted", "along the batch", "over the whole array")),
    (learners.softmax_backward, "Softmax", True, ("only the diagonal of the Jacobian",)),
    (learners.relu_backward, "ReLU", True, ("mask of dy", "gradient 1 at 0")),
    (learners.leaky_relu, "LeakyReLU", False, ("slope 0.01",)),
    (learners.flatten, "Flatten", False, ("channels first",)),
    (learners.dropout, "Dropout", False, ("not scaled", "not scaled and scaled in inference")),
    (
        learners.crossentropy,
        "CategoricalCrossentropy",
        False,
        ("label smoothing ignored", "label smoothing over the others", "not clipped", "sum instead of mean"),
    ),
    (learners.crossentropy_backward, "CategoricalCrossentropy", True, ("not divided by the batch",)),
    (
        learners.adam,
        "Adam",
        False,
        ("bias correction missing", "epsilon inside the root", "epsilon beside the corrected root"),
    ),
    (learners.sgd, "SGD", False, ("learning rate outside the momentum", "momentum's sign")),
    (learners.rmsprop, "RMSprop", False, ("epsilon outside the root",)),
]
MISTAKES = [(maker, layer, backward, mistake) for maker, layer, backward, every in LEARNERS for mistake in every]


@pytest.mark.parametrize(("maker", "layer", "backward", "mistakes"), LEARNERS, ids=lambda value: str(value)[:20])
def test_a_right_function_passes(maker: Maker, layer: str, backward: bool, mistakes: tuple[str, ...]) -> None:
    report = check_layer(maker(""), layer, backward=backward)
    assert report.ok, report
    assert not report.diagnoses
    assert report.example is None
    assert report.precision is not None
    assert report.precision.yours <= max(8 * report.precision.minicnn, 1e-6)


@pytest.mark.parametrize(("maker", "layer", "backward", "mistake"), MISTAKES, ids=lambda value: str(value)[:40])
def test_a_mistake_is_called_by_its_name(maker: Maker, layer: str, backward: bool, mistake: str) -> None:
    report = check_layer(maker(mistake), layer, backward=backward)
    assert not report.ok
    assert {diagnosis.name for diagnosis in report.diagnoses} == {mistake}
    assert not report.unexplained
    assert mistake.upper() in str(report)
    assert report.example is not None


def test_two_mistakes_at_once_are_both_named() -> None:
    def conv(x, kernel, bias, padding):  # type: ignore[no-untyped-def]
        return learners.conv("odd padding before")(x, kernel[::-1, ::-1], bias, (1, 1), padding, (1, 1))

    (diagnosis,) = check_layer(conv, "Conv2D").diagnoses
    assert {mistake.name for mistake in diagnosis.mistakes} == {"kernel flipped", "odd padding before"}


def test_what_no_mistake_explains_is_not_explained() -> None:
    report = check_layer(lambda x, kernel: np.sin(x @ kernel), "Dense")
    assert report.diagnoses == ()
    assert report.unexplained == ("y",)
    assert "None of the known mistakes" in str(report)


def test_a_mistake_that_fits_only_some_cases_is_not_named() -> None:
    """Right numbers speak too: the bias is missing where the batch is large, and there alone."""
    report = check_layer(lambda x, kernel, bias: x @ kernel + (0 if len(x) > 1 else bias), "Dense")
    assert report.right > 0
    assert report.unexplained == ("y",)


def test_each_result_has_its_own_diagnosis() -> None:
    def backward(dy, x, kernel):  # type: ignore[no-untyped-def]
        return np.ones_like(dy) @ kernel.T, x.T @ dy / len(x), dy.sum(axis=0)

    found = {diagnosis.results: diagnosis.name for diagnosis in check_layer(backward, "Dense", backward=True).diagnoses}
    assert found == {("dx",): "upstream gradient ignored", ("dkernel",): "mean instead of sum over the batch"}


def test_the_example_is_as_small_as_it_gets_and_shows_the_arithmetic() -> None:
    report = check_layer(learners.conv("kernel flipped"), "Conv2D")
    example = report.example
    assert example is not None
    assert example.arrays["x"].size == 2  # two pixels and two taps: with one, there is nothing to flip
    assert example.arrays["kernel"].size == 2
    assert example.arithmetic.splitlines()[0] == "y[0, 0, 0, 0] is the sum of"
    terms = [line for line in example.arithmetic.splitlines() if " * " in line]
    assert [float(line.rsplit("=", 1)[1]) for line in terms] == [1.0, 4.0]  # 1 * 1 and 2 * 2
    assert example.truth == example.minicnn == 1 + 4 + 10
    assert example.found == 2 + 2 + 10


def test_float32_on_the_way_is_a_note_and_no_mistake() -> None:
    report = check_layer(lambda x, kernel, bias: (x @ kernel + bias).astype(np.float32), "Dense")
    assert report.ok
    assert "rounds to float32" in str(report)


def test_float32_does_not_hide_a_mistake() -> None:
    report = check_layer(lambda x, kernel, bias: (x @ kernel).astype(np.float32), "Dense")
    assert [diagnosis.name for diagnosis in report.diagnoses] == ["bias missing"]
