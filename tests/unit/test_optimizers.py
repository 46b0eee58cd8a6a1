"""Optimisers: first steps by hand, clipping, decay, memory, and what must be refused."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from typing import Any

import numba
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minicnn import optimizers
from minicnn.errors import DtypeError, OptionError, ShapeError, StateError
from minicnn.ops.gradients import BLOCK, OuterProducts
from minicnn.ops.turns import BLOCK as TERMS
from minicnn.optimizers import SGD, Adagrad, Adam, AdamW, Optimizer, RMSprop, clipping, loops
from minicnn.schedules import CosineDecay, PiecewiseConstantDecay
from minicnn.shapes import Array
from tests.threads import same_bits_on_one_thread

ALL: list[Optimizer] = [
    SGD(),
    SGD(momentum=0.9),
    SGD(momentum=0.9, nesterov=True, weight_decay=0.01),
    RMSprop(momentum=0.5, centered=True),
    Adagrad(clipnorm=0.1),
    Adam(amsgrad=True, clipvalue=0.1),
    AdamW(global_clipnorm=0.1),
]

MORE = [
    *ALL,
    SGD(clipvalue=0.5, weight_decay=0.1),
    RMSprop(clipnorm=1.0),
    RMSprop(momentum=0.5),
    RMSprop(centered=True),
    Adagrad(),
    Adam(),
]


def fresh(optimizer: Optimizer) -> Optimizer:
    return optimizers.get({"class_name": type(optimizer).__name__, "config": optimizer.config()})


def steps(optimizer: Optimizer, gradients: list[float], start: float = 1.0) -> list[float]:
    """Where one float64 parameter goes."""
    parameters, path = {"p": np.array([start])}, []
    for g in gradients:
        optimizer.apply(parameters, {"p": np.array([g], float)})
        path.append(float(parameters["p"][0]))
    return path


def test_steps_by_hand() -> None:
    assert steps(SGD(0.1), [2, -1]) == pytest.approx([0.8, 0.9])
    assert steps(SGD(0.1, momentum=0.5), [2, -1]) == pytest.approx([0.8, 0.8])  # m: -0.2, then -0.1 + 0.1
    assert steps(SGD(0.1, momentum=0.5, nesterov=True), [2]) == pytest.approx([1 - 0.1 - 0.2])
    assert steps(RMSprop(0.1, rho=0.75, epsilon=0), [2]) == pytest.approx([1 - 0.1 * 2 / 1])  # v = 0.25 * 4
    assert steps(RMSprop(0.1, rho=0.75, epsilon=3.25, centered=True), [2]) == pytest.approx([1 - 0.1 * 2 / 2])
    assert steps(Adagrad(0.1, initial_accumulator_value=5, epsilon=0), [2, 0]) == pytest.approx([1 - 0.2 / 3] * 2)
    assert steps(Adam(0.1, epsilon=0), [2, 2]) == pytest.approx([0.9, 0.8])  # constant gradients: steps of lr
    assert steps(AdamW(0.1, weight_decay=0.5, epsilon=0), [2]) == pytest.approx([1 - 0.05 - 0.1])


def test_amsgrad_never_forgets_a_large_gradient() -> None:
    gradients = [100.0] + [1.0] * 30
    usual, ams = steps(Adam(0.1, beta_2=0.5), gradients), steps(Adam(0.1, beta_2=0.5, amsgrad=True), gradients)
    assert abs(ams[-1] - ams[-2]) < 0.1 * abs(usual[-1] - usual[-2])


@pytest.mark.parametrize("optimizer", ALL, ids=repr)
def test_it_goes_downhill(optimizer: Optimizer, rng: np.random.Generator) -> None:
    optimizer = fresh(optimizer)
    optimizer.learning_rate = 0.02
    parameters = {"p": rng.standard_normal(20)}
    height = float(np.sum(parameters["p"] ** 2))
    for _ in range(60):
        optimizer.apply(parameters, {"p": 2 * parameters["p"]})
    assert float(np.sum(parameters["p"] ** 2)) < 0.9 * height


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("optimizer", ALL, ids=repr)
def test_arrays_change_in_place_and_keep_their_dtype(
    optimizer: Optimizer, dtype: Any, rng: np.random.Generator
) -> None:
    optimizer = fresh(optimizer)
    frozen, moved = rng.standard_normal(3).astype(dtype), rng.standard_normal((2, 3)).astype(dtype)
    gradient = rng.standard_normal((2, 3)).astype(dtype)
    before = frozen.copy(), moved.copy(), gradient.copy()
    parameters = {"frozen/kernel": frozen, "moved/kernel": moved}
    optimizer.apply(parameters, {"moved/kernel": gradient})
    assert parameters["moved/kernel"] is moved
    assert moved.dtype == dtype
    assert np.all(moved != before[1])
    np.testing.assert_array_equal(frozen, before[0])
    np.testing.assert_array_equal(gradient, before[2])
    assert set(optimizer.slots) == {f"{name}/moved/kernel" for name in optimizer.slot_values()}
    assert all(slot.dtype == dtype and slot.shape == (2, 3) for slot in optimizer.slots.values())
    assert optimizer.iterations == 1


@pytest.mark.parametrize("optimizer", ALL, ids=repr)
def test_pieces_and_strides_make_no_difference(optimizer: Optimizer, rng: np.random.Generator) -> None:
    """Longer than two blocks, and once more in Fortran order."""
    start = rng.standard_normal((2, BLOCK + 7))
    in_c, in_fortran = {"p": start.copy()}, {"p": np.asfortranarray(start)}
    a, b = fresh(optimizer), fresh(optimizer)
    for _ in range(3):
        g = rng.standard_normal(start.shape)
        a.apply(in_c, {"p": g})
        b.apply(in_fortran, {"p": np.asfortranarray(g)})
    assert in_fortran["p"].flags.f_contiguous
    np.testing.assert_allclose(in_c["p"], in_fortran["p"], rtol=1e-13)  # norms are added up in another order


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("optimizer", MORE, ids=repr)
def test_the_compiled_formula_is_the_definition(
    optimizer: Optimizer, dtype: Any, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    start = rng.standard_normal((2, BLOCK + 7)).astype(dtype)
    compiled, defined = {"p": start.copy()}, {"p": start.copy()}
    a, b = fresh(optimizer), fresh(optimizer)
    for _ in range(3):
        g = {"p": rng.standard_normal(start.shape).astype(dtype)}
        monkeypatch.setattr(loops, "COMPILED", True)
        a.apply(compiled, g)
        monkeypatch.setattr(loops, "COMPILED", False)
        b.apply(defined, g)
    tolerance = {"rtol": 1e-5, "atol": 1e-6} if dtype == np.float32 else {"rtol": 1e-12, "atol": 1e-14}
    np.testing.assert_allclose(compiled["p"], defined["p"], **tolerance)
    for key, slot in a.slots.items():
        np.testing.assert_allclose(slot, b.slots[key], **tolerance)


@pytest.mark.parametrize("compiled", [True, False])
@pytest.mark.parametrize("optimizer", MORE, ids=repr)
def test_factors_do_what_the_written_gradient_does(
    optimizer: Optimizer, compiled: bool, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loops, "COMPILED", compiled)
    x, dy, start = rng.standard_normal((3, 700)), rng.standard_normal((3, 211)), rng.standard_normal((700, 211))
    factored, written = {"p": start.copy()}, {"p": start.copy()}
    assert start.size > 2 * BLOCK
    a, b = fresh(optimizer), fresh(optimizer)
    for sign in (1, -0.5):
        g = OuterProducts(x * sign, dy)
        a.apply(factored, {"p": g})
        b.apply(written, {"p": g.array()})
    np.testing.assert_allclose(factored["p"], written["p"], rtol=1e-12)


def test_factors_that_do_not_fit_change_nothing() -> None:
    parameters = {"p": np.ones((3, 4))}
    for x, dy, error in [
        (np.ones((2, 4)), np.ones((2, 3)), ShapeError),
        (np.ones((2, 3), np.float32), np.ones((2, 4), np.float32), DtypeError),
    ]:
        with pytest.raises(error, match="'p'"):
            SGD().apply(parameters, {"p": OuterProducts(x, dy)})
    np.testing.assert_array_equal(parameters["p"], 1)


def test_the_bits_do_not_depend_on_the_number_of_threads(rng: np.random.Generator) -> None:
    start, found, before = rng.standard_normal((700, 211), np.float32), [], numba.get_num_threads()
    g = OuterProducts(rng.standard_normal((3, 700), np.float32), rng.standard_normal((3, 211), np.float32))
    try:
        for threads in (1, before):
            numba.set_num_threads(threads)
            found.append(start.copy())
            Adam().apply({"p": found[-1]}, {"p": g})
    finally:
        numba.set_num_threads(before)
    np.testing.assert_array_equal(*found)


class Signs(Optimizer):
    """An optimiser of one's own: a definition and nothing else."""

    def slot_values(self) -> dict[str, float]:
        return {}

    def update(self, p: Array, g: Array, slots: dict[str, Array], learning_rate: float) -> None:
        p -= learning_rate * np.sign(g)


def test_an_optimizer_without_a_compiled_formula(rng: np.random.Generator) -> None:
    x, dy, parameters = rng.standard_normal((2, 700)), rng.standard_normal((2, 211)), {"p": np.zeros((700, 211))}
    Signs(0.5).apply(parameters, {"p": OuterProducts(x, dy)})
    np.testing.assert_array_equal(parameters["p"], -0.5 * np.sign(x.T @ dy))


def test_the_last_element_is_treated_like_the_first(rng: np.random.Generator) -> None:
    whole, alone = {"p": rng.standard_normal(2 * BLOCK + 1)}, {"p": np.zeros(1)}
    alone["p"][:] = whole["p"][-1]
    a, b = Adam(), Adam()
    for _ in range(3):
        g = rng.standard_normal(2 * BLOCK + 1)
        a.apply(whole, {"p": g})
        b.apply(alone, {"p": g[-1:]})
    assert whole["p"][-1] == alone["p"][0]


gradients_of_two = st.lists(st.floats(-100, 100), min_size=2, max_size=5)


@given(gradients_of_two, gradients_of_two, st.floats(0.1, 10))
def test_clipping(first: list[float], second: list[float], limit: float) -> None:
    """With plain SGD of rate 1 the step is the clipped gradient itself."""
    gradients = {"a": np.array(first), "b": np.array(second)}

    def clipped(**options: float) -> dict[str, Array]:
        parameters = {name: np.zeros(len(g)) for name, g in gradients.items()}
        SGD(1.0, **options).apply(parameters, gradients)
        return {name: -p for name, p in parameters.items()}

    for name, step in clipped(clipnorm=limit).items():
        length = np.linalg.norm(gradients[name])
        np.testing.assert_allclose(step, gradients[name] * (limit / length if length > limit else 1), rtol=1e-12)
    for name, step in clipped(clipvalue=limit).items():
        np.testing.assert_array_equal(step, np.clip(gradients[name], -limit, limit))
    together = clipped(global_clipnorm=limit)
    length = np.linalg.norm(np.concatenate(list(gradients.values())))
    for name, step in together.items():
        np.testing.assert_allclose(step, gradients[name] * (limit / length if length > limit else 1), rtol=1e-12)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("size", [0, 1, 7, TERMS - 1, TERMS + 1, 20 * TERMS + 5])
def test_squares_are_added_up_in_float64(size: int, dtype: Any, rng: np.random.Generator) -> None:
    g = rng.standard_normal(size).astype(dtype)
    exact = math.fsum(value * value for value in g.tolist())  # of a float32, in float64: without rounding
    # some 5 units less, mostly: a square ends with the bits 001, which are rounded down more often than up
    assert abs(clipping.square(g) - exact) <= 24 * math.ulp(exact)
    columns = np.asfortranarray(rng.standard_normal((3, 5)).astype(dtype))
    assert clipping.square(columns) == pytest.approx(float((columns.astype(float) ** 2).sum()), rel=1e-15)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_bits_of_a_length_do_not_depend_on_the_number_of_threads(dtype: Any, rng: np.random.Generator) -> None:
    written = rng.standard_normal(1_000_003).astype(dtype)
    factors = OuterProducts(rng.standard_normal((3, 700)).astype(dtype), rng.standard_normal((3, 211)).astype(dtype))
    same_bits_on_one_thread(lambda: [np.array([clipping.square(g) for g in (written, factors)])])


def test_the_bits_of_a_length_do_not_depend_on_a_blas() -> None:
    """How OpenBLAS adds up the squares of 65536 float64 depends on its threads, whose number is read when it loads."""
    program = (
        "import numpy as np; from minicnn.optimizers import clipping; rng = np.random.default_rng(3);"
        "print([clipping.square(rng.standard_normal(65536)).hex() for _ in range(20)])"
    )
    environments = [os.environ | dict.fromkeys(("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS"), n) for n in ("1", "2")]
    one, two = (subprocess.check_output([sys.executable, "-c", program], env=env) for env in environments)
    assert one == two


@pytest.mark.parametrize("way", ["clipnorm", "global_clipnorm"])
def test_a_float32_whose_square_is_none_is_clipped(way: str) -> None:
    """1e25 squared is beyond float32, and was taken for an infinite length."""
    parameters = {"p": np.zeros(2, np.float32)}
    SGD(1.0, **{way: 5.0}).apply(parameters, {"p": np.array([3e25, 4e25], np.float32)})
    np.testing.assert_allclose(parameters["p"], [-3, -4], rtol=1e-6)


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("at", [0, 5, TERMS, 2 * TERMS + 2])
def test_a_length_shows_what_is_not_finite(value: float, at: int) -> None:
    g = np.ones(2 * TERMS + 3, np.float32)
    g[at] = value
    np.testing.assert_equal(clipping.square(g), value)


def test_weight_decay_comes_before_the_step_and_is_not_clipped() -> None:
    parameters = {"p": np.array([10.0])}
    SGD(0.1, weight_decay=0.5, clipnorm=1.0).apply(parameters, {"p": np.array([100.0])})
    assert parameters["p"][0] == pytest.approx(10 - 0.1 * 0.5 * 10 - 0.1 * 1)


def test_gradients_that_are_not_finite() -> None:
    for options in ({"clipnorm": 1.0}, {"global_clipnorm": 1.0}, {"clipvalue": 1.0}, {}):
        parameters = {"a": np.zeros(2), "b": np.zeros(2)}
        SGD(**options).apply(parameters, {"a": np.array([np.nan, 1.0]), "b": np.ones(2)})
        assert np.isnan(parameters["a"][0])
        assert np.isnan(parameters["b"]).all() == ("global_clipnorm" in options)


def test_the_rate_follows_a_schedule_or_the_hand() -> None:
    optimizer = SGD(PiecewiseConstantDecay([0], [0.5, 0.25]))
    assert optimizer.learning_rate == 0.5
    assert steps(optimizer, [1, 1, 1]) == [0.5, 0.25, 0.0]
    assert optimizer.learning_rate == 0.25
    with pytest.raises(StateError, match="PiecewiseConstantDecay"):
        optimizer.learning_rate = 0.1
    plain = SGD(0.5)
    plain.learning_rate = 0.25
    assert steps(plain, [1]) == [0.75]
    assert plain.config() == {"learning_rate": 0.25}


@pytest.mark.parametrize("optimizer", ALL, ids=repr)
def test_going_on_from_a_checkpoint(optimizer: Optimizer, rng: np.random.Generator) -> None:
    start, gradients = rng.standard_normal(5), [rng.standard_normal(5) for _ in range(6)]
    through, halfway = {"p": start.copy()}, {"p": start.copy()}
    a, b = fresh(optimizer), fresh(optimizer)
    for g in gradients:
        a.apply(through, {"p": g})
    for g in gradients[:3]:
        b.apply(halfway, {"p": g})
    config = json.loads(json.dumps(b.config()))
    state = {key: value.copy() for key, value in b.state().items()}
    c = optimizers.get({"class_name": type(b).__name__, "config": config})
    c.load_state(state)
    for g in gradients[3:]:
        c.apply(halfway, {"p": g})
    np.testing.assert_array_equal(through["p"], halfway["p"])
    assert c.iterations == 6
    assert all(np.all(state[key] == value) for key, value in state.items())  # load_state copied


def test_config_with_a_schedule() -> None:
    optimizer = SGD(CosineDecay(0.1, 10, warmup_target=0.2, warmup_steps=3), momentum=0.5)
    again = optimizers.get({"class_name": "SGD", "config": json.loads(json.dumps(optimizer.config()))})
    again.iterations = 2
    assert again.learning_rate == CosineDecay(0.1, 10, warmup_target=0.2, warmup_steps=3)(2)
    assert repr(again) == repr(optimizer)


def test_state_of_another_optimizer() -> None:
    adam = Adam()
    adam.apply({"p": np.zeros(2)}, {"p": np.ones(2)})
    for state in (adam.state(), {}, {"iterations": np.array(-1)}, {"iterations": np.array(1.5)}):
        optimizer = SGD(momentum=0.9)
        with pytest.raises(StateError):
            optimizer.load_state(state)
        assert optimizer.slots == {}
        assert optimizer.iterations == 0


def stepped(optimizer: Optimizer, steps: int = 1) -> dict[str, Array]:
    for _ in range(steps):
        optimizer.apply({"p": np.zeros(2), "q": np.zeros(3)}, {"p": np.ones(2), "q": np.ones(3)})
    return optimizer.state()


@pytest.mark.parametrize(
    ("reader", "writer", "message"),
    [
        (Adam(), SGD(momentum=0.9), "state of Adam with momentum, velocity. Received: one of SGD with momentum. Load"),
        (Adam(), SGD(), "one of SGD with no slots"),
        (Adam(), RMSprop(momentum=0.9), "one of RMSprop with momentum, velocity"),  # the same names
        (Adam(), Adam(amsgrad=True), "one of Adam with momentum, velocity, velocity_hat"),
        (Adam(amsgrad=True), Adam(), "velocity_hat. Received: one of Adam with momentum, velocity. "),
        (RMSprop(momentum=0.5, centered=True), RMSprop(momentum=0.5), "one of RMSprop with momentum, velocity"),
        (SGD(momentum=0.9), SGD(), "one of SGD with no slots"),
        (SGD(), SGD(momentum=0.9), "SGD with no slots. Received: one of SGD with momentum"),
    ],
)
def test_state_that_lacks_what_this_optimizer_remembers(reader: Optimizer, writer: Optimizer, message: str) -> None:
    state, reader = stepped(fresh(writer), 2), fresh(reader)
    with pytest.raises(StateError, match=message):
        reader.load_state(state)
    assert reader.slots == {}
    assert reader.iterations == 0


def test_state_kept_before_it_said_who_wrote_it() -> None:
    old = {key: value for key, value in stepped(Adam()).items() if key != "optimizer"}
    optimizer = Adam()
    optimizer.load_state(old)
    assert optimizer.state().keys() == {*old, "optimizer"}
    without = {key: value for key, value in old.items() if key != "velocity/q"}
    for state, message in [
        (without, "one without velocity/q. "),
        ({**old, "accumulator/r": np.ones(1)}, "one with accumulator/r. "),
        ({**without, "accumulator/r": np.ones(1)}, "one without velocity/q and with accumulator/r. "),
        ({"iterations": np.array(3)}, "one of 3 steps without any slots"),
    ]:
        with pytest.raises(StateError, match=message):
            Adam().load_state(state)


class Slow(SGD):
    """A subclass that remembers what its base does."""


@pytest.mark.parametrize(
    ("reader", "writer"),
    [
        (Adam(), AdamW()),  # the same slots, with the same meaning
        (AdamW(), Adam()),
        (Slow(momentum=0.5), SGD(momentum=0.9, nesterov=True)),
        (SGD(momentum=0.9), Slow(momentum=0.5)),
    ],
)
def test_state_of_a_relative(reader: Optimizer, writer: Optimizer) -> None:
    state = stepped(writer)
    reader.load_state(state)
    assert reader.slots.keys() == writer.slots.keys()


@pytest.mark.parametrize("optimizer", ALL, ids=repr)
def test_state_without_slots_for_all_or_any(optimizer: Optimizer) -> None:
    """Before the first step there are none; frozen layers have none, even in a network that is frozen altogether."""
    parameters = {"p": np.zeros(2), "frozen": np.zeros(2)}
    writer = fresh(optimizer)
    for steps, gradients in enumerate([{}, {}, {"p": np.ones(2)}]):
        reader = fresh(optimizer)
        reader.load_state(writer.state())
        assert reader.iterations == steps
        assert reader.slots.keys() == writer.slots.keys()
        writer.apply(parameters, gradients)


@pytest.mark.parametrize("writer", [np.array([]), np.array(7), np.array(["Adam"]), np.array([b"Adam", b"p"])])
def test_state_of_nobody_known(writer: Array) -> None:
    with pytest.raises(StateError, match="state of Adam with momentum, velocity"):
        Adam().load_state({**stepped(Adam()), "optimizer": writer})


def test_parameters_that_cannot_be_written_to_change_nothing() -> None:
    parameters = {"dense/bias": np.ones(2), "dense/kernel": np.ones((2, 2)), "frozen/bias": np.ones(2)}
    gradients = {"dense/bias": np.ones(2), "dense/kernel": np.ones((2, 2))}
    parameters["dense/kernel"].flags.writeable = parameters["frozen/bias"].flags.writeable = False
    optimizer = Adam()
    with pytest.raises(StateError, match=r"written to as 'dense/kernel'.*read-only.*array.copy\(\)"):
        optimizer.apply(parameters, gradients)
    np.testing.assert_array_equal(parameters["dense/bias"], 1)
    assert optimizer.slots == {}
    parameters["dense/kernel"] = parameters["dense/kernel"].copy()
    optimizer.apply(parameters, gradients)  # the frozen one has no gradient and may be as it is
    assert optimizer.iterations == 1


def test_gradients_that_do_not_fit_change_nothing() -> None:
    parameters = {"a": np.ones(2), "b": np.ones(3)}
    good = {"a": np.ones(2)}
    optimizer = Adam()
    for bad, error in [
        ({"c": np.ones(2)}, ShapeError),
        ({"b": np.ones(2)}, ShapeError),
        ({"b": np.ones(3, np.float32)}, DtypeError),
        ({"b": [1.0, 1.0, 1.0]}, DtypeError),
    ]:
        with pytest.raises(error, match=r"'[bc]'"):
            optimizer.apply(parameters, {**good, **bad})
    np.testing.assert_array_equal(parameters["a"], 1)
    assert optimizer.slots == {}
    assert optimizer.iterations == 0


def test_one_optimizer_for_two_models() -> None:
    optimizer = SGD(momentum=0.9)
    optimizer.apply({"p": np.ones(2)}, {"p": np.ones(2)})
    with pytest.raises(ShapeError, match="belongs to one model"):
        optimizer.apply({"p": np.ones(3)}, {"p": np.ones(3)})


@pytest.mark.parametrize(
    ("kind", "options", "message"),
    [
        ("sgd", {"learning_rate": -1}, "learning_rate"),
        ("sgd", {"learning_rate": "fast"}, "learning_rate"),
        ("sgd", {"learning_rate": {"class_name": "Slow"}}, "a schedule"),
        ("sgd", {"momentum": 1.1}, "momentum"),
        ("sgd", {"nesterov": 1}, "nesterov"),
        ("sgd", {"clipnorm": 1.0, "clipvalue": 1.0}, "at most one of clipnorm, clipvalue and global_clipnorm"),
        ("sgd", {"clipnorm": 0}, "clipnorm"),
        ("sgd", {"weight_decay": -0.1}, "weight_decay"),
        ("rmsprop", {"rho": 2}, "rho"),
        ("adagrad", {"initial_accumulator_value": -1}, "initial_accumulator_value"),
        ("adam", {"beta_1": 1}, "beta_1"),
        ("adamw", {"weight_decay": None}, "weight_decay"),
        ("adam", {"decay": 0.1}, "decay"),
        ("lion", {}, "sgd, rmsprop, adagrad, adam, adamw"),
    ],
)
def test_options_that_make_no_optimizer(kind: str, options: dict[str, Any], message: str) -> None:
    with pytest.raises(OptionError, match=message):
        optimizers.get({"class_name": kind, "config": options})
