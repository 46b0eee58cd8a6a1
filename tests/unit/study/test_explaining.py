"""Explanations inside whole networks: fused layers, shared layers, ways that meet, losses, and what is refused."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minicnn import losses
from minicnn.errors import OptionError, StateError
from minicnn.fusion import fuse
from minicnn.layers import (
    Activation,
    Add,
    BatchNormalization,
    Conv2D,
    Dense,
    Flatten,
    Input,
    MaxPooling2D,
    ReLU,
    Softmax,
)
from minicnn.layers.activations import ACTIVATIONS
from minicnn.layers.base import Context
from minicnn.model import Model
from minicnn.sequential import Sequential
from minicnn.shapes import Array
from minicnn.study import (
    Explanation,
    Trace,
    explain,
    explain_gradient,
    explain_gradient_in,
    explain_in,
    explain_loss_in,
    explain_scores_gradient_in,
    trace,
)
from tests.architectures import graphs, pictures, rows

CLASSES = 5


def residual(dtype: str = "float64") -> Model:
    """A convolution that is used twice, a sum that three read, fused ReLUs, and scores."""
    x = Input((8, 6, 3), name="photo")
    shared = Conv2D(4, 3, padding="same", name="conv")
    first = ReLU(name="relu")(Conv2D(4, 3, padding="same", name="stem")(x))
    once = shared(first)
    twice = shared(ReLU(name="relu_2")(once))
    together = ReLU(name="relu_3")(Add(name="add")([first, once, twice]))
    pooled = BatchNormalization(name="norm")(MaxPooling2D(name="pool")(together))
    return Model(x, Dense(CLASSES, name="scores")(Flatten(name="flat")(pooled)), dtype=dtype)


def photo(rng: np.random.Generator, batch: int = 2) -> Array:
    return rng.standard_normal((batch, 8, 6, 3))


def assert_adds_up(explanation: Explanation, rel: float = 1e-11) -> None:
    assert explanation.total == pytest.approx(explanation.value, rel=rel, abs=rel)


def test_a_trace_computes_what_the_network_computes(rng: np.random.Generator) -> None:
    model, x = residual("float32"), photo(rng)
    found = trace(model, x)
    assert any(stage.relu for stage in fuse(model.graph)), "this network should have fused layers"
    np.testing.assert_array_equal(found.output, model(x))
    assert found.names[:4] == ("photo", "stem", "relu", "conv")
    assert "conv@2" in found.names


@pytest.mark.parametrize("training", [False, True], ids=["inference", "training"])
def test_every_value_and_gradient_of_a_network_is_explained(training: bool, rng: np.random.Generator) -> None:
    model, x = residual(), photo(rng)
    forward = trace(model, x, context=Context(training=training))
    both = forward.backward_from(np.array([1, 4]), losses.SparseCategoricalCrossentropy(from_logits=True))
    for value, name in enumerate(both.names):
        for _ in range(20):
            sample, *index = (int(rng.integers(size)) for size in both.values[value].shape)
            assert_adds_up(explain_gradient_in(both, name, index, of="output", sample=sample))
            if value:
                assert_adds_up(explain_in(both, name, index, sample=sample))
    for address, array in model.parameters.items():
        layer, key = address.split("/")
        for _ in range(20):
            index = [int(rng.integers(size)) for size in array.shape]
            assert_adds_up(explain_gradient_in(both, layer, index, of=key))


@pytest.mark.parametrize("training", [False, True], ids=["inference", "training"])
@pytest.mark.parametrize("kind", [rows, graphs], ids=["rows", "graphs"])
def test_any_number_of_any_network_is_explained(kind: Any, training: bool) -> None:
    @settings(max_examples=20)
    @given(kind(), st.integers(0, 2**32 - 1))
    def check(model: Model, seed: int) -> None:
        rng, context = np.random.default_rng(seed), Context(training=training, seed=1)
        forward = trace(model, pictures(model), context=context)
        both = forward.backward(rng.standard_normal(forward.output.shape))
        for value, name in enumerate(both.names):
            sample, *index = (int(rng.integers(size)) for size in both.values[value].shape)
            assert_adds_up(explain_gradient_in(both, name, index, of="output", sample=sample), rel=1e-9)
            if value:
                assert_adds_up(explain_in(both, name, index, sample=sample), rel=1e-9)
        for address, array in model.parameters.items():
            layer, key = address.split("/")
            place = [int(rng.integers(size)) for size in array.shape]
            assert_adds_up(explain_gradient_in(both, layer, place, of=key), rel=1e-9)

    check()


def test_a_shared_layer_gathers_its_gradient_from_every_use(rng: np.random.Generator) -> None:
    both = trace(residual(), photo(rng)).backward(rng.standard_normal((2, CLASSES)))
    found = explain_gradient_in(both, "conv", (1, 1, 2, 3), of="kernel")
    assert len(found.groups) == 2
    assert {group.factors[0].of for group in found.groups} == {"d conv", "d conv@2"}


def test_one_reader_among_several_sends_back_its_own_share(rng: np.random.Generator) -> None:
    """ "relu" is read by a convolution and by the sum: together they make its gradient."""
    both = trace(residual(), photo(rng)).backward(rng.standard_normal((2, CLASSES)))
    place = (3, 2, 1)
    shares = [explain_gradient_in(both, "conv", place), explain_gradient_in(both, "add", place, source=0)]
    whole = explain_gradient_in(both, "relu", place, of="output")
    for share in shares:
        assert_adds_up(share)
    assert whole.value == pytest.approx(sum(share.value for share in shares), rel=1e-12)


def test_a_value_that_is_an_output_twice_is_given_both_gradients(rng: np.random.Generator) -> None:
    x = Input((3,))
    y = Dense(2, name="y")(x)
    model = Model(x, [y, ReLU(name="relu")(y), y], dtype="float64")
    dys = [rng.standard_normal((1, 2)) for _ in range(3)]
    both = trace(model, rng.standard_normal((1, 3))).backward(dys)
    found = explain_gradient_in(both, "y", (np.int64(1),), of="output")
    assert_adds_up(found)
    passes = float(both.values[1][0, 1] > 0)
    assert found.value == pytest.approx(dys[0][0, 1] + dys[2][0, 1] + passes * dys[1][0, 1])


@pytest.mark.parametrize("broken", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_is_explained_as_the_network_has_it(broken: float, rng: np.random.Generator) -> None:
    layers = [MaxPooling2D(name="pool"), ReLU(name="relu"), Conv2D(1, 2, name="conv")]
    model = Sequential(layers, input_shape=(4, 4, 1), dtype="float64")
    x = rng.standard_normal((1, 4, 4, 1))
    x[0, 1, 1, 0] = broken
    both = trace(model, x).backward(np.ones((1, 1, 1, 1)))
    for name, place in (("pool", (0, 0, 0)), ("relu", (0, 0, 0)), ("conv", (0, 0, 0))):
        for found in (explain_in(both, name, place), explain_gradient_in(both, name, place)):
            np.testing.assert_allclose(found.total, found.value, rtol=1e-12)


@pytest.mark.parametrize("name", [name for name in ACTIVATIONS if name != "softmax"])
def test_activations_at_the_ends_of_the_line_are_explained_as_the_network_has_them(name: str) -> None:
    x = np.array([[-np.inf, -1e155, -709.5, -0.0, 0.0, 709.5, 1e155, np.inf, np.nan]])
    model = Sequential([Activation(name, name="bend")], input_shape=(9,), dtype="float64")
    for dy in (1.0, *([np.inf] if name in ("relu", "relu6", "hard_sigmoid") else [])):
        with np.errstate(invalid="ignore", over="ignore"):
            both = trace(model, x).backward(np.full((1, 9), dy))
        for i in range(9):
            for found in (explain_in(both, "bend", (i,)), explain_gradient_in(both, "bend", (i,))):
                np.testing.assert_allclose(found.total, found.value, rtol=1e-12, atol=1e-15, err_msg=str(x[0, i]))


def test_float32_networks_are_explained_to_their_own_rounding(rng: np.random.Generator) -> None:
    model, x = residual("float32"), photo(rng)
    assert_adds_up(explain(model, x, "conv@2", (3, 2, 1)), rel=1e-5)
    assert_adds_up(explain_gradient(model, x, "stem", (3, 2, 1), dy=np.ones((2, CLASSES))), rel=1e-4)


def test_an_explanation_knows_its_sums_and_prints_as_text_and_json(rng: np.random.Generator) -> None:
    model, x = residual(), photo(rng)
    found = explain(model, x, "stem", (3, 2, 1))
    channels = found.per_channel()
    assert list(channels) == [0, 1, 2]
    bias = float(model.parameters["stem/bias"][1])
    assert sum(channels.values()) + bias == pytest.approx(found.value)
    kernel = model.parameters["stem/kernel"]
    assert channels[2] == pytest.approx(float((x[0, 2:5, 1:4, 2] * kernel[:, :, 2, 1]).sum()))
    text = found.lines(most=4)
    assert text[0].startswith("stem[0, 3, 2, 1] = ")
    assert "23 smaller terms, together" in str(text)
    largest, others = found.groups[0].largest(4)
    products = found.groups[0].products
    assert sorted(np.abs(largest.products)) == sorted(np.abs(products))[-4:]
    assert others + largest.products.sum() == pytest.approx(products.sum())
    data = json.loads(json.dumps(found.as_json(), allow_nan=False))
    assert data["value"] == found.value
    assert len(data["groups"][0]["products"]) == len(found.terms) == 27
    assert data["groups"][0]["factors"][1]["of"] == "stem/kernel"


# -- losses ------------------------------------------------------------------------------------------------------------

LOSSES = [
    losses.SparseCategoricalCrossentropy(from_logits=True),
    losses.SparseCategoricalCrossentropy(),
    losses.CategoricalCrossentropy(from_logits=True, label_smoothing=0.1),
    losses.CategoricalCrossentropy(label_smoothing=0.1),
    losses.CategoricalCrossentropy(),
    losses.BinaryCrossentropy(from_logits=True),
    losses.BinaryCrossentropy(label_smoothing=0.2),
    losses.MeanSquaredError(),
    losses.MeanAbsoluteError(),
    losses.Huber(),
    losses.Huber(delta=0.3),
]


def ending_in(loss: Any, rng: np.random.Generator) -> Trace:
    """Both passes through a network whose output the loss can take."""
    ending = [] if getattr(loss, "from_logits", True) else [Softmax(name="softmax")]
    model = Sequential([Dense(CLASSES, name="scores"), *ending], input_shape=(7,), dtype="float64")
    labels = np.array([1, 4, 0])
    sparse = isinstance(loss, losses.SparseCategoricalCrossentropy)
    targets = labels if sparse else np.eye(CLASSES)[labels]
    return trace(model, rng.standard_normal((3, 7))).backward_from(targets, loss)


@pytest.mark.parametrize("loss", LOSSES, ids=repr)
def test_losses_and_where_their_gradients_start_add_up(loss: Any, rng: np.random.Generator) -> None:
    found = ending_in(loss, rng)
    assert found.loss is not None
    costs = [explain_loss_in(found, sample=sample) for sample in range(3)]
    for cost in costs:
        assert_adds_up(cost)
    assert found.loss.value == pytest.approx(np.mean([cost.value for cost in costs]), rel=1e-12)
    for sample in range(3):
        for k in range(CLASSES):
            assert_adds_up(explain_gradient_in(found, found.names[-1], (k,), of="output", sample=sample))


@pytest.mark.parametrize("loss", LOSSES[:5], ids=repr)
def test_softmax_with_cross_entropy_is_p_minus_t(loss: Any, rng: np.random.Generator) -> None:
    found = ending_in(loss, rng)
    for k in range(CLASSES):
        if loss.from_logits:
            one_step = explain_gradient_in(found, "scores", (k,), of="output", sample=1)
        else:
            one_step = explain_scores_gradient_in(found, (k,), sample=1)
            assert_adds_up(explain_gradient_in(found, "softmax", (k,), sample=1))
        assert [term.factors[0].name for term in one_step.terms] == ["p", "-t"]
        assert_adds_up(one_step)


def test_certain_and_wrong_has_no_gradient(rng: np.random.Generator) -> None:
    """The probability of the target is clipped: as one step that is refused, one by one it is explained."""
    model = Sequential([Softmax(name="softmax")], input_shape=(3,), dtype="float64")
    found = trace(model, np.array([[40.0, 0.0, 1.0]])).backward_from(
        np.array([1]), losses.SparseCategoricalCrossentropy()
    )
    with pytest.raises(OptionError, match="does not clip"):
        explain_scores_gradient_in(found, (1,))
    gradient = explain_gradient_in(found, "softmax", (1,), of="output")
    assert gradient.value == gradient.total == 0
    assert_adds_up(explain_gradient_in(found, "softmax", (0,)))


def test_a_loss_that_compares_samples_is_refused(rng: np.random.Generator) -> None:
    model = Sequential([Dense(3, name="scores")], input_shape=(7,), dtype="float64")
    found = trace(model, rng.standard_normal((4, 7))).backward_from(
        np.array([0, 0, 1, 1]), losses.TripletSemiHardLoss()
    )
    with pytest.raises(OptionError, match="TripletSemiHardLoss"):
        explain_loss_in(found)


# -- what is refused ---------------------------------------------------------------------------------------------------


def test_a_layer_that_is_not_there_is_named_with_the_nearest(rng: np.random.Generator) -> None:
    with pytest.raises(OptionError, match=r"stem.*Received: 'stm'. Did you mean 'stem'\?"):
        explain(residual(), photo(rng), "stm", (0, 0, 0))
    with pytest.raises(OptionError, match="input of the network"):
        explain(residual(), photo(rng), "photo", (0, 0, 0))


@pytest.mark.parametrize("index", [(8, 0, 0), (0, 6, 0), (0, 0, 4), (-1, 0, 0), (0, 0), (0, 0, 0, 0), (0.0, 1, 1), 3])
def test_an_index_out_of_range_says_the_shape(index: Any, rng: np.random.Generator) -> None:
    with pytest.raises(OptionError, match=r"shape \(8, 6, 4\).*The last one is 7,5,3"):
        explain(residual(), photo(rng), "stem", index)


def test_samples_sources_and_gradients_must_be_there(rng: np.random.Generator) -> None:
    model, x = residual(), photo(rng)
    dy = np.ones((2, CLASSES))
    with pytest.raises(OptionError, match="sample below 2"):
        explain(model, x, "stem", (0, 0, 0), sample=2)
    with pytest.raises(OptionError, match="source below 3"):
        explain_gradient(model, x, "add", (0, 0, 0), dy=dy, source=3)
    with pytest.raises(OptionError, match="input, output, kernel, bias"):
        explain_gradient(model, x, "stem", (0, 0, 0), dy=dy, of="kernl")
    with pytest.raises(OptionError, match=r"shape \(3, 3, 3, 4\)"):
        explain_gradient(model, x, "stem", (3, 0, 0, 0), dy=dy, of="kernel")
    with pytest.raises(StateError, match="both passes"):
        explain_gradient_in(trace(model, x), "stem", (0, 0, 0))
    with pytest.raises(OptionError, match="either dy, or targets and loss"):
        explain_gradient(model, x, "stem", (0, 0, 0))
    model.get_layer("stem").trainable = False
    with pytest.raises(OptionError, match="frozen"):
        explain_gradient(model, x, "stem", (0, 0, 0, 0), dy=dy, of="kernel")
