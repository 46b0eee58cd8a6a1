"""The README's Python, as somebody would try it: one block after the other, in an empty folder."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("keras", reason="parity needs the extra 'keras'")

README = Path(__file__).parents[2] / "README.md"


def test_every_block_runs_after_the_ones_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    blocks = re.findall(r"^```python\n(.*?)^```", README.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    assert len(blocks) == 6
    for block in blocks:
        exec(compile(block, str(README), "exec"), names)
    output = capsys.readouterr().out
    assert re.search(r"\{'loss': 0\.\d+, 'accuracy': 1\.0\} \(40, 2\)", output)  # it learnt what it was to learn
    assert "\nTrue\n" in output  # every layer within the rule
    assert names["gradients"]["kernel"].shape == (3, 3, 1, 16)
    assert (tmp_path / "net.keras").exists()
    assert len(names["heat"]) == 2
