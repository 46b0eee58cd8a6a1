"""LFW's list of pairs: what a file may look like, and what is refused with its line."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from minicnn.errors import LoadError, OptionError
from minicnn.recognition.lfw_pairs import LfwPair, lfw_accuracy, parse_pairs, picture_rows, read_pairs

TEXT = """2\t2
Ann_A\t1\t2
Bob\t1\t3
Ann_A\t1\tBob\t2
Bob\t1\tCleo\t1
Cleo\t1\t2
Dan\t2\t1
Cleo\t2\tDan\t1
Dan\t1\tAnn_A\t2
"""


def test_a_file_by_hand() -> None:
    found = parse_pairs(TEXT)
    assert len(found) == 8
    assert found[0] == LfwPair(("Ann_A", 1), ("Ann_A", 2), 0)
    assert found[2] == LfwPair(("Ann_A", 1), ("Bob", 2), 0)
    assert [pair.same for pair in found] == [True, True, False, False] * 2
    assert [pair.fold for pair in found] == [0] * 4 + [1] * 4


@pytest.mark.parametrize(
    "text",
    [
        TEXT.replace("\t", "   "),
        TEXT.replace("\n", "\r\n"),
        "\ufeff" + TEXT,
        TEXT + "\n\n",
        TEXT.rstrip("\n"),
    ],
)
def test_what_editors_make_of_it(text: str, tmp_path: Path) -> None:
    path = tmp_path / "pairs.txt"
    path.write_bytes(text.encode())
    assert read_pairs(path) == parse_pairs(TEXT)


def test_names_with_spaces_between_tabs() -> None:
    found = parse_pairs("1\t1\nŽofie Nová\t1\t2\nŽofie Nová\t1\tBob\t1\n")
    assert found[0].first == ("Žofie Nová", 1)


def test_a_first_line_with_one_number_is_one_fold() -> None:
    assert {pair.fold for pair in parse_pairs("1\nA\t1\t2\nA\t1\tB\t1\n")} == {0}


@pytest.mark.parametrize(
    "old, new, line, words",
    [
        ("2\t2\n", "ten\t2\n", 1, "numbers of folds"),
        ("2\t2\n", "2\t2\t2\n", 1, "numbers of folds"),
        ("2\t2\n", "0\t2\n", 1, "numbers of folds"),
        ("Bob\t1\t3", "Bob\t1", 3, "the same person"),
        ("Bob\t1\t3", "Bob\t1\tx", 3, "the same person"),
        ("Bob\t1\t3", "Bob\t0\t3", 3, "the same person"),
        ("Bob\t1\t3", "Bob\t1\t1_0", 3, "the same person"),
        ("Bob\t1\t3", "Bob\t1\t٣", 3, "the same person"),
        ("Bob\t1\t3", "", 3, "the same person"),
        ("Bob\t1\tCleo\t1", "Bob\t1\t1", 5, "different people"),
        ("Bob\t1\tCleo\t1", "Bob\t1\tBob\t2", 5, "different people"),
        ("Bob\t1\tCleo\t1", "Bob\t-1\tCleo\t1", 5, "different people"),
    ],
)
def test_a_malformed_line_is_named(old: str, new: str, line: int, words: str) -> None:
    with pytest.raises(LoadError, match=words) as caught:
        parse_pairs(TEXT.replace(old, new), "list.txt")
    assert f"'list.txt', line {line}:" in str(caught.value)


def test_missing_and_superfluous_lines() -> None:
    with pytest.raises(LoadError, match=r"9 lines.*8 lines"):
        parse_pairs("\n".join(TEXT.splitlines()[:-1]))
    with pytest.raises(LoadError, match=r"9 lines.*10 lines"):
        parse_pairs(TEXT + "Dan\t1\tBob\t2\n")
    with pytest.raises(LoadError, match="empty"):
        parse_pairs(" \n")


def test_files_that_are_none(tmp_path: Path) -> None:
    with pytest.raises(LoadError, match="no such file"):
        read_pairs(tmp_path / "nothing.txt")
    with pytest.raises(LoadError, match="regular"):
        read_pairs(tmp_path)
    (tmp_path / "binary.txt").write_bytes(b"\xff\xfe\x00\x80")
    with pytest.raises(LoadError, match="UTF-8"):
        read_pairs(tmp_path / "binary.txt")


def test_pictures_from_paths() -> None:
    paths = [
        "Ann_A/Ann_A_0002.png",
        "Ann_A/Ann_A_0001.jpg.png",
        "Bob/Ann_A_0003.png",
        "Bob/holiday.png",
        "Bob/Bob_x.png",
    ]
    assert picture_rows(paths) == {("Ann_A", 2): 0, ("Ann_A", 1): 1}


def test_accuracy_by_hand() -> None:
    people = {"Ann_A": 0.0, "Bob": 0.4, "Cleo": 0.8, "Dan": 1.2}
    names = [(name, number) for name in people for number in (1, 2, 3)]
    angles = np.array([people[name] + 0.01 * number for name, number in names])
    embeddings = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    rows = {name: row for row, name in enumerate(names)}
    found = lfw_accuracy(parse_pairs(TEXT), embeddings, rows)
    assert found.folds.accuracies == (1.0, 1.0)
    assert (found.used, found.missing, found.missing_counted_wrong) == (8, 0, 1.0)
    del rows["Dan", 2]
    found = lfw_accuracy(parse_pairs(TEXT), embeddings, rows)
    assert (found.used, found.missing, found.missing_counted_wrong) == (7, 1, 7 / 8)


def test_pairs_of_other_pictures() -> None:
    with pytest.raises(OptionError, match="0 of 8 pairs"):
        lfw_accuracy(parse_pairs(TEXT), np.zeros((0, 2)), {})
