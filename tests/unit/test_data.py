"""Every sample exactly once per epoch, in an order that follows from the seed, with the weight it was given."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minicnn.data import Batches, one_hot
from minicnn.errors import LabelError, OptionError, ShapeError
from minicnn.shapes import Array
from minicnn.training_data import train_validation_split


def epoch(batches: Batches, number: int = 0) -> tuple[Array, Any, Any]:
    """A whole epoch, its batches joined."""
    parts = list(zip(*batches.epoch(number), strict=True))
    x, y, weight = (None if part[0] is None else np.concatenate(part) for part in parts)
    assert x is not None
    return x, y, weight


@given(st.integers(1, 40), st.integers(1, 50), st.integers(0, 2**32), st.integers(0, 100))
def test_an_epoch_is_a_permutation_that_keeps_pairs_together(n: int, size: int, seed: int, number: int) -> None:
    batches = Batches(np.arange(n) * 1.0, np.arange(n), batch_size=size, seed=seed, sample_weight=np.arange(n) / 8)
    lengths = [len(x) for x, _, _ in batches.epoch(number)]
    assert lengths == [size] * (n // size) + [n % size] * (n % size > 0)
    assert len(batches) == len(lengths)
    x, y, weight = epoch(batches, number)
    assert np.array_equal(np.sort(x), np.arange(n))
    assert np.array_equal(x, y)
    assert np.array_equal(weight, y / 8)


def test_the_order_depends_on_seed_and_epoch_and_nothing_else() -> None:
    x = np.arange(100.0)
    batches = Batches(x, seed=3, batch_size=7)
    seventh = epoch(batches, 7)[0]
    epoch(batches, 2)
    assert np.array_equal(epoch(batches, 7)[0], seventh)
    assert np.array_equal(epoch(Batches(x, seed=3, batch_size=50), 7)[0], seventh)
    assert not np.array_equal(epoch(batches, 8)[0], seventh)
    assert not np.array_equal(epoch(Batches(x, seed=4, batch_size=7), 7)[0], seventh)
    assert not np.array_equal(seventh, x)


def test_two_iterators_at_once_do_not_disturb_each_other() -> None:
    batches = Batches(np.arange(20.0), batch_size=3, seed=1)
    together = list(zip(batches, batches, strict=True))
    assert all(np.array_equal(a[0], b[0]) for a, b in together)


def test_without_shuffling_batches_come_in_order_and_are_views() -> None:
    x = np.arange(10.0)
    batches = list(Batches(x, batch_size=4, shuffle=False).epoch(5))
    assert [batch[0].tolist() for batch in batches] == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]
    assert all(np.shares_memory(batch[0], x) for batch in batches)
    assert all(batch[1:] == (None, None) for batch in batches)


def test_augmentation_sees_a_chance_of_its_own_for_every_batch() -> None:
    drawn: list[float] = []

    def augment(x: Array, rng: np.random.Generator) -> Array:
        drawn.append(float(rng.random()))
        return x + 1000

    batches = Batches(np.arange(10.0), batch_size=4, seed=2, augment=augment)
    first = epoch(batches, 1)[0]
    assert np.array_equal(np.sort(first), np.arange(10) + 1000)
    assert len(set(drawn)) == 3
    epoch(batches, 1)
    assert drawn[3:] == drawn[:3]
    epoch(batches, 0)
    assert set(drawn[6:]).isdisjoint(drawn[:6])


def test_an_augmentation_that_changes_the_shape_is_an_error() -> None:
    with pytest.raises(ShapeError, match="augment"):
        list(Batches(np.ones((4, 3)), augment=lambda x, rng: x[:, 1:]))


def test_class_weights_for_every_way_to_write_labels() -> None:
    labels = np.array([2, 0, 1, 2])
    expected = [0.25, 1.0, 3.0, 0.25]  # class 0 is not named: it counts 1
    for y in (labels, labels[:, None], labels.astype(np.float32), one_hot(labels, 3)):
        _, _, weight = epoch(Batches(np.ones((4, 2)), y, shuffle=False, class_weight={1: 3.0, 2: 0.25}))
        assert weight.tolist() == expected
    assert epoch(Batches(np.ones((4, 2), np.float32), labels, class_weight={1: 3}))[2].dtype == np.float32


def test_a_class_may_have_a_weight_and_no_pictures() -> None:
    """As in Keras: which classes there are does not follow from the labels that happen to be there."""
    x, labels = np.ones((3, 2)), np.array([0, 1, 1])
    _, _, weight = epoch(Batches(x, labels, shuffle=False, class_weight={0: 2.0, 1: 0.5, 10**12: 9.0}))
    assert weight.tolist() == [2.0, 0.5, 0.5]


def test_a_label_however_large_takes_no_room() -> None:
    """A table with a place for each class up to the largest would have had terabytes."""
    labels = np.array([5, 10**12, 0, 10**12, 7])
    weights = {7: 3.0, 10**12: 0.5, 6: 9.0, 10**400: 2.0}
    _, _, weight = epoch(Batches(np.ones((5, 2), np.float32), labels, shuffle=False, class_weight=weights))
    assert weight.tolist() == [1.0, 0.5, 1.0, 0.5, 3.0]
    assert weight.dtype == np.float32


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"y": np.zeros(3, int)}, ShapeError, "4 inputs"),
        ({"y": np.array(["a", "b", "c", "d"])}, LabelError, "numbers"),
        ({"y": np.array([0, 1, np.nan, 0])}, LabelError, "finite"),
        ({"batch_size": 0}, OptionError, "batch_size"),
        ({"batch_size": 2.0}, OptionError, "batch_size"),
        ({"batch_size": True}, OptionError, "batch_size"),
        ({"seed": -1}, OptionError, "seed"),
        ({"shuffle": "no"}, OptionError, "shuffle to be True or False"),
        ({"sample_weight": np.ones(3)}, ShapeError, "sample_weight"),
        ({"sample_weight": np.ones((3, 1))}, ShapeError, "sample_weight"),
        ({"sample_weight": ["a", "b", "c", "d"]}, ShapeError, "sample_weight"),
        ({"sample_weight": [[1, 2], [3]] * 2}, ShapeError, "sample_weight as an array.*inhomogeneous"),
        ({"y": [[0], [1, 2]] * 2}, ShapeError, "targets as an array.*inhomogeneous"),
        ({"sample_weight": np.array([1, np.inf, 1, 1])}, OptionError, "finite"),
        ({"sample_weight": np.array([1, -1, 1, 1])}, OptionError, "at least 0"),
        ({"class_weight": {0: 1.0}}, OptionError, "y=None"),
        ({"y": np.eye(4), "class_weight": {4: 1.0}}, OptionError, "class 4"),
        ({"y": np.arange(4), "class_weight": {"0": 1.0}}, OptionError, "class"),
        ({"y": np.arange(4), "class_weight": {0: float("nan")}}, OptionError, "class 0"),
        ({"y": np.arange(4), "class_weight": {0: "heavy"}}, OptionError, "class 0"),
        ({"y": np.arange(4), "class_weight": [1.0, 2.0]}, OptionError, "{class: weight}"),
        ({"y": np.arange(4) + 0.5, "class_weight": {0: 1.0}}, LabelError, "class indices"),
        ({"y": np.ones((4, 2, 2)), "class_weight": {0: 1.0}}, LabelError, "class indices"),
        ({"y": np.arange(4), "class_weight": {0: 1.0}, "sample_weight": np.ones(4)}, OptionError, "both"),
    ],
)
def test_bad_arguments_are_named(options: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        Batches(np.ones((4, 2)), **options)


def test_no_data_is_an_error() -> None:
    for x in (np.ones((0, 3)), np.float64(1.0)):
        with pytest.raises(ShapeError, match="at least one input"):
            Batches(x)
    with pytest.raises(OptionError, match="epoch"):
        list(Batches(np.ones(3)).epoch(-1))


@given(st.integers(2, 200), st.floats(0.01, 0.99))
def test_the_last_part_is_kept_for_validation(n: int, fraction: float) -> None:
    x = np.arange(n)
    if int(n * (1 - fraction)) == 0:
        with pytest.raises(OptionError, match="enough"):
            train_validation_split(x, x, None, fraction)
        return
    train, validation = train_validation_split(x, x + 1, x + 2, fraction)
    for position in range(3):
        assert np.array_equal(np.concatenate([train[position], validation[position]]), x + position)  # type: ignore[list-item]
    assert len(validation[0]) >= 1
    assert abs(len(validation[0]) - fraction * n) <= 1


@pytest.mark.parametrize("fraction", [0, 1, -0.1, float("nan"), True])
def test_fractions_that_are_none(fraction: float) -> None:
    with pytest.raises(OptionError, match="validation_split"):
        train_validation_split(np.ones(4), np.ones(4), None, fraction)


@given(st.lists(st.integers(0, 6), max_size=20))
def test_one_hot_inverts_argmax(labels: list[int]) -> None:
    rows = one_hot(np.array(labels, int), 7)
    assert rows.shape == (len(labels), 7)
    assert rows.argmax(axis=1).tolist() == labels
    assert (rows.sum(axis=1) == 1).all()


@pytest.mark.parametrize("labels", [[3], [-1], [0.0], [[0]]])
def test_one_hot_refuses_what_is_no_class(labels: Any) -> None:
    with pytest.raises(LabelError):
        one_hot(np.array(labels), 3)


def test_a_generator_is_no_array() -> None:
    with pytest.raises(
        OptionError, match=r"inputs as an array \(N, \.\.\.\), or Batches\. Received: generator\. .*train_on_batch"
    ):
        Batches(i for i in range(3))  # type: ignore[arg-type]
    assert len(Batches([1.0, 2.0, 3.0], batch_size=2)) == 2  # type: ignore[arg-type]


def test_batches_say_what_they_hold() -> None:
    x, y = np.zeros((5, 4, 3), np.float32), np.zeros(5, np.int64)
    assert repr(Batches(x, batch_size=2)) == "<Batches: x (5, 4, 3) float32; batches of 2: 3>"
    weighted = Batches(x, y, batch_size=4, sample_weight=np.ones(5))
    assert repr(weighted) == "<Batches: x (5, 4, 3) float32, y (5,) int64, weight (5,) float32; batches of 4: 2>"


@pytest.mark.parametrize("shuffle", [False, True])
def test_whoever_augments_in_place_changes_nobodys_pictures(shuffle: bool) -> None:
    x = np.arange(12.0).reshape(6, 2)

    def brighter(pictures: Array, rng: np.random.Generator) -> Array:
        pictures += 100
        return pictures

    batches = Batches(x, batch_size=2, shuffle=shuffle, augment=brighter)
    seen = [np.concatenate([part for part, _, _ in batches.epoch(epoch)]) for epoch in range(2)]
    np.testing.assert_array_equal(x, np.arange(12.0).reshape(6, 2))
    for epoch in seen:
        np.testing.assert_array_equal(np.sort(epoch, axis=None), np.arange(12.0) + 100)


def test_a_batch_has_32_samples_unless_told() -> None:
    assert [len(Batches(np.ones(100), batch_size=size)) for size in (None, 50)] == [4, 2]
