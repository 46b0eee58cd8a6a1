"""Pages whose text stands elsewhere in the checkout: there it is read on its own, here it is part of the site."""

from __future__ import annotations

import posixpath
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]

#: Where a file of the checkout has its page.
PAGES = {
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
    "README.md": "readme.md",
    "benchmarks/README.md": "benchmarks/index.md",
    "benchmarks/RESULTS.md": "benchmarks/results.md",
    "benchmarks/RECOGNITION.md": "benchmarks/recognition.md",
    "benchmarks/NOTES.md": "benchmarks/notes.md",
    "docs/architecture.md": "architecture.md",
    "docs/from_keras.md": "from_keras.md",
}
LINK = re.compile(r"\]\((?!\w+:|#)([^)\s#]+)(#[^)\s]*)?\)")


def copies() -> dict[str, str]:
    """The text of every page that is copied, by the place of the page."""
    return {
        page: moved((ROOT / source).read_text(encoding="utf-8"), source)
        for source, page in PAGES.items()
        if not source.startswith("docs/")
    }


def moved(text: str, source: str) -> str:
    """``text`` of the file ``source`` with the links between files turned into links between pages.

    Raises KeyError for a link to a file that has no page.
    """

    def link(match: re.Match[str]) -> str:
        target = posixpath.normpath(posixpath.join(posixpath.dirname(source), match[1]))
        here = posixpath.dirname(PAGES[source])
        return f"]({posixpath.relpath(PAGES[target], here or '.')}{match[2] or ''})"

    return LINK.sub(link, text)
