"""The training loop: one step by hand, the same run twice, a run that was interrupted, and what listens to it."""

from __future__ import annotations

import weakref
from typing import Any

import numpy as np
import pytest

from minicnn import training
from minicnn.callbacks import Callback
from minicnn.data import Batches
from minicnn.errors import OptionError, StateError
from minicnn.layers import BatchNormalization, Conv2D, Dense, Dropout, Flatten, MaxPooling2D, ReLU
from minicnn.layers.base import Context
from minicnn.losses import SparseCategoricalCrossentropy
from minicnn.optimizers import SGD, Adam
from minicnn.sequential import Sequential
from minicnn.shapes import Array
from minicnn.training_data import train_validation_split

LOGITS = SparseCategoricalCrossentropy(from_logits=True)


def stripes(count: int = 48) -> tuple[Array, Array]:
    """Noisy 6x5 pictures with a bright row (class 0), a bright column (1), or neither (2)."""
    rng = np.random.default_rng(11)
    x = rng.normal(0, 0.3, (count, 6, 5, 1)).astype(np.float32)
    y = rng.integers(0, 3, count)
    for picture, label in zip(x, y, strict=True):
        if label == 0:
            picture[rng.integers(6)] += 1
        elif label == 1:
            picture[:, rng.integers(5)] += 1
    return x, y


def network(optimizer: Any = None, **options: Any) -> Sequential:
    """Everything that could remember something it should not: dropout, moving statistics, slots of the optimiser."""
    layers = [
        Conv2D(6, 3, padding="same"),
        BatchNormalization(),
        ReLU(),
        MaxPooling2D(),
        Flatten(),
        Dropout(0.2),
        Dense(3),
    ]
    model = Sequential(layers, input_shape=(6, 5, 1), **{"seed": 7} | options)
    model.compile(optimizer or Adam(0.01), LOGITS, metrics=["accuracy"])
    return model


def identical(one: dict[str, Array], other: dict[str, Array]) -> bool:
    return one.keys() == other.keys() and all(one[key].tobytes() == other[key].tobytes() for key in one)


def copied(arrays: dict[str, Array]) -> dict[str, Array]:
    return {key: array.copy() for key, array in arrays.items()}


# -- one step ----------------------------------------------------------------------------------------------------------


def test_backpropagation_changes_nothing_and_can_be_repeated() -> None:
    model, (x, y) = network(), stripes()
    before = copied(model.weights)
    context = Context(training=True, seed=1, step=4)
    first = training.backpropagate(model, LOGITS, x, y, context=context)
    second = training.backpropagate(model, LOGITS, x, y, context=context)
    assert identical(model.weights, before)
    assert identical(first.gradients, second.gradients)
    assert first.loss == second.loss
    assert set(first.next_state) == set(model.state)
    other = training.backpropagate(model, LOGITS, x, y, context=Context(training=True, seed=1, step=5))
    assert not identical(first.gradients, other.gradients)  # dropout draws anew in every step


def test_the_gradients_are_measured_slopes_of_the_loss() -> None:
    model = network(dtype="float64")
    x, y = stripes(9)
    context = Context(training=True, seed=1, step=4)
    analytic = training.backpropagate(model, LOGITS, x, y, context=context).gradients
    rng, h = np.random.default_rng(0), 1e-5
    for address, parameter in model.parameters.items():
        direction = rng.standard_normal(parameter.shape)
        values = []
        for step in (h, -2 * h, h):
            parameter += step * direction
            values.append(training.backpropagate(model, LOGITS, x, y, context=context).loss)
        slope = (values[0] - values[1]) / (2 * h)
        assert slope == pytest.approx(float(np.vdot(analytic[address], direction)), rel=1e-6, abs=1e-9)


def test_a_step_of_sgd_by_hand() -> None:
    model, (x, y) = network(SGD(0.1), dtype="float64"), stripes()
    before, context = copied(model.weights), Context(training=True, seed=7, step=0)
    expected = training.backpropagate(model, LOGITS, x, y, context=context)
    step = training.train_step(model, x, y)
    assert step.loss == expected.loss
    for address, parameter in model.parameters.items():
        # p - lr * g is rounded once where compiled, twice in NumPy
        np.testing.assert_allclose(parameter, before[address] - 0.1 * expected.gradients[address], rtol=0, atol=1e-15)
    for address, statistic in model.state.items():
        assert np.array_equal(statistic, expected.next_state[address])
        assert not np.array_equal(statistic, before[address])
    assert model.optimizer.iterations == 1


def test_the_gradients_of_a_step_are_gone_when_the_next_begins(monkeypatch: pytest.MonkeyPatch) -> None:
    backpropagate, before, alive = training.backpropagate, list[weakref.ref[Any]](), list[int]()

    def watched(*arguments: Any) -> training.Backprop:
        alive.append(sum(gradient() is not None for gradient in before))
        step = backpropagate(*arguments)
        before[:] = map(weakref.ref, step.gradients.values())
        return step

    monkeypatch.setattr(training, "backpropagate", watched)
    model, (x, y) = network(), stripes(6)
    model.fit(x, y, batch_size=2, epochs=2, verbose=0)
    assert len(before) == len(model.parameters)
    assert alive == [0] * 6


def test_weights_that_cannot_be_written_to_are_told_before_a_step() -> None:
    model, (x, y) = network(), stripes(6)
    model.fit(x, y, verbose=0)
    dense = model.layers[-1]
    dense.params["kernel"] = np.frombuffer(dense.params["kernel"].tobytes(), np.float32).reshape(-1, 3)
    before = copied(model.weights)
    with pytest.raises(StateError, match=rf"'{dense.name}/kernel'.*array.copy\(\)"):
        model.fit(x, y, verbose=0)
    assert identical(model.weights, before)


def test_frozen_layers_stay_as_they_are() -> None:
    model, (x, y) = network(), stripes()
    model.layers[0].trainable = model.layers[1].trainable = False
    before = copied(model.weights)
    model.fit(x, y, epochs=1, verbose=0)
    changed = {key for key, array in model.weights.items() if not np.array_equal(array, before[key])}
    assert changed == {"dense/kernel", "dense/bias"}


def test_a_model_frozen_altogether_trains_without_effect() -> None:
    model, (x, y) = network(), stripes()
    for layer in model.layers:
        layer.trainable = False
    before = copied(model.weights)
    with pytest.warns(UserWarning, match="Nothing in 'sequential' learns"):
        model.fit(x, y, epochs=1, verbose=0)
    assert identical(model.weights, before)


# -- whole runs --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "optimizer", [SGD(0.1, momentum=0.9), Adam(0.01)], ids=lambda optimizer: type(optimizer).__name__
)
def test_training_learns(optimizer: Any) -> None:
    model, (x, y) = network(optimizer), stripes()
    history = model.fit(x, y, batch_size=16, epochs=25, verbose=0).history
    assert history["loss"][-1] < 0.5 * history["loss"][0]
    assert model.evaluate(x, y)["accuracy"] > 0.8  # the moving statistics lag behind after so few steps


def test_two_runs_from_one_seed_agree_bit_for_bit() -> None:
    x, y = stripes()
    runs = []
    for seed in (7, 7, 8):
        model = network(seed=seed)
        history = model.fit(x, y, batch_size=10, epochs=3, verbose=0).history
        runs.append((history, model.weights))
    assert runs[0][0] == runs[1][0]
    assert identical(runs[0][1], runs[1][1])
    assert not identical(runs[0][1], runs[2][1])


def test_an_interrupted_run_goes_on_bit_for_bit() -> None:
    """fit(4) is fit(2), then fit from epoch 2 to 4: order, dropout and the optimiser's memory all continue."""
    x, y = stripes()
    whole, parts = network(), network()
    expected = whole.fit(x, y, batch_size=10, epochs=4, verbose=0)
    first = parts.fit(x, y, batch_size=10, epochs=2, verbose=0)
    second = parts.fit(x, y, batch_size=10, epochs=4, initial_epoch=2, verbose=0)
    assert identical(parts.weights, whole.weights)
    assert (first.epoch, second.epoch) == ([0, 1], [2, 3])
    assert first.history["loss"] + second.history["loss"] == expected.history["loss"]
    assert parts.fit(x, y, epochs=4, initial_epoch=4, verbose=0).epoch == []


class Disturber(Callback):
    """Evaluates and predicts after every batch: nobody should notice."""

    model: Sequential

    def __init__(self, x: Array, y: Array) -> None:
        self.x, self.y = x, y

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        self.model.evaluate(self.x, self.y)
        self.model.test_on_batch(self.x, self.y)
        self.model.predict(self.x)


def test_evaluation_in_the_middle_of_training_disturbs_nothing() -> None:
    x, y = stripes()
    calm, disturbed = network(), network()
    expected = calm.fit(x, y, batch_size=10, epochs=2, verbose=0).history
    history = disturbed.fit(x, y, batch_size=10, epochs=2, verbose=0, callbacks=[Disturber(x[:5], y[:5])]).history
    assert history == expected
    assert identical(disturbed.weights, calm.weights)


# -- data --------------------------------------------------------------------------------------------------------------


def test_validation_split_is_the_last_part_as_validation_data() -> None:
    x, y = stripes()
    split, given = network(), network()
    first = split.fit(x, y, batch_size=10, epochs=2, verbose=0, validation_split=0.25).history
    (x_train, y_train, _), (x_last, y_last, _) = train_validation_split(x, y, None, 0.25)
    second = given.fit(x_train, y_train, batch_size=10, epochs=2, verbose=0, validation_data=(x_last, y_last)).history
    assert first == second
    assert set(first) == {"loss", "accuracy", "val_loss", "val_accuracy"}
    measured = split.evaluate(x_last, y_last)
    assert (first["val_loss"][-1], first["val_accuracy"][-1]) == pytest.approx((measured["loss"], measured["accuracy"]))


def test_validation_does_not_touch_the_weights() -> None:
    x, y = stripes()
    with_it, without = network(), network()
    with_it.fit(x, y, epochs=2, verbose=0, validation_data=(x[:9], y[:9]))
    without.fit(x, y, epochs=2, verbose=0)
    assert identical(with_it.weights, without.weights)


def test_class_weight_is_a_sample_weight_per_class() -> None:
    x, y = stripes()
    weights = {0: 3.0, 2: 0.5}
    by_class, by_sample, plain = network(), network(), network()
    by_class.fit(x, y, epochs=1, verbose=0, class_weight=weights)
    by_sample.fit(x, y, epochs=1, verbose=0, sample_weight=np.array([weights.get(int(label), 1.0) for label in y]))
    plain.fit(x, y, epochs=1, verbose=0)
    assert identical(by_class.weights, by_sample.weights)
    assert not identical(by_class.weights, plain.weights)


def test_a_sample_that_weighs_nothing_teaches_nothing() -> None:
    x, y = stripes()
    model = Sequential([Flatten(), Dense(3)], input_shape=(6, 5, 1))
    model.compile(SGD(0.1), LOGITS)
    before = copied(model.weights)
    model.fit(x, y, epochs=1, verbose=0, sample_weight=np.zeros(len(x)))
    assert identical(model.weights, before)


def test_batches_of_ones_own_are_taken_as_they_are() -> None:
    x, y = stripes()
    ready, usual = network(), network()
    ready.fit(Batches(x, y, batch_size=10, seed=7), epochs=2, verbose=0)
    usual.fit(x, y, batch_size=10, epochs=2, verbose=0)
    assert identical(ready.weights, usual.weights)


@pytest.mark.parametrize("shuffle", [0, 1, "no", "batch", np.array([True])])
def test_a_shuffle_that_is_neither_true_nor_false(shuffle: Any) -> None:
    """Keras takes 0 for False. Here it is refused, and never taken for True, nor ignored beside Batches."""
    x, y = stripes(5)
    for given in ({"x": x, "y": y}, {"x": Batches(x, y)}):
        with pytest.raises(OptionError, match="shuffle to be True or False"):
            network().fit(**given, shuffle=shuffle, verbose=0)


def test_shuffle_may_be_numpys() -> None:
    x, y = stripes(5)
    for own, other in [(np.False_, False), (np.True_, True), (None, True)]:
        one, two = network(), network()
        one.fit(x, y, batch_size=2, shuffle=own, verbose=0)  # type: ignore[arg-type]
        two.fit(x, y, batch_size=2, shuffle=other, verbose=0)
        assert identical(one.weights, two.weights)
    with pytest.raises(OptionError, match="also shuffle"):
        network().fit(Batches(x, y), shuffle=np.False_, verbose=0)  # type: ignore[arg-type]
    network().fit(Batches(x, y), shuffle=None, verbose=0)  # type: ignore[arg-type]


def test_augmentation_changes_training_and_not_validation() -> None:
    x, y = stripes()
    seen: list[int] = []

    def flip(pictures: Array, rng: np.random.Generator) -> Array:
        seen.append(len(pictures))
        return pictures[:, :, ::-1]

    model = network()
    model.fit(x, y, batch_size=20, epochs=2, verbose=0, validation_data=(x, y), augment=flip)
    assert seen == [20, 20, 8] * 2


def test_the_loss_of_an_epoch_is_a_mean_over_samples() -> None:
    """With a learning rate of 0 every batch sees the same weights: the epoch's mean is that of all samples."""
    x, y = stripes(50)
    model = Sequential([Flatten(), Dense(3)], input_shape=(6, 5, 1), dtype="float64")
    model.compile(SGD(0.0), LOGITS, metrics=["accuracy"])
    history = model.fit(x, y, batch_size=16, epochs=1, verbose=0).history
    measured = model.evaluate(x, y)
    assert (history["loss"][0], history["accuracy"][0]) == pytest.approx((measured["loss"], measured["accuracy"]))


# -- callbacks ---------------------------------------------------------------------------------------------------------


BATCH = ("batch", "test batch")


class Recorder(Callback):
    """Writes down every call."""

    model: Sequential

    def __init__(self, stop_after: int | None = None) -> None:
        self.calls: list[str] = []
        self.stop_after = stop_after

    def on_train_begin(self, logs: Any = None) -> None:
        self.calls.append(f"begin {self.params['epochs']} {self.params['initial_epoch']} {self.params['steps']}")

    def on_train_end(self, logs: Any = None) -> None:
        self.calls.append("end")

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self.calls.append(f"epoch {epoch}")

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        self.calls.append(f"batch {batch} begins")

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        self.calls.append(f"batch {batch} {', '.join(logs)}")

    def on_test_begin(self, logs: Any = None) -> None:
        self.calls.append("test")

    def on_test_batch_begin(self, batch: int, logs: Any = None) -> None:
        self.calls.append(f"test batch {batch} begins")

    def on_test_batch_end(self, batch: int, logs: Any = None) -> None:
        self.calls.append(f"test batch {batch} {', '.join(logs)}")

    def on_test_end(self, logs: Any = None) -> None:
        self.calls.append(f"tested {', '.join(logs)}")

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self.calls.append(f"done {epoch} {', '.join(logs)}")
        if epoch == self.stop_after:
            self.model.stop_training = True


def test_callbacks_hear_everything_in_order() -> None:
    model, (x, y), recorder = network(), stripes(5), Recorder()
    model.fit(x, y, batch_size=3, epochs=3, initial_epoch=1, verbose=0, validation_data=(x, y), callbacks=[recorder])
    batches = [f"{what} {i} {said}" for what in BATCH for i in (0, 1) for said in ("begins", "loss, accuracy")]
    batches = [*batches[:4], "test", *batches[4:], "tested loss, accuracy"]
    epochs = [[f"epoch {i}", *batches, f"done {i} loss, accuracy, val_loss, val_accuracy"] for i in (1, 2)]
    assert recorder.calls == ["begin 3 1 2", *epochs[0], *epochs[1], "end"]


def test_validation_tells_callbacks_what_the_history_keeps() -> None:
    heard: list[dict[str, float]] = []

    class Listener(Callback):
        def on_test_end(self, logs: Any = None) -> None:
            heard.append(dict(logs))

    model, (x, y) = network(), stripes(5)
    history = model.fit(x, y, verbose=0, validation_split=0.4, callbacks=[Listener()]).history
    assert heard == [{name: history[f"val_{name}"][0] for name in ("loss", "accuracy")}]


def test_a_callback_can_stop_training_in_the_middle_of_an_epoch() -> None:
    class Impatient(Recorder):
        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            super().on_train_batch_end(batch, logs)
            self.model.stop_training = batch == 1

    model, (x, y), impatient = network(), stripes(5), Impatient()
    history = model.fit(x, y, batch_size=1, epochs=3, verbose=0, validation_data=(x, y), callbacks=[impatient])
    assert [call for call in impatient.calls if "batch 2" in call] == [
        "test batch 2 begins",
        "test batch 2 loss, accuracy",
    ]
    assert model.optimizer.iterations == 2
    assert history.epoch == [0]  # what was measured until then, and the validation, is kept
    assert list(history.history) == ["loss", "accuracy", "val_loss", "val_accuracy"]


def test_a_callback_can_stop_training_and_the_next_fit_starts_again() -> None:
    model, (x, y) = network(), stripes(5)
    assert model.fit(x, y, epochs=9, verbose=0, callbacks=[Recorder(stop_after=1)]).epoch == [0, 1]
    assert model.fit(x, y, epochs=3, verbose=0).epoch == [0, 1, 2]


@pytest.mark.parametrize("verbose, printed", [(0, 0), (2, 2), ("auto", 2)])
def test_progress_goes_to_the_screen(verbose: Any, printed: int, capsys: pytest.CaptureFixture[str]) -> None:
    model, (x, y) = network(), stripes(5)
    model.fit(x, y, verbose=0)  # what has to be compiled would be announced
    model.fit(x, y, epochs=2, verbose=verbose)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == printed
    assert all(line.startswith("Epoch ") for line in lines)


def test_a_diverging_run_shows_its_nan() -> None:
    model, (x, y) = network(SGD(1e30)), stripes()
    with np.errstate(all="ignore"):
        history = model.fit(x, y, epochs=3, verbose=0).history
    assert not np.isfinite(history["loss"][-1])
