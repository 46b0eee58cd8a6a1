"""The user's cache lies where the operating system wants it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from minicnn.user_cache import user_cache


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("XDG_CACHE_HOME", "LOCALAPPDATA"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(os.path, "expanduser", lambda path: path.replace("~", str(tmp_path)))
    return tmp_path


@pytest.mark.parametrize("platform, below", [("linux", ".cache"), ("darwin", "Library/Caches")])
def test_below_the_home_folder(home: Path, platform: str, below: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.platform", platform)
    assert user_cache("embeddings") == home / below / "minicnn" / "embeddings"


@pytest.mark.parametrize("platform, variable", [("linux", "XDG_CACHE_HOME"), ("win32", "LOCALAPPDATA")])
def test_where_the_environment_says(
    home: Path, platform: str, variable: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.platform", platform)
    monkeypatch.setenv(variable, str(tmp_path / "elsewhere"))
    assert user_cache("embeddings") == tmp_path / "elsewhere" / "minicnn" / "embeddings"


@pytest.mark.parametrize("platform", ["linux", "darwin", "win32"])
def test_a_user_without_a_home_has_none(home: Path, platform: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.platform", platform)
    monkeypatch.setattr(os.path, "expanduser", lambda path: path)  # what Python answers when there is no home
    assert user_cache("embeddings") is None
