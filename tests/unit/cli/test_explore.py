"""``minicnn explore`` from the outside: what it opens, what it writes, and what it refuses."""

from __future__ import annotations

import json
import socket
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from detection.images import write_image
from detection.orl import load_orl
from minicnn.cli import explore_steps
from minicnn.errors import OptionError
from minicnn.explorer import costs, serving
from minicnn.layers import Conv2DTranspose, Dense, Flatten
from minicnn.roofline import Limits
from minicnn.sequential import Sequential
from minicnn.summary import summarize
from tests.unit.cli.terminal import refused, run
from tests.unit.explorer.conftest import small_network


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A network, a photograph, and a picture of nobody."""
    folder = tmp_path_factory.mktemp("files")
    small_network().save(folder / "small.npz")
    write_image(folder / "face.png", load_orl().images[10].repeat(2, axis=0).repeat(2, axis=1))
    write_image(folder / "wall.png", np.full((90, 90, 3), 90, np.uint8))
    (folder / "text.jpg").write_text("no picture")
    return folder


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Explorers that would have been served."""
    explorers: list[Any] = []

    def serve(explorer: Any, listening: socket.socket, **options: Any) -> None:
        listening.close()
        explorers.append((explorer, options))

    monkeypatch.setattr(serving, "serve", serve)
    return explorers


def test_a_network_and_a_photograph_are_opened(files: Path, served: list[Any]) -> None:
    result = run("explore", files / "small.npz", files / "face.png", "--no-keras", "--no-browser")
    assert result.exit_code == 0, result.output
    ((explorer, options),) = served
    assert explorer.subject.model.name == "small"
    assert explorer.scene().photo.name == "face.png"
    assert options["browser"] is False
    assert "--no-keras" in explorer.beside.absent


def test_a_photograph_alone_is_looked_at_by_the_small_network(files: Path, served: list[Any]) -> None:
    result = run("explore", files / "face.png", "--no-keras")
    assert result.exit_code == 0, result.output
    explorer = served[0][0]
    assert (explorer.subject.model.name, explorer.scene().photo.name) == ("face_cnn", "face.png")
    assert "random" in explorer.subject.note


def test_without_keras_the_page_says_what_to_install(
    files: Path, served: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    from minicnn.errors import missing
    from reference_keras import backend

    def require() -> None:
        raise missing("keras", "keras", "Comparing with Keras")

    monkeypatch.setattr(backend, "require_tensorflow", require)
    run("explore", files / "small.npz", files / "face.png")
    assert "pip install 'minicnn[keras]'" in served[0][0].beside.absent


def test_what_tensorflow_cannot_do_is_said_where_its_number_would_stand(
    files: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("keras", reason="compares with Keras: pip install 'minicnn[keras]'")
    monkeypatch.setattr(costs, "_limits", lambda: Limits(100.0, 10.0))
    layers = [Conv2DTranspose(1, 3, dilation_rate=2, name="up"), Flatten(), Dense(2)]
    Sequential(layers, input_shape=(12, 12, 1)).save(tmp_path / "dilated.npz")
    page = tmp_path / "page.html"
    result = run("explore", tmp_path / "dilated.npz", files / "face.png", "--depth", 1, "--export", page)
    assert result.exit_code == 0, result.output
    text = page.read_text(encoding="utf-8")
    recorded = json.loads(text.partition('id="recorded">')[2].partition("</script>")[0])
    (number,) = (answer for address, answer in recorded.items() if address.startswith("numbers/forward/up/"))
    assert number["total"] == pytest.approx(number["value"], rel=1e-5)
    assert number["keras"]["status"] == "failed"
    assert "do not yet support dilation rates larger than 1" in number["keras"]["message"]
    assert "\x1b" not in number["keras"]["message"]


@pytest.mark.parametrize("error", [ZeroDivisionError("a bug"), OptionError("one input")])
def test_only_what_keras_and_tensorflow_raise_is_put_into_other_words(
    monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def broken(model: Any, x: Any, dy: Any) -> Any:
        raise error

    monkeypatch.setattr("reference_keras.inside.keras_inside", broken)
    x = np.zeros((1, 48, 48, 1), np.float32)
    with pytest.raises(type(error), match=f"^{error}$"):
        explore_steps._keras(small_network(), x, x)


def test_a_page_is_written(files: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(costs, "_limits", lambda: Limits(100.0, 10.0))
    page = tmp_path / "sub" / "page.html"
    options = ("--no-keras", "--depth", 1, "--layers", "conv*", "--export", page)
    result = run("explore", files / "small.npz", files / "face.png", *options)
    assert result.exit_code == 0, result.output
    assert str(page) in result.stderr.replace("\n", "")
    text = page.read_text(encoding="utf-8")
    assert text.startswith("<!doctype html>")
    whole = sum(row.multiplications for row in summarize(small_network()))
    assert f'"multiplications":{whole},' in text.replace(" ", "")  # of the network, however many layers are shown


@pytest.mark.parametrize(
    "arguments, words",
    [
        (("small.npz", "wall.png"), "at least one face"),
        (("small.npz", "text.jpg"), "picture"),
        (("small.npz", "missing.jpg"), "missing.jpg"),
        (("text.npz", "face.png"), "text.npz"),
        (("resnet", "face.png"), "face-cnn, residual-cnn"),
        ((".", "face.png"), "config.json"),
        (("small.npz", "face.png", "--weights", "vgg.mat"), "--weights with vgg-face"),
        (("small.npz", "face.png", "--export", "page.pdf"), "ends in .html"),
        (("small.npz", "face.png", "--export", "page.html", "--layers", "conv9"), "layers among"),
        (("small.npz", "face.png", "--depth", "3"), "--depth and --layers together with --export"),
        (("small.npz", "face.png", "--layers", "conv*"), "--depth and --layers together with --export"),
        (("small.npz", "face.png", "--detector", "eyes"), "dlib-hog"),
    ],
)
def test_what_cannot_be_explored_is_refused(
    files: Path, served: list[Any], monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], words: str
) -> None:
    monkeypatch.chdir(files)
    assert words in refused(run("explore", *arguments, "--no-keras"))
    assert not served


def test_a_port_in_use_is_refused_before_anything_is_opened(served: list[Any]) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        message = refused(run("explore", "missing.npz", "missing.jpg", "--port", port))
    assert f"port {port}" in message
    assert "in use" in message
    assert not served


def test_without_a_server_it_says_what_to_install_before_anything_is_opened(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "minicnn.explorer.serving")
    monkeypatch.delattr("minicnn.explorer.serving")
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    assert "pip install 'minicnn[explore]'" in refused(run("explore", "missing.npz", "missing.jpg"))


def test_the_first_look_needs_no_photograph() -> None:
    looking = explore_steps.prepare_looking("face-cnn", None, None, 0, None)
    photo = looking.first(None)
    assert photo.name.startswith("AT&T/ORL")
    assert photo.x.shape == (1, 200, 200, 1)
