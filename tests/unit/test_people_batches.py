"""PeopleBatches: who is in a batch, how often everybody is seen, and that it all follows from a seed."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from minicnn.data import PeopleBatches
from minicnn.errors import LabelError, OptionError
from minicnn.shapes import Array

LABELS = np.repeat([0, 1, 2, 3, 7], [5, 1, 3, 9, 4])


def batches(people: int = 3, pictures: int = 4, seed: int = 1) -> PeopleBatches:
    return PeopleBatches(np.arange(len(LABELS)), LABELS, people=people, pictures=pictures, seed=seed)


def seen(data: PeopleBatches, epoch: int) -> list[tuple[Array, Array]]:
    found = []
    for x, y, weight in data.epoch(epoch):
        assert y is not None
        assert weight is None
        found.append((x, y))
    return found


def test_every_batch_has_as_many_pictures_of_as_many_people() -> None:
    data = batches()
    assert len(data) == len(seen(data, 0)) == 2  # 22 pictures, 12 in a batch
    for epoch in range(20):
        for x, y in seen(data, epoch):
            assert sorted(Counter(y.tolist()).values()) == [4, 4, 4]
            np.testing.assert_array_equal(LABELS[x], y)


def test_pictures_come_again_only_when_all_were_there() -> None:
    for x, _ in seen(batches(), 3):
        for label in np.unique(LABELS[x]):
            times = Counter(x[LABELS[x] == label].tolist())
            available = int((label == LABELS).sum())
            assert len(times) == min(4, available)
            assert max(times.values()) - min(times.values()) <= 1


def test_people_come_in_rounds() -> None:
    """With 3 places and 5 people, five batches show everybody three times."""
    data = PeopleBatches(np.arange(60), np.repeat(np.arange(5), 12), people=3, pictures=4, seed=2)
    rounds = Counter(label for _, y in seen(data, 0) for label in set(y.tolist()))
    assert len(data) == 5
    assert set(rounds.values()) == {3}


def test_it_is_a_function_of_seed_and_epoch() -> None:
    def order(seed: int, epoch: int) -> list[int]:
        return [int(i) for x, _ in seen(batches(seed=seed), epoch) for i in x]

    assert order(1, 4) == order(1, 4)
    assert order(1, 4) != order(1, 5)
    assert order(1, 4) != order(2, 4)


def test_fewer_people_than_places() -> None:
    assert batches(people=50).people == 5
    assert batches(people=50).batch_size == 20


def test_what_cannot_be() -> None:
    x = np.arange(4)
    with pytest.raises(LabelError, match="at least two people"):
        PeopleBatches(x, np.zeros(4, int))
    with pytest.raises(LabelError, match="class indices"):
        PeopleBatches(x, np.eye(4))
    with pytest.raises(OptionError, match="pictures as an integer of at least 2"):
        PeopleBatches(x, np.array([0, 0, 1, 1]), pictures=1)
