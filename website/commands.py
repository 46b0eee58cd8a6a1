"""The page of every command, from the command line itself: the words of ``--help``, laid out for a page.

Nothing is written twice, so nothing can go stale: usage, text, options and defaults come from the Typer application.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from typing import Any

import typer.main

from minicnn.cli.main import app

Words = tuple[str, ...]

INTRODUCTION = """# Commands

Each command prints its results to stdout and everything else to stderr; `--json` gives every table as data. The exit
code is 0 only for success, 1 for what was refused or does not hold, 2 for wrong usage. What follows is what
`--help` says.
"""


def commands(group: Any = None, words: Words = ("minicnn",)) -> Iterator[tuple[Words, Any]]:
    """Every command with the words that call it, ``("minicnn", "dataset", "build")``; those of groups too."""
    group = group or typer.main.get_command(app)
    for name, command in group.commands.items():
        below = (*words, name)
        if hasattr(command, "commands"):
            yield from commands(command, below)
        else:
            yield below, command


def page() -> str:
    """The whole page as Markdown."""
    return "\n".join([INTRODUCTION, *(_section(words, command) for words, command in commands())])


def _section(words: Words, command: Any) -> str:
    context = command.context_class(command, info_name=" ".join(words))
    call = " ".join([*words, *command.collect_usage_pieces(context)])
    lines = [f"## {' '.join(words)}", "", f"```text\n{call}\n```", "", _prose(command.help or ""), ""]
    for parameter in command.get_params(context):
        record = parameter.get_help_record(context)
        if record is not None and "--help" not in record[0]:
            name, text = record
            lines += [f"`{name.replace('  ', ' ')}`", f":   {_plain(text) or '(required)'}", ""]
    return "\n".join(lines)


def _prose(text: str) -> str:
    """A docstring's paragraphs; its examples as code, one per line."""
    paragraphs = []
    for paragraph in re.split(r"\n\s*\n", text.strip()):
        match = re.match(r"Examples?:\s+(.*)", paragraph, re.DOTALL)
        if match:
            calls = [call.strip() for call in re.split(r"\n|\s{2,}(?=minicnn )", match[1])]
            block = "\n".join(filter(None, calls)) + "\n```"
            further = bool(paragraphs) and paragraphs[-1].endswith("```")
            before = paragraphs.pop().removesuffix("```") if further else "```\n"
            paragraphs.append(before + block)
        else:
            paragraphs.append(_plain(paragraph))
    return "\n\n".join(paragraphs)


def _plain(text: str) -> str:
    """Words on one line, with what Markdown and HTML would take for their own made harmless (but code stays code)."""
    parts = re.split(r"(`[^`]*`)", " ".join(text.split()))
    return "".join(p if p.startswith("`") else re.sub(r"([*_])", r"\\\1", html.escape(p, quote=False)) for p in parts)
