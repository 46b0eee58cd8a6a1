"""CSV files: what a spreadsheet opens, and what comes back."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from minicnn.io.tables import plain, write_table

HARMFUL = ["=1+1", "+1", "-2+3|'calc'!A1", "@SUM(A1)", "\t=1", "\r=1", "'=1", "''@x"]


def read(path: Path) -> list[list[str]]:
    with open(path, encoding="utf-8", newline="") as file:
        return list(csv.reader(file))


@pytest.mark.parametrize("text", HARMFUL)
def test_no_text_is_a_formula(text: str, tmp_path: Path) -> None:
    write_table(tmp_path / "a.csv", ["name"], [[text]])
    ((_,), (cell,)) = read(tmp_path / "a.csv")
    assert cell == f"'{text}"
    assert plain(cell) == text


def test_numbers_and_other_texts_stay(tmp_path: Path) -> None:
    write_table(tmp_path / "a.csv", ["a", "b", "c"], [[-5, -0.25, "O'Brien, Zoë"], [True, "", "'tis"]])
    assert (tmp_path / "a.csv").read_bytes() == "a,b,c\r\n-5,-0.25,\"O'Brien, Zoë\"\r\nTrue,,'tis\r\n".encode()
    write_table(tmp_path / "none.csv", [], [])
    assert (tmp_path / "none.csv").read_bytes() == b""


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=st.text(st.sampled_from("'=+-@\t\r\na,\"é")))
def test_the_way_back_whatever_the_text(text: str, tmp_path: Path) -> None:
    write_table(tmp_path / "a.csv", ["first", "name"], [["x", text]])
    assert plain(read(tmp_path / "a.csv")[1][1]) == text
