"""How commands speak: strict JSON, narrow tables, one clean message for what is refused."""

from __future__ import annotations

import errno
import io
import json
import sys
from pathlib import Path

import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from minicnn.cli import console, main
from minicnn.cli.networks import architecture, parse_shape
from minicnn.errors import OptionError, ShapeError


def command(error: BaseException) -> typer.Typer:
    app = typer.Typer(cls=console.Commands, pretty_exceptions_enable=False)

    @app.command()
    def fails() -> None:
        raise error

    @app.command()
    def works() -> None:
        console.print_json({"fine": True})

    return app


@pytest.mark.parametrize(
    "error, message",
    [
        (ShapeError("Expected a. Received: b."), "Error: Expected a. Received: b."),
        (
            PermissionError(errno.EACCES, "Permission denied", "out/x.png"),
            "Error: 'out/x.png': Permission denied. "
            "Choose a place that you may read and write, or change its permissions.",
        ),
        (OSError(errno.EIO, "Input/output error", "x.png"), "Error: 'x.png': Input/output error."),
        (OSError("no number"), "Error: no number."),
        (MemoryError(), "Error: Not enough memory. Use a smaller --batch or --input."),
    ],
)
def test_what_is_expected_to_fail_is_one_message_on_stderr(error: Exception, message: str) -> None:
    result = CliRunner().invoke(command(error), ["fails"], env={"COLUMNS": "200"})
    assert result.exit_code == console.FAILED == 1
    assert result.stderr.strip() == message
    assert result.stdout == ""


def test_a_bug_keeps_its_traceback() -> None:
    result = CliRunner().invoke(command(ZeroDivisionError("a bug")), ["fails"])
    assert isinstance(result.exception, ZeroDivisionError)


def test_a_reader_that_went_away_is_no_error_message() -> None:
    result = CliRunner().invoke(command(BrokenPipeError(errno.EPIPE, "Broken pipe")), ["fails"])
    assert "Error" not in result.stderr


def test_success_is_exit_code_0() -> None:
    result = CliRunner().invoke(command(ZeroDivisionError()), ["works"])
    assert result.exit_code == 0
    assert json.loads(result.stdout) == {"fine": True}


def test_json_is_strict() -> None:
    data = {"nan": float("nan"), "inf": -np.float32("inf"), "array": np.arange(3), 1: (Path("a"), np.bool_(True), None)}
    text = console.to_json(data)
    parsed = json.loads(text, parse_constant=lambda name: pytest.fail(f"{name} is not JSON"))
    assert parsed == {"nan": "nan", "inf": "-inf", "array": [0, 1, 2], "1": ["a", True, None]}


HOSTILE = "red\x1b[31m\udce9.jpg"  # repaints a terminal; and its name on the disk is no UTF-8
SHOWN = r"red\x1b[31m\udce9.jpg"


def test_names_cannot_command_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    console.say(HOSTILE)
    console.note(HOSTILE)
    with pytest.raises(typer.Exit):
        console.fail(f"two\nlines {HOSTILE}")
    console.table(HOSTILE, [console.Column("")], [[HOSTILE]])
    console.show(HOSTILE)
    out, err = capsys.readouterr()
    assert err == f"{SHOWN}\n{SHOWN}\nError: two\nlines {SHOWN}\n"
    assert [line.strip() for line in out.splitlines() if line.strip()] == [SHOWN, SHOWN, SHOWN]


def test_names_stay_what_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    """To Rich, brackets are markup and words between colons are pictures."""
    console.show("[red]:dog:.jpg")
    console.say("[red]:dog:.jpg")
    out, err = capsys.readouterr()
    assert out.strip() == err.strip() == "[red]:dog:.jpg"


def test_json_survives_every_encoding() -> None:
    text = console.to_json({"photo": HOSTILE, "person": "林"})
    assert text.isascii()
    assert json.loads(text) == {"photo": HOSTILE, "person": "林"}


def test_a_stream_without_the_letters_is_no_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr(sys, "stdout", stream)
    monkeypatch.setattr(sys, "argv", ["minicnn", "--version"])
    with pytest.raises(SystemExit):
        main.main()
    print("Zoë")
    stream.flush()
    assert stream.buffer.getvalue().splitlines()[1] == rb"Zo\xeb"  # type: ignore[attr-defined]


@pytest.mark.parametrize("width", [40, 60, 120])
def test_tables_fit_and_lose_nothing(
    width: int, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    columns = [console.Column("name"), console.Column("[n]", "right"), console.Column("wide", least_width=100)]
    name = "a-name-of-a-photograph-that-is-rather-long[red].jpg"
    console.table("A [bold]title[/bold]", columns, [(name, 12345, "extra")])
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= width
    assert lines[0].strip() == "A [bold]title[/bold]"  # markup in names is shown, not obeyed
    assert lines[1].split()[:2] == ["name", "[n]"]  # in titles too
    text = "".join(line[: line.find("12345") if "12345" in line else None].strip() for line in lines[2:])
    assert name in text.replace(" ", "")
    assert ("extra" in "".join(lines)) == (width >= 100)


def test_a_title_has_the_width_of_the_terminal(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    console.table("A title that is longer than its table", [console.Column("n")], [(1,)])
    assert capsys.readouterr().out.splitlines()[0].strip() == "A title that is longer than its table"


def test_results_are_called_like_their_photograph(tmp_path: Path) -> None:
    place = Path("photos")
    names = ["a/b.jpg", "a-b.jpg", "b.jpg", "b.png"]
    targets = {console.result_path(tmp_path, place / name, place, "-1.png") for name in names}
    assert targets == {tmp_path / f"{name}-1.png" for name in names}
    assert (tmp_path / "a").is_dir()
    single = Path("somewhere/b.jpg")
    assert console.result_path(tmp_path, single, single, "-1.png") == tmp_path / "b.jpg-1.png"


def test_shapes_on_the_command_line() -> None:
    assert parse_shape("224x200X3") == (224, 200, 3)
    for wrong in ("224", "224x224", "0x3x3", "9999x9x3", "-1x2x3", "224x224x3x1", "axbxc", ""):
        with pytest.raises(OptionError, match="ROWSxCOLUMNSxCHANNELS"):
            parse_shape(wrong)


def test_networks_by_name() -> None:
    assert architecture("vgg-face", top=False).rows[-1].name == "pool5"
    assert architecture("face-cnn", "64x64x3", 7).input_shape == (64, 64, 3)
    with pytest.raises(OptionError, match="face-cnn, residual-cnn or vgg-face"):
        architecture("resnet")
    with pytest.raises(OptionError, match="--no-top"):
        architecture("face-cnn", top=False)
