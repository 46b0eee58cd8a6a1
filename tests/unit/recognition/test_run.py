"""A run's folder: written and opened, and one clear error for every way it can be wrong."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from minicnn.errors import LoadError, MinicnnError, OptionError, ShapeError
from minicnn.recognition.embedding import load_gallery, save_gallery
from minicnn.recognition.engine import MinicnnEngine
from minicnn.recognition.identify import Gallery
from minicnn.recognition.run import CONFIG, MODEL, Run, RunConfig
from minicnn.recognition.train import write_weights
from minicnn.recognition.views import mean_logits, views
from tests.unit.recognition.faces import PEOPLE, SIDE, network, pictures

CONFIG_HERE = RunConfig(
    "face-cnn",
    (SIDE, SIDE, 1),
    PEOPLE,
    "minicnn",
    "softmax",
    "flatten",
    7,
    crop={"size": SIDE, "colour": "grey", "margin": 0.3},
    detector="dlib-hog",
    settings={"views": False, "recipe": {"epochs": 3}},
)


@pytest.fixture
def run(tmp_path: Path) -> Run:
    made = Run.create(tmp_path / "run", CONFIG_HERE)
    write_weights(made, network())
    return made


def test_what_is_written_is_what_is_opened(run: Run) -> None:
    again = Run.open(run.folder)
    assert again.config == CONFIG_HERE
    assert again.model() is again.model()
    x = pictures(np.array([0, 1]), seed=1).x
    np.testing.assert_array_equal(again.model()(x), network()(x))


def test_a_run_is_not_begun_twice(run: Run) -> None:
    before = (run.folder / CONFIG).read_bytes()
    with pytest.raises(OptionError, match="--resume"):
        Run.create(run.folder, replace(CONFIG_HERE, seed=8))
    assert (run.folder / CONFIG).read_bytes() == before


def test_a_folder_that_is_none(tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / "missing"):
        with pytest.raises(LoadError, match="the folder of a run"):
            Run.open(folder)


@pytest.mark.parametrize(
    "change",
    [
        {"format": "minicnn model"},
        {"version": 2},
        {"people": ["anna"]},
        {"people": ["anna", "anna"]},
        {"people": ["anna", 3]},
        {"people": 5},
        {"input_shape": [12, 12]},
        {"input_shape": [12, 12, 1.5]},
        {"input_shape": None},
        {"backend": "torch"},
        {"objective": "guess"},
        {"seed": -1},
        {"seed": "7"},
        {"model": None},
        {"detector": 3},
        {"crop": [1]},
        {"settings": "none"},
    ],
    ids=str,
)
def test_configs_that_are_none(change: dict[str, Any], run: Run) -> None:
    path = run.folder / CONFIG
    path.write_text(json.dumps(json.loads(path.read_text(encoding="utf-8")) | change), encoding="utf-8")
    with pytest.raises(LoadError, match=r"config\.json.*does not describe a run"):
        Run.open(run.folder)


@pytest.mark.parametrize("text", ["", "[]", "{}", "null", "{" * 50_000, "\x00", '{"format": "minicnn run"}'])
def test_files_that_are_no_config(text: str, run: Run) -> None:
    (run.folder / CONFIG).write_text(text, encoding="utf-8")
    with pytest.raises(LoadError, match=r"config\.json"):
        Run.open(run.folder)


def test_a_network_that_is_not_this_runs(run: Run) -> None:
    write_weights(run, network("triplet"))
    with pytest.raises(LoadError, match=r"model\.npz.*answers \(8,\) instead of \(3,\)"):
        Run.open(run.folder).model()
    run.path(MODEL).write_bytes(b"PK")
    with pytest.raises(LoadError, match=r"model\.npz"):
        MinicnnEngine(Run.open(run.folder))
    run.path(MODEL).unlink()
    with pytest.raises(LoadError, match="no such file"):
        Run.open(run.folder).model()


def test_an_engine_answers_and_embeds(run: Run) -> None:
    engine = MinicnnEngine(run)
    x = pictures(np.arange(3).repeat(13), seed=3).x  # 39: more than one part
    np.testing.assert_array_equal(engine.logits(x), run.model().predict(x, 32))
    features = run.model().up_to("pool1").predict(x).reshape(39, -1)
    expected = features / np.linalg.norm(features, axis=1, keepdims=True)
    np.testing.assert_allclose(engine.embed(x), expected, rtol=1e-5, atol=1e-7)
    assert engine.embed(x).dtype == np.float32


@pytest.mark.parametrize("use_views", [False, True], ids=["one view", "six views"])
def test_both_answers_come_from_one_pass_with_the_bits_of_two(
    run: Run, use_views: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine, alone = MinicnnEngine(run, use_views=use_views), run.model()
    x = pictures(np.arange(3).repeat(23), seed=4).x  # 69: more than one part of views
    expected = alone.predict(x, 32)
    if use_views:
        parts = ([alone.predict(view, 32) for view in views(part)] for part in (x[:64], x[64:]))
        expected = np.concatenate([mean_logits(part) for part in parts])
    embeddings = engine.embed(x)

    first = engine.model.layers[0]
    infer, seen = first.infer, []
    monkeypatch.setattr(first, "infer", lambda x, *rest: seen.append(len(x)) or infer(x, *rest))
    both = engine.ask(x)
    assert sum(seen) == len(x) * (6 if use_views else 1)
    np.testing.assert_array_equal(both[0], embeddings)
    np.testing.assert_array_equal(both[1], expected)


def test_a_triplet_run_has_no_scores(tmp_path: Path) -> None:
    run = Run.create(tmp_path, replace(CONFIG_HERE, objective="triplet", embedding_layer="unit"))
    write_weights(run, network("triplet"))
    engine = MinicnnEngine(run)
    assert engine.embed(pictures(np.array([1]), seed=3).x).shape == (1, 8)
    assert engine.ask(pictures(np.array([1]), seed=3).x)[1] is None
    with pytest.raises(OptionError, match=r"embed\(\)"):
        engine.logits(pictures(np.array([1]), seed=3).x)


def test_up_to_an_unknown_layer() -> None:
    with pytest.raises(OptionError, match="flatten"):
        network().up_to("fc9")


def test_galleries(tmp_path: Path) -> None:
    path = tmp_path / "gallery.npz"
    gallery = Gallery(np.eye(3, 5, dtype=np.float32), np.array([0, 2, 1]))
    save_gallery(path, gallery, ["a/1.png", "çelik/2.png", "b/3.png"])
    again, names = load_gallery(path, 3)
    np.testing.assert_array_equal(again.embeddings, gallery.embeddings)
    np.testing.assert_array_equal(again.labels, gallery.labels)
    assert names == ("a/1.png", "çelik/2.png", "b/3.png")
    with pytest.raises(LoadError, match=r"gallery\.npz.*labels"):
        load_gallery(path, 2)
    network().save(path)
    with pytest.raises(LoadError, match=r"gallery\.npz"):
        load_gallery(path, 3)
    path.write_bytes(b"")
    with pytest.raises(LoadError, match=r"gallery\.npz"):
        load_gallery(path, 3)
    with pytest.raises(OptionError, match="3 paths"):
        save_gallery(path, gallery, ["a/1.png"])
    with pytest.raises(MinicnnError):
        Gallery(np.zeros((0, 3)), np.zeros(0, int))


def test_inputs_of_another_size(run: Run) -> None:
    with pytest.raises(ShapeError, match="12, 12, 1"):
        MinicnnEngine(run).logits(np.zeros((2, 10, 12, 1), np.float32))
