"""What tests of photographs and datasets share."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


@pytest.fixture
def closed(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Folders that cannot be read, for root too."""
    real, refused = os.scandir, []

    def scandir(path):
        if Path(path) in refused:
            raise PermissionError(13, os.strerror(13), os.fspath(path))
        return real(path)

    monkeypatch.setattr(os, "scandir", scandir)
    return refused
