"""Plans of predictions: followed while nothing has changed, and never when something has."""

from __future__ import annotations

import copy
import functools
import gc
import itertools
import pickle
import re
import weakref
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from types import MappingProxyType
from typing import Any
from weakref import WeakKeyDictionary

import numba
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minicnn import passes, prediction
from minicnn.errors import MinicnnError, ShapeError
from minicnn.layers import (
    ELU,
    Activation,
    Add,
    AveragePooling2D,
    BatchNormalization,
    Conv2D,
    Dense,
    Dropout,
    Flatten,
    GlobalAveragePooling2D,
    Input,
    Layer,
    LeakyReLU,
    MaxPooling2D,
    ReLU,
    Sigmoid,
    Softmax,
    Tanh,
    ZeroPadding2D,
    padding,
)
from minicnn.layers.base import INFERENCE, Context
from minicnn.model import Model
from minicnn.ops.activation_calls import LOOPS
from minicnn.ops.calls import Into, Run
from minicnn.ops.conv2d.prepared import Watch
from minicnn.ops.padding import zero_pad2d
from minicnn.passes import every_value
from minicnn.prediction import Plan, Step
from minicnn.sequential import Sequential
from minicnn.shapes import Array, Window

SHAPE = (9, 8, 4)


def network() -> Sequential:
    """Layers that make themselves ready, with numbers that do nothing in vain; NETWORKS has others."""
    layers = [
        *(Conv2D(16, 3, padding="same", name="conv"), BatchNormalization(name="norm"), ReLU(name="relu")),
        *(MaxPooling2D(name="pool"), Conv2D(6, 3, padding="same", algorithm="direct", name="direct")),
        *(Flatten(name="flatten"), Dropout(0.5, name="drop"), Dense(5, name="hidden"), ReLU(name="relu2")),
        *(Dense(4, name="dense"), Softmax(name="softmax")),
    ]
    model = Sequential(layers, input_shape=SHAPE)
    rng = np.random.default_rng(0)
    for layer in model.layers:
        for array in (layer.params | layer.state).values():
            array[...] = rng.uniform(-0.1, 0.2, array.shape) + (array.ndim == 1)  # gamma and variances are positive
    return model


def pictures(seed: int = 0, count: int = 2, shape: tuple[int, ...] = SHAPE) -> Array:
    return np.random.default_rng(seed).standard_normal((count, *shape)).astype(np.float32)


def planned(model: Model) -> Plan:
    """The plan of a network after two predictions."""
    for _ in range(2):
        model(pictures(shape=model.shapes[0]))
    plan = prediction._found[model.graph]
    assert isinstance(plan, Plan)
    return plan


def asked(model: Model, x: Array) -> Array:
    """What a network says without a plan, each of its layers being asked."""
    values, _ = prediction._walk(model.graph, model.as_inputs(x), [], plan=False)
    return values[0]


def outcome(call: Callable[[], Array]) -> Any:
    """The bits, or the error and its words."""
    try:
        y = call()
    except (MinicnnError, KeyError, AttributeError) as error:
        return type(error), str(error)
    return y.shape, y.dtype, y.tobytes()


# -- when there is a plan ----------------------------------------------------------------------------------------------


def test_the_second_of_two_predictions_alike_makes_a_plan() -> None:
    model = network()
    for x, expected in (
        (pictures(), False),
        (pictures(1), True),
        (pictures(2), True),
        (pictures(3, count=3), False),
        (pictures(4), False),
        (pictures(5), True),
    ):
        model(x)
        assert isinstance(prediction._found[model.graph], Plan) == expected


def test_a_plan_is_followed() -> None:
    model = network()
    plan = planned(model)
    called = []

    def noted(name: str, function: Any) -> Any:
        return lambda *x: called.append(name) or function(*x)  # type: ignore[func-returns-value]

    def noting(step: Step) -> Step:
        name, call, run = step.stage.node.layer.name, step.call, step.run
        if step.into is not None:
            assert isinstance(call, Into)
            call = Into(call.shape, call.dtype, noted(f"{name} into the plan's memory", call.bind))
        else:
            call = noted(name, call)
        return step._replace(call=call, run=run and noted(f"{name} again", run))

    plan.steps[:] = map(noting, plan.steps)
    for _ in range(2):
        model(pictures(1))
        again = ["direct", "flatten", "drop", "hidden", "dense"]
        assert called == ["conv into the plan's memory", *(f"{name} again" for name in again), "softmax"]
        called.clear()
    assert all(step.makes is None for step in plan.steps)
    assert prediction._found[model.graph] is plan


SQUARE = Input((6, 6, 4))
HALF = Conv2D(4, 3, padding="same")(SQUARE)
NETWORKS: dict[str, Callable[[], Model]] = {
    "of convolutions and dense layers": lambda: network(),
    "that ends in a view": lambda: Sequential(
        [Conv2D(8, 3), ReLU(), Conv2D(4, 3), Flatten(), Dropout(0.5)], input_shape=SHAPE
    ),
    "of activations": lambda: Sequential(
        [*map(Activation, LOOPS), LeakyReLU(), ELU(), Sigmoid(), Tanh(), ReLU()], input_shape=SHAPE
    ),
    "of poolings": lambda: Sequential(
        [
            *(MaxPooling2D(2, 1), AveragePooling2D(2), AveragePooling2D(3, 2, "same"), GlobalAveragePooling2D()),
            *(Activation("softmax"), Dense(4)),
        ],
        input_shape=SHAPE,
    ),
    "of views alone": lambda: Sequential([Flatten(), Dropout(0.5)], input_shape=SHAPE),
    "that begins with one": lambda: Sequential([Dropout(0.5), Flatten(), Dense(5), Dense(4)], input_shape=SHAPE),
    "whose last layer is not ready and returns what it reads": lambda: Sequential(
        [Conv2D(8, 3), Conv2D(8, 3), Activation("linear")], input_shape=SHAPE
    ),
    "with such a layer within": lambda: Sequential(
        [Conv2D(8, 3), Activation("linear"), Flatten(), Dense(4)], input_shape=SHAPE
    ),
    "with a pooling that reads its own memory": lambda: Sequential(
        [Conv2D(8, 3, algorithm="direct"), MaxPooling2D(), Conv2D(8, 3, algorithm="im2col"), Flatten(), Dense(4)],
        input_shape=SHAPE,
    ),
    "all of whose values come out": lambda: Model(SQUARE, [HALF, Flatten()(HALF), Conv2D(2, 3)(HALF)]),
    "with such a pooling on its way": lambda: Sequential(
        [Conv2D(8, 3, padding="same"), Conv2D(6, 3, algorithm="direct"), MaxPooling2D(), Flatten(), Dense(4)],
        input_shape=SHAPE,
    ),
    "with branches": lambda: Model(SQUARE, Add()([HALF, ReLU()(Conv2D(4, 3, padding="same")(HALF))])),
    "that uses a layer twice": lambda: Sequential(
        [same := Conv2D(4, 3, padding="same"), same, ReLU(), same], input_shape=SHAPE
    ),
}


def answers_of(model: Model, x: Array) -> list[Array]:
    y = model(x)
    return y if isinstance(y, list) else [y]


@pytest.mark.parametrize("kept", [prediction.MOST_KEPT, 3000, 0])
@pytest.mark.parametrize("name", NETWORKS)
def test_no_prediction_writes_to_what_came_out_of_another(
    name: str, kept: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(prediction, "MOST_KEPT", kept)
    model = NETWORKS[name]()
    given = [pictures(seed, shape=model.shapes[0]) for seed in range(6)]
    copies = [x.copy() for x in given]
    found = [answers_of(model, x) for x in given]
    plan = prediction._found[model.graph]
    assert isinstance(plan, Plan)
    within = sum(step.call.keeps for step in plan.steps if step.into is not None and isinstance(step.call, Into))
    between = {array.ctypes.data: array.nbytes for array in plan.fixed.values()}
    assert sum(between.values()) + within <= kept
    for x, copied, ys in zip(given, copies, found, strict=True):
        np.testing.assert_array_equal(x, copied)
        assert [y.tobytes() for y in ys] == [y.tobytes() for y in _asked(model, x)]
        assert not any(np.shares_memory(y, array) for y in ys for array in plan.fixed.values())


def _asked(model: Model, x: Array) -> list[Array]:
    return prediction._walk(model.graph, model.as_inputs(x), [], plan=False)[0]


@pytest.mark.parametrize("threads", [1, 2])
def test_a_plan_made_for_other_cores_is_followed_step_by_step(threads: int, threads_again: int) -> None:
    """What was divided among two cores must not be run by one, and the other way round; the bits are the same."""
    model, x = NETWORKS["of convolutions and dense layers"](), pictures(4)
    expected = asked(model, x).tobytes()
    numba.set_num_threads(3 - threads)
    plan = planned(model)
    ran: list[Run] = []
    plan.steps[:] = [step._replace(run=step.run and _noted(step.run, ran)) for step in plan.steps]
    numba.set_num_threads(threads)
    assert model(x).tobytes() == expected
    assert not ran
    numba.set_num_threads(3 - threads)
    assert model(x).tobytes() == expected
    assert len(ran) == 5
    assert prediction._found[model.graph] is plan


def test_a_plan_is_followed_step_by_step_by_a_thread_that_did_not_make_it() -> None:
    model, x = NETWORKS["of convolutions and dense layers"](), pictures(4)
    expected = asked(model, x).tobytes()
    plan = planned(model)
    ran: list[Run] = []
    plan.steps[:] = [step._replace(run=step.run and _noted(step.run, ran)) for step in plan.steps]
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(model, x).result().tobytes() == expected
    assert not ran
    assert prediction._found[model.graph] is plan
    assert model(x).tobytes() == expected
    assert len(ran) == 5


def test_a_prediction_within_a_prediction_has_other_memory() -> None:
    """As from a signal's handler that comes between two steps."""
    model, x, other = NETWORKS["of convolutions and dense layers"](), pictures(4), pictures(5)
    expected, others = asked(model, x).tobytes(), asked(model, other).tobytes()
    plan = planned(model)
    within: list[bytes] = []

    def interrupted(step: Step) -> Step:
        def run() -> None:
            assert step.run is not None
            step.run()
            within.append(model(other).tobytes())

        return step._replace(run=step.run and run)

    plan.steps[:] = map(interrupted, plan.steps)
    assert model(x).tobytes() == expected
    assert within == [others] * 5
    assert prediction._found[model.graph] is plan
    assert not plan.busy.locked()


@pytest.mark.parametrize("where", ["norm", "hidden"])
def test_a_network_whose_arrays_are_in_no_dict_is_asked(where: str) -> None:
    model, x = network(), pictures(4)
    expected = model(x).tobytes()
    planned(model)
    layer = model.get_layer(where)
    layer.params = MappingProxyType(layer.params)  # type: ignore[assignment]
    assert [model(x).tobytes() for _ in range(4)] == [expected] * 4
    assert not isinstance(prediction._found[model.graph], Plan)


def test_what_is_written_while_a_plan_is_made_is_not_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    """By another thread, after the factors of a normalisation were computed, or just before."""
    for moment in ("before", "after"):
        model, x = network(), pictures(4)
        model(x)
        norm: Any = model.get_layer("norm")
        right, calls = BatchNormalization.factors, itertools.count(1)

        def factors(self: Any, moment: str = moment, right: Any = right, calls: Any = calls) -> Array:
            now = next(calls) == 2  # the first is for this prediction, the second for the plan
            if now and moment == "before":
                self.params["gamma"][...] += 1
            found: Array = right(self)
            if now and moment == "after":
                self.params["gamma"][...] += 1
            return found

        with monkeypatch.context() as patched:
            patched.setattr(BatchNormalization, "factors", factors)
            model(x)
        assert isinstance(prediction._found[model.graph], Plan)
        for _ in range(3):
            assert model(x).tobytes() == asked(model, x).tobytes()
        assert norm.params["gamma"][0] > 1


def _noted(run: Run, ran: list[Run]) -> Run:
    def noted() -> None:
        ran.append(run)
        run()

    return noted


@pytest.fixture
def threads_again() -> Iterator[int]:
    """As many as before, after the test."""
    before = numba.get_num_threads()
    if numba.config.NUMBA_NUM_THREADS < 2:
        pytest.skip("one thread")
    yield before
    numba.set_num_threads(before)


def test_the_same_layer_and_branches() -> None:
    x = Input((6, 6, 4))
    conv = Conv2D(4, 3, padding="same")
    a = conv(x)
    b = ReLU()(conv(a))
    model = Model(x, [Add()([a, b]), b])
    pair = pictures(shape=(6, 6, 4))
    first = [y.copy() for y in model(pair)]
    for _ in range(3):
        assert [y.tobytes() for y in model(pair)] == [y.tobytes() for y in first]
    assert isinstance(prediction._found[model.graph], Plan)


# -- when it no longer holds -------------------------------------------------------------------------------------------


def one_more(key: str, where: str) -> Callable[[Sequential], None]:
    def change(model: Sequential) -> None:
        layer = model.get_layer(where)
        (layer.params | layer.state)[key].reshape(-1)[-1] += 1

    return change


def exchanged(key: str, where: str, how: Callable[[Array], Any] = lambda old: old * 2) -> Callable[[Sequential], None]:
    def change(model: Sequential) -> None:
        layer = model.get_layer(where)
        held = layer.params if key in layer.params else layer.state
        held[key] = how(held[key])

    return change


def with_attribute(where: str, **attributes: Any) -> Callable[[Sequential], None]:
    return lambda model: vars(model.get_layer(where)).update(attributes)


def new_dict(model: Sequential) -> None:
    layer = model.get_layer("direct")
    layer.params = {key: -array for key, array in layer.params.items()}


def turned(model: Sequential) -> None:
    kernel = model.get_layer("dense").params["kernel"]
    kernel.shape = kernel.shape[::-1]


def without(key: str, where: str) -> Callable[[Sequential], None]:
    def change(model: Sequential) -> None:
        del model.get_layer(where).params[key]

    return change


def answers(
    model: Sequential, of: Sequence[Any] = (("direct", "infer"), ("hidden", "forward"), ("drop", "infer"))
) -> None:
    """Somebody puts a pass of his own into a layer."""
    for name, method in of:
        layer: Any = model.get_layer(name)
        before = getattr(layer, method)
        own = lambda x, *a, before=before, **k: _plus_one(before(x, *a, **k))  # noqa: E731
        setattr(layer, method, own)


def renamed(model: Sequential) -> None:
    params = model.get_layer("conv").params
    params["spare"] = params.pop("bias")  # the same dict, with the same arrays in the same order


def renamed_in_a_dense_layer(model: Sequential) -> None:
    params = model.get_layer("hidden").params
    params["spare"] = params.pop("bias")


def moved_to_the_state(model: Sequential) -> None:
    conv = model.get_layer("conv")
    conv.state["bias"] = conv.params.pop("bias")  # it comes where it was, one dict after the other


def exchanged_names(model: Sequential) -> None:
    params = model.get_layer("norm").params
    gamma, beta = params["gamma"], params["beta"]
    params.clear()
    params.update(beta=gamma, gamma=beta)


def called_by_another_name(model: Sequential) -> None:
    """An attribute that did nothing becomes a method, in the place where it was."""
    drop: Any = model.get_layer("drop")
    vars(drop)["infer"] = vars(drop).pop("aside")


def with_something_aside() -> Sequential:
    model = network()
    vars(model.get_layer("drop"))["aside"] = lambda x: x + 1
    return model


def _plus_one(result: Any) -> Any:
    return (result[0] + 1, *result[1:]) if isinstance(result, tuple) else result + 1


CHANGES: dict[str, Callable[[Sequential], None]] = {
    **{
        f"a number of {where}/{key}": one_more(key, where)
        for where, keys in {
            "conv": ("kernel", "bias"),
            "norm": ("gamma", "beta", "moving_mean", "moving_variance"),
            "direct": ("kernel", "bias"),
            "hidden": ("kernel", "bias"),
            "dense": ("kernel", "bias"),
        }.items()
        for key in keys
    },
    **{
        f"another array as {where}/{key}": exchanged(key, where)
        for where, key in (
            *(("conv", "kernel"), ("conv", "bias"), ("norm", "gamma"), ("norm", "moving_variance")),
            *(("dense", "kernel"), ("dense", "bias")),
        )
    },
    "no bias": without("bias", "conv"),
    "no bias in a dense layer": without("bias", "dense"),
    "no kernel": without("kernel", "dense"),
    "a dict of other arrays": new_dict,
    "a kernel of another shape": exchanged("kernel", "conv", lambda old: old[:, :, :, :8].copy()),
    "a kernel in float64": exchanged("kernel", "conv", lambda old: old.astype(float)),
    "a bias in float64": exchanged("bias", "dense", lambda old: old.astype(float)),
    "a dense kernel turned in place": turned,
    "a kernel that is not contiguous": exchanged("kernel", "dense", lambda old: np.asfortranarray(old + 1)),
    "a gamma that is not contiguous": exchanged("gamma", "norm", lambda old: np.repeat(old + 1, 2)[::2]),
    "a gamma in float64": exchanged("gamma", "norm", lambda old: old.astype(float)),
    "a bias that is not contiguous": exchanged("bias", "conv", lambda old: np.repeat(old + 1, 2)[::2]),
    "another algorithm": with_attribute("conv", algorithm="loops"),
    "an algorithm that does not exist": with_attribute("conv", algorithm="fastest"),
    "another padding": with_attribute("direct", window=Window.of(3, 1, "valid")),
    "groups": with_attribute("conv", groups=3),
    "another epsilon": with_attribute("norm", epsilon=0.5),
    "no gamma": with_attribute("norm", scale=False),
    "another pooling": with_attribute("pool", window=Window.of(2, 1)),
    "another axis": with_attribute("softmax", axis=0),
    "methods of somebody's own": answers,
    "a bias under another name": renamed,
    "a bias in another dict": moved_to_the_state,
    "a bias of a dense layer under another name": renamed_in_a_dense_layer,
    "gamma and beta under each other's name": exchanged_names,
    "a method that was there under another name": called_by_another_name,
    "a method of somebody's own in the last layer": lambda model: answers(model, [("softmax", "infer")]),
    "a bias of another shape": lambda model: setattr(model.get_layer("conv").params["bias"], "shape", (4, 4)),
    "a dense bias that is no array": exchanged("bias", "dense", lambda old: (old + 1).tolist()),
    "a dense kernel of another class": exchanged("kernel", "dense", lambda old: (old + 1).view(np.matrix)),
    "a dense bias of another shape": lambda model: setattr(model.get_layer("dense").params["bias"], "shape", (2, 2)),
    "a kernel of another shape, in place": lambda model: setattr(
        model.get_layer("conv").params["kernel"], "shape", (9, 1, 4, 16)
    ),
}


@pytest.mark.parametrize("name", CHANGES)
def test_every_change_is_seen(name: str) -> None:
    model, x = with_something_aside(), pictures(7)
    before = outcome(lambda: model(x))
    planned(model)
    assert outcome(lambda: model(x)) == before
    CHANGES[name](model)
    fresh = copy.deepcopy(model)  # nothing is kept in a copy
    expected = outcome(lambda: asked(fresh, x))
    assert expected != before
    for _ in range(3):  # and again with the plan that follows
        assert outcome(lambda: model(x)) == expected


WRITINGS = [name for name in CHANGES if name.startswith("a number")]


@given(st.lists(st.sampled_from([*WRITINGS, *["predict"] * 9]), max_size=12))
def test_changes_in_any_order(changes: list[str]) -> None:
    model, x = network(), pictures(8)
    for change in changes:
        if change in CHANGES:
            CHANGES[change](model)
        assert model(x).tobytes() == asked(model, x).tobytes()


def test_what_a_layer_made_before_may_be_of_another_kind() -> None:
    """A layer that is not ready is asked each time; what stands behind it was made ready for other shapes."""
    pad, dense = ZeroPadding2D(1, name="pad"), Dense(3, name="dense")
    model = Sequential([pad, Conv2D(8, 3, padding="same"), Flatten(), dense], input_shape=(1, 1, 2))
    x = pictures(shape=(1, 1, 2))
    plan = planned(model)
    assert [step.makes is None for step in plan.steps] == [False, True, True, True]
    pad.padding = ((1, 2), (1, 1))
    with pytest.raises(ShapeError, match="72 numbers in its last axis"):
        model(x)
    pad.padding = ((2, 0), (2, 0))
    assert model(x).tobytes() == asked(model, x).tobytes()


@pytest.mark.parametrize(
    ("make", "option", "value"),
    [
        (lambda: LeakyReLU(0.4), "negative_slope", 0.7),
        (lambda: ELU(0.3), "alpha", 0.2),
        (lambda: Activation("leaky_relu"), "activation", "elu"),
        (lambda: Activation("silu"), "activation", "gelu"),
        (lambda: Activation("relu6"), "activation", "hard_sigmoid"),
        (lambda: Activation("elu"), "activation", "linear"),
        (lambda: Activation("linear"), "activation", "softmax"),
        (lambda: Activation("softmax"), "activation", "linear"),
        (lambda: MaxPooling2D(2), "window", Window.of(2, 1)),
        (lambda: MaxPooling2D(2), "window", Window.of(3, 2)),
        (lambda: AveragePooling2D(2), "window", Window.of(3, 2)),
        (lambda: AveragePooling2D(3, 2), "window", Window.of(2, 2)),
        (GlobalAveragePooling2D, "keepdims", True),
    ],
)
def test_options_of_ready_layers_are_those_of_now(make: Callable[[], Layer], option: str, value: Any) -> None:
    model, x = Sequential([make()], input_shape=SHAPE), pictures()
    plan = planned(model)
    assert [step.makes is None for step in plan.steps] == [
        make().__dict__.get("activation") not in ("linear", "softmax")
    ]
    before = outcome(lambda: model(x))
    assert before == outcome(lambda: asked(model, x))
    setattr(model.layers[0], option, value)
    assert outcome(lambda: model(x)) == outcome(lambda: asked(model, x)) != before


@pytest.mark.parametrize("how", [lambda y: y.astype(float), lambda y: y[:, :2]])
def test_a_function_that_is_exchanged_may_make_another_kind(
    how: Callable[[Array], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that layers call: they themselves are as they were."""
    model = Sequential(
        [ZeroPadding2D(1), Conv2D(8, 3, padding="same", name="conv"), Flatten(), Dense(3)], input_shape=(1, 1, 2)
    )
    x = pictures(shape=(1, 1, 2))
    before = model(x).tobytes()
    planned(model)
    right = zero_pad2d
    monkeypatch.setattr(padding, "zero_pad2d", lambda x, pads: (how(right(x, pads)[0]), None))
    with pytest.raises((MinicnnError, AttributeError)) as expected:
        asked(model, x)
    with pytest.raises(expected.type, match=re.escape(str(expected.value))):
        model(x)
    monkeypatch.undo()
    assert model(x).tobytes() == before


class Own(Layer):
    """A layer of somebody's own, that does ``how``."""

    def __init__(self, how: Callable[[Array], Any]) -> None:
        super().__init__(name="own")
        self.how = how

    def output_shape(self, input_shape: Any) -> Any:
        return input_shape

    def forward(self, x: Array, context: Context = INFERENCE) -> tuple[Any, Any]:
        return self.how(x), None

    def backward(self, dy: Array, cache: Any, *, input_gradient: bool = True) -> Any:
        return dy, {}


def test_a_layer_of_ones_own_may_change_others_while_they_predict() -> None:
    conv = Conv2D(2, 3)
    x = pictures(shape=(6, 6, 1))

    def write(x: Array) -> Array:
        conv.params["kernel"][...] = x.mean()
        return x

    model = Sequential([Own(write), conv, Flatten()], input_shape=(6, 6, 1))
    for factor in range(1, 6):
        y = model(factor * x)
        expected = conv.forward(factor * x)[0].reshape(2, -1)
        assert y.tobytes() == expected.tobytes()


def test_a_layer_of_ones_own_is_asked_once_in_each_prediction() -> None:
    calls: list[int] = []
    model = Sequential([Own(lambda x: calls.append(1) or x[: len(calls)]), Dense(3)], input_shape=(5,))  # type: ignore[func-returns-value]
    for count in range(1, 5):
        assert len(model(pictures(count=6, shape=(5,)))) == count
    assert len(calls) == 4


@pytest.mark.parametrize("made", [None, 2.5, [1, 2]])
def test_a_layer_of_ones_own_may_make_anything(made: Any) -> None:
    model = Sequential([Dense(2), Own(lambda x: made)], input_shape=(5,))
    assert [model(pictures(shape=(5,))) for _ in range(4)] == [made] * 4


def test_methods_that_are_exchanged_are_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    model, x = network(), pictures(3)
    before = model(x)
    planned(model)

    class Nothing(Dense):
        def forward(self, x: Array, context: Context = INFERENCE, *, relu: bool = False) -> Any:
            return np.zeros((len(x), self.units), np.float32), None

    dense = model.get_layer("dense")
    dense.__class__ = Nothing
    assert model(x).tolist() == [[0.25] * 4] * 2
    dense.__class__ = Dense
    planned(model)
    monkeypatch.setattr(Dense, "forward", Nothing.forward)
    assert [model(x).tolist() for _ in range(4)] == [[[0.25] * 4] * 2] * 4
    monkeypatch.undo()
    assert model(x).tobytes() == before.tobytes()
    planned(model)
    right = Dense.forward

    @functools.wraps(right)  # it says that it comes from where the right one does
    def more(layer: Dense, *arguments: Any, **options: Any) -> Any:
        y, cache = right(layer, *arguments, **options)
        return y * 0 + 1e6 * np.arange(layer.units, dtype=np.float32), cache

    monkeypatch.setattr(Dense, "forward", more)
    assert [model(x).tolist() for _ in range(4)] == [[[0, 0, 0, 1]] * 2] * 4


JOINED = ["conv", "norm", "relu", "pool", "direct", "hidden", "relu2"]  # with others in one stage
WAYS = ["the layer's", "the class's", "another class"]


def exchange(layer: Layer, method: str, way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make ``method`` give twice what it gave: in the layer alone, in its whole class, or by another class."""
    kind = type(layer)
    right = getattr(kind, method)

    def twice(self: Layer, *arguments: Any, **options: Any) -> Any:
        y = right(self, *arguments, **options)
        return 2 * y if method == "infer" else (2 * y[0] if y[0] is not None else None, y[1])

    if way == "the layer's":
        monkeypatch.setattr(layer, method, functools.partial(twice, layer), raising=False)
    elif way == "the class's":
        monkeypatch.setattr(kind, method, twice)
    else:
        monkeypatch.setattr(layer, "__class__", type("Twice", (kind,), {method: twice}))


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", JOINED)
def test_whoever_exchanges_a_forward_pass_is_asked(name: str, way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    model, x = network(), pictures(3)
    before = model(x)
    planned(model)
    exchange(model.get_layer(name), "forward", way, monkeypatch)
    alone = every_value(model.graph, [x], INFERENCE)[0][-1]
    assert not np.allclose(alone, before)
    for _ in range(4):
        np.testing.assert_allclose(model(x), alone, rtol=1e-6)
    np.testing.assert_array_equal(model.forward(x)[0], alone)
    monkeypatch.undo()
    assert [model(x).tobytes() for _ in range(4)] == [before.tobytes()] * 4


def test_a_forward_pass_that_is_mixed_in_is_asked() -> None:
    class Loud:
        def forward(self, x: Array, context: Context = INFERENCE) -> Any:
            return 10 * x, None

    class Pool(Loud, MaxPooling2D):  # type: ignore[misc]
        pass

    model, x = Sequential([Pool(1)], input_shape=SHAPE), pictures(3)
    for _ in range(4):
        np.testing.assert_array_equal(model(x), 10 * x)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", ["conv", "norm", "pool"])
def test_whoever_exchanges_predictions_alone_is_asked(name: str, way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    model, x = network(), pictures(3)
    before, trained = model(x), model.forward(x)[0]
    planned(model)
    exchange(model.get_layer(name), "infer", way, monkeypatch)
    answers = [model(x).tobytes() for _ in range(4)]
    assert len(set(answers)) == 1
    assert not np.allclose(model(x), before)
    assert model.forward(x)[0].tobytes() == trained.tobytes()


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", ["conv", "relu", "pool", "direct"])
def test_whoever_exchanges_a_backward_pass_is_asked(name: str, way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    layers = [Conv2D(3, 3, name="conv"), ReLU(name="relu"), MaxPooling2D(name="pool"), Conv2D(2, 3, name="direct")]
    model, x = Sequential(layers, input_shape=SHAPE), pictures(3)
    y, caches = model.forward(x)
    _, before = model.backward(np.ones_like(y), caches)
    exchange(model.get_layer(name), "backward", way, monkeypatch)
    y, caches = model.forward(x)
    dx, _ = passes.backward(model.graph, [np.ones_like(y)], caches, input_gradient=True)
    told: dict[int, Array] = {}
    expected, _ = passes.backward(model.graph, [np.ones_like(y)], caches, input_gradient=True, dvalues=told)
    assert dx is not None
    assert expected is not None
    np.testing.assert_allclose(dx[0], expected[0], rtol=1e-6)
    monkeypatch.undo()
    again, _ = passes.backward(model.graph, [np.ones_like(y)], caches, input_gradient=True)
    assert again is not None
    times = 4 if (name, way) in (("conv", WAYS[1]), ("direct", WAYS[1])) else 2  # there are two convolutions
    np.testing.assert_allclose(times * again[0], expected[0], rtol=1e-6)
    assert before.keys() == {"conv/kernel", "conv/bias", "direct/kernel", "direct/bias"}


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of NumPy, which still lets it happen
@pytest.mark.parametrize("key, where", [("kernel", "hidden"), ("kernel", "conv"), ("bias", "conv"), ("bias", "dense")])
def test_arrays_that_are_read_in_another_order_in_place_are_seen(key: str, where: str) -> None:
    model, x = network(), pictures(5)
    array = model.get_layer(where).params[key]
    planned(model)
    array.strides = (0,) * array.ndim
    expected = [asked(copy.deepcopy(model), x).tobytes()] * 4
    assert [model(x).tobytes() for _ in range(4)] == expected


def test_a_kernel_that_was_resized_in_place_is_not_looked_into() -> None:
    """Its numbers are elsewhere then, and what was there may be nobody's."""
    conv = Conv2D(64, 3, use_bias=False, padding="same")
    model = Sequential([conv], input_shape=(4, 4, 64))
    conv.params["kernel"] = np.ones((3, 3, 64, 64), np.float32)
    planned(model)
    conv.params["kernel"].resize((3, 3, 64, 6400), refcheck=False)
    x = pictures(shape=(4, 4, 64))
    assert model(x).tobytes() == asked(model, x).tobytes()


# -- what it costs -----------------------------------------------------------------------------------------------------


def panels(model: Sequential) -> weakref.ref[Array]:
    conv: Any = model.get_layer("conv")
    return weakref.ref(conv._prepared._kernel.panels)


def test_training_lets_go_of_the_plan_and_of_its_kernels() -> None:
    model = network()
    model.compile("sgd", "sparse_categorical_crossentropy")
    planned(model)
    kept = panels(model)
    gc.collect()
    assert kept() is not None
    model.train_on_batch(pictures(), np.array([0, 1]))
    gc.collect()
    assert model.graph not in prediction._found
    assert kept() is None


def test_training_lets_go_of_the_plans_of_networks_that_share_layers() -> None:
    conv = Conv2D(16, 3, padding="same", name="conv")
    one, other = (Sequential([conv, Flatten(), Dense(2)], input_shape=(5, 5, 16)) for _ in range(2))
    planned(one)
    kept = panels(one)
    other.compile("sgd", "mse")
    other.train_on_batch(pictures(shape=(5, 5, 16)), np.ones((2, 2), np.float32))
    gc.collect()
    assert one.graph not in prediction._found
    assert kept() is None


def test_a_dense_kernel_that_was_exchanged_is_let_go_of_at_once() -> None:
    model = network()
    planned(model)
    dense = model.get_layer("hidden")
    old = weakref.ref(dense.params["kernel"])
    dense.params["kernel"] = dense.params["kernel"] + 1
    gc.collect()
    assert old() is None


def test_a_dense_kernel_whose_dict_was_exchanged_is_let_go_of_at_once() -> None:
    model = network()
    planned(model)
    dense = model.get_layer("hidden")
    old = weakref.ref(dense.params["kernel"])
    dense.params = {key: array + 1 for key, array in dense.params.items()}
    gc.collect()
    assert old() is None
    x = pictures(4)
    assert model(x).tobytes() == asked(model, x).tobytes()


def test_a_dense_kernel_that_no_longer_fits_what_was_bound_is_refused() -> None:
    """By another thread, after it was asked whether anything had changed."""
    model = network()
    dense = model.get_layer("hidden")
    right = dict(dense.params)
    kernel, bias = right["kernel"], right["bias"]
    for count in (2, 33):  # samples: few of them, and many, take other ways through the layer
        x = pictures(4, count)
        for _ in range(2):
            model(x)
        plan = prediction._found[model.graph]
        assert isinstance(plan, Plan)
        for wrong in (
            {"kernel": np.ones((6, 9), np.float32)},
            {"kernel": np.asfortranarray(kernel)},
            {"kernel": kernel.astype(float)},
            {"kernel": np.broadcast_to(kernel[:1], kernel.shape)},
            {"bias": bias[:3].copy()},
            {"bias": np.repeat(bias, 2)[::2]},
        ):
            dense.params.update(wrong)
            with pytest.raises(ShapeError, match="Another thread"):
                plan.run([x], model.graph.outputs)
            dense.params.update(right)
        assert not plan.busy.locked()


def test_a_plan_is_made_anew_where_it_is_needed() -> None:
    """A network that was tried in one thread, and then works in another one."""
    model, x = network(), pictures(4)
    expected = asked(model, x).tobytes()
    first = planned(model)
    with ThreadPoolExecutor(1) as pool:
        for _ in range(4):
            assert pool.submit(model, x).result().tobytes() == expected
        moved = prediction._found[model.graph]
        assert isinstance(moved, Plan)
        assert moved is not first
        assert moved.place == pool.submit(prediction._place).result()
        model(x)  # now and then from here
        assert pool.submit(model, x).result().tobytes() == expected
        assert prediction._found[model.graph] is moved
    assert model(x).tobytes() == expected


def test_old_kernels_are_let_go_of_before_there_are_new_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    model = network()
    planned(model)
    conv: Any = model.get_layer("conv")
    old, alive = panels(model), []
    before = prediction._walk

    def walk(*arguments: Any, **keywords: Any) -> Any:
        conv._prepared.clear()
        gc.collect()
        alive.append(old() is not None)
        return before(*arguments, **keywords)

    monkeypatch.setattr(prediction, "_walk", walk)
    conv.params["kernel"][0] += 1
    model(pictures())
    assert alive == [False]


def test_a_plan_dies_with_its_network() -> None:
    model = network()
    planned(model)
    graph = weakref.ref(model.graph)
    del model
    gc.collect()
    assert graph() is None


def pickled(model: Sequential) -> Any:
    return pickle.loads(pickle.dumps(model))


@pytest.mark.parametrize("copied", [copy.deepcopy, pickled])
def test_copies_have_no_plan(copied: Callable[[Any], Any]) -> None:
    model, x = network(), pictures(9)
    planned(model)
    twin = copied(model)
    assert twin.graph not in prediction._found
    expected = model(x).tobytes()
    model.get_layer("conv").params["kernel"][...] = 0
    assert twin(x).tobytes() == twin(x).tobytes() == twin(x).tobytes() == expected


def test_several_threads_with_several_shapes() -> None:
    model = network()
    batches = [pictures(seed, count) for seed, count in ((1, 1), (2, 2), (3, 1), (4, 3))]
    expected = [asked(model, x).tobytes() for x in batches]

    def work(which: int) -> bool:
        return all(model(batches[which]).tobytes() == expected[which] for _ in range(60))

    with ThreadPoolExecutor(len(batches)) as pool:
        assert all(pool.map(work, range(len(batches))))


def test_what_is_found_changes_under_a_lock(monkeypatch: pytest.MonkeyPatch) -> None:
    """Going through a dict that another thread writes to is an error, but only now and then."""
    asked_for: list[str] = []

    class Guarded(WeakKeyDictionary[Any, Any]):
        def __setitem__(self, key: Any, value: Any) -> None:
            self.guarded("set")
            super().__setitem__(key, value)

        def pop(self, key: Any, *default: Any) -> Any:
            self.guarded("pop")
            return super().pop(key, *default)

        def keyrefs(self) -> Any:
            self.guarded("keyrefs")
            return super().keyrefs()

        def guarded(self, what: str) -> None:
            assert prediction._changing._is_owned()  # type: ignore[attr-defined]
            asked_for.append(what)

    monkeypatch.setattr(prediction, "_found", Guarded())
    model, other = network(), network()
    for one in (model, other):
        planned(one)
    model.forward(pictures(3), Context(training=True))
    assert {*asked_for} == {"set", "pop", "keyrefs"}


def test_a_prediction_while_another_network_begins_to_learn(monkeypatch: pytest.MonkeyPatch) -> None:
    """As from a signal's handler that comes while plans are looked through: the lock is its thread's own."""
    predicted: list[bytes] = []
    model, other, x = network(), network(), pictures(3)
    expected = other(x).tobytes()

    class Interrupted(WeakKeyDictionary[Any, Any]):
        def get(self, key: Any, default: Any = None) -> Any:
            found = super().get(key, default)
            if isinstance(found, Plan) and not predicted:
                predicted.append(b"")
                predicted.append(network()(x).tobytes())
                predicted.append(other(x).tobytes())
            return found

    planned(model)
    monkeypatch.setattr(prediction, "_found", Interrupted(prediction._found))
    prediction.forget(other.graph)
    assert predicted[2] == expected
    assert isinstance(prediction._found[model.graph], Plan)


def test_kernels_together_are_looked_at_as_closely_as_one() -> None:
    """Sums over the same words in the same order: what the tests of fingerprints find out holds here too."""
    layers = [Conv2D(filters, size, padding="same") for filters, size in ((3, 1), (7, 3), (32, 3), (1, 1))]
    model = Sequential(layers, input_shape=(5, 5, 3))
    for _ in range(3):
        model(pictures(shape=(5, 5, 3)))
    plan = prediction._found[model.graph]
    assert isinstance(plan, Plan)
    watch = plan.watch
    assert [one.arrays[0].shape[3] for one in watch.held[0]] == [3, 7, 32, 1]  # type: ignore[union-attr]
    assert watch.unchanged()
    for one in watch.held[0]:
        kernel: Any = one.arrays[0]
        assert one.fingerprint[2] in watch.sums.tobytes()
        for place in (0, kernel.size // 2, kernel.size - 1):  # the last is no whole word where numbers are odd
            before = kernel.reshape(-1)[place]
            kernel.reshape(-1)[place] = -before
            assert not watch.unchanged()
            kernel.reshape(-1)[place] = before
            assert watch.unchanged()
    assert Watch.over([]).unchanged()


def test_every_byte_of_small_arrays_is_looked_at() -> None:
    arrays = [np.arange(size, dtype=dtype) for size, dtype in ((1, "f4"), (3, "f4"), (17, "f8"), (40, "f4"))] * 9
    watch = Watch.over([], [(array, array.copy()) for array in [*arrays, np.empty(0, np.float32)]])
    for array in {id(array): array for array in arrays}.values():
        each = array.view(np.uint8)
        for place in range(each.size):
            assert watch.unchanged()
            each[place] ^= 16
            assert not watch.unchanged()
            each[place] ^= 16
    assert watch.unchanged()


def test_several_threads_with_one_shape() -> None:
    """One of them made the plan, with its own memory; the others must not write there."""
    model = network()
    planned(model)
    batches = [pictures(seed) for seed in range(4)]
    expected = [asked(model, x).tobytes() for x in batches]
    with ThreadPoolExecutor(3) as pool:
        others = [pool.submit(_all_the_same, model, batches[k], expected[k]) for k in (1, 2, 3)]
        assert _all_the_same(model, batches[0], expected[0])
        assert all(other.result() for other in others)


def _all_the_same(model: Model, x: Array, expected: bytes) -> bool:
    return all(model(x).tobytes() == expected for _ in range(200))
