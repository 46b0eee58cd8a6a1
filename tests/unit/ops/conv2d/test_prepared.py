"""Prepared kernels: used again while nothing has changed, and never when something has."""

from __future__ import annotations

import copy
import pickle
import weakref
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import scipy.fft
import scipy.linalg
from hypothesis import given
from hypothesis import strategies as st

from minicnn.errors import DtypeError, OptionError, ShapeError
from minicnn.layers import Conv2D, Dense, Flatten, ReLU
from minicnn.layers.base import INFERENCE, Context
from minicnn.ops.conv2d import ALGORITHMS, algorithms, conv2d, convolve, direct, ready
from minicnn.ops.conv2d.prepared import PARTS, Prepared, fingerprint
from minicnn.ops.finishing import PLAIN, Finish
from minicnn.sequential import Sequential
from minicnn.shapes import Array, Window
from tests.cases import kernel_size_for, strides_for
from tests.threads import same_bits_on_one_thread

# -- fingerprints ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("size", [1, 2, 3, 15, 16, 17, 300, 2047, 4096])
def test_any_one_number_counts(size: int, dtype: Any, rng: np.random.Generator) -> None:
    array = rng.standard_normal(size).astype(dtype)
    before = fingerprint(array)
    assert fingerprint(array.copy()) == before
    for at in {0, 1, size // 2, size - 2, size - 1} & set(range(size)):
        changed = array.copy()
        changed[at] = np.nextafter(changed[at], dtype(9))
        assert fingerprint(changed) != before
        changed[at] = array[at]
        assert fingerprint(changed) == before


@given(st.integers(2, 700), st.data())
def test_two_numbers_that_changed_places_count(size: int, data: st.DataObject) -> None:
    i = data.draw(st.integers(0, size - 1))
    j = data.draw(st.integers(0, size - 1).filter(lambda j: j != i))
    array = np.arange(1, size + 1, dtype=np.float32)
    swapped = array.copy()
    swapped[[i, j]] = array[[j, i]]
    assert fingerprint(swapped) != fingerprint(array)


@pytest.mark.parametrize("distance", [2**power for power in range(18)])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_single_one_that_moved_counts(dtype: Any, distance: int) -> None:
    """1.0 differs from 0.0 in its highest bits alone. Times a power of two (its place), these would be lost."""
    here, there = np.zeros((3, 3, 256, 256), dtype), np.zeros((3, 3, 256, 256), dtype)
    here.reshape(-1)[1] = there.reshape(-1)[1 + distance] = 1
    assert fingerprint(here) != fingerprint(there)


@pytest.mark.parametrize("words", range(1, 17))
@pytest.mark.parametrize("lanes", [2, 4, 8])
def test_other_signs_everywhere_are_noticed(lanes: int, words: int, rng: np.random.Generator) -> None:
    """Whatever number of words each piece and lane adds up: a sum of so many equal powers of two may be 0."""
    kernel = rng.standard_normal(PARTS * lanes * words * 2, np.float32)
    for array in (kernel, np.zeros_like(kernel), np.ones_like(kernel)):
        others = array, -array, 2 * array + 1, np.abs(array) + 3
        assert len({fingerprint(other) for other in others}) == len({other.tobytes() for other in others})


def cosines() -> Array:
    """The 64 patterns of an 8x8 cosine transform as filters (8, 8, 1, 64)."""
    basis = scipy.fft.dct(np.eye(8), axis=0, norm="ortho")
    return np.einsum("ui,vj->ijuv", basis, basis).reshape(8, 8, 1, 64)


BASES = {
    "Walsh and Hadamard": scipy.linalg.hadamard(64).reshape(8, 8, 1, 64),
    "Walsh and Hadamard, 1x1": scipy.linalg.hadamard(64).reshape(1, 1, 64, 64),
    "cosines": cosines(),
}


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("basis", BASES.values(), ids=BASES.keys())
def test_one_filter_or_row_of_a_basis_with_its_sign_turned_counts(basis: Array, dtype: Any) -> None:
    """Numbers and their opposites in orderly patterns: what changes adds up to 0, and so do its sums by places."""
    kernel = basis.astype(dtype)
    seen = {fingerprint(kernel)}
    for axis in (2, 3):
        for place in range(kernel.shape[axis]):
            turned = kernel.copy()
            np.moveaxis(turned, axis, 0)[place] *= -1
            seen.add(fingerprint(turned))
    channels, filters = kernel.shape[2:]
    assert len(seen) == 1 + channels + filters


@pytest.mark.parametrize("distance", [2, 4, 8, 16, 32, 64])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_pairs_that_change_places_in_opposite_ways_count(dtype: Any, distance: int, rng: np.random.Generator) -> None:
    """a b b a at equal distances, and b a a b: neither a sum nor one weighed by places can tell them apart."""
    one, other = rng.standard_normal(2).astype(dtype)
    for at in range(0, 2048, 61):
        here = rng.standard_normal((3, 3, 16, 32)).astype(dtype)
        there = here.copy()
        places = at + distance * np.arange(4)
        here.reshape(-1)[places], there.reshape(-1)[places] = (one, other, other, one), (other, one, one, other)
        assert fingerprint(here) != fingerprint(there)


@pytest.mark.parametrize("flips", [4, 8])
def test_some_signs_of_a_kernel_of_three_numbers_count(flips: int, rng: np.random.Generator) -> None:
    for _ in range(300):
        kernel = rng.integers(-1, 2, (3, 3, 16, 16)).astype(np.float32)
        before, flat = fingerprint(kernel), kernel.reshape(-1)
        places = rng.integers(flat.size - 16 * flips) + 16 * np.arange(flips)
        if np.any(flat[places]):
            flat[places] *= -1
            assert fingerprint(kernel) != before


def test_zeros_of_both_signs_differ() -> None:
    array = np.zeros((3, 3, 2, 2), np.float32)
    assert fingerprint(array) != fingerprint(-array)


def test_two_changes_that_leave_the_sum_count() -> None:
    array = np.arange(64, dtype=np.float64)
    changed = array.view(np.uint64).copy()
    changed[8] += 5
    changed[16] -= 5
    assert fingerprint(changed.view(np.float64)) != fingerprint(array)


def test_shape_and_dtype_count() -> None:
    array = np.zeros((3, 3, 4, 2), np.float32)
    others = array.reshape(3, 3, 2, 4), array.reshape(9, 8), np.zeros((3, 3, 4, 1)), array.astype(np.float64)
    assert len({fingerprint(other) for other in (array, *others)}) == 5


def test_the_layout_in_memory_does_not_count(rng: np.random.Generator) -> None:
    array = rng.standard_normal((3, 3, 5, 7), np.float32)
    reversed_twice = np.ascontiguousarray(array[::-1, ..., ::-1])[::-1, ..., ::-1]
    assert not reversed_twice.flags.c_contiguous
    assert fingerprint(np.asfortranarray(array)) == fingerprint(reversed_twice) == fingerprint(array)


def test_a_whole_filter_that_moved_counts(rng: np.random.Generator) -> None:
    """Filters and channels in another order are the same numbers."""
    kernel = rng.standard_normal((3, 3, 16, 32), np.float32)
    shuffled = [kernel[..., ::-1], kernel[:, :, ::-1], kernel[::-1], kernel[:, ::-1], np.roll(kernel, 1, 3)]
    assert len({fingerprint(other) for other in (kernel, *shuffled)}) == 6


# -- one prepared kernel -----------------------------------------------------------------------------------------------


class Counted:
    """Prepares by copying, and counts."""

    def __init__(self) -> None:
        self.times = 0

    def __call__(self, kernel: Array) -> Array:
        self.times += 1
        return kernel.copy()


def test_prepared_once_until_something_changes() -> None:
    kernel = np.arange(36, dtype=np.float32).reshape(3, 3, 2, 2)
    prepare, prepared = Counted(), Prepared()
    first = prepared.of(kernel, "direct", prepare)
    assert prepared.of(kernel, "direct", prepare) is first
    assert prepared.of(kernel.copy(), "direct", prepare) is first  # the same numbers elsewhere
    assert prepare.times == 1
    kernel[1, 1, 0, 0] = 100
    renewed = prepared.of(kernel, "direct", prepare).panels
    assert renewed is not None
    assert renewed[1, 1, 0, 0] == 100
    assert prepare.times == 2
    prepared.of(kernel, "winograd", prepare)
    assert prepare.times == 3
    prepared.clear()
    prepared.of(kernel, "winograd", prepare)
    assert prepare.times == 4


@pytest.mark.parametrize("turned", [False, True], ids=["contiguous", "a view with its axes turned"])
def test_what_is_written_to_a_kernel_that_was_seen_before_is_noticed(turned: bool) -> None:
    numbers = np.arange(36, dtype=np.float32).reshape(3, 3, 2, 2)
    kernel = numbers.transpose(1, 0, 2, 3) if turned else numbers
    prepare, prepared = Counted(), Prepared()
    for times in range(1, 4):
        numbers[times - 1, 0, 1, 1] += 0.5
        for _ in range(2):
            renewed = prepared.of(kernel, "direct", prepare).panels
            np.testing.assert_array_equal(renewed, kernel)
        assert prepare.times == times


def test_the_same_bits_in_another_shape_are_another_kernel() -> None:
    numbers = np.arange(72, dtype=np.float32)
    kernel, prepared = numbers.reshape(3, 3, 2, 4), Prepared()
    first = prepared.of(kernel, "direct", Counted())
    other = numbers.reshape(3, 3, 4, 2)
    assert prepared.of(other, "direct", Counted()) is not first


# -- calls that are kept -----------------------------------------------------------------------------------------------

WINDOW = Window.of(3, 1, "same")


class Layer:
    """What ``ready`` is given in each prediction; ``check`` compares with a convolution that keeps nothing."""

    def __init__(self, algorithm: str = "auto") -> None:
        rng = np.random.default_rng(0)
        self.x, self.kernel, self.bias, self.factors = (
            rng.standard_normal(shape, np.float32) for shape in ((2, 6, 6, 16), (3, 3, 16, 20), (20,), (3, 20))
        )
        self.window, self.groups, self.algorithm, self.relu, self.halve = WINDOW, 1, algorithm, True, True
        self.prepared = Prepared()

    def infer(self, x: Array) -> Array:
        finish = Finish(self.factors, self.relu, self.halve)
        kept = ready(x, self.kernel, self.bias, self.window, self.groups, self.algorithm, finish, self.prepared)
        return kept.call(x)

    def check(self, new: bool) -> None:
        """``new``: the call of the prediction before must not be used."""
        before = self.prepared._ready
        y = self.infer(self.x)
        finish = Finish(self.factors, self.relu, self.halve)
        options = {"groups": self.groups, "algorithm": self.algorithm, "finish": finish}
        plain, _ = convolve(self.x, self.kernel, self.bias, self.window, **options)
        assert y.tobytes() == plain.tobytes()
        assert (self.prepared._ready is not before) == new


@pytest.mark.parametrize("algorithm", ["auto", "direct", "im2col", "loops", "winograd_6x6"])
def test_a_call_is_kept_until_something_changes(algorithm: str) -> None:
    layer = Layer(algorithm)
    layer.check(new=True)
    layer.x = layer.x + 1
    layer.check(new=False)
    layer.x = np.asfortranarray(layer.x)
    layer.check(new=False)
    layer.bias[3] += 1  # read anew each time
    layer.check(new=False)
    layer.kernel[1, 1, 0, 0] += 1
    layer.check(new=True)
    for change in (
        {"kernel": layer.kernel.copy()},
        {"bias": layer.bias.copy()},
        {"bias": None},
        {"factors": layer.factors.copy()},
        {"factors": None},
        {"x": layer.x[:1]},
        {"relu": False},
        {"halve": False},
        {"window": Window.of(3, 1, "valid")},
        {"algorithm": "direct" if algorithm != "direct" else "winograd"},
        {"x": layer.x.astype(float), "kernel": layer.kernel.astype(float), "factors": None},
    ):
        vars(layer).update(change)
        layer.check(new=True)
        layer.check(new=False)


def test_groups_are_part_of_a_call() -> None:
    layer = Layer("direct")
    layer.kernel = layer.kernel[:, :, :8].copy()
    layer.groups = 2
    layer.check(new=True)
    layer.groups = 1
    with pytest.raises(ShapeError, match="x with 8 channels"):
        layer.infer(layer.x)


WRONG: dict[str, tuple[Callable[[Layer], Any], type[Exception], str]] = {
    "x in float64": (lambda layer: {"x": layer.x.astype(float)}, DtypeError, "x and kernel of the same dtype"),
    "x that is no array": (
        lambda layer: {"x": SimpleNamespace(shape=layer.x.shape, dtype=layer.x.dtype)},
        DtypeError,
        "x as a NumPy array",
    ),
    "x as a list": (lambda layer: {"x": layer.x.tolist()}, DtypeError, "x as a NumPy array"),
    "kernel as a list": (lambda layer: {"kernel": layer.kernel.tolist()}, DtypeError, "kernel as a NumPy array"),
    "bias as a list": (lambda layer: {"bias": layer.bias.tolist()}, DtypeError, "bias as a NumPy array"),
    "factors that are not contiguous": (
        lambda layer: {"factors": np.repeat(layer.factors, 2, axis=1)[:, ::2]},
        ShapeError,
        "C-contiguous",
    ),
    "a bias in another shape": (lambda layer: setattr(layer.bias, "shape", (4, 5)), ShapeError, "bias with 1 axes"),
    "a kernel in another shape": (
        lambda layer: setattr(layer.kernel, "shape", (3, 3, 20, 16)),
        ShapeError,
        "x with 20 channels",
    ),
    "True for a group": (lambda layer: {"groups": True}, OptionError, "groups as an integer"),
    "a float for a group": (lambda layer: {"groups": 1.0}, OptionError, "groups as an integer"),
    "a list for a group": (lambda layer: {"groups": [1]}, OptionError, "groups as an integer"),
}


@pytest.mark.parametrize("change, error, message", WRONG.values(), ids=WRONG)
def test_what_is_refused_is_refused_after_a_call_that_was_kept(
    change: Callable[[Layer], Any], error: type[Exception], message: str
) -> None:
    layer = Layer("direct")
    layer.check(new=True)
    vars(layer).update(change(layer) or {})
    for _ in range(2):
        with pytest.raises(error, match=message):
            layer.infer(layer.x)
    assert layer.prepared._ready is None


@pytest.mark.parametrize("name", ["kernel", "bias"])
def test_a_call_with_an_array_that_had_to_be_copied_is_not_kept(name: str) -> None:
    """It would not see what is written to the array."""
    layer = Layer()
    spread = np.repeat(getattr(layer, name), 2, axis=-1)[..., ::2]
    layer.check(new=True)
    setattr(layer, name, spread)
    layer.check(new=True)  # the old one is let go of
    for _ in range(3):
        spread += 1
        layer.check(new=False)
        assert layer.prepared._ready is None


@pytest.mark.parametrize("when", ["prepare", "ready"])
def test_a_kernel_written_to_while_it_is_prepared_is_prepared_again(when: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """As another thread may do, that trains."""
    layer, real = Layer("direct"), getattr(direct, when)

    def interrupted(*arguments: Any) -> Any:
        found = real(*arguments)
        layer.kernel[0, 0, 0] += 100
        return found

    monkeypatch.setattr(direct, when, interrupted)
    layer.infer(layer.x)
    monkeypatch.undo()
    layer.check(new=True)
    layer.check(new=False)


def test_what_is_no_longer_asked_for_is_let_go_of() -> None:
    layer = Layer("direct")
    layer.check(new=True)
    panels = weakref.ref(layer.prepared._kernel.panels)  # type: ignore[union-attr, arg-type]
    kernel = weakref.ref(layer.kernel)

    def prepare(kernel: Array) -> Array:
        assert panels() is None  # before there are new ones: they may be large
        return layer.x

    layer.kernel = layer.kernel + 1
    assert kernel() is not None
    layer.prepared.of(layer.kernel, "another form", prepare)
    assert kernel() is None
    layer.check(new=True)
    assert layer.prepared.call(("other options",), (layer.kernel, layer.bias, layer.factors)) is None
    assert layer.prepared._ready is None


def test_threads_share_a_call() -> None:
    layer = Layer()
    xs = [layer.x + n for n in range(8)]
    expected = [layer.infer(x).tobytes() for x in xs]
    with ThreadPoolExecutor(4) as threads:
        for _ in range(10):
            assert [y.tobytes() for y in threads.map(layer.infer, xs)] == expected


def test_a_call_holds_for_any_number_of_threads() -> None:
    layer = Layer("winograd_6x6")
    layer.check(new=True)
    same_bits_on_one_thread(lambda: [layer.infer(layer.x)])


def test_the_measured_algorithm_is_asked_for_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Another number of threads may have another fastest one."""
    layer, answers = Layer("measured"), ["direct", "winograd_6x6", "im2col"]
    monkeypatch.setattr(algorithms, "_measured", lambda *arguments: answers.pop(0))
    for left in (2, 1, 0):
        layer.infer(layer.x)
        assert len(answers) == left
        assert layer.prepared._ready is None


def test_a_layer_keeps_calls_its_copies_do_not_and_training_lets_go_of_them() -> None:
    layer = Conv2D(4, 3)
    layer.build((5, 5, 2), np.random.default_rng(0))
    x = X[:, :5, :5]
    for _ in range(2):
        layer(x)
        assert layer._prepared._kernel is not None
        assert layer._prepared._ready is not None
        for other in (copy.deepcopy(layer), pickle.loads(pickle.dumps(layer))):
            assert other._prepared._kernel is None
            assert other._prepared._ready is None
            assert other(x).tobytes() == layer(x).tobytes()
        layer.forward(x, Context(training=True))
        assert layer._prepared._kernel is None
        assert layer._prepared._ready is None


@pytest.mark.parametrize("algorithm", ["direct", "winograd_2x2"])
def test_a_frozen_kernel_stays_prepared_while_others_are_trained(
    algorithm: str, monkeypatch: pytest.MonkeyPatch, rng: np.random.Generator
) -> None:
    layer = Conv2D(8, 3, padding="same", algorithm=algorithm)
    layer.build((6, 6, 4), rng)
    x = rng.standard_normal((2, 6, 6, 4), np.float32)
    chosen, prepared = ALGORITHMS[algorithm], []
    real = chosen.prepare
    monkeypatch.setattr(chosen, "prepare", lambda *given: [prepared.append(None), real(*given)][1])
    expected = layer.forward(x, Context(training=True))[0].tobytes()
    learning = len(prepared)
    layer.trainable = False
    for _ in range(3):
        y, cache = layer.forward(x, Context(training=True))
        assert y.tobytes() == expected
        dx, gradients = layer.backward(y, cache)
        assert dx is not None
        assert not gradients
    assert len(prepared) == learning + 1
    layer.params["kernel"][0, 0, 0, 0] += 1  # by somebody's hand
    assert layer.forward(x, Context(training=True))[0].tobytes() != expected


class Doubled(Conv2D):
    """A layer of somebody else's, which computes something else."""

    def forward(self, x: Array, context: Context = INFERENCE, *, relu: bool = False) -> Any:
        y, cache = super().forward(x, context, relu=relu)
        return 2 * y, cache


class Halved(Conv2D):
    """A layer of somebody's own that is another one in predictions alone."""

    def infer(self, x: Array, finish: Finish = PLAIN) -> Array:
        return super().infer(x, finish) / 2


def test_a_subclass_is_asked_for_its_own_infer_though_a_relu_follows() -> None:
    halved, plain = (Sequential([kind(4, 3), ReLU()], input_shape=X.shape[1:]) for kind in (Halved, Conv2D))
    plain.set_weights(halved.get_weights())
    np.testing.assert_array_equal(halved(X), plain(X) / 2)
    np.testing.assert_array_equal(halved.forward(X)[0], plain.forward(X)[0])  # trained, it is the same one


def test_a_subclass_is_asked_for_its_own_forward() -> None:
    plain, doubled = Conv2D(4, 3), Doubled(4, 3)
    for layer in (plain, doubled):
        layer.build((5, 5, 2), np.random.default_rng(0))
    x = X[:, :5, :5]
    for _ in range(2):
        np.testing.assert_array_equal(doubled(x), 2 * plain(x))


def test_somebody_elses_preparation_in_between_does_not_mix_in() -> None:
    """Another thread may ask for another form while this one prepares; each gets its own."""
    kernel, prepared = np.zeros((1, 1, 1, 1), np.float32), Prepared()

    def interrupted(own: Array) -> Array:
        theirs = prepared.of(kernel, "winograd", lambda own: own + 2).panels
        assert theirs is not None
        assert theirs.item() == 2
        return own + 1

    ours = prepared.of(kernel, "direct", interrupted)
    assert ours.panels is not None
    assert ours.panels.item() == 1
    assert prepared.of(kernel, "direct", Counted()) is ours  # the last one to finish is kept


def test_what_is_written_while_a_kernel_is_prepared_is_in_neither_half() -> None:
    """Somebody tries other weights meanwhile and puts the old ones back: panels of those would be taken for these."""
    kernel, prepared = np.arange(4, dtype=np.float32).reshape(1, 1, 2, 2), Prepared()
    before = kernel.copy()

    def interrupted(own: Array) -> Array:
        kernel[...] = 9
        panels = own.copy()
        kernel[...] = before
        return panels

    held = prepared.of(kernel, "direct", interrupted)
    assert held.fingerprint == fingerprint(before)
    np.testing.assert_array_equal(held.panels, before)
    assert prepared.of(kernel, "direct", Counted()) is held


def test_the_old_kernel_is_gone_when_preparing_fails() -> None:
    def fail(kernel: Array) -> Array:
        raise MemoryError

    kernel, prepared = np.zeros((1, 1, 1, 1)), Prepared()
    prepared.of(kernel, "direct", Counted())
    with pytest.raises(MemoryError):
        prepared.of(kernel + 1, "direct", fail)
    renewed = prepared.of(kernel + 1, "direct", Counted()).panels
    assert renewed is not None
    assert renewed.item() == 1


@pytest.mark.parametrize("duplicate", [copy.deepcopy, copy.copy, lambda p: pickle.loads(pickle.dumps(p))])
def test_copies_start_empty(duplicate: Callable[[Prepared], Prepared]) -> None:
    kernel, prepared = np.zeros((1, 1, 1, 1)), Prepared()
    prepared.of(kernel, "direct", Counted())
    again, prepare = duplicate(prepared), Counted()
    again.of(kernel, "direct", prepare)
    assert prepare.times == 1
    prepared.of(kernel, "direct", prepare)
    assert prepare.times == 1


@pytest.mark.parametrize("name", ALGORITHMS)
def test_a_prepared_kernel_gives_the_same_bits(name: str, rng: np.random.Generator) -> None:
    size = kernel_size_for(name)
    x, kernel = rng.standard_normal((1, 5, 6, 3), np.float32), rng.standard_normal((size, size, 3, 5), np.float32)
    bias, prepared = rng.standard_normal(5, np.float32), Prepared()
    strides = strides_for(name)
    expected, _ = conv2d(x, kernel, bias, strides=strides, algorithm=name)
    for _ in range(2):
        y, _ = conv2d(x, kernel, bias, strides=strides, algorithm=name, prepared=prepared)
        assert y.tobytes() == expected.tobytes()


def test_one_prepared_for_calls_of_every_kind(rng: np.random.Generator) -> None:
    """Another algorithm, another kernel, another number of groups: none gets what was prepared for the one before."""
    prepared = Prepared()
    kernel = rng.standard_normal((3, 3, 2, 4), np.float32)
    for groups in (1, 2, 1, 4):
        x = rng.standard_normal((1, 6, 5, 2 * groups), np.float32)
        for name in ("direct", "im2col", "winograd", "winograd_2x2", "direct") if groups == 1 else ("direct", "im2col"):
            for weights in (kernel, -kernel, kernel[::-1]):
                y, _ = conv2d(x, weights, groups=groups, algorithm=name, prepared=prepared)
                assert y.tobytes() == conv2d(x, weights, groups=groups, algorithm=name)[0].tobytes()


# -- layers and networks -----------------------------------------------------------------------------------------------


def network(dtype: str = "float32") -> Sequential:
    """A layer for each algorithm that prepares kernels."""
    layers = [
        Conv2D(16, 3, name="direct"),
        ReLU(),
        Conv2D(16, 3, name="winograd", padding="same"),
        Conv2D(3, 3, algorithm="winograd_2x2", name="small"),
        Flatten(),
        Dense(4, name="fc"),
    ]
    return Sequential(layers, input_shape=(9, 8, 2), dtype=dtype)


X = np.random.default_rng(1).standard_normal((3, 9, 8, 2)).astype(np.float32)


def fresh(model: Sequential) -> Array:
    """The predictions of a network that was made just now, with the same weights and algorithms."""
    twin = network(str(model.dtype))
    for name in ("direct", "winograd", "small"):
        twin.get_layer(name).algorithm = model.get_layer(name).algorithm
    twin.set_weights(model.weights)
    return twin.predict(X)


def one_number(model: Sequential) -> None:
    for name in ("direct", "winograd", "small"):
        model.parameters[f"{name}/kernel"][1, 2, 0, 1] += 0.25


def move_a_number(model: Sequential) -> None:
    for name in ("direct", "winograd", "small"):
        kernel = model.parameters[f"{name}/kernel"]
        kernel[[0, 2], 1, 0, 2] = kernel[[2, 0], 1, 0, 2]


def other_arrays(model: Sequential) -> None:
    for layer in model.layers:
        layer.params = {key: np.flip(array) * 2 for key, array in layer.params.items()}


def train(model: Sequential) -> None:
    model.compile("sgd", "sparse_categorical_crossentropy")
    model.fit(X, np.array([0, 1, 2]), epochs=1, verbose=0)


def evaluate_and_train(model: Sequential) -> None:
    """Predictions between the steps."""
    for _ in range(2):
        train(model)
        model.evaluate(X, np.array([0, 1, 2]))
    train(model)


def other_algorithm(model: Sequential) -> None:
    model.get_layer("winograd").algorithm = "direct"  # somebody may: then this one computes
    model.parameters["winograd/bias"][2] += 1


CHANGES: list[Callable[[Sequential], Any]] = [
    one_number,
    other_algorithm,
    move_a_number,
    other_arrays,
    train,
    evaluate_and_train,
    lambda model: model.set_weights({key: array[::-1] + 1 for key, array in model.weights.items()}),
    lambda model: model.set_weights({key: -array for key, array in model.weights.items()}),
    lambda model: model.forward(X, Context(training=True)),
]


@pytest.mark.parametrize("change", CHANGES)
def test_predictions_follow_every_change_of_the_weights(change: Callable[[Sequential], Any]) -> None:
    model = network()
    before = model.predict(X)
    assert model.predict(X).tobytes() == before.tobytes()
    change(model)
    expected = fresh(model)
    for _ in range(2):
        assert model.predict(X).tobytes() == expected.tobytes()
    assert np.abs(expected - before).max() > 1e-6 or change is CHANGES[-1]


@pytest.mark.parametrize(
    "duplicate",
    [
        lambda model: model.astype("float64"),
        lambda model: model.astype("float64").astype("float32"),
        copy.deepcopy,
        lambda model: pickle.loads(pickle.dumps(model)),
    ],
    ids=["float64", "there and back", "deepcopy", "pickle"],
)
def test_copies_predict_like_new_networks_and_live_on_their_own(
    duplicate: Callable[[Sequential], Sequential],
) -> None:
    model = network()
    before = model.predict(X)
    twin = duplicate(model)
    assert twin.predict(X).tobytes() == fresh(twin).tobytes()
    one_number(twin)
    assert twin.predict(X).tobytes() == fresh(twin).tobytes()
    assert model.predict(X).tobytes() == before.tobytes()


def test_saved_networks_do_not_hold_prepared_kernels(tmp_path: Any) -> None:
    model = network()
    before = model.predict(X)
    model.save(tmp_path / "model.npz")
    again = Sequential.load(tmp_path / "model.npz")
    assert again.predict(X).tobytes() == before.tobytes()
    one_number(again)
    assert again.predict(X).tobytes() == fresh(again).tobytes()
    assert len(pickle.dumps(model)) < len(pickle.dumps(network())) + 1000
