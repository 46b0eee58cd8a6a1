"""Networks that branch: how they are drawn, what flows through them, and what is refused."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from minicnn import passes
from minicnn.errors import DtypeError, LoadError, OptionError, ShapeError, StateError
from minicnn.fusion import fuse
from minicnn.gradcheck import check_model_gradient
from minicnn.io.npz import read_arrays, write_arrays
from minicnn.layers import (
    Add,
    BatchNormalization,
    Concatenate,
    Conv2D,
    Dense,
    Dropout,
    Flatten,
    GlobalAveragePooling2D,
    Input,
    Layer,
    Multiply,
    ReLU,
)
from minicnn.layers.base import INFERENCE, Context
from minicnn.losses import MeanSquaredError, SparseCategoricalCrossentropy
from minicnn.model import Model
from minicnn.optimizers import Adam
from minicnn.sequential import Sequential
from minicnn.shapes import Array
from minicnn.summary import summarize

TRAINING = Context(training=True, seed=3, step=5)


def residual(**options: Any) -> Model:
    """Two ways from one value that meet again, twice, and a layer that is used in two places."""
    x = Input((6, 5, 2), name="picture")
    shared = Conv2D(2, 3, padding="same", name="shared")
    a = ReLU(name="relu1")(BatchNormalization(name="bn1")(shared(x)))
    b = Add(name="add1")([x, shared(a)])
    c = Concatenate(name="join")([b, Multiply(name="gate")([b, a])])
    return Model(x, Dense(3, name="fc")(GlobalAveragePooling2D(name="gap")(c)), **options)


def two_inputs(**options: Any) -> Model:
    left, right = Input((4,)), Input((3,))
    sum_ = Add(name="sum")([Dense(5, name="a")(left), Dense(5, name="b")(right)])
    return Model([left, right], [sum_, Dense(2, name="head")(sum_)], **options)


def data(rng: np.random.Generator, count: int = 4) -> tuple[Array, Array]:
    return rng.standard_normal((count, 6, 5, 2)), rng.integers(3, size=count)


# -- drawing -----------------------------------------------------------------------------------------------------------


def test_shapes_are_known_while_drawing() -> None:
    x = Input((8, 7, 2))
    y = Conv2D(3, 3, name="conv")(x)
    assert (x.shape, y.shape) == ((8, 7, 2), (6, 5, 3))
    assert repr(y) == "<symbolic tensor (N, 6, 5, 3), from 'conv'>"
    with pytest.raises(ShapeError, match="Layer 'small': Expected an input of at least 9x9"):
        Conv2D(3, 9, name="small")(y)


@pytest.mark.parametrize(
    "draw, message",
    [
        (lambda x: Add()(x), r"a list of tensors for layer 'add'.*Call it on a list: Add\(\)\(\[a, b\]\)\.$"),
        (
            lambda x: Add()(x, x),
            r"one argument for layer 'add'\. Received: 2\. .*called on a list: Add\(\)\(\[a, b\]\)\.$",
        ),
        (lambda x: Concatenate()(x, x, x), r"Received: 3\. .*: Concatenate\(\)\(\[a, b\]\)\.$"),
        (lambda x: Dense(2)(x, x), r"one argument for layer 'dense'\. Received: 2\. .*: Add\(\)\(\[a, b\]\)\.$"),
        (lambda x: x + x, r"through layers\. Received: \+ of <symbolic tensor .*> and <.*: Add\(\)\(\[a, b\]\)\."),
        (
            lambda x: x * 2,
            r"Received: \* of <symbolic tensor \(N, 4\), input ''> and 2\. .*Multiply\(\)\(\[a, b\]\)\. Scale",
        ),
        (lambda x: 2 * x, r"Received: \* of "),
        (lambda x: np.ones((1, 4)) + x, r"Received: \+ of "),
        (lambda x: x - x, r"Received: - of .*Layers alone compute"),
        (lambda x: -x, r"Received: - of <symbolic tensor \(N, 4\), input ''>\. Layers"),
        (lambda x: x / 255, r"Received: / of .*Scale numbers before they go in\.$"),
        (lambda x: x @ x, r"Received: @ of .*Dense multiplies"),
        (lambda x: x**2, r"Received: \*\* of "),
        (lambda x: Dense(2)([x, x]), "one tensor, not a list for layer 'dense'"),
        (lambda x: Add()([x, np.ones((1, 4))]), r"symbolic tensors alone for layer 'add'\. Received: ndarray"),
        (lambda x: Input((4, 0)), "a size in shape"),
        (lambda x: Input((4,), name="a/b"), "a name without '/'"),
        (lambda x: Model(x, np.ones(3)), "outputs as symbolic tensors"),
        (lambda x: Model([], x), "inputs as symbolic tensors"),
        (lambda x: Model(Input((4,)), Dense(2)(x)), r"inputs that lead to all outputs\. Received: without .*input"),
        (lambda x: Model([x, Input((4,), name="spare")], Dense(2)(x)), "also .*'spare'"),
        (lambda x: Model(x, Dense(2, name="same")(Dense(2, name="same")(x))), "'same' twice"),
        (lambda x: Model(two := [Input((4,), name="a") for _ in "12"], Add()(two)), "a name for every input"),
    ],
)
def test_drawings_that_are_refused(draw: Callable[[Any], object], message: str) -> None:
    with pytest.raises(OptionError, match=message):
        draw(Input((4,)))


def test_names_are_numbered_in_the_order_of_drawing() -> None:
    x, y = Input((3,)), Input((3,))
    late = Dense(3)(y)
    model = Model([x, y], Add()([Dense(3)(x), late]))
    assert [layer.name for layer in model.layers] == ["dense", "dense_1", "add"]
    assert model.input_names == ("input_layer", "input_layer_1")
    assert model.get_layer("dense_1").input_shape == (3,)
    with pytest.raises(OptionError, match="a layer among dense, dense_1, add"):
        model.get_layer("conv")


def test_a_row_drawn_is_the_sequential(rng: np.random.Generator) -> None:
    layers: list[Callable[[], Layer]] = [lambda: Conv2D(4, 3), ReLU, Flatten, lambda: Dense(3)]
    x = y = Input((6, 5, 2))
    for make in layers:
        y = make()(y)
    drawn = Model(x, y, seed=7)
    row = Sequential([make() for make in layers], input_shape=(6, 5, 2), seed=7)
    pictures, _ = data(rng)
    assert drawn.graph.is_row
    np.testing.assert_array_equal(drawn(pictures), row(pictures))
    assert drawn.weights.keys() == row.weights.keys()


def test_a_model_is_a_layer_of_another_drawing(rng: np.random.Generator) -> None:
    """Called on a symbolic tensor, a model draws its layers once more: the weights are the same arrays."""
    inner = Sequential([Dense(4, name="d"), ReLU(name="r")], input_shape=(4,))
    a, b = Input((4,)), Input((4,))
    outer = Model([a, b], Add()([inner(a), inner(b)]))
    assert outer.weights["d/kernel"] is inner.weights["d/kernel"]
    x, y = rng.standard_normal((2, 3, 4)).astype(np.float32)
    np.testing.assert_allclose(outer([x, y]), inner(x) + inner(y), rtol=1e-6)


def test_a_part_of_a_network_shares_its_weights(rng: np.random.Generator) -> None:
    model = residual()
    x, _ = data(rng)
    trunk = model.up_to("add1")
    assert [layer.name for layer in trunk.layers] == ["shared", "bn1", "relu1", "add1"]
    assert trunk.weights["shared/kernel"] is model.weights["shared/kernel"]
    tensors = model.symbols()
    both = Model(tensors[0], [tensors[5], tensors[-1]])
    np.testing.assert_array_equal(trunk(x), both(x)[0])
    np.testing.assert_array_equal(model(x), both(x)[1])
    assert two_inputs().up_to("a").input_names == ("input_layer",)


# -- the two passes ----------------------------------------------------------------------------------------------------


def test_forward_is_what_the_drawing_says(rng: np.random.Generator) -> None:
    model = residual(dtype="float64")
    x, _ = data(rng)
    layer = model.get_layer
    a = layer("relu1")(layer("bn1")(layer("shared")(x)))
    b = x + layer("shared")(a)
    expected = layer("fc")(np.concatenate([b, b * a], axis=-1).mean(axis=(1, 2)))
    np.testing.assert_allclose(model(x), expected, rtol=1e-12)
    y, caches = model.forward(x)
    np.testing.assert_array_equal(y, model(x))
    assert len(caches) == len(model.path) == 9


@pytest.mark.parametrize("context", [INFERENCE, TRAINING], ids=["inference", "training"])
def test_gradients_are_the_measured_ones(context: Context, rng: np.random.Generator) -> None:
    x, y = data(rng)
    report = check_model_gradient(
        residual(dtype="float64"), SparseCategoricalCrossentropy(from_logits=True), x, y, context=context, limit=12
    )
    assert report.passed(1e-6), report
    assert {array.name for array in report.arrays} >= {"x", "shared/kernel", "bn1/gamma", "fc/bias"}


def test_gradients_of_several_inputs_and_outputs(rng: np.random.Generator) -> None:
    """The sum of both outputs' gradients: each output's alone, added."""
    model = two_inputs(dtype="float64")
    x = [rng.standard_normal((3, 4)), rng.standard_normal((3, 3))]
    (y, z), caches = model.forward(x)
    dy, dz = rng.standard_normal(y.shape), rng.standard_normal(z.shape)
    dx, gradients = model.backward([dy, dz], caches, input_gradient=True)
    dsum = dy + dz @ model.weights["head/kernel"].T
    np.testing.assert_allclose(gradients["a/kernel"], x[0].T @ dsum, rtol=1e-12)
    np.testing.assert_allclose(gradients["head/bias"], dz.sum(axis=0), rtol=1e-12)
    assert dx is not None
    np.testing.assert_allclose(dx[1], dsum @ model.weights["b/kernel"].T, rtol=1e-12)


def test_a_value_read_twice_by_one_layer_gets_both_gradients(rng: np.random.Generator) -> None:
    x = Input((3,))
    model = Model(x, Multiply()([x, x]), dtype="float64")
    numbers, dy = rng.standard_normal((2, 5, 3))
    y, caches = model.forward(numbers)
    np.testing.assert_allclose(y, numbers**2)
    np.testing.assert_allclose(model.backward(dy, caches, input_gradient=True)[0], 2 * numbers * dy)


def test_an_input_may_be_an_output(rng: np.random.Generator) -> None:
    x = Input((3,))
    model = Model(x, [x, Dense(2, name="d")(x)], dtype="float64")
    numbers = rng.standard_normal((5, 3))
    (same, y), caches = model.forward(numbers)
    np.testing.assert_array_equal(same, numbers)
    dx, _ = model.backward([numbers, y], caches, input_gradient=True)
    np.testing.assert_allclose(dx, numbers + y @ model.weights["d/kernel"].T)  # type: ignore[arg-type]


class Watched(Layer):
    """x + 1 in a new array each time, and how many of all arrays made so were alive when it was called."""

    made: list[Any] = []  # noqa: RUF012

    def output_shape(self, input_shape: tuple[int, ...]) -> tuple[int, ...]:
        return input_shape

    def forward(self, x: Array, context: Context = INFERENCE) -> tuple[Array, None]:
        y = x + 1
        self.alive = sum(reference() is not None for reference in self.made)
        self.made.append(weakref.ref(y))
        return y, None

    def backward(self, dy: Array, cache: None, *, input_gradient: bool = True) -> tuple[Array | None, dict[str, Array]]:
        return dy, {}


def test_values_are_let_go_of_after_their_last_reader() -> None:
    Watched.made.clear()
    x = Input((3,))
    layers = [Watched(name=f"w{i}") for i in range(5)]
    values = [x]
    for layer in layers:
        values.append(layer(values[-1]))
    model = Model(x, Add()([values[2], values[5]]))  # the second one is read again at the end
    gc.disable()
    try:
        model(np.ones((2, 3)))
    finally:
        gc.enable()
    assert [layer.alive for layer in layers] == [0, 1, 1, 2, 2]


def test_backward_spares_what_nobody_needs(rng: np.random.Generator) -> None:
    model = residual(dtype="float64")
    for name in ("shared", "bn1"):
        model.get_layer(name).trainable = False
    x, _ = data(rng)
    y, caches = model.forward(x)
    below = [place for place, layer in enumerate(model.path) if layer.name not in ("gap", "fc")]
    for place in below:
        caches[place] = None  # would fail if anybody looked
    dx, gradients = model.backward(y, caches)
    assert dx is None
    assert set(gradients) == {"fc/kernel", "fc/bias"}


def test_a_batch_norm_that_is_used_twice_moves_twice(rng: np.random.Generator) -> None:
    x = Input((3,))
    bn = BatchNormalization(momentum=0.9, name="bn")
    model = Model(x, bn(bn(x)), dtype="float64")
    numbers = rng.standard_normal((50, 3)) + 4
    _, caches = model.forward(numbers, TRAINING)
    first, second = (cache.mean for cache in caches)
    expected = (np.zeros(3) * 0.9 + first * 0.1) * 0.9 + second * 0.1
    np.testing.assert_allclose(model.next_state(caches)["bn/moving_mean"], expected)


def test_a_relu_is_computed_with_the_layer_before_it_only_if_nobody_else_reads_that() -> None:
    x = Input((6, 5, 2))
    alone, watched = Conv2D(2, 1, name="alone")(x), Conv2D(2, 1, name="watched")(x)
    model = Model(x, Add(name="add")([ReLU(name="r1")(alone), ReLU(name="r2")(watched), watched]))
    stages = [[layer.name for layer in stage.layers] for stage in fuse(model.graph)]
    assert stages == [["alone", "r1"], ["watched"], ["r2"], ["add"]]
    ends = Model(x, [alone, ReLU(name="r3")(alone)])
    assert [len(stage.layers) for stage in fuse(ends.graph)] == [1, 1]


# -- what people do ----------------------------------------------------------------------------------------------------


def test_it_learns_and_repeats_itself(rng: np.random.Generator) -> None:
    x, y = data(rng, 24)
    runs = []
    for _ in range(2):
        model = residual(seed=5)
        model.compile(Adam(0.02), SparseCategoricalCrossentropy(from_logits=True), metrics=["accuracy"])
        history = model.fit(x, y, epochs=12, batch_size=8, verbose=0, validation_split=0.25)
        runs.append((history.history, model.weights))
    assert runs[0][0]["loss"][-1] < 0.7 * runs[0][0]["loss"][0]
    assert runs[0][0] == runs[1][0]
    assert all(np.array_equal(runs[0][1][key], array) for key, array in runs[1][1].items())


def test_several_inputs_learn_batch_by_batch(rng: np.random.Generator) -> None:
    left, right = Input((4,)), Input((3,))
    model = Model([left, right], Add()([Dense(2, name="a")(left), Dense(2, name="b")(right)]), seed=1)
    model.compile("sgd", MeanSquaredError())
    x = [rng.standard_normal((8, 4)), rng.standard_normal((8, 3))]
    y = rng.standard_normal((8, 2))
    losses = [model.train_on_batch(x, y)["loss"] for _ in range(30)]
    assert losses[-1] < 0.7 * losses[0]
    with pytest.raises(OptionError, match=r"one input, to cut.*train_on_batch"):
        model.fit(x, y, verbose=0)
    with pytest.raises(OptionError, match=r"one input, to cut"):
        model.evaluate(x, y)
    assert model.test_on_batch(x, y)["loss"] < losses[-1]


def test_predict_puts_batches_together(rng: np.random.Generator) -> None:
    model = two_inputs(dtype="float64")
    x = [rng.standard_normal((7, 4)), rng.standard_normal((7, 3))]
    for whole, parts in zip(model(x), model.predict(x, batch_size=3), strict=True):
        np.testing.assert_allclose(parts, whole, rtol=1e-12)
    with pytest.raises(ShapeError, match=r"x as a list of 2 for 'functional'\. Received: ndarray"):
        model.predict(x[0])
    with pytest.raises(ShapeError, match="as many of every input"):
        model([x[0], x[1][:3]])
    with pytest.raises(OptionError, match="one output to take the loss of"):
        model.compile("sgd", "mse")


def test_the_summary_says_who_is_connected_to_whom() -> None:
    rows = {row.name: row for row in summarize(residual())}
    assert rows["add1"].reads == ("picture", "shared")
    assert rows["shared"].reads == ("picture", "relu1")
    assert rows["shared"].multiplications == 2 * 36 * 30  # it is used twice
    assert rows["relu1"].algorithm == "in shared"  # in a prediction, where the convolution normalises too
    lines: list[str] = []
    residual().summary(lines.append)
    assert "Connected to" in lines[0]
    Sequential([Dense(2)], input_shape=(3,)).summary(lines.append)
    assert "Connected to" not in lines[1]


def test_astype_copies_the_graph(rng: np.random.Generator) -> None:
    model = residual()
    model.compile("adam", "mse")
    double = model.astype("float64")
    x, _ = data(rng)
    np.testing.assert_allclose(double(x), model(x), rtol=1e-4, atol=1e-6)
    assert double.graph.nodes[0].layer is double.graph.nodes[3].layer  # still shared
    assert not np.shares_memory(double.weights["fc/bias"], model.weights["fc/bias"])
    with pytest.raises(StateError, match="to be compiled"):
        _ = double.optimizer
    assert model.optimizer is not None


def test_layers_of_another_dtype_are_refused() -> None:
    tensors = two_inputs().symbols()
    with pytest.raises(DtypeError, match="Use dtype='float32'"):
        Model(tensors[0], tensors[2], dtype="float64")


# -- files -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("make", [residual, two_inputs])
def test_a_graph_comes_back_from_its_file(make: Callable[..., Model], tmp_path: Any, rng: np.random.Generator) -> None:
    model = make(seed=3, name="mine")
    model.save(tmp_path / "model.npz")
    loaded = Model.load(tmp_path / "model.npz")
    assert loaded.config() == model.config()
    assert all(np.array_equal(loaded.weights[address], array) for address, array in model.weights.items())
    x = data(rng)[0] if make is residual else [rng.standard_normal((2, 4)), rng.standard_normal((2, 3))]
    for one, other in zip(loaded(x), model(x), strict=True):  # pictures, or outputs
        np.testing.assert_array_equal(one, other)


def test_training_goes_on_where_it_stopped(tmp_path: Any, rng: np.random.Generator) -> None:
    x, y = data(rng, 12)
    model = residual()
    model.compile("adam", SparseCategoricalCrossentropy(from_logits=True))
    model.fit(x, y, epochs=2, verbose=0)
    model.save(tmp_path / "model.npz")
    loaded = Model.load(tmp_path / "model.npz")
    expected = model.fit(x, y, epochs=4, initial_epoch=2, verbose=0)
    assert loaded.fit(x, y, epochs=4, initial_epoch=2, verbose=0).history == expected.history


def at(*path: Any, value: Any) -> Callable[[dict[str, Any]], None]:
    def change(config: dict[str, Any]) -> None:
        place: Any = config
        for key in path[:-1]:
            place = place[key]
        place[path[-1]] = value

    return change


def doubling(config: dict[str, Any]) -> None:
    """Three hundred times, what was put together is put together with itself."""
    config["nodes"][7:] = [*(["join", [value, value]] for value in range(7, 307)), ["gap", [307]], ["fc", [308]]]
    config["outputs"] = [309]


LIES: dict[str, Callable[[dict[str, Any]], None]] = {
    "a circle": at("nodes", 1, value=["bn1", [4]]),
    "a layer that reads itself": at("nodes", 1, value=["bn1", [2]]),
    "a value that is not there": at("nodes", 0, value=["shared", [77]]),
    "a value before the first": at("nodes", 0, value=["shared", [-1]]),
    "a value called True": at("nodes", 1, value=["bn1", [True]]),
    "a value called 1.0": at("nodes", 1, value=["bn1", [1.0]]),
    "a layer nobody described": at("nodes", 0, value=["nobody", [0]]),
    "a node that reads nothing": at("nodes", 4, value=["add1", []]),
    "one layer with two values to read": at("nodes", 1, value=["bn1", [0, 1]]),
    "a value that nobody reads": at("nodes", 7, value=["gap", [5]]),
    "nodes as a number": at("nodes", value=3),
    "a node of three parts": at("nodes", 0, value=["shared", [0], 1]),
    "too many nodes": lambda config: config["nodes"].extend([["relu1", [1]]] * 10_000),
    "too many layers": lambda config: config["layers"].extend([{"class_name": "ReLU", "config": {}}] * 10_000),
    "a layer described and not used": lambda config: config["layers"].append(
        {"class_name": "Dense", "config": {"units": 10**6, "name": "idle"}}
    ),
    "two layers of one name": at("layers", 1, "config", "name", value="shared"),
    "a layer nobody knows": at("layers", 0, "class_name", value="Lambda"),
    "no output": at("outputs", value=[]),
    "an output that is not there": at("outputs", value=[99]),
    "no input": at("input_names", value=[]),
    "another number of inputs": at("input_names", value=["a", "b"]),
    "an input called like a layer": at("input_names", value=["fc"]),
    "an input shape of words": at("input_shape", value=["a", 5, 2]),
    "an input shape as a number": at("input_shape", value=6),
    "shapes that cannot be added": at("nodes", 4, value=["add1", [0, 8]]),
    "a layer as a number": at("layers", 4, value=3),
    "two inputs of one name": at("input_names", value=["a", "a"]),
    "a value that doubles without end": doubling,
}


@pytest.mark.parametrize("lie", LIES)
def test_a_file_that_lies_is_refused_with_its_name(lie: str, tmp_path: Any) -> None:
    residual().save(tmp_path / "good.npz")
    arrays, metadata = read_arrays(tmp_path / "good.npz")
    LIES[lie](metadata["config"])
    write_arrays(tmp_path / "bad.npz", arrays, metadata)
    with pytest.raises(LoadError, match=r"bad\.npz"):
        Model.load(tmp_path / "bad.npz")


def test_dropout_in_a_graph_follows_from_its_name(rng: np.random.Generator) -> None:
    """Chance is a function of (seed, step, layer name), so the order of branches does not matter."""
    x = Input((20,))
    a, b = Dropout(0.5, name="a")(x), Dropout(0.5, name="b")(x)
    numbers = np.ones((3, 20))
    one = Model(x, Concatenate()([a, b])).forward(numbers, TRAINING)[0]
    other = Model(x, Concatenate()([b, a])).forward(numbers, TRAINING)[0]
    np.testing.assert_array_equal(one[:, :20], other[:, 20:])
    assert (one[:, :20] != one[:, 20:]).any()


def test_dropout_in_two_places_drops_other_numbers_in_each(rng: np.random.Generator) -> None:
    """As in Keras. In a network that compares two pictures, both halves would otherwise miss the same features."""
    x = Input((200,))
    shared = Dropout(0.5)
    model = Model(x, [shared(x), shared(x)])
    numbers = np.ones((1, 200), np.float32)
    (first, second), caches = model.forward(numbers, TRAINING)
    assert (first != second).any()
    dx, _ = model.backward([numbers, 10 * numbers], caches, input_gradient=True)
    np.testing.assert_array_equal(dx, first + 10 * second)  # the gradient takes the ways that were open, each its own
    again, _ = model.forward(numbers, TRAINING)
    np.testing.assert_array_equal(again, [first, second])
    values, _ = passes.every_value(model.graph, [numbers], TRAINING)
    np.testing.assert_array_equal(values[1:], [first, second])
