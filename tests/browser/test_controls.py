"""Controls that are used more than once: the keyboard stays on them, and what they say is what is shown."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import pytest

from minicnn.explorer import answers
from minicnn.explorer.about import about_layer
from minicnn.explorer.explorer import Explorer
from minicnn.explorer.numbers import taken_apart
from minicnn.layers import SeparableConv2D
from minicnn.sequential import Sequential
from minicnn.study import explain_in, trace
from tests.browser.conftest import until
from tests.browser.test_explorer import choose, pick, point, read
from tests.browser.test_late_answers import hold, release

FOCUSED = "() => document.activeElement.getAttribute('aria-label')"
SLIDER = """() => {
    const slider = document.getElementById('epoch');
    return [document.getElementById('epoch-name').textContent, slider.value, slider.getAttribute('aria-valuetext')];
}"""


def test_the_keyboard_stays_on_the_pages_of_maps(open_page: Any, address: str) -> None:
    page = open_page(address)
    choose(page, "conv5")
    page.get_by_label("Later maps").focus()
    page.keyboard.press("Enter")
    until(page, "() => document.querySelector('.pager').textContent.includes('maps 64 to 127 of 128')")
    assert page.evaluate("document.activeElement.dataset.item") == "64"  # there is no later page for the button
    page.get_by_label("Earlier maps").focus()
    page.keyboard.press("Enter")
    until(page, "() => document.querySelector('.pager').textContent.includes('maps 0 to 63 of 128')")
    assert page.evaluate("document.activeElement.dataset.item") == "0"


def test_the_keyboard_stays_on_a_button_that_has_further_pages(
    open_page: Any, address: str, explorer: Explorer
) -> None:
    page = open_page(address)
    state = answers.state(explorer)
    next(layer for layer in state["layers"] if layer["name"] == "conv5")["planes"]["count"] = 192
    page.route("**/state", lambda route: route.fulfill(json=state))
    page.route("**/sheets/forward/conv5/2.png*", lambda route: route.fulfill(body=answers.crop(explorer)))
    page.reload()
    page.wait_for_selector("body[data-ready]")
    choose(page, "conv5")
    page.get_by_label("Later maps").focus()
    page.keyboard.press("Enter")
    until(page, "() => document.querySelector('.pager').textContent.includes('maps 64 to 127 of 192')")
    assert page.evaluate(FOCUSED) == "Later maps"


def test_the_keyboard_stays_on_the_number_of_the_map_below(open_page: Any, address: str) -> None:
    page = open_page(address)
    choose(page, "conv5")
    below = page.locator("#below input")
    before = below.input_value()
    below.focus()
    page.keyboard.press("ArrowUp" if before == "0" else "ArrowDown")
    until(page, "before => document.querySelector('#below input').value !== before", before)
    assert page.evaluate(FOCUSED) == "Map of pool4 to show"
    assert page.locator("#below img").get_attribute("src").partition("?")[0].endswith(f"/{below.input_value()}.png")


def test_the_keyboard_stays_on_a_score(open_page: Any, address: str) -> None:
    page = open_page(address)
    second = page.locator("#seen .scores button .name").nth(1).inner_text()  # gradients start from the first anyway
    page.locator("#seen .scores button").nth(1).focus()
    page.keyboard.press("Enter")
    until(page, "name => document.getElementById('legend').textContent.includes(name)", second)
    assert page.evaluate("document.activeElement.querySelector('.name')?.textContent") == second
    assert page.locator("#seen .scores button[aria-pressed=true] .name").all_inner_texts() == [second]


# -- below an enlarged map --------------------------------------------------------------------------------------------


def test_a_map_stands_beside_the_one_that_it_reads(open_page: Any, address: str, explorer: Explorer) -> None:
    """As of a depthwise convolution with two filters for each channel."""
    page = open_page(address)
    about = about_layer(explorer.scene(), "relu2")
    assert about["channels"] == list(range(32))
    twice = about | {"channels": [k // 2 for k in range(32)]}
    page.route("**/layers/relu2", lambda route: route.fulfill(json=twice))
    choose(page, "relu2")
    page.locator("#sheet [data-item='5']").click()
    page.wait_for_selector("#below >> text=It reads bn2, map 2.")
    assert "/maps/forward/bn2/2.png" in page.locator("#below img").evaluate("image => image.src")


def test_the_kernel_is_there_again_when_the_pointer_comes_back(open_page: Any, address: str) -> None:
    page = open_page(address)
    choose(page, "conv2")
    point(page, 0.5, 0.5)
    assert page.locator("#below .taps rect").count() == 9
    page.mouse.move(1, 1)
    until(page, "() => !document.querySelector('#below .taps rect')")
    point(page, 0.5, 0.5)
    assert page.locator("#below .taps rect").count() == 9


# -- the playground ---------------------------------------------------------------------------------------------------


def test_a_kernel_is_typed_in_number_by_number(open_page: Any, address: str) -> None:
    """Without a mouse: each number is shown as soon as it is left, and the next one is being typed meanwhile."""
    page = open_page(address)
    late = "/play.kernel="
    held = hold(page, late)
    page.get_by_label("Kernel row 1, column 1").select_text()
    page.keyboard.type("7")
    page.keyboard.press("Tab")
    page.keyboard.type("8")
    release(page, held, late)
    assert page.evaluate(FOCUSED) == "Kernel row 1, column 2"
    page.keyboard.type("5")
    page.keyboard.press("Enter")
    until(page, "() => document.getElementById('play-readout').textContent.includes('·85')")
    assert page.evaluate(FOCUSED) == "Kernel row 1, column 2"
    assert page.get_by_label("Kernel row 1, column 1").input_value() == "7"
    page.keyboard.press("ArrowUp")
    until(page, "() => document.getElementById('play-readout').textContent.includes('·86')")
    assert page.evaluate(FOCUSED) == "Kernel row 1, column 2"


def test_a_preset_can_be_chosen_again_after_a_number_was_changed(open_page: Any, address: str) -> None:
    page = open_page(address)
    assert page.locator("#play [name=kernel][value=edges]").is_checked()
    number = page.get_by_label("Kernel row 2, column 3")
    number.fill("9")
    number.press("Enter")
    until(page, "() => document.getElementById('play-readout').textContent.includes('·9')")
    assert page.locator("#play [name=kernel]:checked").count() == 0
    pick(page, "#play", "[name=kernel][value=edges]")
    until(page, "() => !document.getElementById('play-readout').textContent.includes('·9')")
    assert number.input_value() == "2"


def test_a_kernel_that_is_refused_can_be_mended(open_page: Any, address: str) -> None:
    page = open_page(address)
    number = page.get_by_label("Kernel row 1, column 1")
    number.fill("5000")
    number.press("Enter")
    page.wait_for_selector("#play-message >> text=from -1000 to 1000")
    assert page.locator("#play-output").is_hidden()
    number.fill("50")
    number.press("Enter")
    page.wait_for_selector("#play-output")
    assert page.locator("#play-message").is_hidden()
    open_page.problems.clear()  # the browser writes what the server refuses into its console


# -- a training -------------------------------------------------------------------------------------------------------


def test_the_slider_stands_where_the_network_is(open_page: Any, address: str) -> None:
    page = open_page(address)
    slider, name = page.locator("#epoch"), page.locator("#epoch-name")

    def stands(place: str, words: str) -> None:
        """All is read at one moment: a page that plays goes on meanwhile."""
        end, found = time.monotonic() + 30, page.evaluate(SLIDER)
        while found[0] != words:
            assert time.monotonic() < end, f"not within 30 s: {words}; now {found}"
            page.wait_for_timeout(20)
            found = page.evaluate(SLIDER)
        assert found == [words, place, words]

    stands("3", "as it is")
    slider.focus()
    page.keyboard.press("ArrowLeft")
    stands("2", "after epoch 4")
    page.keyboard.press("End")
    stands("3", "as it is")
    page.get_by_role("button", name="Play").click()
    stands("0", "before the first step")
    page.get_by_role("button", name="The network as it is").click()
    stands("3", "as it is")
    page.wait_for_timeout(1200)  # a step of playing takes 900 ms
    assert name.inner_text() == "as it is"
    assert page.get_by_role("button", name="Play").count() == 1


# -- one number -------------------------------------------------------------------------------------------------------


def a_number_of_two_kernels() -> dict[str, Any]:
    """Each x is in two products: SeparableConv2D has two kernels for its one channel."""
    layer = SeparableConv2D(1, 3, depth_multiplier=2, name="two")
    model = Sequential([layer], input_shape=(6, 6, 1), seed=0)
    x = np.random.default_rng(0).standard_normal((1, 6, 6, 1)).astype(np.float32)
    found = taken_apart(explain_in(trace(model, x), "two", (1, 2, 0)))
    return found | {"keras": {"status": "absent", "message": ""}}


def test_products_add_up_where_two_read_the_same_place(open_page: Any, address: str) -> None:
    page, found = open_page(address), a_number_of_two_kernels()
    page.route("**/numbers/forward/conv2/**", lambda route: route.fulfill(json=found))
    choose(page, "conv2")
    point(page, 0.5, 0.4, click=True)
    page.wait_for_selector("#number .ledger >> text=18 products")
    products = [read(cell) for cell in page.locator("#number .terms td.product").all_inner_texts()]
    assert sum(products) == pytest.approx(found["sum"], rel=1e-3)
