"""``minicnn`` as somebody in a terminal meets it: words in, and out come text on two streams and an exit code."""

from __future__ import annotations

from typer.testing import CliRunner, Result

from minicnn.cli.main import app

WIDTH = 60  # columns; every table has to fit


def run(*arguments: object, width: int = WIDTH) -> Result:
    """A command in a narrow terminal. What it raises, other than its exit, is a failure of the test."""
    words, columns = [str(a) for a in arguments], {"COLUMNS": str(width)}
    result = CliRunner().invoke(app, words, env=columns, terminal_width=width)
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def refused(result: Result) -> str:
    """The message of a command that was expected to fail, without line breaks."""
    assert result.exit_code == 1
    assert "Traceback" not in result.output
    assert result.stderr.count("Error: ") == 1
    return " ".join(result.stderr.split())
