"""Two trainings side by side are the same training: the losses of the first steps agree to rounding."""

from __future__ import annotations

import numpy as np
import pytest

from minicnn.data import Batches
from minicnn.errors import OptionError
from minicnn.models import face_cnn
from minicnn.optimizers import SGD
from minicnn.schedules import CosineDecay
from reference_keras.side_by_side import Epoch, train_side_by_side


def batches(rng: np.random.Generator, count: int = 9) -> Batches:
    x = rng.random((count, 32, 32, 1), dtype=np.float32)
    return Batches(x, rng.integers(0, 4, count), batch_size=4, seed=3)


def test_both_engines_learn_the_same(rng: np.random.Generator) -> None:
    heard: list[int] = []

    def on_epoch(number: int, epoch: Epoch) -> None:
        heard.append(number)

    model = face_cnn((32, 32, 1), 4, softmax=False, dropout=0.0)
    before = {name: array.copy() for name, array in model.weights.items()}
    data = batches(rng)
    history = train_side_by_side(
        model, data, data.x[:3], epochs=2, optimizer=SGD(CosineDecay(0.01, 6)), on_epoch=on_epoch
    )
    assert heard == [1, 2]
    assert [len(epoch.ours.losses) for epoch in history.epochs] == [3, 3]
    assert history.loss_difference < 1e-4
    assert history.epochs[-1].drift < 1e-3
    assert history.agreement == 1.0
    assert all(epoch.ours.accuracy == pytest.approx(epoch.keras.accuracy) for epoch in history.epochs)
    np.testing.assert_allclose(history.ours, history.keras, atol=1e-4)
    np.testing.assert_allclose(history.ours.sum(axis=1), 1, atol=1e-6)
    assert any(not np.array_equal(model.weights[name], array) for name, array in before.items())
    assert min(history.seconds()) > 0


def test_losses_are_those_of_each_step_not_a_running_mean(rng: np.random.Generator) -> None:
    model = face_cnn((32, 32, 1), 4, softmax=False, dropout=0.0)
    data = batches(rng)
    (epoch,) = train_side_by_side(model, data, data.x[:1], epochs=1, optimizer=SGD(0.01)).epochs
    assert np.ptp(epoch.keras.losses) > 0.01
    np.testing.assert_allclose(epoch.ours.losses, epoch.keras.losses, rtol=1e-4)


def test_smoothed_labels_in_both_engines(rng: np.random.Generator) -> None:
    """A first loss is that of the initial weights; smoothing s makes it (1 - s) of it plus s of the classes' mean."""
    data = batches(rng, 4)
    losses = {}
    for smoothing in (0.0, 0.5, 1.0):
        model = face_cnn((32, 32, 1), 4, softmax=False, dropout=0.0)
        history = train_side_by_side(model, data, data.x[:1], epochs=1, optimizer=SGD(0.01), label_smoothing=smoothing)
        assert history.loss_difference < 1e-5
        (losses[smoothing],) = history.epochs[0].ours.losses
    assert losses[0.0] != losses[1.0]
    assert losses[0.5] == pytest.approx((losses[0.0] + losses[1.0]) / 2, rel=1e-5)


@pytest.mark.parametrize(
    "options, message", [({"dropout": 0.3, "softmax": False}, "dropout"), ({"dropout": 0.0}, "ends in logits")]
)
def test_what_would_not_be_the_same_mathematics_is_refused(
    options: dict[str, object], message: str, rng: np.random.Generator
) -> None:
    data = batches(rng)
    with pytest.raises(OptionError, match=message):
        train_side_by_side(face_cnn((32, 32, 1), 4, **options), data, data.x, epochs=1, optimizer=SGD(0.01))


@pytest.mark.parametrize("epochs", [0, -1, True, 1.5])
def test_epochs_must_be_a_count(epochs: object, rng: np.random.Generator) -> None:
    data = batches(rng)
    model = face_cnn((32, 32, 1), 4, softmax=False, dropout=0.0)
    with pytest.raises(OptionError, match="epochs"):
        train_side_by_side(model, data, data.x, epochs=epochs, optimizer=SGD(0.01))  # type: ignore[arg-type]
