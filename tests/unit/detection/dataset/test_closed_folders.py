"""A dataset at the top of a disk, where the system keeps folders that nobody may read."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from detection.dataset.load import crop_files
from minicnn.errors import ImageError
from tests.unit.detection.dataset.people import write_people


@pytest.mark.parametrize("name", ["lost+found", "System Volume Information", "$RECYCLE.BIN", ".Trash-0"])
def test_what_the_system_keeps_for_itself_is_passed_over(name: str, closed: list[Path], tmp_path: Path) -> None:
    write_people(tmp_path, people=2, shots=1)
    (tmp_path / name).mkdir()
    closed.append(tmp_path / name)
    assert crop_files(tmp_path) == {"p0/0.png": "p0", "p1/0.png": "p1"}
    assert crop_files(os.fspath(tmp_path)) == {"p0/0.png": "p0", "p1/0.png": "p1"}


@pytest.mark.parametrize("name", ["p1", "p1/lost+found", "found", "p$"])
def test_a_folder_of_somebody_is_an_error(name: str, closed: list[Path], tmp_path: Path) -> None:
    write_people(tmp_path, people=2, shots=1)
    (tmp_path / name).mkdir(exist_ok=True)
    closed.append(tmp_path / name)
    with pytest.raises(ImageError, match=r"can be read\. Received: Permission denied") as refused:
        crop_files(tmp_path)
    assert str(tmp_path / name) in str(refused.value)
