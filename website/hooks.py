"""Where MkDocs calls in: pages are made, formulas and pictures drawn, chapters given their head."""

from __future__ import annotations

from typing import Any

from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files

from website import chapters, commands, course, formulas, pages, pictures, reference


def on_config(config: Any) -> Any:
    """The parts of the table of contents that are made."""
    for entry in config.nav:
        if "Reference" in entry:
            entry["Reference"] = reference.navigation()
        if "Course" in entry:
            entry["Course"] = course.navigation()
    return config


def on_files(files: Files, config: Any) -> Files:
    """The pages that are made."""
    made = pages.copies() | reference.pages() | course.pages() | {"commands.md": commands.page()}
    for place, text in made.items():
        files.append(File.generated(config, place, content=text))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """What a chapter's front matter says of it, below its title."""
    return chapters.headed(markdown, page.meta, page.file.src_uri)


def on_page_content(html: str, page: Any, **_: Any) -> str:
    """Formulas and pictures, drawn."""
    try:
        return pictures.drawn(formulas.typeset(html))
    except (ValueError, KeyError) as error:
        raise PluginError(f"{page.file.src_uri}: {error}") from error
