"""The course: its notebooks run from top to bottom, and every exercise is marked as it should be."""

from __future__ import annotations

import ast
import importlib
import sys
from pathlib import Path
from typing import Any

import jupytext
import nbclient
import nbformat
import pytest

from detection.images import write_image
from detection.orl import load_orl
from minicnn.checking import CheckReport
from minicnn.errors import OptionError
from website import course

SCRIPTS = course.scripts()


def tagged(notebook: Any, tag: str) -> list[str]:
    return [cell.source for cell in notebook.cells if tag in cell.metadata.get("tags", ())]


def test_there_are_eight_in_order() -> None:
    assert [script.name[:3] for script in SCRIPTS] == [f"0{k}_" for k in range(1, 9)]


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_script_and_notebook_are_the_same(script: Path) -> None:
    """``make course`` brings them together: the script is what one edits, the notebook what one opens."""
    source, notebook = jupytext.read(script), nbformat.read(script.with_suffix(".ipynb"), as_version=4)
    nbformat.validate(notebook)
    cells = [(cell.cell_type, cell.source, cell.metadata.get("tags", [])) for cell in notebook.cells]
    assert cells == [(cell.cell_type, cell.source, cell.metadata.get("tags", [])) for cell in source.cells]
    assert not any(cell.get("outputs") or cell.get("execution_count") for cell in notebook.cells)


@pytest.mark.slow
@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_it_runs_from_top_to_bottom(script: Path) -> None:
    """With the blanks still in it: what a reader meets first. An exception in a cell fails."""
    notebook = jupytext.read(script)
    client = nbclient.NotebookClient(notebook, timeout=600, resources={"metadata": {"path": str(script.parent)}})
    client.execute()
    for cell in notebook.cells:
        if "check" in cell.metadata.get("tags", ()):
            assert "wrong in" in cell.outputs[-1]["data"]["text/plain"]


def test_ones_own_photographs_take_the_place_of_the_faces_that_come_along(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.syspath_prepend(str(course.NOTEBOOKS))
    helpers = importlib.import_module("course")
    for name, persons in (("Anna", (0, 1)), ("Ben", (10, 11))):
        (tmp_path / name).mkdir()
        for i in persons:
            large = load_orl().images[i].repeat(2, axis=0).repeat(2, axis=1)
            write_image(tmp_path / name / f"{i}.png", large)
    (tmp_path / ".ipynb_checkpoints").mkdir()  # as Jupyter leaves them
    (tmp_path / "Ben" / "wall.png").write_bytes((tmp_path / "Ben" / "10.png").read_bytes()[:100])
    x, who, names = helpers.own_crops(tmp_path, 32)
    assert x.shape == (4, 32, 32, 1)
    assert 0 <= x.min() < x.max() <= 1
    assert who.tolist() == [0, 0, 1, 1]
    assert names == ["Anna", "Ben"]
    assert "wall.png" in capsys.readouterr().out

    (tmp_path / "Ben" / "10.png").unlink()
    with pytest.raises(OptionError, match="at least two people with two faces each"):
        helpers.own_crops(tmp_path, 32)


EXERCISES = [
    pytest.param(script, place, id=f"{script.stem}-{name}")
    for script in SCRIPTS
    for place, name in enumerate(
        ast.parse(source).body[-1].name for source in tagged(jupytext.read(script), "exercise")
    )
]


def marked(script: Path, place: int, answer: str, monkeypatch: pytest.MonkeyPatch) -> CheckReport:
    """What the check behind an exercise says of the ``answer``."""
    monkeypatch.setattr(sys, "path", [str(script.parent), *sys.path])
    imports = [
        line for cell in jupytext.read(script).cells if cell.cell_type == "code" for line in imported(cell.source)
    ]
    check = ast.parse(tagged(jupytext.read(script), "check")[place])
    value = check.body.pop()
    assert isinstance(value, ast.Expr)
    names: dict[str, Any] = {}
    exec("\n".join(imports), names)
    exec(answer, names)
    exec(compile(check, "check", "exec"), names)
    report = eval(compile(ast.Expression(value.value), "check", "eval"), names)
    assert isinstance(report, CheckReport)
    return report


def imported(source: str) -> list[str]:
    """The lines of a cell that import NumPy or minicnn, at its outer level."""
    wanted = [node for node in ast.parse(source).body if isinstance(node, ast.Import | ast.ImportFrom)]
    lines = [ast.unparse(node) for node in wanted]
    return [line for line in lines if line.startswith(("import numpy", "from minicnn"))]


@pytest.mark.parametrize("script, place", EXERCISES)
def test_the_blank_is_met_with_help(script: Path, place: int, monkeypatch: pytest.MonkeyPatch) -> None:
    blank = tagged(jupytext.read(script), "exercise")[place]
    report = marked(script, place, blank, monkeypatch)
    assert not report.ok
    if "NotImplementedError" in blank:
        assert report.example is not None
        assert "NotImplementedError: Hint: " in report.example.problem
    else:
        assert [diagnosis.name for diagnosis in report.diagnoses]
        assert not report.unexplained


@pytest.mark.parametrize("script, place", EXERCISES)
def test_the_solution_passes(script: Path, place: int, monkeypatch: pytest.MonkeyPatch) -> None:
    solutions = (script.parent / "solutions" / script.name).read_text(encoding="utf-8")
    report = marked(script, place, solutions, monkeypatch)
    assert report.ok, report
