"""``minicnn check`` from the outside: a file and a function in it, a report, an exit code."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from minicnn.cli.main import app

SOURCE = """
print("the file's own words")
from neighbour import transposed

def right(x, kernel, bias):
    return x @ kernel + bias

def wrong(x, kernel, bias):
    return x @ kernel

def backward(dy, x, kernel):
    return transposed(kernel, dy), x.T @ dy, dy.sum(0)
"""


def run(*arguments: object) -> Result:
    result = CliRunner().invoke(app, ["check", *map(str, arguments)], env={"COLUMNS": "100"})
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


@pytest.fixture
def file(tmp_path: Path) -> Path:
    (tmp_path / "neighbour.py").write_text("def transposed(kernel, dy):\n    return dy @ kernel.T\n")
    path = tmp_path / "mine.py"
    path.write_text(SOURCE)
    return path


def test_a_right_function(file: Path) -> None:
    result = run(f"{file}:right", "--layer", "Dense", "--no-keras")
    assert result.exit_code == 0
    assert "right as Dense (forward): right in" in result.stdout


def test_a_wrong_function_is_diagnosed_and_fails(file: Path) -> None:
    result = run(f"{file}:wrong", "--layer", "Dense", "--no-keras")
    assert result.exit_code == 1
    assert "BIAS MISSING" in result.stdout
    assert "The smallest case that fails" in result.stdout


def test_backward_and_json(file: Path) -> None:
    result = run(f"{file}:backward", "--layer", "Dense", "--backward", "--json", "--no-keras")
    assert result.exit_code == 0
    data = json.loads(result.stdout)  # nothing else on stdout, whatever the file prints
    assert data["ok"] is True
    assert data["direction"] == "backward"
    assert data["not_returned"] == []


def test_gradients_that_do_not_come_are_named(file: Path) -> None:
    with file.open("a") as more:
        more.write("\ndef alone(dy, kernel):\n    return transposed(kernel, dy)\n")
    options = (f"{file}:alone", "--layer", "Dense", "--backward", "--no-keras")
    result = run(*options)
    assert result.exit_code == 0
    assert "cases; not checked: dkernel, dbias." in result.stdout
    assert json.loads(run(*options, "--json").stdout)["not_returned"] == ["dkernel", "dbias"]


def test_keras_is_asked(file: Path) -> None:
    pytest.importorskip("keras", reason="asks Keras")
    data = json.loads(run(f"{file}:wrong", "--layer", "Dense", "--json").stdout)
    assert data["example"]["keras"] == data["example"]["truth"]


def test_a_file_may_hold_what_modules_hold(tmp_path: Path) -> None:
    (tmp_path / "json.py").write_text(  # a name that a module of Python's own has
        "from __future__ import annotations\nfrom dataclasses import dataclass\n"
        "@dataclass\nclass Options:\n    size: int = 1\n"
        "def right(x, kernel, bias):\n    return x @ kernel + bias\n"
    )
    assert run(f"{tmp_path}/json.py:right", "--layer", "Dense", "--no-keras", "--json").exit_code == 0
    assert sys.modules["json"] is json


@pytest.mark.parametrize(
    ("place", "words"),
    [
        ("{folder}/none.py:f", "no such file"),
        ("{folder}:f", "a Python file"),
        ("{folder}/mine.py", "FILE.py:FUNCTION"),
        ("{folder}/mine.py:wrongg", "Did you mean 'wrong'?"),
        ("{folder}/mine.py:right --layer Densee", "Did you mean 'Dense'?"),
        ("{folder}/mine.py:right --layer Conv2D --backward", None),
        ("{folder}/broken.py:f", "broken.py, line 2: SyntaxError"),
        ("{folder}/failing.py:f", "failing.py, line 3: ZeroDivisionError"),
        ("{folder}/leaving.py:f", "leaving.py, line 1: SystemExit"),
        ("failing.py:f", "failing.py, line 3: ZeroDivisionError"),  # as most people type it
    ],
)
def test_what_is_refused(file: Path, place: str, words: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(file.parent)
    (file.parent / "broken.py").write_text("x = 1\ndef f(:\n")
    (file.parent / "failing.py").write_text("\n\n1 / 0\n")
    (file.parent / "leaving.py").write_text("raise SystemExit(0)\n")
    result = run(*place.format(folder=file.parent).split(), "--no-keras")
    assert result.exit_code == 1
    assert "Traceback" not in result.output
    if words:
        assert words in " ".join(result.stderr.split())
