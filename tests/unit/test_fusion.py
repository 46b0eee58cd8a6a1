"""Layers in one pass: which ones go together, and that nobody can tell from the results."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from minicnn import passes, prediction
from minicnn.errors import DtypeError, ShapeError
from minicnn.fusion import Stage, fuse, fused_into, spared
from minicnn.graph import Graph, Node
from minicnn.layers import (
    Add,
    AveragePooling2D,
    BatchNormalization,
    Conv2D,
    Dense,
    DepthwiseConv2D,
    Dropout,
    Flatten,
    Input,
    Layer,
    LeakyReLU,
    MaxPooling2D,
    ReLU,
)
from minicnn.layers.base import INFERENCE, Context, Gradients
from minicnn.model import Model
from minicnn.models import face_cnn, vgg_face
from minicnn.ops.conv2d import ALGORITHMS
from minicnn.ops.dense import DenseCache
from minicnn.prediction import Plan
from minicnn.sequential import Sequential
from minicnn.shapes import Array, Window
from minicnn.summary import summarize
from tests.cases import kernel_size_for, strides_for


def names(graph: Graph, *, predicting: bool = False) -> list[str]:
    """Each stage as the names of its layers."""
    return [" + ".join(layer.name for layer in stage.layers) for stage in fuse(graph, predicting=predicting)]


# -- what goes together ------------------------------------------------------------------------------------------------


def test_the_stages_of_face_cnn() -> None:
    """Batch normalisation takes the ReLU, because it stands before it, and a prediction's convolution takes all."""
    learning, predicting = [], []
    for i in range(1, 6):
        learning += [f"conv{i}", f"bn{i} + relu{i}", *([f"pool{i}"] if 1 < i < 5 else [])]
        predicting += [f"conv{i} + bn{i} + relu{i}" + (f" + pool{i}" if 1 < i < 5 else "")]
    graph, end = face_cnn().graph, ["flatten", "drop6", "fc6", "prob"]
    assert names(graph) == [*learning, *end]
    assert names(graph, predicting=True) == [*predicting, *end]


def test_the_stages_of_vgg_face() -> None:
    stages = names(vgg_face(input_shape=(32, 32, 3), classes=5).graph)
    sizes = {1: 2, 2: 2, 3: 3, 4: 3, 5: 3}
    convolutions = [f"conv{i}_{j} + relu{i}_{j}" for i, count in sizes.items() for j in range(1, count + 1)]
    assert [stage for stage in stages if "conv" in stage] == convolutions
    assert "fc6 + relu6" in stages
    assert "fc7 + relu7" in stages
    assert not any(stage.startswith("relu") for stage in stages)


class OwnReLU(ReLU):
    """Somebody's own: what it computes is not known here."""


class OwnNormalization(BatchNormalization):
    """Likewise."""


class OwnConvolution(Conv2D):
    """Likewise."""

    def forward(self, x: Array, context: Context = INFERENCE, *, relu: bool = False) -> tuple[Array, Any]:
        y, cache = super().forward(-x, context, relu=relu)
        return y - 1, cache


class OwnAndWilling(OwnConvolution):
    """One that says it can cut off."""

    takes_relu = True


class DescribedConvolution(Conv2D):
    """One that computes what Conv2D computes."""

    def config(self) -> dict[str, Any]:
        return super().config() | {"note": "mine"}


@pytest.mark.parametrize(
    "path, expected",
    [
        ([ReLU(name="r"), Conv2D(1, 1, name="c")], ["r", "c"]),
        ([Conv2D(1, 1, name="c"), ReLU(name="r"), ReLU(name="s")], ["c + r", "s"]),
        ([Conv2D(1, 1, name="c"), MaxPooling2D(name="p"), ReLU(name="r")], ["c", "p", "r"]),
        ([Conv2D(1, 1, name="c"), OwnReLU(name="r")], ["c", "r"]),
        ([Conv2D(1, 1, name="c"), LeakyReLU(name="l")], ["c", "l"]),
        ([DepthwiseConv2D(1, name="d"), ReLU(name="r")], ["d", "r"]),
        ([Dense(1, name="d"), ReLU(name="r")], ["d + r"]),
        ([BatchNormalization(name="b"), ReLU(name="r")], ["b + r"]),
        ([], []),
    ],
    ids=lambda value: " ".join(value) if value and isinstance(value[0], str) else "",
)
def test_what_goes_together(path: list[Layer], expected: list[str]) -> None:
    graph = Graph.row(path)
    assert names(graph) == expected
    assert [layer for stage in fuse(graph) for layer in stage.layers] == path


@pytest.mark.parametrize(
    "path, expected",
    [
        ([Conv2D(1, 1, name="c"), BatchNormalization(name="b")], ["c + b"]),
        ([Conv2D(1, 1, name="c"), BatchNormalization(name="b"), BatchNormalization(name="d")], ["c + b", "d"]),
        ([Conv2D(1, 1, name="c"), ReLU(name="r"), BatchNormalization(name="b")], ["c + r", "b"]),
        ([DepthwiseConv2D(1, name="d"), BatchNormalization(name="b"), ReLU(name="r")], ["d", "b + r"]),
        ([Conv2D(1, 1, name="c"), OwnNormalization(name="b"), ReLU(name="r")], ["c", "b + r"]),
        ([OwnConvolution(1, 1, name="c"), BatchNormalization(name="b"), ReLU(name="r")], ["c", "b + r"]),
        ([OwnConvolution(1, 1, name="c"), ReLU(name="r"), MaxPooling2D(name="p")], ["c", "r", "p"]),
        ([DescribedConvolution(1, 1, name="c"), ReLU(name="r")], ["c + r"]),
        ([OwnAndWilling(1, 1, name="c"), ReLU(name="r")], ["c + r"]),
        ([Conv2D(1, 1, name="c"), MaxPooling2D(name="p"), ReLU(name="r")], ["c + p", "r"]),
        ([Conv2D(1, 1, name="c"), MaxPooling2D(name="p"), MaxPooling2D(name="q")], ["c + p", "q"]),
        ([Conv2D(1, 1, name="c"), MaxPooling2D(3, 2, name="p")], ["c", "p"]),
        ([Conv2D(1, 1, name="c"), MaxPooling2D(padding="same", name="p")], ["c", "p"]),
        ([Conv2D(1, 1, name="c"), AveragePooling2D(name="p")], ["c", "p"]),
    ],
    ids=lambda value: " ".join(value) if isinstance(value[0], str) else "",
)
def test_what_goes_together_in_a_prediction(path: list[Layer], expected: list[str]) -> None:
    assert names(Graph.row(path), predicting=True) == expected


def test_a_convolution_that_somebody_else_reads_is_left_as_it_is() -> None:
    x = Input((4, 4, 2))
    made = Conv2D(3, 1, name="c")(x)
    model = Model(x, Add()([made, BatchNormalization(name="b")(made)]))
    assert names(model.graph, predicting=True)[:2] == ["c", "b"]


@pytest.mark.parametrize(
    "path, expected",
    [
        ([ReLU(name="r"), Conv2D(1, 1, name="c")], {"c": "r"}),
        ([Conv2D(1, 1, name="c"), ReLU(name="r"), Conv2D(1, 1, name="d")], {"d": "r"}),
        ([ReLU(name="r"), MaxPooling2D(name="p"), Conv2D(1, 1, name="c")], {"c": "r"}),
        ([ReLU(name="r"), MaxPooling2D(3, 1, name="p"), MaxPooling2D(name="q"), Conv2D(1, 1, name="c")], {"c": "r"}),
        ([ReLU(name="r"), AveragePooling2D(name="p"), Conv2D(1, 1, name="c")], {}),
        ([MaxPooling2D(name="p"), Conv2D(1, 1, name="c")], {}),
        ([LeakyReLU(name="l"), Conv2D(1, 1, name="c")], {}),
        ([OwnReLU(name="r"), Conv2D(1, 1, name="c")], {}),
        ([ReLU(name="r"), OwnConvolution(1, 1, name="c")], {}),
        ([ReLU(name="r"), DepthwiseConv2D(1, name="d")], {}),
        ([ReLU(name="r"), ReLU(name="s"), Conv2D(1, 1, name="c")], {"c": "s"}),
        ([], {}),
    ],
    ids=lambda value: " ".join(layer.name for layer in value) if isinstance(value, list) else "",
)
def test_which_convolution_spares_which_relu_its_backward_pass(path: list[Layer], expected: dict[str, str]) -> None:
    graph = Graph.row(path)
    assert {path[place].name: path[relu].name for place, relu in spared(graph).items()} == expected


@pytest.mark.parametrize("pooled", [False, True], ids=["", "pooled"])
@pytest.mark.parametrize("elsewhere", ["read by another layer", "an output"])
def test_a_relu_that_others_read_has_a_backward_pass_of_its_own(elsewhere: str, pooled: bool) -> None:
    x, given = Input((4, 4, 2)), np.random.default_rng(0).standard_normal((2, 4, 4, 2)).astype(np.float32)
    made = ReLU()(x)
    read = MaxPooling2D()(made) if pooled else made
    y = Conv2D(2, 1)(read)
    assert len(spared(Model(x, y).graph)) == 1
    for shared in {made, read}:
        model = Model(x, [y, shared] if elsewhere == "an output" else [y, LeakyReLU()(shared)])
        assert spared(model.graph) == {}
        outputs, caches = passes.forward(model.graph, [given], Context(training=True))
        dys = [np.ones_like(output) for output in outputs]
        dx, _ = passes.backward(model.graph, dys, caches, input_gradient=True)
        same, _ = passes.backward(model.graph, dys, caches, input_gradient=True, dvalues={})
        assert bits(dx) == bits(same)
        assert dx is not None
        assert (dx[0][given <= 0] == 0).all()
        assert (dx[0] != 0).any()


def test_every_gradient_that_is_asked_for_is_its_own(rng: np.random.Generator) -> None:
    """Whoever looks at the gradient of each value sees that of a ReLU's result, not what the ReLU read."""
    model = Sequential([Conv2D(3, 1), ReLU(), MaxPooling2D(), Conv2D(2, 1)], input_shape=(4, 6, 2))
    x, dvalues = rng.standard_normal((2, 4, 6, 2)).astype(np.float32), {}
    y, caches = passes.forward(model.graph, [x], Context(training=True))
    dy = rng.standard_normal(y[0].shape).astype(np.float32)
    _, gradients = passes.backward(model.graph, [dy], caches, dvalues=dvalues)
    expected = dy
    for place in (3, 2, 1):
        expected = model.path[place].backward(expected, caches[place])[0]
        assert bits(dvalues[place]) == bits(expected)
    _, same = passes.backward(model.graph, [dy], caches)
    assert {key: bits(array) for key, array in gradients.items()} == {key: bits(array) for key, array in same.items()}


def test_a_network_that_grows_is_looked_at_again() -> None:
    model = Sequential([Conv2D(1, 1, name="c")])
    assert names(model.graph) == ["c"]
    model.add(ReLU(name="r"))
    assert names(model.graph) == ["c + r"]
    assert spared(model.graph) == {}
    model.add(MaxPooling2D(name="p"))
    assert names(model.graph, predicting=True) == ["c + r + p"]
    model.add(Conv2D(1, 1, name="d"))
    assert spared(model.graph) == {3: 1}


# -- the same bits -----------------------------------------------------------------------------------------------------


def layer_by_layer(model: Sequential, x: Array, context: Context) -> tuple[Array, list[Any]]:
    """The forward pass as if there were no stages."""
    caches = []
    for layer in model.path:
        x, cache = layer.forward(x, context)
        caches.append(cache)
    return x, caches


def back_layer_by_layer(model: Sequential, dy: Array, caches: list[Any]) -> tuple[Array, Gradients]:
    """The backward pass as if no layer spared another one its own."""
    gradients: Gradients = {}
    for layer, cache in zip(reversed(model.path), reversed(caches), strict=True):
        dy, own = layer.backward(dy, cache)
        for key, gradient in own.items():
            address = f"{layer.name}/{key}"
            gradients[address] = gradients[address] + gradient if address in gradients else gradient
    return dy, gradients


def bits(value: Any) -> Any:
    """Every array within a cache as its bytes; what is shared counts like what is not."""
    if isinstance(value, np.ndarray):
        return value.dtype.str, value.shape, value.tobytes()
    if isinstance(value, DenseCache):
        value = value._replace(y=None)  # remembered for those who use the operation without a ReLU layer
    if isinstance(value, (tuple, list)):
        return type(value), [bits(item) for item in value]
    return value


def awkward(model: Sequential, seed: int = 5) -> Sequential:
    """The model with biases of both signs, zeros of both signs among them."""
    rng = np.random.default_rng(seed)
    for address, array in model.parameters.items():
        if array.ndim == 1:
            array[...] = rng.choice([-1, -0.1, -0.0, 0.0, 0.1], array.shape) + (address.endswith("gamma"))
    for layer in model.layers:
        for array in layer.state.values():  # moving statistics, of variances too
            array[...] = rng.uniform(0.1, 3, array.shape)
    return model


def shared_relu() -> Sequential:
    relu = ReLU(name="relu")
    first, second = Conv2D(5, 3, name="conv1"), Conv2D(3, 2, strides=2, name="conv2")
    return Sequential([first, relu, second, relu, MaxPooling2D(), relu, Flatten()], input_shape=(9, 8, 2))


def shared_convolution() -> Sequential:
    conv = Conv2D(2, 3, padding="same", name="conv")
    return Sequential([conv, ReLU(name="one"), conv, conv, ReLU(name="two")], input_shape=(9, 8, 2))


MODELS: dict[str, Callable[[], Sequential]] = (
    {
        "face_cnn": lambda: face_cnn((32, 32, 1), 6),
        "vgg_face": lambda: vgg_face(input_shape=(32, 32, 3), classes=4),
        "a shared relu": shared_relu,
        "a shared convolution": shared_convolution,
        "a relu first and last": lambda: Sequential([ReLU(), Conv2D(4, 3), ReLU(), ReLU()], input_shape=(7, 8, 3)),
        "somebody's own convolution": lambda: Sequential(
            [
                OwnConvolution(4, 3),
                OwnConvolution(3, 1),
                ReLU(),
                OwnConvolution(3, 1),
                BatchNormalization(),
                MaxPooling2D(),
            ],
            input_shape=(7, 8, 3),
        ),
        "somebody's own relu": lambda: Sequential(
            [Conv2D(4, 3), OwnReLU(), Flatten(), Dense(3)], input_shape=(7, 8, 3)
        ),
        "float64": lambda: Sequential(
            [Conv2D(20, 3), ReLU(), Conv2D(17, 3), ReLU()], input_shape=(9, 8, 16), dtype="float64"
        ),
        "max pooling of every kind between a relu and a convolution": lambda: Sequential(
            [
                *(
                    Conv2D(4, 3, padding="same"),
                    ReLU(),
                    MaxPooling2D(3, 1, "same"),
                    MaxPooling2D((3, 2), (2, 1), "same"),
                ),
                *(Conv2D(5, 3, padding="same", trainable=False), ReLU(), MaxPooling2D(1, 3, "same"), Conv2D(2, 1)),
            ],
            input_shape=(11, 9, 3),
        ),
        "dense": lambda: Sequential([Dense(7), ReLU(), Dropout(0.5), Dense(40), ReLU()], input_shape=(11,)),
    }
    | {
        algorithm: lambda algorithm=algorithm: Sequential(  # type: ignore[misc]
            [
                Conv2D(4, kernel_size_for(algorithm), strides_for(algorithm), algorithm=algorithm),
                ReLU(),
                Conv2D(3, kernel_size_for(algorithm), strides_for(algorithm), padding="same", algorithm=algorithm),
                ReLU(),
            ],
            input_shape=(6, 5, 2),
        )
        for algorithm in ALGORITHMS
    }
    | {
        f"normalised and pooled, {name}": lambda layer=layer: Sequential(  # type: ignore[misc]
            [
                *(copy.deepcopy(layer), BatchNormalization(), ReLU(), MaxPooling2D()),
                *(copy.deepcopy(layer), BatchNormalization(scale=False), MaxPooling2D(), ReLU()),
            ],
            input_shape=(21, 22, 4),
        )
        for name, layer in {
            **{
                algorithm: Conv2D(20, kernel_size_for(algorithm), strides_for(algorithm), "same", algorithm=algorithm)
                for algorithm in ALGORITHMS
                if algorithm != "loops"
            },
            "loops": Conv2D(2, 2, strides=2, algorithm="loops"),
            "groups": Conv2D(36, (3, 2), strides=(1, 2), padding="same", groups=4, use_bias=False),
            "1x1": Conv2D(70, 1),
            "dilated": Conv2D(17, 3, dilation_rate=2),
        }.items()
    }
)


@pytest.mark.parametrize("training", [False, True], ids=["inference", "training"])
@pytest.mark.parametrize("name", MODELS)
def test_stages_give_the_same_bits_as_layers(name: str, training: bool, rng: np.random.Generator) -> None:
    """Forward, every cache, and every gradient."""
    model, context = awkward(MODELS[name]()), Context(training=training, seed=3, step=2)
    x = rng.standard_normal((2, *model.input_shape)).astype(model.dtype)  # type: ignore[misc]
    expected, expected_caches = layer_by_layer(model, x, context)
    y, caches = model.forward(x, context)
    assert bits(y) == bits(expected)
    assert bits(caches) == bits(expected_caches)
    assert len(caches) == len(model.path)
    if not training:
        assert bits(model(x)) == bits(expected)
    if training or not any(isinstance(layer, (BatchNormalization, Dropout)) for layer in model.layers):
        dy = rng.standard_normal(y.shape).astype(y.dtype)
        found = [model.backward(dy, c, input_gradient=True) for c in (caches, expected_caches)]
        expected_dx, expected_gradients = back_layer_by_layer(model, dy, caches)
        for dx, gradients in found:
            assert bits(dx) == bits(expected_dx)
            assert {key: bits(array) for key, array in gradients.items()} == {
                key: bits(array) for key, array in expected_gradients.items()
            }


@pytest.mark.parametrize(
    "layer", [Conv2D(4, 2), Dense(4), BatchNormalization()], ids=lambda layer: type(layer).__name__
)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_minus_zero_nan_and_infinity(layer: Layer, dtype: Any) -> None:
    """ReLU(-0.0) is 0.0, ReLU(NaN) is NaN, in one pass too. Negative products too small for the dtype become -0.0."""
    layer = copy.deepcopy(layer)
    layer.build((4, 4, 3), np.random.default_rng(0), dtype)
    tiny = np.finfo(dtype).tiny
    for key, array in layer.params.items():
        array[...] = -0.0 if array.ndim == 1 and key != "gamma" else -tiny
    x = np.full((5, 4, 4, 3), tiny, dtype)
    x[1, 2, 2, 0], x[2, 1, 1, 1], x[3, 0, 0, 2] = np.nan, np.inf, -np.inf
    with np.errstate(invalid="ignore"):
        before, _ = layer.forward(x, INFERENCE)
        expected, _ = ReLU().forward(before)
        y, _ = layer.forward(x, INFERENCE, relu=True)  # type: ignore[call-arg]
    assert (before[0] == 0).all()
    assert np.signbit(before[0]).all() == (not isinstance(layer, Dense))  # which adds them to 0.0
    assert np.isnan(before).any()
    assert bits(np.isnan(y)) == bits(np.isnan(before))
    assert bits(np.nan_to_num(y, nan=5)) == bits(np.nan_to_num(expected, nan=5))


@pytest.mark.parametrize("name", MODELS)
def test_every_prediction_gives_the_same_bits_as_layers(name: str, rng: np.random.Generator) -> None:
    """The first one asks, the second one makes a plan, the others follow it (``test_prediction.py``)."""
    model = awkward(MODELS[name]())
    for _ in range(4):
        x = rng.standard_normal((3, *model.input_shape)).astype(model.dtype)  # type: ignore[misc]
        expected, _ = layer_by_layer(model, x, INFERENCE)
        assert bits(model(x)) == bits(expected)
    assert isinstance(prediction._found[model.graph], Plan) != name.startswith("somebody's own")


@pytest.mark.parametrize("key", ["kernel", "bias", "gamma", "beta", "moving_mean", "moving_variance"])
def test_a_prediction_sees_what_was_written_into_an_array(key: str, rng: np.random.Generator) -> None:
    """Prepared kernels and factors are kept between predictions, but not beyond a change of what they came from."""
    conv, norm = Conv2D(17, 3, padding="same"), BatchNormalization()
    model = awkward(Sequential([conv, norm, ReLU(), MaxPooling2D()], input_shape=(8, 9, 16)))
    x = rng.standard_normal((2, 8, 9, 16)).astype(np.float32)
    norm.params["gamma"][3] = 1.5
    before = model(x)
    (conv.params | norm.params | norm.state)[key][..., 3] += 1
    after = model(x)
    assert bits(after) == bits(layer_by_layer(model, x, INFERENCE)[0])
    assert np.flatnonzero((before != after).any(axis=(0, 1, 2))).tolist() == [3]


def test_a_prediction_sees_arrays_and_windows_that_were_exchanged(rng: np.random.Generator) -> None:
    conv, norm, pool = Conv2D(17, 3, padding="same"), BatchNormalization(), MaxPooling2D()
    model = awkward(Sequential([conv, norm, ReLU(), pool], input_shape=(8, 9, 16)))
    x = rng.standard_normal((2, 8, 9, 16)).astype(np.float32)
    before = model(x)
    conv.params["kernel"], norm.state["moving_mean"] = -conv.params["kernel"], norm.state["moving_mean"] + 1
    pool.window = Window.of(4, 3)
    after = model(x)
    assert after.shape != before.shape
    assert bits(after) == bits(layer_by_layer(model, x, INFERENCE)[0])


def test_copies_of_a_network_that_predicted(rng: np.random.Generator) -> None:
    model = awkward(face_cnn((32, 32, 1), 6))
    x = rng.standard_normal((3, 32, 32, 1)).astype(np.float32)
    expected = bits(model(x))
    other = copy.deepcopy(model)
    for array in model.parameters.values():
        array[...] = 0
    assert bits(other(x)) == expected != bits(model(x))


@pytest.mark.parametrize(
    "key, wrong, message",
    [
        ("gamma", np.ones(3, np.float32), r"gamma of shape \(17,\)"),
        ("beta", np.zeros((1, 17), np.float32), "beta with 1 axes"),
        ("gamma", np.ones(17), "gamma"),
        ("moving_mean", np.ones(1, np.float32), r"of shape \(17,\)"),
        ("moving_variance", np.ones(17), "float64"),
    ],
)
def test_a_wrong_array_is_refused_in_a_stage_too(key: str, wrong: Array, message: str) -> None:
    """Compiled loops read as many numbers as there are filters."""
    norm = BatchNormalization(name="norm")
    model = Sequential([Conv2D(17, 3), norm], input_shape=(5, 5, 2))
    (norm.params if key in norm.params else norm.state)[key] = wrong
    with pytest.raises((ShapeError, DtypeError), match=f"'norm'.*{message}"):
        model(np.ones((1, 5, 5, 2), np.float32))


def test_a_kernel_that_does_not_fit_its_window_or_its_normalisation_is_refused() -> None:
    conv = Conv2D(17, 3, padding="same", name="conv")
    model = Sequential([conv, BatchNormalization()], input_shape=(5, 5, 2))
    x = np.ones((1, 5, 5, 2), np.float32)
    conv.params["kernel"] = np.ones((5, 5, 2, 17), np.float32)
    with pytest.raises(ShapeError, match=r"'conv'.*a kernel of 3x3"):
        model(x)
    conv.params["kernel"], conv.params["bias"] = np.ones((3, 3, 2, 40), np.float32), np.ones(40, np.float32)
    with pytest.raises(ShapeError, match=r"factors of shape \(3, 40\)"):
        model(x)


def test_a_prediction_sees_another_epsilon(rng: np.random.Generator) -> None:
    norm = BatchNormalization()
    model = awkward(Sequential([Conv2D(4, 1), norm], input_shape=(3, 3, 2)))
    x = rng.standard_normal((1, 3, 3, 2)).astype(np.float32)
    before, norm.epsilon = model(x), 0.5
    assert bits(before) != bits(model(x)) == bits(layer_by_layer(model, x, INFERENCE)[0])


@pytest.mark.parametrize("algorithm", ["direct", "winograd_2x2", "winograd_complex", "winograd_6x6"])
def test_nan_and_infinity_go_through_a_whole_stage(algorithm: str, rng: np.random.Generator) -> None:
    """Normalised, cut off and pooled in one pass: a NaN stays one, as with the layers one by one."""
    layers = [Conv2D(9, 3, padding="same", algorithm=algorithm), BatchNormalization(), ReLU(), MaxPooling2D()]
    model = awkward(Sequential(layers, input_shape=(9, 11, 3)))
    x = rng.standard_normal((4, 9, 11, 3)).astype(np.float32)
    x[0, 8, 10, 1], x[1, 4, 4, 0], x[2, 0, 0, 2] = np.nan, np.inf, -np.inf
    with np.errstate(invalid="ignore"):
        assert len(fuse(model.graph, predicting=True)) == 1
        expected, _ = layer_by_layer(model, x, INFERENCE)
        assert bits(model(x)) == bits(expected)
    assert np.isnan(expected[1]).any()
    assert not np.isnan(expected[3]).any()


def test_a_stage_keeps_the_output_once() -> None:
    """The ReLU remembers the array that is handed on, not a copy."""
    conv, relu = Conv2D(4, 2), ReLU()
    conv.build((4, 4, 3), np.random.default_rng(0))
    y, (_, cache) = Stage(Node(conv, (0,)), (0, 1), relu=relu).forward(np.ones((1, 4, 4, 3), np.float32), INFERENCE)
    assert cache.y is y


# -- what people see ---------------------------------------------------------------------------------------------------


def noted(model: Sequential) -> dict[str, str]:
    return {row.name: row.algorithm for row in summarize(model)}


def test_the_summary_names_the_layer_that_does_the_work() -> None:
    model = Sequential([Conv2D(4, 3, name="conv1"), ReLU(name="relu1"), ReLU(name="relu2")], input_shape=(6, 6, 3))
    assert noted(model) == {"conv1": "direct", "relu1": "in conv1", "relu2": ""}
    assert fused_into(model.graph) == {"relu1": "conv1"}
    lines: list[str] = []
    model.summary(lines.append)
    assert [line.endswith("in conv1") for line in lines[0].splitlines() if "relu" in line] == [True, False]
    faces = noted(face_cnn())
    assert faces["bn1"] == faces["relu1"] == "in conv1"
    assert faces["conv1"] == "direct"
    assert faces["conv2"] == "winograd_6x6"


def test_a_shared_relu_is_in_every_layer_before_it() -> None:
    relu = ReLU(name="relu")
    layers = [Conv2D(2, 1, name="conv1"), relu, Conv2D(2, 1, name="conv2"), relu]
    assert noted(Sequential(layers, input_shape=(3, 3, 2)))["relu"] == "in conv1, conv2"


def test_a_relu_that_also_stands_alone_costs_a_pass() -> None:
    assert noted(shared_relu())["relu"] == ""


def test_the_layer_before_a_relu_is_the_one_in_the_order_of_data() -> None:
    """The pooling layer stands before the convolution in the list of layers, but also before the ReLU in the path."""
    pool = MaxPooling2D(1, name="pool")
    model = Sequential([pool, Conv2D(2, 1, name="conv"), pool, ReLU(name="relu")], input_shape=(3, 3, 2))
    assert noted(model)["relu"] == ""
