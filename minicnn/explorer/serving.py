"""The explorer started: a free port on the loopback address, a browser if there is one, and a clean end.

Nothing is ever bound to another address than 127.0.0.1. A port that was asked for is taken or refused; without one,
the first free port from 8765 on is taken.
"""

from __future__ import annotations

import errno
import os
import socket
import threading
import webbrowser
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING

import uvicorn

from minicnn.errors import OptionError, explain
from minicnn.explorer.guard import Guard
from minicnn.explorer.server import application

if TYPE_CHECKING:
    from minicnn.explorer.explorer import Explorer

LOOPBACK = "127.0.0.1"
FIRST_PORT, PORTS_TRIED = 8765, 50


def listen(port: int | None = None) -> socket.socket:
    """A socket that listens on the loopback address. Raises OptionError for a port that is taken or not allowed."""
    wanted = range(FIRST_PORT, FIRST_PORT + PORTS_TRIED) if port is None else [port]
    for number in wanted:
        listening = socket.socket()
        if os.name == "posix":  # a port on which an explorer has just ended counts as free; Windows means more by it
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listening.bind((LOOPBACK, number))
        except OSError as error:
            listening.close()
            if port is None and error.errno == errno.EADDRINUSE:
                continue
            received = "one that is in use" if error.errno == errno.EADDRINUSE else str(error.strerror)
            raise OptionError(
                explain(f"port {number} to be free", received, "Leave --port out to take another.")
            ) from None
        listening.listen()
        return listening
    raise OptionError(explain(f"a free port from {FIRST_PORT} to {wanted[-1]}", "none", "Name one with --port."))


def make_server(explorer: Explorer, listening: socket.socket) -> tuple[uvicorn.Server, str]:
    """A server on the socket, not started (``server.run(sockets=[listening])``), and the address of its page."""
    guard = Guard(application(explorer), listening.getsockname()[1])
    config = uvicorn.Config(guard, log_level="warning", lifespan="off", ws="none", server_header=False)
    return uvicorn.Server(config), guard.address


def serve(explorer: Explorer, listening: socket.socket, *, browser: bool, say: Callable[[str], None]) -> None:
    """Answer until Ctrl-C, which is the good end.

    ``say`` is told the address, and that no browser could be opened where that is so.
    """
    server, address = make_server(explorer, listening)
    say(f"The explorer is at {address}\nStop it with Ctrl-C.")
    if browser:
        threading.Thread(target=_open, args=(address, say), daemon=True).start()
    with listening, suppress(KeyboardInterrupt):  # uvicorn ends in order, then raises it again
        server.run(sockets=[listening])
    explorer.beside.close()


def _open(address: str, say: Callable[[str], None]) -> None:
    """In a thread: some browsers keep whoever started them waiting."""
    try:
        opened = webbrowser.open(address)
    except (webbrowser.Error, OSError):
        opened = False
    if not opened:
        say("No browser could be opened: open the address yourself.")
