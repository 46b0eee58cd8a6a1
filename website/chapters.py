"""The head of a chapter: which names it explains, where their code and tests are, how to check one's own.

A chapter's front matter lists them, so that a test can ask whether every layer has its place and every file is there:

    covers: [MaxPooling2D]                      public names of minicnn
    code: [minicnn/ops/max_pooling.py]          in the order in which to read
    tests: [tests/unit/ops/test_pooling.py]
"""

from __future__ import annotations

import posixpath
from collections.abc import Mapping, Sequence
from typing import Any

from minicnn.checking import SUBJECTS
from website import reference


def headed(markdown: str, meta: Mapping[str, Any], place: str) -> str:
    """The page with those lines between its title and its first sentence; unchanged without front matter."""
    rows = [row for row in (_names(meta), _code(meta, place), _tests(meta), _checks(meta)) if row]
    if not rows:
        return markdown
    title, _, rest = markdown.lstrip().partition("\n")
    return "\n".join([title, "", '<div class="facts" markdown>', "", *rows, "</div>", "", rest])


def _names(meta: Mapping[str, Any]) -> str:
    return _row("Names", [f"[`{name}`][{reference.address(name)}]" for name in meta.get("covers", ())], ", ")


def _code(meta: Mapping[str, Any], place: str) -> str:
    links = []
    for path in meta.get("code", ()):
        module = path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
        page = reference.place(module)
        known = any(module in names for names in reference.modules().values())
        links.append(f"[`{path}`]({posixpath.relpath(page, posixpath.dirname(place))})" if known else f"`{path}`")
    return _row("Code", links)


def _tests(meta: Mapping[str, Any]) -> str:
    return _row("Tests", [f"`{path}`" for path in meta.get("tests", ())])


def _checks(meta: Mapping[str, Any]) -> str:
    """Commands that check the reader's own version of what the chapter explains."""
    commands = []
    for name in meta.get("covers", ()):
        for direction, option in (("forward", ""), ("backward", " --backward")):
            if (name, direction) in SUBJECTS:
                commands.append(f"`minicnn check mine.py:f --layer {name}{option}`")
    return _row("Check yours", commands)


def _row(title: str, items: Sequence[str], between: str = "<br>") -> str:
    return f"{title}\n:   {between.join(items)}\n" if items else ""
