"""What the commands say, and where: results to stdout, everything else to stderr.

So ``minicnn compare --json > out.json`` gives a clean file whatever happens on the way: progress, notes and errors go
to the other stream. Where stdout is no terminal, there are no colours either; that much Rich sees for itself.

Names of files may hold anything: bytes that are no UTF-8, codes that repaint a terminal. Both are shown as ``\\udce9``
and ``\\x1b``, and JSON is plain ASCII, so no encoding of a stream can break it.
"""

from __future__ import annotations

import errno
import json
import shlex
import tempfile
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import typer
from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text
from typer.core import TyperGroup

from minicnn.errors import MinicnnError, OptionError, explain
from minicnn.report.text import strict

FAILED = 1  # exit code for what was refused, and for a comparison that does not hold; 2 is wrong usage, 0 only success

#: What to do about what the operating system refuses; its own words say what it was.
REFUSALS = {
    errno.EACCES: "Choose a place that you may read and write, or change its permissions.",
    errno.EPERM: "Choose a place that you may read and write, or change its permissions.",
    errno.EROFS: "Choose a place that can be written to.",
    errno.EEXIST: "It is a file: give a folder, or another name.",
    errno.ENOTDIR: "A part of this path is a file: give a folder.",
    errno.EISDIR: "It is a folder: give a file.",
    errno.ENOENT: "Check the name and the folder.",
    errno.ENOSPC: "Make room, or choose a place on another disk.",
    errno.EDQUOT: "Make room, or choose a place on another disk.",
    errno.ENAMETOOLONG: "Give a shorter name.",
}

WHOLE = 1000  # letters: no first sentence is longer

Json = Annotated[bool, typer.Option("--json", help="Print data for programs instead of tables for people.")]


def out() -> Console:
    """For results. Made anew each time, because tests and pipes exchange ``sys.stdout``."""
    return Console(highlight=False, emoji=False)


def err() -> Console:
    """For everything that is no result: progress, notes, errors."""
    return Console(stderr=True, highlight=False, emoji=False)


class Commands(TyperGroup):
    """The commands, with one way to fail: a clean message on stderr and exit code 1, never a traceback.

    Only what minicnn raises on purpose, and what the operating system refuses, is expected. Anything else is a bug,
    and a bug should show its traceback.
    """

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except MinicnnError as error:
            message = str(error)
        except MemoryError:
            message = "Not enough memory. Use a smaller --batch or --input."
        except OSError as error:
            if error.errno == errno.EPIPE:  # the reader of our output went away: `minicnn summary vgg-face | head`
                raise
            where = f"'{error.filename}': " if error.filename else ""
            message = f"{where}{error.strerror or error}. {REFUSALS.get(error.errno or 0, '')}".rstrip()
        fail(message)

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """The list of commands in the help: all of each one's first sentence, where the parent class cuts it off."""
        commands = [(name, self.get_command(ctx, name)) for name in self.list_commands(ctx)]
        with formatter.section("Commands"):
            formatter.write_dl([(name, each.get_short_help_str(WHOLE)) for name, each in commands if each])


def visible(words: str) -> str:
    """``words`` on their lines, but what would command a terminal, and what is no character at all, written out.

    >>> print(visible("red\\x1b[31m.jpg"))
    red\\x1b[31m.jpg
    """
    return "".join(c if c == "\n" or unicodedata.category(c) not in ("Cc", "Cs") else ascii(c)[1:-1] for c in words)


def fail(message: str) -> None:
    """Print ``message`` on stderr and end the command with exit code 1."""
    _remark(Text.assemble(("Error: ", "bold red"), visible(message)))
    raise typer.Exit(FAILED)


def show(words: str, *, fold: bool = True) -> None:
    """Lines of a result on stdout; ``fold`` breaks them at the terminal's edge."""
    out().print(visible(words), markup=False, soft_wrap=not fold)


def say(words: str) -> None:
    """A line on stderr, as it is."""
    err().print(visible(words), markup=False, soft_wrap=True)


def note(message: str) -> None:
    """Something worth knowing that is no result."""
    _remark(Text(visible(message), style="yellow"))


def _remark(words: Text) -> None:
    """On stderr: broken at the edge of a terminal, one line for programs and files."""
    console = err()
    console.print(words, soft_wrap=not console.is_terminal)


def print_json(data: Any) -> None:
    """One JSON document on stdout. Strict JSON has no NaN and no infinity: they become the strings "nan", "inf",
    "-inf".
    """
    typer.echo(to_json(data))


def to_json(data: Any) -> str:
    """``data`` as strict JSON, in ASCII."""
    return json.dumps(strict(data), indent=2, allow_nan=False)


class Column(NamedTuple):
    """A column of a table. ``least_width``: narrower terminals go without it (the data are in ``--json`` all the
    same).
    """

    title: str
    justify: str = "left"
    least_width: int = 0


def table(title: str, columns: Sequence[Column], rows: Iterable[Sequence[object]]) -> None:
    """Print a table on stdout. Cells are plain text, or ``Text`` with colours; long ones fold, so nothing is cut
    off.
    """
    console = out()
    shown = [index for index, column in enumerate(columns) if console.width >= column.least_width]
    grid = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0))
    for index in shown:
        grid.add_column(Text(columns[index].title), justify=columns[index].justify, overflow="fold")  # type: ignore[arg-type]
    for row in rows:
        cells = [row[i] for i in shown]
        grid.add_row(*(cell if isinstance(cell, Text) else Text(visible(str(cell))) for cell in cells))
    console.print(Text(visible(title), style="table.title"))  # beside the table: within, it folds at the table's edge
    console.print(grid)


def verdict(ok: bool) -> Text:
    """A word, not only a colour: colours are lost in a pipe, and on some eyes."""
    return Text("ok", style="green") if ok else Text("FAIL", style="bold red")


# -- files ------------------------------------------------------------------------------------------------------------


def output_folder(folder: Path) -> Path:
    """Make the folder that results go to, and make sure they can: better now than after minutes of work."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryFile(dir=folder):
        return folder


def require_html(option: str, path: Path | None) -> None:
    """Pages are written to files that say so: the name of something else was a slip. Raises OptionError."""
    if path is not None and path.suffix.lower() not in (".html", ".htm"):
        raise OptionError(explain(f"{option} with a name that ends in .html", f"'{path}'"))


def below(photo: Path, place: Path) -> Path:
    """What a photograph is called: its path below the folder ``place`` that was given, or the name of the file."""
    return photo.relative_to(place) if photo != place else Path(photo.name)


def result_path(folder: Path, photo: Path, place: Path, ending: str) -> Path:
    """Where to write what is made of a photograph: "s1/2.pgm" below ``place`` -> "s1/2.pgm" + ending below ``folder``.

    The photograph's suffix stays in the name, so that a.jpg and a.png do not overwrite each other.
    """
    name = below(photo, place)
    target = folder / name.with_name(name.name + ending)
    target.parent.mkdir(parents=True, exist_ok=True)
    return target


def report_problems(problems: Sequence[Mapping[str, Any]], found: int) -> None:
    """One line on stderr for every photograph that could not be used. Nothing found at all is an error, with advice."""
    if not found:
        from detection.crop import ADVICE

        advice = f" {ADVICE}" if any(problem["readable"] for problem in problems) else ""
        if len(problems) == 1:
            fail(f"{problems[0]['problem']}{advice}")
    for problem in problems:
        note(problem["problem"])
    if not found:
        fail(f"No face found in any of the photographs.{advice}")


def problem(searched: Any) -> dict[str, Any]:
    """A photograph that could not be used (a ``detection.collect.Searched``): which, why, and could it be read at
    all?
    """
    return {"photo": str(searched.photo), "problem": searched.problem, "readable": searched.rgb is not None}


# -- what is going on -------------------------------------------------------------------------------------------------


@contextmanager
def working(what: str) -> Iterator[None]:
    """A spinner on stderr while something takes long; a plain line where there is no terminal."""
    console = err()
    if console.is_terminal:
        with console.status(Text(what)):
            yield
    else:
        console.print(Text(f"{what} ..."), soft_wrap=True)
        yield


@contextmanager
def steps(*, still: bool = False) -> Iterator[Callable[[str], None]]:
    """``say(what)`` shows on stderr what is going on: one line that changes, or lines where there is no terminal.

    ``still``: nothing is drawn but when something is said, where every moment of the processor is counted.
    """
    console = err()
    if console.is_terminal and still:
        with Live(console=console, auto_refresh=False, transient=True) as live:
            yield lambda what: live.update(Text(what), refresh=True)
    elif console.is_terminal:
        with console.status("") as status:
            yield lambda what: status.update(Text(what))
    else:
        yield lambda what: console.print(Text(what), soft_wrap=True)


def command_line(arguments: Sequence[str]) -> str:
    """What was typed, so that a report says how to make it again."""
    return shlex.join(["minicnn", *arguments[1:]])
