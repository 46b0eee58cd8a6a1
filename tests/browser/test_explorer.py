"""The explorer in a real browser: from a photograph to the arithmetic of one number, by mouse, by keyboard, on a phone.

Each test leaves pictures in ``tests/browser/screenshots``, to be looked at.
"""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from detection.images import write_image
from detection.orl import load_orl
from minicnn.explorer.explorer import Explorer
from minicnn.explorer.export import export_page
from minicnn.ops import jit_cache
from tests.browser.conftest import SCREENSHOTS, shoot, until

FIRST_VIEW, HOVER = 2.0, 0.1  # seconds

DRAWN = """() => [...document.images].every((image) => {
  const { top, bottom, left, right } = image.getBoundingClientRect();
  const inSight = bottom > 0 && top < innerHeight && right > 0 && left < innerWidth;
  return !inSight || (image.complete && image.naturalWidth > 0);
})"""


def settle(page: Any) -> None:
    """Until nothing is being computed and the pictures in sight are drawn."""
    until(page, "() => !document.querySelector('[aria-busy]')")
    until(page, DRAWN)


def choose(page: Any, layer: str) -> None:
    page.locator(f"#strip [data-item='{layer}']").click()
    until(page, "name => document.getElementById('layer-title').textContent === name", layer)
    until(page, "name => document.getElementById('zoom')?.getAttribute('aria-label').includes(name)", layer)
    settle(page)


def pick(page: Any, place: str, choice: str) -> None:
    """A radio button, by a click on its label, as soon as that stands still."""
    page.locator(f"{place} label:has(input{choice})").click()
    until(page, "choice => document.querySelector(choice).checked", f"{place} input{choice}")


def point(page: Any, across: float, down: float, *, click: bool = False) -> None:
    zoom = page.locator("#zoom")
    zoom.scroll_into_view_if_needed()
    box = zoom.bounding_box()
    page.mouse.move(box["x"] + across * box["width"], box["y"] + down * box["height"])
    if click:
        page.mouse.down()
        page.mouse.up()


def the_number(page: Any) -> float:
    """minicnn's number as the page shows it."""
    return read(page.locator("#number .result output").first.inner_text())


def read(shown: str) -> float:
    """A number as the page writes it."""
    return float(shown.replace("−", "-"))


# -- the way in --------------------------------------------------------------------------------------------------------


def test_the_first_view_is_there_within_two_seconds(open_page: Any, address: str, explorer: Explorer) -> None:
    """The face, the scores, the strip with its maps, and the first layer's, on a screen of 1280x900 pixels."""
    open_page(address)  # once, so that what is compiled is compiled; Keras begins after the first view, and must end
    with explorer.lock:
        explorer.ask_beside(None, None)
    explorer.beside.wait()
    times = []
    for _ in range(5):  # the best of a few: other tests may run on the same cores
        page = open_page(address, ready="#strip .card[aria-selected=true]")
        until(page, DRAWN)
        times.append(time.perf_counter() - open_page.began)
    print(f"first view: {', '.join(f'{seconds:.2f}' for seconds in times)} s")
    assert min(times) < FIRST_VIEW
    page.wait_for_selector("body[data-ready]")
    settle(page)
    shoot(page, "1-first-view-light")


def test_from_the_face_to_the_arithmetic_of_one_number_of_conv2(
    open_page: Any, address: str, explorer: Explorer
) -> None:
    page = open_page(address)
    choose(page, "conv2")
    point(page, 0.51, 0.41)
    assert "conv2[20, 25, 0]" in page.locator("#readout").inner_text()
    point(page, 0.51, 0.41, click=True)
    page.wait_for_selector("#number .ledger")
    assert page.locator("#number-title").inner_text() == "One number: conv2[20, 25, 0]"
    value = explorer.scene().values("forward", "conv2")[20, 25, 0]
    assert the_number(page) == pytest.approx(value, rel=1e-5)
    assert "144 products from 16 channels" in page.locator("#number").inner_text()
    page.wait_for_selector("text=/apart by|bit for bit/", timeout=120_000)  # Keras, from the background
    assert read(page.locator("#number .result output").nth(1).inner_text()) == pytest.approx(value, rel=1e-4)
    shoot(page, "2-one-number-light")


IN_SIGHT = """selector => {
  const box = document.querySelector(selector)?.getBoundingClientRect();
  return box && box.top >= document.querySelector('header').offsetHeight && box.bottom <= innerHeight;
}"""


@pytest.mark.parametrize("width", [1280, 360])
def test_what_was_chosen_comes_into_sight(open_page: Any, address: str, width: int) -> None:
    """A layer chosen at the lower edge of the window, and the arithmetic of a number."""
    page = open_page(address, width=width)
    page.evaluate("window.scrollTo(0, 0)")
    choose(page, "conv2")
    until(page, IN_SIGHT, "#strip")
    until(page, IN_SIGHT, "#layer-title")
    point(page, 0.5, 0.2, click=True)
    until(page, IN_SIGHT, "#number .products" if width > 1000 else "#number-title")
    page.wait_for_timeout(700)  # until it has stopped moving
    title = page.locator("#number-title")
    before, button = title.bounding_box()["y"], page.locator("#direction input[value=backward]").bounding_box()
    page.mouse.click(button["x"] + button["width"] / 2, button["y"] + button["height"] / 2)  # check() would scroll
    until(page, "() => document.getElementById('number-title').textContent.includes('d conv2')")
    settle(page)
    assert title.bounding_box()["y"] == pytest.approx(before, abs=60)  # the same number's gradient, in the same place


def test_a_pixel_is_answered_within_a_tenth_of_a_second(open_page: Any, address: str) -> None:
    page = open_page(address)
    choose(page, "conv3")
    page.evaluate("""() => {
      window.times = [];
      window.pointed = NaN;
      const readout = document.getElementById('readout');
      const begin = () => { window.pointed = performance.now(); };
      document.getElementById('zoom').addEventListener('pointermove', begin, true);
      const note = () => window.pointed > 0 && window.times.push(performance.now() - window.pointed);
      new MutationObserver(note).observe(readout, { childList: true });
    }""")
    for step in range(20):
        point(page, 0.1 + 0.04 * step, 0.3)
    page.wait_for_timeout(100)
    times = page.evaluate("window.times")
    assert len(times) >= 10
    print(f"hover: at most {max(times):.1f} ms")
    assert max(times) < 1000 * HOVER
    assert page.locator("#on-face rect").count() == 2  # its field on the face
    assert page.locator("#below .taps rect").count() == 9  # and the kernel, where it stands
    shoot(page, "3-hover-light")


def test_every_layer_from_the_input_to_the_scores_shows_its_maps(
    open_page: Any, address: str, explorer: Explorer
) -> None:
    page = open_page(address)
    for name in explorer.scene().names:
        choose(page, name)
        assert (
            page.locator("#zoom img").evaluate("image => image.naturalWidth") == explorer.scene().planes(name).columns
        )
        if name != "input_layer":
            point(page, 0.1, 0.1, click=True)
            until(page, "name => document.getElementById('number-title').textContent.includes(` ${name}[`)", name)
            settle(page)
            assert page.locator("#number .message").count() == 0
    shoot(page, "4-scores-light")


def test_backward_from_another_person(open_page: Any, address: str, explorer: Explorer) -> None:
    page = open_page(address, dark=True)
    choose(page, "conv2")
    before = page.locator("#zoom img").get_attribute("src")
    page.locator("#seen .scores button", has_text="Cleo").click()
    until(page, "src => document.querySelector('#zoom img').getAttribute('src') !== src", before)
    settle(page)
    assert page.locator("#direction input[value=backward]").is_checked()
    assert page.locator("#zoom img").get_attribute("src") != before
    assert "the score of Cleo" in page.locator("#legend").inner_text()
    point(page, 0.3, 0.6, click=True)
    page.wait_for_selector("#number .ledger")
    expected = explorer.scene().values("backward", "conv2", 2)[30, 15, 0]
    assert the_number(page) == pytest.approx(expected, rel=1e-5, abs=1e-12)
    shoot(page, "5-backward-dark")


# -- while it takes long -----------------------------------------------------------------------------------------------


def test_who_waits_is_told_for_what(
    open_page: Any, address: str, explorer: Explorer, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = open_page(address)
    choose(page, "conv2")
    told = page.locator("#waiting")
    with explorer.lock:  # as if the pass back took long
        pick(page, "#direction", "[value=backward]")
        page.wait_for_selector("#waiting:not([hidden]) >> text=Computing")
        assert page.locator("#strip .card.old").count() > 5  # the maps of the pass forward are no gradients
        monkeypatch.setitem(jit_cache.counts, "compiled", jit_cache.counts["compiled"] + 1)
        page.wait_for_selector("#waiting >> text=Compiling")
        assert re.search(r"[2-9] s$", told.inner_text())
        page.screenshot(path=SCREENSHOTS / "14-waiting-light.png")
    settle(page)
    assert told.is_hidden()
    until(page, "() => [...document.querySelectorAll('.card.old img')].every((image) => !image.complete)")


def test_waiting_for_keras_leaves_the_rest_alone(
    open_page: Any, address: str, explorer: Explorer, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = iter([{"status": "working", "message": "Keras is computing …"}] * 2)
    ready = {"status": "ready", "value": 0.5}
    monkeypatch.setattr(explorer.beside, "number", lambda *place: next(answers, ready))
    page = open_page(address)
    choose(page, "conv2")
    point(page, 0.5, 0.4, click=True)
    page.wait_for_selector("#number .value >> text=Keras is computing")
    bar = page.locator("#number .channel").nth(3)
    bar.click()
    page.wait_for_selector("#number .value output >> text=0.5000000")
    assert bar.get_attribute("aria-selected") == "true"


# -- how it is computed ------------------------------------------------------------------------------------------------


def test_three_ways_to_one_number(open_page: Any, address: str) -> None:
    page = open_page(address, dark=True)
    choose(page, "conv2")
    point(page, 0.51, 0.41, click=True)
    page.wait_for_selector("#way-loops")
    page.locator("#way-loops").focus()
    number = the_number(page)
    page.keyboard.press("ArrowRight")
    assert page.locator("#way-im2col").get_attribute("aria-selected") == "true"
    assert read(page.locator("#way .final td").inner_text()) == pytest.approx(number, rel=1e-4)
    shoot(page, "6-im2col-dark")
    page.keyboard.press("ArrowRight")
    assert read(page.locator("#way td.marked").inner_text()) == pytest.approx(number, rel=1e-3)
    shoot(page, "7-winograd-dark")


def test_padding_stride_and_dilation_can_be_played_with(open_page: Any, address: str) -> None:
    page = open_page(address)
    stage = page.locator("#play-stage")
    assert "output 16×16" in stage.inner_text()
    pick(page, "#play", "[name=stride][value='2']")
    page.wait_for_selector("text=output 8×8")
    pick(page, "#play", "[name=padding][value=valid]")
    page.wait_for_selector("text=output 7×7")
    page.locator("#play-output").focus()
    page.keyboard.press("ArrowRight")
    assert "y[0, 1]" in page.locator("#play-readout").inner_text()
    assert float(page.locator(".play-taps rect").first.get_attribute("x")) == 2
    shoot(page, "8-play-light")
    pick(page, "#play", "[name=dilation][value='2']")
    page.wait_for_selector("#play-stage .message")
    assert "Keras refuses the combination too" in stage.inner_text()
    pick(page, "#play", "[name=stride][value='1']")
    page.wait_for_selector("text=output 12×12")
    open_page.problems.clear()  # the browser writes what the server refuses into its console


def test_what_each_layer_costs(open_page: Any, address: str) -> None:
    page = open_page(address)
    page.locator("#measure").click()
    page.wait_for_selector("#costs table", timeout=60_000)
    assert page.locator("#costs tbody tr").count() > 20
    assert page.locator("#costs .roofline circle").count() >= 5
    shoot(page, "9-costs-light")


def test_a_training_can_be_watched_again(open_page: Any, address: str, explorer: Explorer) -> None:
    page = open_page(address)
    choose(page, "conv1")
    now = page.locator("#zoom img").get_attribute("src")
    assert explorer.replay.epochs == (0, 2, 4)
    page.locator("#epoch").focus()
    page.keyboard.press("Home")
    page.wait_for_selector("text=before the first step")
    page.wait_for_selector("#zoom img[src*='epoch=0']")  # a busy machine shows it later
    settle(page)
    assert page.locator("#zoom img").get_attribute("src") != now
    assert "epoch=0" in page.locator("#zoom img").get_attribute("src")
    page.keyboard.press("ArrowRight")
    page.wait_for_selector("text=after epoch 2")
    settle(page)
    shoot(page, "10-training-light")


# -- everybody ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_on_a_phone_nothing_is_wider_than_the_page(open_page: Any, address: str, dark: bool) -> None:
    page = open_page(address, width=360, dark=dark, has_touch=True, device_scale_factor=2)
    choose(page, "conv2")
    point(page, 0.51, 0.41, click=True)
    page.wait_for_selector("#number .ledger")
    settle(page)
    assert page.evaluate("document.documentElement.scrollWidth") == 360
    shoot(page, f"11-phone-{'dark' if dark else 'light'}")


def test_everything_can_be_reached_with_the_keyboard(open_page: Any, address: str) -> None:
    page = open_page(address)
    seen = []
    for _ in range(60):
        page.keyboard.press("Tab")
        seen.append(
            page.evaluate("""() => {
              const element = document.activeElement;
              const style = getComputedStyle(element);
              const wrapped = getComputedStyle(element.nextElementSibling ?? element);
              const label = getComputedStyle(element.closest('label') ?? element);
              const outlined = [style, wrapped, label].some((one) => one.outlineStyle !== 'none');
              return [element.id || element.className || element.name, outlined];
            }""")
        )
        if seen[-1][0] == "zoom":
            break
    assert seen[0][0] == "skip"
    assert seen[-1][0] == "zoom"
    assert all(outlined for _, outlined in seen)
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowRight")
    assert re.search(r"\[26, 26, 0\]", page.locator("#readout").inner_text())
    page.keyboard.press("Enter")
    page.wait_for_selector("#number .ledger")
    assert page.evaluate("document.activeElement.id") == "number-view"
    strip = page.locator("#strip [aria-selected=true]")
    strip.focus()
    page.keyboard.press("ArrowRight")
    until(page, "() => document.getElementById('layer-title').textContent === 'bn1'")


@pytest.mark.parametrize("reached", ["#direction input[value=backward]", "#photo-file"])
def test_focus_in_the_bar_leaves_the_page_where_it_is(open_page: Any, address: str, reached: str) -> None:
    page = open_page(address)
    page.evaluate("window.scrollTo(0, 700)")
    page.evaluate("selector => document.querySelector(selector).focus()", reached)
    page.wait_for_timeout(200)
    assert page.evaluate("scrollY") == 700


def test_who_wants_no_motion_gets_none(open_page: Any, address: str) -> None:
    page = open_page(address, reduced_motion="reduce")
    page.locator("#slide").click()
    page.wait_for_timeout(500)
    assert "y[0, 1]" in page.locator("#play-readout").inner_text()  # one step, and no more
    assert page.evaluate("document.getAnimations().length") == 0


CONTRAST = """() => {
  const canvas = document.createElement('canvas').getContext('2d', { willReadFrequently: true });
  const rgb = (colour) => {
    canvas.clearRect(0, 0, 1, 1); canvas.fillStyle = colour; canvas.fillRect(0, 0, 1, 1);
    return [...canvas.getImageData(0, 0, 1, 1).data];
  };
  const light = ([r, g, b]) => [r, g, b].map((v) => v / 255)
    .map((v) => (v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4))
    .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  const ground = (element) => {
    const layers = [];
    for (let at = element; at; at = at.parentElement) layers.push(rgb(getComputedStyle(at).backgroundColor));
    const over = (below, [r, g, b, a]) => [r, g, b].map((v, i) => (v * a + below[i] * (255 - a)) / 255);
    return layers.reverse().reduce(over, [255, 255, 255]);
  };
  const weak = [];
  for (const element of document.querySelectorAll('body *')) {
    const text = [...element.childNodes].some((node) => node.nodeType === 3 && node.textContent.trim());
    if (!text || !element.checkVisibility() || element.closest('svg, .hidden, option') || element.disabled) continue;
    const [a, b] = [light(rgb(getComputedStyle(element).color)), light(ground(element))];
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (ratio < 4.5) weak.push(`${element.tagName} "${element.textContent.slice(0, 30)}" ${ratio.toFixed(2)}`);
  }
  return weak;
}"""


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_every_word_has_the_contrast_that_wcag_asks_for(open_page: Any, address: str, dark: bool) -> None:
    page = open_page(address, dark=dark)
    choose(page, "conv2")
    point(page, 0.51, 0.41, click=True)
    page.wait_for_selector("#number .ledger")
    settle(page)
    assert page.evaluate(CONTRAST) == []


# -- other photographs -------------------------------------------------------------------------------------------------


def test_photographs_can_be_opened_and_bad_ones_say_why(open_page: Any, address: str, tmp_path: Path) -> None:
    wall, text, other = tmp_path / "wall.png", tmp_path / "text.png", tmp_path / "<b>other.png"
    write_image(wall, np.full((90, 90, 3), 90, np.uint8))
    text.write_text("no picture")
    write_image(other, load_orl().images[10].repeat(2, axis=0).repeat(2, axis=1))
    page = open_page(address)
    for path, words in ((wall, "at least one face"), (text, "picture")):
        page.locator("#photo-file").set_input_files(path)
        page.wait_for_selector("#message:not([hidden])")
        assert words in page.locator("#message").inner_text()
        assert path.name in page.locator("#message").inner_text()
    shoot(page, "12-no-face-light")
    with page.expect_navigation():
        page.locator("#photo-file").set_input_files(other)
    page.wait_for_selector("body[data-ready]")
    assert "<b>other.png" in page.locator("#seen figcaption").first.inner_text()
    open_page.problems.clear()  # the browser writes every refused upload into its console


# -- one file ----------------------------------------------------------------------------------------------------------


def test_an_exported_page_needs_no_server_and_no_network(open_page: Any, explorer: Explorer, tmp_path: Path) -> None:
    path = tmp_path / "page.html"
    path.write_text(
        export_page(explorer, depth=3, layers=("conv1", "conv2", "relu2", "pool2", "fc6")), encoding="utf-8"
    )
    page = open_page(path.as_uri(), dark=True)
    choose(page, "conv2")
    assert page.locator("#open-photo").count() == 0
    row, column = page.locator("#zoom .explained").evaluate("dot => [dot.cy.baseVal.value, dot.cx.baseVal.value]")
    point(page, column / 50, row / 50, click=True)
    page.wait_for_selector("#number .ledger")
    value = explorer.scene().values("forward", "conv2")[int(row), int(column), 0]
    assert the_number(page) == pytest.approx(value, rel=1e-5)
    forward = page.locator("#number").inner_text()
    pick(page, "#direction", "[value=backward]")
    until(page, "before => document.getElementById('number').innerText !== before", forward)  # what is below moves up
    settle(page)
    pick(page, "#play", "[name=stride][value='2']")
    page.wait_for_selector("text=output 8×8")
    point(page, 0.99, 0.99, click=True)
    page.wait_for_selector("text=/exported without this part/ >> nth=0")
    shoot(page, "13-export-dark")
