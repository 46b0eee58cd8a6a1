"""Stratified splits: everybody on both sides, nobody twice, and the same again from the same seed."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from detection.split import stratified_split
from minicnn.errors import LabelError, OptionError


@given(st.lists(st.integers(4, 7), min_size=1, max_size=6), st.integers(0, 99), st.randoms())
def test_every_person_gets_the_same_share_and_nothing_is_in_both(counts, seed, random) -> None:
    labels = [person for person, count in enumerate(counts) for _ in range(count)]
    random.shuffle(labels)
    labels = np.array(labels)
    train, test = stratified_split(labels, train=3, test=1, seed=seed)
    np.testing.assert_array_equal(np.bincount(labels[train]), 3)
    np.testing.assert_array_equal(np.bincount(labels[test]), 1)
    assert len(set(train) | set(test)) == len(train) + len(test)
    assert (np.diff(train) > 0).all()
    assert (np.diff(test) > 0).all()


def test_the_seed_decides_and_nothing_else() -> None:
    labels = np.repeat(np.arange(40), 10)
    first, again = (stratified_split(labels, train=5, test=5, seed=1) for _ in range(2))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, stratified_split(labels, train=5, test=5, seed=2))


def test_a_new_person_leaves_the_others_where_they_were() -> None:
    before = stratified_split(np.repeat([0, 1], 10), train=4, test=4, seed=0)
    after = stratified_split(np.repeat([0, 1, 2], 10), train=4, test=4, seed=0)
    for old, new in zip(before, after, strict=True):
        np.testing.assert_array_equal(new[:8], old)


@pytest.mark.parametrize("labels", [[], [[0, 1]], [0.0, 1.0], [-1, 0]])
def test_labels_that_are_none_are_refused(labels) -> None:
    with pytest.raises(LabelError, match="integers >= 0"):
        stratified_split(labels, train=1, test=1, seed=0)


def test_too_few_pictures_names_the_person() -> None:
    with pytest.raises(LabelError, match=r"6 pictures of person 7 .* Received: 2"):
        stratified_split([3] * 6 + [7] * 2, train=3, test=3, seed=0)


@pytest.mark.parametrize("option", [{"train": 0}, {"test": 0}, {"seed": -1}, {"train": 1.5}, {"test": True}])
def test_impossible_counts_are_refused(option) -> None:
    with pytest.raises(OptionError, match=next(iter(option))):
        stratified_split([0, 0, 0], **{"train": 1, "test": 1, "seed": 0} | option)
