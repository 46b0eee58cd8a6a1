"""``minicnn parity`` from the outside: tables, JSON, a page, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from minicnn.cli.main import app

pytest.importorskip("keras", reason="compares with Keras: pip install 'minicnn[keras]'")


def run(*arguments: object, width: int = 60) -> Result:
    result = CliRunner().invoke(app, ["parity", *map(str, arguments)], env={"COLUMNS": str(width)})
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def test_the_help_names_every_family() -> None:
    from reference_keras.lab import FAMILIES

    words = run("--help").stdout.replace(",", " ").split()
    assert set(FAMILIES) <= set(words)


def test_families_as_a_table_that_fits(tmp_path: Path) -> None:
    page = tmp_path / "pages" / "parity.html"
    result = run("--only", "losses", "--only", "defaults", "--report", page)
    assert result.exit_code == 0
    assert max(map(len, result.stdout.splitlines())) <= 60
    assert "MeanSquaredError" in result.stdout
    assert "cases within the rule" in " ".join(result.stdout.split())
    html = page.read_text(encoding="utf-8")
    assert "<svg" in html
    assert "CategoricalCrossentropy(from_logits=True, label_smoothing=0.1)" in html.replace("&#39;", "'")
    assert "<script" not in html


def test_json_is_one_document() -> None:
    data = json.loads(run("--only", "schedules", "--json").stdout)
    assert data["ok"] is True
    assert {row["family"] for row in data["rows"]} == {"schedules"}
    assert data["versions"]["keras"]


@pytest.mark.slow
def test_a_network_layer_by_layer(tmp_path: Path) -> None:
    page = tmp_path / "network.html"
    result = run("face-cnn", "--input", "48x40x1", "--batch", "2", "--report", page, width=100)
    assert result.exit_code == 0
    assert "First layer that diverges: none" in result.stdout
    assert "face_cnn" in page.read_text(encoding="utf-8")


@pytest.mark.parametrize("arguments", [("--only", "colours"), ("no-such-network",)])
def test_what_is_refused(arguments: tuple[str, ...]) -> None:
    result = run(*arguments)
    assert result.exit_code == 1
    assert result.stderr.count("Error: ") == 1
