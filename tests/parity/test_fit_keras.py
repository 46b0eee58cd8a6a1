"""``fit`` and ``evaluate`` as a whole give Keras's numbers: what counts how much, in which batch, what is kept out."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
import pytest

from minicnn import Adam, BatchNormalization, Dense, ReLU, Sequential, SparseCategoricalCrossentropy

os.environ.setdefault("KERAS_BACKEND", "tensorflow")
keras = pytest.importorskip("keras", reason="parity needs the extra 'keras'")

from reference_keras.twins import keras_loss, keras_optimizer, keras_twin  # noqa: E402  (needs Keras)

# Both train in float32 for a few steps. What rounding leaves of that is below 1e-5; a sample that counts twice or not
# at all changes a loss in its first digits.
TOLERANCE = 1e-4
N = 23
X = np.random.default_rng(0).standard_normal((N, 4)).astype(np.float32)
Y = np.arange(N) % 3
WEIGHTS = np.linspace(0, 2, N).astype(np.float32)


def both() -> tuple[Sequential, Any]:
    """The same network on both sides, compiled alike."""
    model = Sequential([Dense(5), ReLU(), BatchNormalization(), Dense(3)], input_shape=(4,))
    twin, optimizer, loss = keras_twin(model), Adam(0.01), SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer, loss, metrics=["accuracy"])
    twin.compile(keras_optimizer(optimizer), keras_loss(loss), metrics=["accuracy"])
    return model, twin


OPTIONS: dict[str, dict[str, Any]] = {
    "a small last batch": {"batch_size": 5},
    "one batch that is not full": {"batch_size": 100},
    "a part kept for validation": {"batch_size": 7, "validation_split": 0.3},
    "sample weights": {"batch_size": 5, "sample_weight": WEIGHTS},
    "sample weights, a part kept": {"batch_size": 5, "sample_weight": WEIGHTS, "validation_split": 0.2},
    "class weights": {"batch_size": 5, "class_weight": {0: 1.0, 2: 5.0}},
    "a weight for a class without samples": {"batch_size": 5, "class_weight": {0: 0.5, 7: 5.0}},
    "weighted validation": {"batch_size": 6, "validation_data": (X[:7], Y[:7], WEIGHTS[-7:])},
    "begun later": {"batch_size": 5, "initial_epoch": 1},
}


@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS.keys())
def test_every_number_of_the_history(options: dict[str, Any]) -> None:
    model, twin = both()
    ours = model.fit(X, Y, epochs=3, shuffle=False, verbose=0, **options).history
    theirs = twin.fit(X, Y, epochs=3, shuffle=False, verbose=0, **options).history
    assert ours.keys() == theirs.keys()
    for name, values in theirs.items():
        np.testing.assert_allclose(ours[name], values, rtol=TOLERANCE, err_msg=name)


def test_weighted_measuring_and_single_batches() -> None:
    """Sample weights weigh the loss; the metrics of ``compile(metrics=...)`` count every sample alike."""
    model, twin = both()
    pairs = (
        (
            model.evaluate(X, Y, batch_size=5, sample_weight=WEIGHTS),
            twin.evaluate(X, Y, 5, 0, WEIGHTS, return_dict=True),
        ),
        (model.test_on_batch(X, Y, WEIGHTS), twin.test_on_batch(X, Y, WEIGHTS, return_dict=True)),
        (model.train_on_batch(X, Y, WEIGHTS), twin.train_on_batch(X, Y, WEIGHTS, return_dict=True)),
    )
    for ours, theirs in pairs:
        assert ours.keys() == theirs.keys()
        for name, value in theirs.items():
            np.testing.assert_allclose(ours[name], value, rtol=TOLERANCE, err_msg=name)
