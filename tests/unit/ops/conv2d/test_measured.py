"""The measured choice: the fastest wins, is asked once, survives on disk, and never stands in the way."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from minicnn import Conv2D, DepthwiseConv2D
from minicnn.errors import OptionError
from minicnn.ops import jit_files
from minicnn.ops.conv2d import ALGORITHMS, conv2d, conv2d_backward, measured
from minicnn.shapes import Array


@pytest.fixture(autouse=True)
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Nothing known, and a folder for what will be."""
    monkeypatch.setattr(measured, "_known", {})
    monkeypatch.setattr(jit_files, "folders", lambda: [tmp_path])
    return tmp_path


def timed(calls: list[str], slow: str = "a") -> measured.Run:
    def run(name: str, x: Array, kernel: Array) -> Callable[[], object]:
        def call() -> None:
            calls.append(f"{name} {len(x)}")
            time.sleep(0.003 if name == slow else 0)

        return call

    return run


def ask(run: measured.Run, pictures: int = 1, names: tuple[str, ...] = ("a", "b"), size: int = 4) -> str:
    return measured.fastest(names, run, (pictures, size, size, 2), (3, 3, 2, 2), "options", np.float32)


def test_the_fastest_wins_and_is_asked_once() -> None:
    calls: list[str] = []
    assert ask(timed(calls)) == "b"
    assert len(calls) == 2 * (measured.ROUNDS + 1)
    assert ask(timed(calls, slow="b")) == "b"
    assert len(calls) == 2 * (measured.ROUNDS + 1)


def test_few_pictures_many_pictures_and_other_sizes_are_measured_apart() -> None:
    calls: list[str] = []
    for pictures in (1, 3, 7, 8, 64):
        ask(timed(calls), pictures)
    ask(timed(calls), size=5)
    assert {call.split()[1] for call in calls} == {"1", "8"}
    assert len(calls) == 3 * 2 * (measured.ROUNDS + 1)


def test_the_choice_survives_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    assert ask(timed([])) == "b"
    monkeypatch.setattr(measured, "_known", {})
    calls: list[str] = []
    assert ask(timed(calls, slow="b")) == "b"
    assert calls == []


@pytest.mark.parametrize("damage", [b"", b"x" * 80, None])
def test_a_damaged_file_counts_as_none(own_folder: Path, monkeypatch: pytest.MonkeyPatch, damage: bytes | None) -> None:
    ask(timed([]))
    (path,) = own_folder.iterdir()
    data = path.read_bytes()
    path.write_bytes(data[:-1] + b"?" if damage is None else damage)
    monkeypatch.setattr(measured, "_known", {})
    assert ask(timed([], slow="b")) == "a"
    assert path.read_bytes() != data


def test_a_name_that_is_no_longer_there_is_not_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    assert ask(timed([])) == "b"
    monkeypatch.setattr(measured, "_known", {})
    assert ask(timed([]), names=("a", "c")) == "c"


def test_without_a_folder_the_choice_lasts_as_long_as_the_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setattr(jit_files, "folders", lambda: [tmp_path / "file" / "below"])
    calls: list[str] = []
    assert ask(timed(calls)) == ask(timed(calls)) == "b"
    assert len(calls) == 2 * (measured.ROUNDS + 1)


def test_a_layer_computes_what_it_computes_with_the_algorithm_it_chose(rng: np.random.Generator) -> None:
    x, kernel = rng.standard_normal((1, 9, 8, 16)).astype("f4"), rng.standard_normal((3, 3, 16, 16)).astype("f4")
    y, cache = conv2d(x, kernel, padding="same", algorithm="measured")
    assert cache.algorithm in set(ALGORITHMS) - {"loops"}
    np.testing.assert_array_equal(y, conv2d(x, kernel, padding="same", algorithm=cache.algorithm)[0])
    dy = rng.standard_normal(y.shape).astype("f4")
    expected: Any = conv2d_backward(dy, cache, algorithm=cache.algorithm)
    for ours, theirs in zip(conv2d_backward(dy, cache), expected, strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_the_layers_say_what_they_take() -> None:
    layer = Conv2D(4, 3, algorithm="measured")
    layer.build((8, 8, 2), np.random.default_rng(0))
    assert layer.config()["algorithm"] == layer.algorithm_used() == "measured"
    with pytest.raises(OptionError, match="auto, loops"):
        DepthwiseConv2D(3, algorithm="measured")
