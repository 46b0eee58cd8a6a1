"""A training in a run's folder: resumed it ends in the same bits, and what is damaged is refused by name."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from minicnn.callbacks import Callback
from minicnn.data import Batches
from minicnn.errors import LabelError, LoadError
from minicnn.recognition.embedding import load_gallery
from minicnn.recognition.engine import MinicnnEngine
from minicnn.recognition.recipe import Recipe, Samples
from minicnn.recognition.run import CHECKPOINT, GALLERY, HISTORY, MODEL, Run, RunConfig
from minicnn.recognition.train import Data, finish, read_history, train
from minicnn.recognition.trainer import MinicnnTrainer
from minicnn.recognition.unknown import load_thresholds
from tests.unit.recognition.faces import PEOPLE, SIDE, data, network, pictures, recipe


class KilledError(Exception):
    """The power went off."""


class Kill(Callback):
    """Stop the process after ``steps`` steps of training, or in the middle of the writing after an epoch."""

    def __init__(self, steps: int) -> None:
        self.left = steps

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        self.left -= 1
        if self.left < 0:
            raise KilledError


def new_run(folder: Path, objective: str, seed: int = 0, **settings: Any) -> Run:
    layer = {"softmax": "flatten", "triplet": "unit"}[objective]
    shape = (SIDE, SIDE, 1)
    return Run.create(folder, RunConfig("small", shape, PEOPLE, "minicnn", objective, layer, seed, settings=settings))


def trainer(how: Recipe, learned: Data, seed: int = 0) -> MinicnnTrainer:
    steps = len(how.batches(learned.train, len(PEOPLE), seed))
    return MinicnnTrainer(network(how.objective, seed), how, steps)


def files(run: Run) -> dict[str, bytes]:
    return {name: run.path(name).read_bytes() for name in (MODEL, CHECKPOINT, HISTORY)}


@pytest.mark.parametrize("objective", ["softmax", "triplet"])
@pytest.mark.parametrize("validation", [True, False])
@pytest.mark.parametrize("steps", [0, 3, 7, 10])
def test_a_run_that_was_killed_ends_in_the_same_bits(
    objective: str, validation: bool, steps: int, tmp_path: Path
) -> None:
    learned, how = data(validation=validation), recipe(objective)
    whole = new_run(tmp_path / "whole", objective)
    train(whole, trainer(how, learned), how, learned)

    broken = new_run(tmp_path / "broken", objective)
    with pytest.raises(KilledError):
        train(broken, trainer(how, learned), how, learned, callbacks=[Kill(steps)])
    train(broken, trainer(how, learned), how, learned, resume=True)
    assert files(broken) == files(whole)
    assert len(read_history(broken.path(HISTORY))) == 4


@pytest.mark.parametrize("survivor", [HISTORY, MODEL])
def test_a_run_that_was_killed_between_two_files(survivor: str, tmp_path: Path) -> None:
    """What is written before the checkpoint is written again: here the files of epoch 3 beside epoch 2's checkpoint."""
    learned, how = data(), recipe()
    whole = new_run(tmp_path / "whole", "softmax")
    kept: dict[str, bytes] = {}

    class Keep(Callback):
        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            if epoch == 1:
                kept.update(files(whole))

    train(whole, trainer(how, learned), how, learned, callbacks=[Keep()])
    broken = new_run(tmp_path / "broken", "softmax")
    for name, content in kept.items():
        broken.path(name).write_bytes(content if name != survivor else files(whole)[name])
    train(broken, trainer(how, learned), how, learned, resume=True)
    assert files(broken)[CHECKPOINT] == files(whole)[CHECKPOINT]
    assert files(broken)[HISTORY] == files(whole)[HISTORY]


def test_early_stopping_remembers_across_an_interruption(tmp_path: Path) -> None:
    """A learning rate that destroys: the loss is best early, and patience runs out wherever the run was cut."""
    learned, how = data(), recipe(epochs=12, patience=2, learning_rate=3.0)
    whole = new_run(tmp_path / "whole", "softmax")
    train(whole, trainer(how, learned), how, learned)
    rows = read_history(whole.path(HISTORY))
    best = int(np.argmin([row["val_loss"] for row in rows]))
    assert len(rows) == best + 3 < 12
    for steps in (5, 9):
        broken = new_run(tmp_path / f"broken{steps}", "softmax")
        with pytest.raises(KilledError):
            train(broken, trainer(how, learned), how, learned, callbacks=[Kill(steps)])
        train(broken, trainer(how, learned), how, learned, resume=True)
        assert files(broken) == files(whole)
    again = train(whole, trainer(how, learned), how, learned, resume=True)  # a finished run stays finished
    assert again.epoch == []


class Astray(MinicnnTrainer):
    """Learns for three epochs; from then on every score is turned into its opposite."""

    def run_epoch(self, batches: Batches, epoch: int, callbacks: Sequence[Callback]) -> dict[str, float]:
        logs = super().run_epoch(batches, epoch, callbacks)
        if epoch == 3:
            self.model.weights["scores/kernel"][...] *= -1
        return logs


def test_the_best_network_is_kept_not_the_last(tmp_path: Path) -> None:
    learned, how = data(), recipe(epochs=4)
    run = new_run(tmp_path, "softmax")
    train(run, Astray(network(), how, len(how.batches(learned.train, 3, 0))), how, learned)
    rows = read_history(run.path(HISTORY))
    best = min(rows, key=lambda row: row["val_loss"])
    assert best is not rows[-1]
    assert learned.validation is not None
    found = run.model().predict(learned.validation.x)
    assert np.mean(found.argmax(axis=1) == learned.validation.labels) == pytest.approx(best["val_accuracy"])


@pytest.mark.parametrize("objective", ["softmax", "triplet"])
def test_the_same_seed_gives_the_same_bits_and_another_does_not(objective: str, tmp_path: Path) -> None:
    learned, how = data(), recipe(objective, epochs=2)
    made = []
    for name, seed in (("one", 5), ("same", 5), ("other", 6)):
        run = new_run(tmp_path / name, objective, seed)
        train(run, trainer(how, learned, seed), how, learned)
        made.append(files(run))
    assert made[0] == made[1]
    assert made[0][MODEL] != made[2][MODEL]


@pytest.mark.parametrize("objective", ["softmax", "triplet"])
def test_it_learns_and_leaves_a_gallery_and_thresholds(objective: str, tmp_path: Path) -> None:
    learned, how = data(), recipe(objective, epochs=25, dimensions=8)
    run = new_run(tmp_path, objective)
    train(run, trainer(how, learned), how, learned)
    assert read_history(run.path(HISTORY))[-1]["val_accuracy"] == 1.0
    best = Run.open(tmp_path)
    paths = [f"{PEOPLE[k]}/{i}.png" for i, k in enumerate(learned.train.labels)]
    thresholds = finish(best, MinicnnEngine(best), learned, paths, rate=0.05)
    assert set(thresholds) == {"pair"}  # nobody can be called unknown without strangers
    values = {kind: threshold.value for kind, threshold in load_thresholds(tmp_path).items()}
    assert values == {kind: threshold.value for kind, threshold in thresholds.items()}
    gallery, names = load_gallery(best.path(GALLERY), len(PEOPLE))
    assert list(names) == paths
    np.testing.assert_array_equal(gallery.labels, learned.train.labels)
    np.testing.assert_allclose(np.linalg.norm(gallery.embeddings, axis=1), 1, rtol=1e-6)


def test_what_cannot_be_learned_from(tmp_path: Path) -> None:
    how = recipe()
    run = new_run(tmp_path, "softmax")
    everybody = data().train
    alone = Data(Samples(everybody.x[:7], everybody.labels[:7]), None, PEOPLE[:1])
    with pytest.raises(LabelError, match="two people or more"):
        train(run, trainer(how, data()), how, alone)
    without = Data(Samples(everybody.x[:13], everybody.labels[:13]), None, PEOPLE)
    with pytest.raises(LabelError, match="none of çelik"):
        train(run, trainer(how, data()), how, without)
    assert not run.path(MODEL).exists()


def test_checkpoints_of_something_else(tmp_path: Path) -> None:
    learned, how = data(), recipe(epochs=2)
    run = new_run(tmp_path / "run", "softmax")
    train(run, trainer(how, learned), how, learned)
    for damage, match in (
        (lambda path: path.write_bytes(path.read_bytes()[:500]), "cut off|damaged"),
        (lambda path: shutil.copy(run.path(MODEL), path), "trained otherwise"),
        (lambda path: network("triplet").save(path), "trained otherwise"),
        (lambda path: path.unlink(), "no such file"),
    ):
        damage(run.path(CHECKPOINT))
        with pytest.raises(LoadError, match=match):
            train(run, trainer(how, learned), how, learned, resume=True)


def test_a_checkpoint_that_lacks_some_of_what_its_optimiser_remembers_changes_nothing(tmp_path: Path) -> None:
    learned, how = data(), recipe(epochs=1)
    first = trainer(how, learned)
    train(new_run(tmp_path / "run", "softmax"), first, how, learned)
    slots = first.model.optimizer.slots
    assert slots.pop(next(iter(slots))).size
    first.save(tmp_path / "damaged.npz")
    second = trainer(how, learned)
    before = {address: array.copy() for address, array in second.model.weights.items()}
    with pytest.raises(LoadError, match=r"damaged\.npz': Expected the state of"):
        second.restore(tmp_path / "damaged.npz")
    assert all(np.array_equal(array, before[address]) for address, array in second.model.weights.items())


@pytest.mark.parametrize("text", ["", "epoch,loss\n0,much\n", "epoch,loss\n1,0.5\n", "loss\n0.5\n"])
def test_histories_of_something_else(text: str, tmp_path: Path) -> None:
    learned, how = data(), recipe(epochs=2)
    run = new_run(tmp_path, "softmax")
    train(run, trainer(how, learned), how, learned)
    run.path(HISTORY).write_text(text, encoding="utf-8")
    with pytest.raises(LoadError, match=r"history\.csv"):
        train(run, trainer(how, learned), how, learned, resume=True)


def test_what_was_not_measured_is_not_in_the_history(tmp_path: Path) -> None:
    (tmp_path / HISTORY).write_text("epoch,loss,val_loss\n0,0.5,NA\n1,0.25,0.75\n", encoding="utf-8")
    assert read_history(tmp_path / HISTORY) == [{"loss": 0.5}, {"loss": 0.25, "val_loss": 0.75}]


def test_views_change_nothing_in_training_but_answers(tmp_path: Path) -> None:
    learned, how = data(), recipe(epochs=3)
    run = new_run(tmp_path, "softmax", views=True)
    train(run, trainer(how, learned), how, learned)
    x = pictures(np.array([0, 1, 2, 2]), seed=5).x
    six, one = MinicnnEngine(run), MinicnnEngine(run, use_views=False)
    assert six.views
    np.testing.assert_array_equal(one.logits(x), run.model().predict(x))
    assert not np.allclose(six.logits(x), one.logits(x))
    np.testing.assert_allclose(np.exp(six.logits(x)).sum(axis=1), 1, rtol=1e-9)  # logarithms of probabilities
    np.testing.assert_allclose(np.linalg.norm(six.embed(x), axis=1), 1, rtol=1e-6)
