"""A file is written whole or not at all."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from minicnn.errors import OptionError
from minicnn.io.atomic import atomic_write, write_text


def test_content_arrives_and_nothing_else_is_left(tmp_path: Path) -> None:
    with atomic_write(tmp_path / "a.bin") as file:
        file.write(b"first")
        assert not (tmp_path / "a.bin").exists()  # not before it is complete
    assert (tmp_path / "a.bin").read_bytes() == b"first"
    assert os.listdir(tmp_path) == ["a.bin"]


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_an_error_keeps_the_old_content_and_removes_the_new(tmp_path: Path, error: type[BaseException]) -> None:
    write_text(tmp_path / "a.txt", "old")

    def interrupted() -> None:
        with atomic_write(tmp_path / "a.txt") as file:
            file.write(b"half of the n")
            raise error

    with pytest.raises(error):
        interrupted()
    assert (tmp_path / "a.txt").read_text() == "old"
    assert os.listdir(tmp_path) == ["a.txt"]


def test_a_failing_disk_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match=r"No space left on device: '.*a\.txt'"):
        write_text(tmp_path / "a.txt", "new")
    assert os.listdir(tmp_path) == []


def test_text_is_utf_8_with_its_newlines_untouched(tmp_path: Path) -> None:
    write_text(tmp_path / "a.txt", "größer\n")
    assert (tmp_path / "a.txt").read_bytes() == "größer\n".encode()


@pytest.mark.skipif(os.name != "posix", reason="permissions and symbolic links as POSIX has them")
def test_permissions_and_links_are_those_of_an_ordinary_file(tmp_path: Path) -> None:
    (tmp_path / "ordinary").write_text("")
    write_text(tmp_path / "a.txt", "new")
    assert (tmp_path / "a.txt").stat().st_mode == (tmp_path / "ordinary").stat().st_mode
    (tmp_path / "link").symlink_to(tmp_path / "a.txt")
    write_text(tmp_path / "link", "newer")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "a.txt").read_text() == "newer"


def test_wrong_places_are_refused(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="existing folder"):
        write_text(tmp_path / "missing" / "a.txt", "")
    with pytest.raises(OptionError, match="the folder"):
        write_text(tmp_path, "")
    assert os.listdir(tmp_path) == []
