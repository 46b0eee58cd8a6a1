"""Initializers against Keras. The drawn numbers differ; where they come from may not: bounds, spread, distribution."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy import stats

from minicnn import initializers

keras = pytest.importorskip("keras", reason="compares with Keras")
pytest.importorskip("tensorflow", reason="compares with Keras on TensorFlow")

RANDOM = [name for name in initializers.INITIALIZERS if name not in ("zeros", "ones", "constant")]
SHAPES = [(7,), (5, 9), (3, 3, 8, 16), (5, 5, 6, 1), (1, 1, 3, 2)]


@pytest.mark.parametrize("shape", [(), *SHAPES], ids=str)
def test_fans(shape: tuple[int, ...]) -> None:
    from keras.src.initializers.random_initializers import compute_fans

    assert initializers.fans(shape) == compute_fans(shape)


def scale_of(name: str, shape: tuple[int, ...], monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The numbers with which Keras calls its generator."""
    from keras.src.initializers import random_initializers

    seen: dict[str, Any] = {}

    def record(kind: str) -> Any:
        return lambda *_, **arguments: seen.update(arguments, kind=kind)

    for kind in ("uniform", "normal", "truncated_normal"):
        monkeypatch.setattr(random_initializers.random, kind, record(kind))
    keras.initializers.get(name)(shape=shape, dtype="float32")
    return seen


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize(
    "name", [name for name in RANDOM if not name.startswith("random") and name != "truncated_normal"]
)
def test_the_scale_is_keras_s_to_the_last_digit(
    name: str, shape: tuple[int, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    ours, theirs = initializers.get(name), scale_of(name, shape, monkeypatch)
    assert isinstance(ours, initializers.VarianceScaling)
    variance = ours.variance(shape)
    assert theirs["kind"] == ours.distribution
    if ours.distribution == "uniform":
        assert theirs["maxval"] == pytest.approx(np.sqrt(3 * variance), rel=1e-15)
        assert theirs["minval"] == -theirs["maxval"]
    else:
        assert theirs["stddev"] * initializers.TRUNCATED_STDDEV == pytest.approx(np.sqrt(variance), rel=1e-15)


@pytest.mark.parametrize("name", RANDOM)
def test_both_draw_from_one_distribution(name: str, rng: np.random.Generator) -> None:
    """Two samples of 36864 numbers, Kolmogorov and Smirnov: a spread 5 % off would give p below 1e-4."""
    shape = (3, 3, 64, 64)
    ours = initializers.get(name)(shape, rng).ravel()
    theirs = np.asarray(keras.initializers.get(name)(shape=shape, dtype="float32")).ravel()
    assert stats.ks_2samp(ours, theirs).pvalue > 1e-3
    assert ours.std() == pytest.approx(theirs.std(), rel=0.02)
    assert np.abs(ours).max() == pytest.approx(np.abs(theirs).max(), rel=0.01 if "normal" not in name else 0.15)


@pytest.mark.parametrize(
    "options",
    [
        {"scale": 3.0, "mode": mode, "distribution": kind}
        for mode in initializers.VarianceScaling.MODES
        for kind in initializers.VarianceScaling.DISTRIBUTIONS
    ],
    ids=str,
)
def test_variance_scaling_in_all_its_forms(options: dict[str, Any], rng: np.random.Generator) -> None:
    shape = (3, 3, 32, 96)
    ours = initializers.VarianceScaling(**options)(shape, rng).ravel()
    theirs = np.asarray(keras.initializers.VarianceScaling(**options)(shape=shape, dtype="float32")).ravel()
    assert stats.ks_2samp(ours, theirs).pvalue > 1e-3
    assert ours.std() == pytest.approx(theirs.std(), rel=0.02)


@pytest.mark.parametrize("name", [name for name in initializers.INITIALIZERS if name != "constant"])
def test_keras_understands_our_config_and_we_its(name: str) -> None:
    ours = initializers.get(name)
    theirs = keras.initializers.get(ours.config())
    assert type(theirs).__name__ == type(ours).__name__
    serialized = keras.initializers.serialize(theirs)
    assert repr(initializers.get(serialized)) == repr(ours)


def test_a_changed_argument_survives_the_way_to_keras_and_back() -> None:
    assert keras.initializers.get(initializers.Constant(0.5).config()).value == 0.5
    ours = initializers.VarianceScaling(0.5, "fan_out", "uniform")
    theirs = keras.initializers.get(ours.config())
    assert (theirs.scale, theirs.mode, theirs.distribution) == (0.5, "fan_out", "uniform")
    assert repr(initializers.get(keras.initializers.serialize(theirs))) == repr(ours)
