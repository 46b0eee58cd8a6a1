"""Starting the explorer: ports, the browser, and a server that answers nobody but its own page."""

from __future__ import annotations

import http.client
import signal
import socket
import threading
import time
import webbrowser
from collections.abc import Iterator

import pytest

from minicnn.errors import OptionError
from minicnn.explorer import serving
from minicnn.explorer.explorer import Explorer
from minicnn.explorer.serving import FIRST_PORT, LOOPBACK, listen, make_server, serve


@pytest.fixture
def taken() -> Iterator[socket.socket]:
    with socket.socket() as other:
        other.bind((LOOPBACK, 0))
        other.listen()
        yield other


def test_without_a_wish_the_first_free_port_is_taken() -> None:
    with listen() as one, listen() as other:
        assert one.getsockname()[0] == other.getsockname()[0] == LOOPBACK
        assert FIRST_PORT <= one.getsockname()[1] < other.getsockname()[1]


def test_a_port_that_was_asked_for_is_taken_or_refused(taken: socket.socket) -> None:
    port = taken.getsockname()[1]
    with pytest.raises(OptionError, match=rf"port {port} to be free.*in use.*--port"):
        listen(port)


def test_when_every_port_is_taken_it_says_so(taken: socket.socket, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serving, "FIRST_PORT", taken.getsockname()[1])
    monkeypatch.setattr(serving, "PORTS_TRIED", 1)
    with pytest.raises(OptionError, match="a free port"):
        listen()


def test_it_answers_its_own_page_and_nobody_else(explorer: Explorer) -> None:
    """Over a real socket: what Starlette's test client cannot show is the header of the host."""
    with listen() as listening:
        server, address = make_server(explorer, listening)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
        thread.start()
        port = listening.getsockname()[1]
        try:
            assert _status(port, "/state", {}) == 403
            cookie = {"Cookie": f"minicnn-{port}={address.partition('token=')[2]}"}
            assert _status(port, "/state", cookie) == 200
            assert _status(port, "/state", cookie | {"Host": "evil.example"}) == 403
            assert _status(port, "/photo", cookie | {"Origin": "http://evil.example"}, "POST") == 403
            assert _status(port, "/state", cookie) == 200
        finally:
            server.should_exit = True
            thread.join(10)
    assert not thread.is_alive()


def _status(port: int, path: str, headers: dict[str, str], method: str = "GET") -> int:
    deadline = time.monotonic() + 10
    while True:
        connection = http.client.HTTPConnection(LOOPBACK, port, timeout=10)
        try:
            connection.request(method, path, headers=headers)
            return connection.getresponse().status
        except ConnectionError:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        finally:
            connection.close()


@pytest.mark.parametrize("answer", [False, webbrowser.Error("none"), OSError("none"), True])
def test_without_a_browser_the_address_is_printed_and_it_goes_on(
    explorer: Explorer, monkeypatch: pytest.MonkeyPatch, answer: bool | Exception
) -> None:
    asked, said, tried = [], [], threading.Event()

    def open_browser(address: str) -> bool:
        asked.append(address)
        if isinstance(answer, Exception):
            raise answer
        return answer

    def run(self, sockets):  # type: ignore[no-untyped-def]
        assert tried.wait(10) or answer is True
        served.append(sockets)

    def say(words: str) -> None:
        said.append(words)
        if "No browser" in words:
            tried.set()

    served: list[object] = []
    monkeypatch.setattr(serving.webbrowser, "open", open_browser)
    monkeypatch.setattr(serving.uvicorn.Server, "run", run)
    if answer is True:
        tried.set()
    serve(explorer, listen(), browser=True, say=say)
    assert served
    assert "http://127.0.0.1:" in said[0]
    assert ("No browser could be opened" in " ".join(said)) is (answer is not True)


def test_a_browser_that_is_not_wanted_is_not_opened(explorer: Explorer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serving.webbrowser, "open", lambda address: pytest.fail("opened"))
    monkeypatch.setattr(serving.uvicorn.Server, "run", lambda self, sockets: None)
    said: list[str] = []
    serve(explorer, listen(), browser=False, say=said.append)
    assert len(said) == 1


def test_ctrl_c_is_a_good_end(explorer: Explorer, monkeypatch: pytest.MonkeyPatch) -> None:
    """A real server and a real signal: uvicorn raises it once more after its own end."""
    closed: list[bool] = []
    monkeypatch.setattr(explorer.beside, "close", lambda: closed.append(True))
    started = threading.Timer(1.0, signal.raise_signal, [signal.SIGINT])
    started.start()
    serve(explorer, listen(), browser=False, say=lambda words: None)
    assert closed
