"""Answers that come late, after something newer was asked for: what is shown and what it is called belong together."""

from __future__ import annotations

import re
from typing import Any

import pytest

from minicnn.explorer.explorer import Explorer
from tests.browser.conftest import until
from tests.browser.test_explorer import choose, pick, point, read, settle, the_number


def hold(page: Any, address: str) -> list[Any]:
    """Answers from ``address``, a pattern, do not reach the page before ``release``."""
    held: list[Any] = []
    page.route(re.compile(address), lambda route: held.append(route))
    return held


def release(page: Any, held: list[Any], address: str) -> None:
    """Let them come, and wait until the page has had time to make something of them."""
    assert held
    for route in held:
        with page.expect_response(route.request.url):
            route.continue_()
    page.unroute(re.compile(address))
    page.wait_for_timeout(200)


def test_a_late_map_does_not_take_the_place_of_a_newer_one(open_page: Any, address: str, explorer: Explorer) -> None:
    page = open_page(address)
    choose(page, "conv2")
    late = "/values/forward/conv2/1$"
    held = hold(page, late)
    page.locator("#sheet [data-item='1']").click()
    page.locator("#sheet [data-item='2']").click()
    until(page, "() => document.getElementById('zoom').getAttribute('aria-label').includes('map 2 ')")
    release(page, held, late)
    point(page, 0.51, 0.41)
    assert "conv2[20, 25, 2]" in page.locator("#readout").inner_text()
    value = explorer.scene().values("forward", "conv2")[20, 25, 2]
    assert read(page.locator("#readout b").inner_text()) == pytest.approx(value, rel=1e-4)


def test_a_late_kernel_is_not_shown_on_a_newer_map(open_page: Any, address: str) -> None:
    page = open_page(address)
    choose(page, "conv2")
    weights = "() => [...document.querySelectorAll('#below .taps rect')].map((rect) => rect.style.opacity).join()"
    page.locator("#sheet [data-item='2']").click()
    until(page, "() => document.getElementById('zoom').getAttribute('aria-label').includes('map 2 ')")
    settle(page)
    channel = page.get_by_label("Map of relu1 to show")

    def shown() -> str:
        channel.fill("3")
        channel.press("Enter")
        point(page, 0.5, 0.5)
        return str(page.evaluate(weights))

    expected = shown()
    late = "/kernels/conv2/1$"
    held = hold(page, late)
    page.locator("#sheet [data-item='1']").click()
    until(page, "() => document.getElementById('zoom').getAttribute('aria-label').includes('map 1 ')")
    page.locator("#sheet [data-item='2']").click()
    until(page, "() => document.getElementById('zoom').getAttribute('aria-label').includes('map 2 ')")
    settle(page)
    release(page, held, late)
    assert shown() == expected


def test_a_late_layer_does_not_take_the_place_of_a_newer_one(open_page: Any, address: str) -> None:
    page = open_page(address)
    choose(page, "conv2")
    late = "/layers/conv3$"
    held = hold(page, late)
    page.locator("#strip [data-item='conv3']").click()
    until(page, "() => document.getElementById('layer-title').textContent === 'conv3'")
    choose(page, "relu2")
    release(page, held, late)
    assert page.locator("#layer-title").inner_text() == "relu2"
    assert page.locator("#sheet .sheet").get_attribute("aria-label") == "Maps of relu2"
    point(page, 0.51, 0.41)
    assert "relu2[20, 25, 0]" in page.locator("#readout").inner_text()


def test_a_number_is_called_a_gradient_when_it_is_one(open_page: Any, address: str, explorer: Explorer) -> None:
    page = open_page(address)
    choose(page, "conv2")
    late = "/values/backward/conv2/0$"
    held = hold(page, late)
    pick(page, "#direction", "[value=backward]")
    point(page, 0.51, 0.41)
    forward, backward = (explorer.scene().values(which, "conv2")[20, 25, 0] for which in ("forward", "backward"))
    assert page.locator("#readout code").inner_text() == "conv2[20, 25, 0]"
    assert read(page.locator("#readout b").inner_text()) == pytest.approx(forward, rel=1e-4)
    release(page, held, late)
    point(page, 0.51, 0.41)
    assert page.locator("#readout code").inner_text() == "d conv2[20, 25, 0]"
    assert read(page.locator("#readout b").inner_text()) == pytest.approx(backward, rel=1e-4, abs=1e-12)


def test_a_late_number_does_not_lend_its_name_to_a_newer_one(open_page: Any, address: str, explorer: Explorer) -> None:
    page = open_page(address)
    choose(page, "conv2")
    late = "/(numbers/forward|ways)/conv2/0/20/25$"
    held = hold(page, late)
    point(page, 0.51, 0.41, click=True)
    point(page, 0.71, 0.41, click=True)
    page.wait_for_selector("#number .ledger")
    page.wait_for_selector("#way-loops")
    release(page, held, late)
    assert page.locator("#number-title").inner_text() == "One number: conv2[20, 35, 0]"
    assert the_number(page) == pytest.approx(explorer.scene().values("forward", "conv2")[20, 35, 0], rel=1e-5)


def test_ways_that_come_late_are_those_of_what_was_asked(open_page: Any, address: str) -> None:
    """Meanwhile another layer has been chosen; first none of its numbers, then one."""
    page = open_page(address)
    late = "/ways/conv2/0/20/25$"
    choose(page, "conv2")
    held = hold(page, late)
    point(page, 0.51, 0.41, click=True)
    page.wait_for_selector("#number .ledger")
    page.locator("#strip [data-item='relu2']").click()
    page.wait_for_selector("#zoom[aria-label*='relu2']")
    release(page, held, late)
    assert "conv2[20, 25, 0]" in page.locator("#ways").inner_text()
    choose(page, "conv2")
    held = hold(page, late)
    point(page, 0.51, 0.41, click=True)
    until(page, "() => document.querySelector('#ways[aria-busy]')")
    page.locator("#strip [data-item='relu2']").click()
    page.wait_for_selector("#zoom[aria-label*='relu2']")
    point(page, 0.51, 0.41, click=True)
    page.wait_for_selector("text=relu2 is no convolution")
    release(page, held, late)
    assert "relu2 is no convolution" in page.locator("#ways").inner_text()


def test_a_late_convolution_is_not_that_of_the_controls(open_page: Any, address: str) -> None:
    page = open_page(address)
    late = "/play.*stride=2"
    held = hold(page, late)
    pick(page, "#play", "[name=stride][value='2']")
    pick(page, "#play", "[name=stride][value='3']")
    page.wait_for_selector("text=output 6×6")
    release(page, held, late)
    assert "output 6×6" in page.locator("#play-stage").inner_text()
