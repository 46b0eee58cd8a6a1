"""Downloads from a server in this process: they resume, are checked, and leave nothing wrong behind."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from minicnn.cli.main import app
from minicnn.errors import LoadError, OptionError
from minicnn.io import download
from minicnn.io.download import PUBLISHED, Published, fetch, published, weights_folder

pytest.importorskip("requests", reason="fetching weights needs the extra 'files'")

CONTENT = np.random.default_rng(0).bytes(1_000_003)


class Server(ThreadingHTTPServer):
    """Serves CONTENT at any path. ``stop_after``: bytes after which it hangs up; ``ranges``: whether it knows them."""

    stop_after: int | None = None
    ranges = True
    wrong_range = False
    asked: list[str]


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        wanted = self.headers.get("Range", "")
        self.server.asked.append(wanted)
        start = int(wanted.removeprefix("bytes=").removesuffix("-")) if wanted and self.server.ranges else 0
        if start >= len(CONTENT):
            self.send_error(416)
            return
        self.send_response(206 if wanted and self.server.ranges else 200)
        if wanted and self.server.ranges:
            shown = start + self.server.wrong_range
            self.send_header("Content-Range", f"bytes {shown}-{len(CONTENT) - 1}/{len(CONTENT)}")
        self.send_header("Content-Length", str(len(CONTENT) - start))
        self.end_headers()
        self.wfile.write(CONTENT[start : self.server.stop_after])

    def log_message(self, *arguments: Any) -> None:
        pass


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setenv("NO_PROXY", "*")
    with Server(("127.0.0.1", 0), Handler) as server:
        server.asked = []
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield server
        server.shutdown()


def file_at(server: Server, sha256: str = hashlib.sha256(CONTENT).hexdigest()) -> Published:
    return Published("weights.h5", f"http://127.0.0.1:{server.server_address[1]}/weights.h5", sha256, "")


def test_a_download(server: Server, tmp_path: Path) -> None:
    seen: list[tuple[int, int | None]] = []
    path = fetch(file_at(server), tmp_path / "new", lambda there, total: seen.append((there, total)))
    assert path == tmp_path / "new" / "weights.h5"
    assert path.read_bytes() == CONTENT
    assert seen[-1] == (len(CONTENT), len(CONTENT))
    assert fetch(file_at(server), tmp_path / "new") == path
    assert server.asked == [""]  # the second time it was there
    assert [file.name for file in path.parent.iterdir()] == ["weights.h5"]


def test_it_goes_on_where_it_broke_off(server: Server, tmp_path: Path) -> None:
    server.stop_after = 700_000
    with pytest.raises(LoadError, match=rf"Cannot fetch 'weights\.h5'.*put it at '{tmp_path}/weights\.h5' \(SHA-256"):
        fetch(file_at(server), tmp_path)
    kept = (tmp_path / "weights.h5.part").stat().st_size
    assert 0 < kept <= 700_000
    server.stop_after = None
    assert fetch(file_at(server), tmp_path).read_bytes() == CONTENT
    assert server.asked == ["", f"bytes={kept}-"]


def test_a_server_without_ranges_starts_again(server: Server, tmp_path: Path) -> None:
    server.ranges = False
    (tmp_path / "weights.h5.part").write_bytes(CONTENT[:1000])
    assert fetch(file_at(server), tmp_path).read_bytes() == CONTENT


def test_a_server_that_sends_another_part(server: Server, tmp_path: Path) -> None:
    server.wrong_range = True
    (tmp_path / "weights.h5.part").write_bytes(CONTENT[:1000])
    with pytest.raises(LoadError, match="another part"):
        fetch(file_at(server), tmp_path)


def test_a_part_that_is_whole_already(server: Server, tmp_path: Path) -> None:
    (tmp_path / "weights.h5.part").write_bytes(CONTENT)
    assert fetch(file_at(server), tmp_path).read_bytes() == CONTENT


@pytest.mark.parametrize("start", [b"", b"something else"])
def test_wrong_content_is_not_kept(start: bytes, server: Server, tmp_path: Path) -> None:
    if start:
        (tmp_path / "weights.h5.part").write_bytes(start)
    wanted = file_at(server) if start else file_at(server, "0" * 64)
    with pytest.raises(LoadError, match="not what was published"):
        fetch(wanted, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_another_file_of_that_name_is_left_alone(server: Server, tmp_path: Path) -> None:
    (tmp_path / "weights.h5").write_bytes(b"mine")
    with pytest.raises(LoadError, match=r"not weights\.h5 as published"):
        fetch(file_at(server), tmp_path)
    assert (tmp_path / "weights.h5").read_bytes() == b"mine"
    assert server.asked == []


def test_a_server_that_never_stops(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(download, "SIZE_LIMIT", 300_000)
    with pytest.raises(LoadError, match="more than 300000 bytes"):
        fetch(file_at(server), tmp_path)


def test_without_a_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By hand is possible, and checked in the same way."""
    monkeypatch.setenv("NO_PROXY", "*")
    nobody = Published("weights.h5", "http://127.0.0.1:9/weights.h5", hashlib.sha256(CONTENT).hexdigest(), "")
    message = r"no connection to 127\.0\.0\.1 \(is there a network\?\)\. Try again.*put it at"
    with pytest.raises(LoadError, match=message):
        fetch(nobody, tmp_path)
    (tmp_path / "weights.h5").write_bytes(CONTENT)
    assert fetch(nobody, tmp_path).read_bytes() == CONTENT


def test_where_weights_are_kept(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("MINICNN_WEIGHTS", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert weights_folder() == tmp_path / "minicnn" / "weights"
    monkeypatch.setenv("MINICNN_WEIGHTS", str(tmp_path / "w"))
    assert weights_folder() == tmp_path / "w"


def test_what_is_published() -> None:
    assert all(len(one.sha256) == 64 and one.url.startswith("https://") for one in PUBLISHED.values())
    with pytest.raises(OptionError, match="vgg-face"):
        published("resnet")


def test_the_command(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(PUBLISHED, "vgg-face", file_at(server))
    result = CliRunner().invoke(app, ["weights", "fetch", "vgg-face", "--folder", str(tmp_path)])
    assert result.exit_code == 0, result.output
    assert (tmp_path / "weights.h5").read_bytes() == CONTENT
    assert str(tmp_path / "weights.h5") in result.stdout.replace("\n", "")
    assert CliRunner().invoke(app, ["weights", "fetch", "resnet"]).exit_code == 1
