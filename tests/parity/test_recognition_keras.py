"""Keras as the other engine of recognition: the same loss, the same training, the same files, the same names."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from minicnn.callbacks import Callback
from minicnn.errors import LoadError
from minicnn.losses import TripletSemiHardLoss
from minicnn.models import face_cnn
from minicnn.ops.triplet import triplet_semi_hard, triplet_semi_hard_backward
from minicnn.recognition.engine import MinicnnEngine
from minicnn.recognition.recipe import Recipe, Samples
from minicnn.recognition.run import CHECKPOINT, HISTORY, MODEL, Run, RunConfig
from minicnn.recognition.train import read_history, train, write_weights
from minicnn.recognition.trainer import MinicnnTrainer
from tests.unit.recognition.faces import PEOPLE, SIDE, data, network, recipe

pytest.importorskip("keras", reason="parity needs the extra 'keras'")

from reference_keras.backend import load_tensorflow
from reference_keras.engine import KerasEngine
from reference_keras.trainer import KerasTrainer
from reference_keras.triplet import keras_triplet_loss

tf = load_tensorflow()


class KilledError(Exception):
    """The power went off."""


class Kill(Callback):
    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        if epoch == 2:
            raise KilledError


def new_run(folder: Path, objective: str, backend: str = "keras", classes: tuple[str, ...] = PEOPLE) -> Run:
    layer = {"softmax": "flatten", "triplet": "unit"}[objective]
    return Run.create(folder, RunConfig("small", (SIDE, SIDE, 1), classes, backend, objective, layer, 0))


def trained(kind: Any, folder: Path, how: Recipe, *, resume: bool = False, callbacks: Any = ()) -> Run:
    """A run trained by one engine, from the same weights on the same batches. Dropout off: the masks differ."""
    learned = data()
    model = network(how.objective)
    for layer in model.layers:
        if layer.name == "drop":
            layer.rate = 0.0  # type: ignore[attr-defined]
    run = Run.open(folder) if resume else new_run(folder, how.objective, kind.name)
    steps = len(how.batches(learned.train, len(PEOPLE), 0))
    train(run, kind(model, how, steps), how, learned, resume=resume, callbacks=callbacks)
    return run


@pytest.mark.parametrize("margin", [0.2, 1.0])
@pytest.mark.parametrize("weighted", [False, True])
def test_the_triplet_loss_is_the_same_in_keras(margin: float, weighted: bool, rng: np.random.Generator) -> None:
    labels = np.array([0, 1, 0, 2, 1, 0, 2, 3, 0, 1])  # 3 is alone
    x = rng.standard_normal((10, 6))
    x /= np.linalg.norm(x, axis=1, keepdims=True)
    weight = rng.random(10) if weighted else None
    value, cache = TripletSemiHardLoss(margin).forward(labels, x, weight)
    theirs = keras_triplet_loss(margin, dtype="float64")
    embeddings = tf.constant(x)
    with tf.GradientTape() as tape:
        tape.watch(embeddings)
        expected = theirs(labels, embeddings, sample_weight=weight)
    assert value == pytest.approx(float(expected), rel=1e-12)
    gradient = TripletSemiHardLoss(margin).backward(cache)
    np.testing.assert_allclose(gradient, tape.gradient(expected, embeddings).numpy(), rtol=1e-10, atol=1e-13)
    losses, ops_cache = triplet_semi_hard(labels, x, margin)
    np.testing.assert_allclose(losses, theirs.call(tf.constant(labels), embeddings).numpy(), rtol=1e-12, atol=1e-14)
    assert triplet_semi_hard_backward(np.ones(10), ops_cache).any()


@pytest.mark.parametrize("objective", ["softmax", "triplet"])
def test_both_engines_train_alike(objective: str, tmp_path: Path) -> None:
    """In float32 they part slowly, by rounding; in a few epochs not far."""
    how = recipe(objective, epochs=3, learning_rate=0.003)
    ours = trained(MinicnnTrainer, tmp_path / "ours", how)
    theirs = trained(KerasTrainer, tmp_path / "theirs", how)
    for mine, other in zip(read_history(ours.path(HISTORY)), read_history(theirs.path(HISTORY)), strict=True):
        assert list(mine) == list(other)
        for name, value in mine.items():
            assert value == pytest.approx(other[name], rel=2e-3, abs=2e-3), name
    for address, array in ours.model().weights.items():
        np.testing.assert_allclose(array, theirs.model().weights[address], rtol=0, atol=5e-3, err_msg=address)


@pytest.mark.parametrize("objective", ["softmax", "triplet"])
def test_keras_too_continues_where_it_was(objective: str, tmp_path: Path) -> None:
    how = recipe(objective, epochs=4)
    whole = trained(KerasTrainer, tmp_path / "whole", how)
    with pytest.raises(KilledError):
        trained(KerasTrainer, tmp_path / "broken", how, callbacks=[Kill()])
    broken = trained(KerasTrainer, tmp_path / "broken", how, resume=True)
    for address, array in whole.model().weights.items():
        np.testing.assert_allclose(array, broken.model().weights[address], rtol=1e-5, atol=1e-6, err_msg=address)
    assert len(read_history(broken.path(HISTORY))) == 4


def test_frozen_layers_rest_in_keras_too() -> None:
    how, learned, model = recipe(), data(), network()
    for layer in model.layers[:2]:
        layer.trainable = False
    before = {address: array.copy() for address, array in model.weights.items()}
    batches = how.batches(learned.train, len(PEOPLE), 0)
    KerasTrainer(model, how, len(batches)).run_epoch(batches, 0, [])
    moved = {address for address, array in model.weights.items() if not np.array_equal(array, before[address])}
    assert moved == {"scores/kernel", "scores/bias"}


def test_checkpoints_of_another_engine_are_refused(tmp_path: Path) -> None:
    how, learned = recipe(), data()
    steps = len(how.batches(learned.train, len(PEOPLE), 0))
    ours, theirs = MinicnnTrainer(network(), how, steps), KerasTrainer(network(), how, steps)
    ours.save(tmp_path / CHECKPOINT)
    with pytest.raises(LoadError, match="minicnn keras checkpoint"):
        theirs.restore(tmp_path / CHECKPOINT)
    theirs.save(tmp_path / CHECKPOINT)
    with pytest.raises(LoadError, match=r"checkpoint\.npz"):
        ours.restore(tmp_path / CHECKPOINT)
    other = KerasTrainer(network("triplet"), recipe("triplet"), steps)
    with pytest.raises(LoadError, match="do not fit"):
        other.restore(tmp_path / CHECKPOINT)


def test_both_engines_name_the_same_person(tmp_path: Path) -> None:
    """A network that has learned nothing is not sure of anybody: on its 400 answers it is hardest to agree."""
    rng = np.random.default_rng(5)
    people = tuple(f"p{k}" for k in range(20))
    model = face_cnn((32, 32, 1), len(people), softmax=False, dropout=0.0, seed=4)
    for array in model.weights.values():
        array *= rng.uniform(0.8, 1.2, array.shape).astype(array.dtype)
    run = Run.create(tmp_path, RunConfig("face-cnn", (32, 32, 1), people, "minicnn", "softmax", "drop6", 4))
    write_weights(run, model)
    coarse = rng.standard_normal((400, 4, 4, 1), dtype=np.float32)
    x = coarse.repeat(8, axis=1).repeat(8, axis=2) + rng.standard_normal((400, 32, 32, 1), dtype=np.float32)
    ours, theirs = MinicnnEngine(Run.open(tmp_path)), KerasEngine(Run.open(tmp_path))
    assert (ours.name, theirs.name) == ("minicnn", "keras")
    mine, other = ours.logits(x), theirs.logits(x)
    assert len(np.unique(mine.argmax(axis=1))) > 3
    assert np.mean(mine.argmax(axis=1) == other.argmax(axis=1)) >= 0.995
    np.testing.assert_allclose(mine, other, atol=1e-4 * np.abs(mine).max())
    np.testing.assert_allclose(ours.embed(x), theirs.embed(x), atol=1e-5)
    six, also = (kind(Run.open(tmp_path), use_views=True) for kind in (MinicnnEngine, KerasEngine))
    np.testing.assert_allclose(six.logits(x[:20]), also.logits(x[:20]), atol=1e-3)


def test_keras_learns_from_what_it_is_given(tmp_path: Path) -> None:
    run = trained(KerasTrainer, tmp_path, recipe(epochs=25))
    assert read_history(run.path(HISTORY))[-1]["val_accuracy"] == 1.0
    assert run.path(MODEL).stat().st_size < run.path(CHECKPOINT).stat().st_size
    seen = data().validation
    assert isinstance(seen, Samples)
    engine = KerasEngine(Run.open(tmp_path))
    np.testing.assert_array_equal(engine.logits(seen.x).argmax(axis=1), seen.labels)
