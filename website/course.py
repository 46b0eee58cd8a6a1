"""The course as pages: the scripts in ``notebooks/``, text and code, without what running them prints."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jupytext

NOTEBOOKS = Path(__file__).resolve().parents[1] / "notebooks"


def scripts() -> list[Path]:
    """The course's notebooks as scripts, in order."""
    return sorted(NOTEBOOKS.glob("[0-9]*.py"))


def title(notebook: Any) -> str:
    """The heading that a notebook begins with."""
    return str(notebook.cells[0].source.splitlines()[0].removeprefix("# "))


def place(script: Path) -> str:
    """Where the page of a notebook lies."""
    return f"course/{script.stem}.md"


def pages() -> dict[str, str]:
    """Every notebook as Markdown."""
    return {place(script): _page(jupytext.read(script), script.stem) for script in scripts()}


def navigation() -> list[dict[str, str]]:
    """The course's part of the table of contents."""
    return [{"The course": "course/index.md"}, *({title(jupytext.read(s)): place(s)} for s in scripts())]


def _page(notebook: Any, name: str) -> str:
    parts = []
    for cell in notebook.cells:
        parts.append(cell.source if cell.cell_type == "markdown" else f"```python\n{cell.source}\n```")
    here = f"*This is `notebooks/{name}.ipynb`, to be run and changed: see [how to start](index.md).*"
    return "\n\n".join([parts[0], here, *parts[1:]])
