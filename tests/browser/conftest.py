"""A real browser for the explorer: Chromium, driven by Playwright.

Where Chromium is missing, these tests are skipped and say so; in continuous integration, where ``.ci/run`` installs it,
they fail.
"""

from __future__ import annotations

import os
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from minicnn.cli.explore_steps import keras_beside, prepare_looking
from minicnn.explorer import answers
from minicnn.explorer.explorer import Explorer
from minicnn.explorer.serving import listen, make_server
from minicnn.models import face_cnn
from minicnn.recognition.run import HISTORY, Run, RunConfig
from minicnn.recognition.snapshots import Snapshots
from minicnn.recognition.train import write_weights
from reference_keras.backend import load_keras

SCREENSHOTS = Path(__file__).with_name("screenshots")  # not committed: to be looked at
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
ARGUMENTS = [
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
]
PEOPLE = ("Ada", "Ben", "Cleo", "<i>Dan", "Eve")
EPOCHS = 4


@pytest.fixture(scope="session")
def chromium() -> Iterator[Any]:
    """The browser."""
    missing = pytest.fail if os.environ.get("CI") else pytest.skip  # continuous integration installs both
    if CHROMIUM is None:
        missing("no browser: the command chromium is missing (on Debian and Ubuntu: apt-get install chromium)")
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        missing("the package playwright is not installed (it comes with the dependency group dev)")
    with sync_playwright() as running:
        browser = running.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def run_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of face_cnn as a training leaves it. Nobody trained: after every epoch its network is another one."""
    folder = tmp_path_factory.mktemp("runs") / "people"
    config = RunConfig("face-cnn", (200, 200, 1), PEOPLE, "minicnn", "softmax", "flatten", 0)
    run = Run.create(folder, config)
    rows = "".join(f"{epoch},{2 / (epoch + 1)},{2.2 / (epoch + 1)},0.5\n" for epoch in range(EPOCHS))
    run.path(HISTORY).write_text(f"epoch,loss,val_loss,val_accuracy\n{rows}", encoding="utf-8")
    for epoch in range(-1, EPOCHS):
        network = face_cnn((200, 200, 1), len(PEOPLE), softmax=False, seed=epoch + 1)
        keeper = Snapshots(run, network, every=2)
        keeper.on_train_begin() if epoch < 0 else keeper.on_epoch_end(epoch)
    write_weights(run, network)
    return folder


@pytest.fixture(scope="session")
def explorer(run_folder: Path) -> Explorer:
    """The explorer as the command makes it of this run, with Keras beside it."""
    load_keras()  # here, in the main thread, so that no test measures it
    looking = prepare_looking(str(run_folder), None, None, 0, None)
    made = Explorer(
        looking.subject, looking.first(None), looking.read, beside=keras_beside(True), replay=looking.replay
    )
    made.ask_beside(None, None)
    made.scene().backward()  # both passes and the timing, once: on a fresh machine their code is compiled now
    answers.costs(made)
    made.beside.wait()
    return made


@pytest.fixture(scope="session")
def address(explorer: Explorer) -> Iterator[str]:
    """Where it is served."""
    listening = listen()
    server, address = make_server(explorer, listening)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
    thread.start()
    yield address
    server.should_exit = True
    thread.join(timeout=10)
    listening.close()
    explorer.beside.close()


@pytest.fixture
def open_page(chromium: Any) -> Iterator[Callable[..., Any]]:
    """``open_page(address, width=..., dark=...)``: a page on which ``ready`` is seen; nothing may go wrong."""
    contexts, problems = [], []

    def open_one(
        where: str, *, width: int = 1280, dark: bool = False, ready: str = "body[data-ready]", **options: Any
    ) -> Any:
        context = chromium.new_context(
            viewport={"width": width, "height": 900}, color_scheme="dark" if dark else "light", **options
        )
        contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: problems.append(f"{error}"))
        page.on("console", lambda line: problems.append(line.text) if line.type == "error" else None)
        page.on("request", lambda request: problems.append(request.url) if _is_outside(request.url) else None)
        open_one.began = time.perf_counter()  # type: ignore[attr-defined]
        page.goto(where)
        page.wait_for_selector(ready, state="attached")
        return page

    open_one.problems = problems  # type: ignore[attr-defined]
    yield open_one
    for context in contexts:
        context.close()
    assert problems == []


def until(page: Any, condition: str, argument: Any = None, seconds: float = 30.0) -> None:
    """Wait for ``condition``, a function in JavaScript. (Playwright's own way evaluates text within the page, which the
    page's content policy forbids.)
    """
    end = time.monotonic() + seconds
    while not page.evaluate(condition, argument):
        assert time.monotonic() < end, f"not within {seconds} s: {condition}"
        page.wait_for_timeout(20)


def _is_outside(url: str) -> bool:
    return not url.startswith(("http://127.0.0.1:", "data:", "blob:", "file:"))


def shoot(page: Any, name: str) -> None:
    """A picture of the whole page, to be looked at."""
    SCREENSHOTS.mkdir(exist_ok=True)
    page.evaluate("document.querySelectorAll('img').forEach((image) => (image.loading = 'eager'))")
    until(page, "() => [...document.images].every((image) => image.complete)")
    page.evaluate("document.querySelector('header').style.position = 'static'")  # or it lies across the picture
    page.screenshot(path=SCREENSHOTS / f"{name}.png", full_page=True)
    page.evaluate("document.querySelector('header').style.position = ''")
