"""Boxes as sets of pixels: every formula is compared with counting."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from detection.boxes import Box, Face, largest_first
from minicnn.errors import OptionError

N = 24  # boxes lie in a little world of N x N pixels, from -8 to 15


@st.composite
def boxes(draw: st.DrawFn) -> Box:
    left, top = draw(st.integers(-8, 14)), draw(st.integers(-8, 14))
    return Box(left, top, draw(st.integers(left + 1, 15)), draw(st.integers(top + 1, 15)))


def pixels(box: Box | None) -> np.ndarray:
    world = np.zeros((N, N), bool)
    if box is not None:
        world[box.top + 8 : box.bottom + 8, box.left + 8 : box.right + 8] = True
    return world


@given(boxes(), boxes())
def test_intersection_and_iou_are_what_counting_pixels_gives(a: Box, b: Box) -> None:
    common, union = pixels(a) & pixels(b), pixels(a) | pixels(b)
    np.testing.assert_array_equal(pixels(a.intersection(b)), common)
    assert a.iou(b) == common.sum() / union.sum()
    assert a.iou(b) == b.iou(a)
    assert a.area == a.width * a.height == pixels(a).sum()


@given(boxes(), st.integers(1, 15), st.integers(1, 15))
def test_clip_keeps_exactly_the_pixels_of_the_picture(box: Box, width: int, height: int) -> None:
    np.testing.assert_array_equal(pixels(box.clip(width, height)), pixels(box) & pixels(Box(0, 0, width, height)))


@given(boxes(), st.floats(0, 2))
def test_a_square_is_square_contains_the_box_and_shares_its_centre(box: Box, margin: float) -> None:
    square = box.square(margin)
    assert square.width == square.height == round((1 + 2 * margin) * max(box.width, box.height))
    assert square.intersection(box) == box
    for before, after in ((box.left + box.right, square.left + square.right),
                          (box.top + box.bottom, square.top + square.bottom)):  # fmt: skip
        assert 0 <= before - after <= 1  # twice the centre: at most half a pixel to the upper left


def test_a_square_with_margin_adds_that_share_on_every_side() -> None:
    assert Box(10, 20, 30, 40).square(0.25) == Box(5, 15, 35, 45)


@pytest.mark.parametrize("edges", [(0, 0, 0, 5), (0, 5, 5, 5), (3, 0, 1, 5), (0.0, 0, 5, 5), (True, 0, 5, 5)])
def test_empty_or_fractional_boxes_are_refused(edges: tuple[int, int, int, int]) -> None:
    with pytest.raises(OptionError, match=r"Expected .* Received"):
        Box(*edges)


def test_numpy_integers_become_python_integers() -> None:
    box = Box(*np.array([250, 250, 255, 255], np.uint8))
    assert box.left + box.right == 505  # uint8 would have wrapped around
    assert box == Box(250, 250, 255, 255)


@pytest.mark.parametrize("margin", [-0.1, float("nan"), float("inf")])
def test_a_margin_must_be_a_number_from_zero(margin: float) -> None:
    with pytest.raises(OptionError, match="margin"):
        Box(0, 0, 2, 2).square(margin)


@given(st.permutations(range(5)))
def test_the_order_of_faces_does_not_depend_on_the_order_of_finding(order: list[int]) -> None:
    expected = [
        Face(Box(0, 0, 9, 9), 0.1, "d"),  # the largest, though the least certain
        Face(Box(5, 5, 8, 8), 2.0, "d"),  # then, among equal sizes, the most certain
        Face(Box(0, 0, 3, 3), 1.0, "d"),  # then the leftmost
        Face(Box(1, 0, 4, 3), 1.0, "d"),
        Face(Box(0, 0, 1, 1), 9.0, "d"),
    ]
    assert largest_first([expected[i] for i in order]) == expected
