"""Threads that share a core without need: noticed and separated; otherwise left alone."""

from __future__ import annotations

import os
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
        ([[1, 0], [2, 1]], {0, 1}, {}),
        ([[1, 0], [2, 0]], {0, 1}, {2: {1}}),
        ([[2, 0], [1, 0]], {0, 1}, {2: {1}}),
        ([[1, 3], [2, 3]], {0, 1, 2, 3}, {2: {0, 1, 2}}),
        ([[1, 0], [2, 1], [3, 1]], {0, 1, 2}, {3: {2}}),
        ([[3, 1], [2, 1], [1, 0]], {0, 1, 2}, {2: {2}}),
        ([[1, 0], [2, 0], [3, 0]], {0, 1, 2}, {2: {1, 2}, 3: {2}}),
        ([[1, 0], [2, 0]], {0}, {}),  # no other core
        ([[1, 0], [2, 1], [3, 1], [4, 0]], {0, 1}, {}),  # more threads than cores
    ],
)
def test_only_who_shares_a_core_without_need_is_bound(
    places: list[list[int]], allowed: set[int], bound: dict[int, set[int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    found: dict[int, set[int]] = {}
    monkeypatch.setattr(os, "sched_getaffinity", lambda thread: set(allowed), raising=False)
    monkeypatch.setattr(
        os, "sched_setaffinity", lambda thread, cores: found.update({thread: set(cores)}), raising=False
    )
    apart.separate(places, caller=1)
    assert found == bound


def test_a_system_that_refuses_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*arguments: Any) -> None:
        raise PermissionError

    monkeypatch.setattr(os, "sched_getaffinity", lambda thread: {0, 1}, raising=False)
    monkeypatch.setattr(os, "sched_setaffinity", refuse, raising=False)
    apart.separate([[1, 0], [2, 0]], caller=1)


@pytest.fixture
def worker() -> Iterator[int]:
    """The thread that shares this one's loops; it may use all cores before and after."""
    before = numba.get_num_threads()
    numba.set_num_threads(2)
    (worker,) = (thread for thread in places() if thread != threading.get_native_id())
    yield worker
    os.sched_setaffinity(worker, os.sched_getaffinity(0))
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
        apart._own.looked = 0.0
        apart.keep_apart()
        if os.sched_getaffinity(worker) == allowed - {core}:
            break
    else:
        pytest.fail("both were on one core 200 times, or never")
    assert os.sched_getaffinity(0) == allowed


@REAL
def test_nobody_looks_all_the_time(monkeypatch: pytest.MonkeyPatch) -> None:
    looks: list[float] = []
    now = [100.0]
    monkeypatch.setattr(apart, "_own", SimpleNamespace())
    monkeypatch.setattr(apart, "_places", lambda found: looks.append(now[0]))
    monkeypatch.setattr(apart, "separate", lambda places, caller: None)
    monkeypatch.setattr(time, "perf_counter", lambda: now[0])
    for _ in range(1000):
        apart.keep_apart()
        assert looks or now[0] < 100 + 2 * apart.BETWEEN
        now[0] += apart.BETWEEN / 4
    assert looks[0] > 100
    assert 240 <= len(looks) <= 260


@REAL
def test_one_thread_shares_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(apart, "_own", SimpleNamespace(looked=0.0))
    monkeypatch.setattr(numba, "get_num_threads", lambda: 1)
    monkeypatch.setattr(apart, "_places", lambda found: pytest.fail("nobody to ask"))
    apart.keep_apart()


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
