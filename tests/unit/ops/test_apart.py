"""Threads that share a core without need: noticed and separated; otherwise left alone."""

from __future__ import annotations

import os
import platform
import sys
import threading
import time
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import numba
import numpy as np
import pytest

from minicnn.layers import Dense
from minicnn.ops import apart
from minicnn.sequential import Sequential

REAL = pytest.mark.skipif(
    not apart.can_be_told() or numba.config.NUMBA_NUM_THREADS < 2,
    reason="threads cannot be asked where they are (not Linux, not compiled, bound by others), or there is one",
)


@pytest.mark.parametrize(
    "places, allowed, bound",
    [
        ({1: 0, 2: 1}, {0, 1}, {}),
        ({1: 0, 2: 0}, {0, 1}, {2: {1}}),
        ({2: 0, 1: 0}, {0, 1}, {2: {1}}),
        ({1: 3, 2: 3}, {0, 1, 2, 3}, {2: {0, 1, 2}}),
        ({1: 0, 2: 1, 3: 1}, {0, 1, 2}, {3: {2}}),
        ({3: 1, 2: 1, 1: 0}, {0, 1, 2}, {2: {2}}),
        ({1: 0, 2: 0, 3: 0}, {0, 1, 2}, {2: {1, 2}, 3: {2}}),
        ({1: 0, 2: 0}, {0}, {}),  # no other core
        ({1: 0, 2: 1, 3: 1, 4: 0}, {0, 1}, {}),  # more threads than cores
    ],
)
def test_only_who_shares_a_core_without_need_is_bound(
    places: dict[int, int], allowed: set[int], bound: dict[int, set[int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    found: dict[int, set[int]] = {}
    monkeypatch.setattr(os, "sched_getaffinity", lambda thread: set(allowed), raising=False)
    monkeypatch.setattr(os, "sched_setaffinity", lambda thread, cores: found.update({thread: cores}), raising=False)
    assert apart.separate(places, 1, {}) == dict.fromkeys(bound, allowed)
    assert found == bound


def test_who_is_bound_may_be_bound_to_another_core(monkeypatch: pytest.MonkeyPatch) -> None:
    found: dict[int, set[int]] = {}
    monkeypatch.setattr(os, "sched_getaffinity", lambda thread: {1}, raising=False)
    monkeypatch.setattr(os, "sched_setaffinity", lambda thread, cores: found.update({thread: cores}), raising=False)
    assert apart.separate({1: 1, 2: 1}, 1, {2: {0, 1}}) == {2: {0, 1}}
    assert found == {2: {0}}


def test_after_some_time_cores_are_given_back(monkeypatch: pytest.MonkeyPatch) -> None:
    found: dict[int, set[int]] = {}

    def bind(thread: int, cores: set[int]) -> None:
        if thread == 3:
            raise ProcessLookupError
        found[thread] = cores

    monkeypatch.setattr(os, "sched_setaffinity", bind, raising=False)
    bound = {2: (10.0, {0, 1}), 3: (10.0, {0, 1}), 4: (10.4, {0, 1})}
    monkeypatch.setattr(apart, "_own", SimpleNamespace(bound=bound))
    apart._let_go(10.0 + apart.BOUND)
    assert not found
    apart._let_go(10.1 + apart.BOUND)
    assert found == {2: {0, 1}}
    assert bound.keys() == {4}


def test_a_system_that_refuses_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*arguments: Any) -> None:
        raise PermissionError

    monkeypatch.setattr(os, "sched_getaffinity", lambda thread: {0, 1}, raising=False)
    monkeypatch.setattr(os, "sched_setaffinity", refuse, raising=False)
    assert apart.separate({1: 0, 2: 0}, 1, {}) == {}


@pytest.fixture
def fresh() -> Iterator[None]:
    """What was found out about this process is found out again."""
    apart.can_be_told.cache_clear()
    yield
    apart.can_be_told.cache_clear()


@pytest.mark.usefixtures("fresh")
@pytest.mark.parametrize("missing", [None, *apart.FUNCTIONS])
def test_a_c_library_without_these_functions_is_not_asked(missing: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Compiled code that calls what is not there ends the process."""
    for name in apart.BINDING:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(apart, "address_of_symbol", lambda name: None if name == missing else 1)
    assert apart.can_be_told() == (missing is None and sys.platform == "linux" and not numba.config.DISABLE_JIT)


@pytest.mark.usefixtures("fresh")
@pytest.mark.skipif(
    sys.platform != "linux" or numba.config.DISABLE_JIT or platform.libc_ver()[0] != "glibc",
    reason="only Linux's C library can say where compiled code runs; of others than glibc it is not known here",
)
def test_glibc_since_2_30_can_be_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Otherwise all that is skipped below would be skipped everywhere."""
    for name in apart.BINDING:
        monkeypatch.delenv(name, raising=False)
    version = tuple(map(int, platform.libc_ver()[1].split(".")[:2]))
    assert apart.can_be_told() == (version >= (2, 30))


@pytest.fixture
def worker() -> Iterator[int]:
    """The thread that shares this one's loops; it may use all cores before and after."""
    before = numba.get_num_threads()
    numba.set_num_threads(2)
    try:
        threads = places()
        if numba.threading_layer() != "omp":
            pytest.skip("Numba divides loops without OpenMP here, and only OpenMP's threads are asked")
        (worker,) = threads.keys() - {threading.get_native_id()}
        yield worker
        os.sched_setaffinity(worker, os.sched_getaffinity(0))
        apart._own.bound = {}
    finally:
        numba.set_num_threads(before)


def places() -> dict[int, int]:
    """{thread: core}"""
    found = np.empty((2, 2), np.int64)
    apart._places(found)
    return {int(thread): int(core) for thread, core in found}


@REAL
def test_threads_say_who_and_where_they_are(worker: int) -> None:
    assert places().keys() == {threading.get_native_id(), worker}
    for core in os.sched_getaffinity(0):
        os.sched_setaffinity(worker, {core})
        assert places()[worker] == core


@REAL
@pytest.mark.skipif(len(getattr(os, "sched_getaffinity", lambda _: [])(0)) < 2, reason="there is one core")
def test_two_on_one_core_are_separated(worker: int) -> None:
    """The calling thread may move whenever it likes, so it takes some attempts to put both on one core."""
    allowed = os.sched_getaffinity(0)
    for _ in range(200):
        core = places()[threading.get_native_id()]
        os.sched_setaffinity(worker, {core})
        apart._own.looked, apart._own.bound = 0.0, {worker: (time.perf_counter(), allowed)}
        apart.keep_apart()
        if os.sched_getaffinity(worker) == allowed - {core}:
            break
    else:
        pytest.fail("both were on one core 200 times, or never")
    assert os.sched_getaffinity(0) == allowed


@pytest.fixture
def looks(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """When threads were asked, of one that may be; it looks the next time."""
    found: list[float] = []
    monkeypatch.setattr(apart, "_own", SimpleNamespace(looked=0.0, bound={}))
    monkeypatch.setattr(apart, "can_be_told", lambda: True)
    monkeypatch.setattr(apart, "_has_divided", lambda: True)
    monkeypatch.setattr(numba, "get_num_threads", lambda: 2)
    monkeypatch.setattr(apart, "_places", lambda places: found.append(time.perf_counter()))
    monkeypatch.setattr(apart, "separate", lambda *arguments: {})
    return found


def test_nobody_looks_all_the_time(looks: list[float], monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr(apart, "_own", SimpleNamespace())
    monkeypatch.setattr(time, "perf_counter", lambda: now[0])
    for _ in range(1000):
        apart.keep_apart()
        now[0] += apart.BETWEEN / 3.9
    assert looks[0] > 100
    assert 240 <= len(looks) <= 260


@pytest.mark.parametrize("name, answer", [("can_be_told", False), ("_has_divided", False), ("get_num_threads", 1)])
def test_where_there_is_nothing_to_separate_nobody_looks(
    name: str, answer: Any, looks: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(numba if name == "get_num_threads" else apart, name, lambda: answer)
    apart.keep_apart()
    assert not looks
    monkeypatch.undo()


def test_somebody_looks(looks: list[float]) -> None:
    apart.keep_apart()
    assert len(looks) == 1


@pytest.mark.parametrize("layer", ["omp", "tbb", "workqueue", None])
def test_only_openmp_is_asked_and_not_by_a_child(layer: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    """A loop that is divided in a process that was forked from one with OpenMP's threads ends it."""

    def threading_layer() -> str:
        if layer is None:
            raise ValueError("none yet")
        return layer

    monkeypatch.setattr(numba, "threading_layer", threading_layer)
    assert apart._has_divided() == (layer == "omp")
    monkeypatch.setattr(os, "getpid", lambda: -1)
    assert not apart._has_divided()


@pytest.mark.usefixtures("fresh")
@pytest.mark.parametrize("name", apart.BINDING)
def test_whoever_binds_threads_is_left_to_it(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, "true")
    assert not apart.can_be_told()


def test_predictions_and_steps_of_training_look(monkeypatch: pytest.MonkeyPatch) -> None:
    looks: list[str] = []
    monkeypatch.setattr("minicnn.prediction.keep_apart", lambda: looks.append("prediction"))
    monkeypatch.setattr("minicnn.training.keep_apart", lambda: looks.append("step"))
    model = Sequential([Dense(2)], input_shape=(3,))
    model.compile("sgd", "mse")
    x = np.ones((4, 3), np.float32)
    model(x)
    model.train_on_batch(x, x[:, :2])
    assert looks == ["prediction", "step"]
