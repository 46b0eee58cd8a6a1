"""Names on pictures: every script, every place, and no pixel of a face lost."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from detection.boxes import Box
from detection.draw_names import KNOWN, LONGEST, UNKNOWN, draw_names, drawable
from minicnn.errors import DtypeError, MissingDependencyError

GREY = np.full((160, 200, 3), 90, np.uint8)
BOX = Box(60, 60, 120, 120)


def changed(label: str, box: Box = BOX, known: bool = True) -> np.ndarray:
    drawn = draw_names(GREY, [box], [label], [known])
    assert drawn.shape == GREY.shape
    assert drawn.dtype == np.uint8
    return (drawn != GREY).any(axis=2)


def test_a_frame_lies_outside_its_box_and_the_name_above() -> None:
    found = changed("Anna 97 %")
    assert not found[60:120, 60:120].any()
    assert found[59, 60:120].all()
    assert found[60:120, 120].all()
    assert found[:58, 60:].any()
    assert not found[125:].any()


def test_colours_say_who_is_known() -> None:
    for known, colour in ((True, KNOWN), (False, UNKNOWN)):
        drawn = draw_names(GREY, [BOX], ["x"], [known])
        assert tuple(drawn[59, 90]) == colour


@pytest.mark.parametrize(
    "box", [Box(0, 0, 60, 60), Box(-20, -20, 30, 30), Box(150, 110, 260, 220), Box(-5, -5, 300, 300)]
)
def test_labels_stay_within_the_picture(box: Box) -> None:
    assert changed("Somebody with a long name 100 %", box).any()


def test_letters_are_letters() -> None:
    """OpenCV would write the same question marks for all of these."""
    drawn = [changed(label).tobytes() for label in ("Žofie", "Дмитрий", "Ελένη", "Jón", "????")]
    assert len(set(drawn)) == 5


def test_what_the_font_lacks_is_shown_as_code_points() -> None:
    assert drawable("林 Anna") == "U+6797  Anna"
    assert drawable("a\u202eb\x00c") == "abc"
    assert drawable("Cafe\u0301") == "Café"
    assert len(drawable("x" * 500)) == LONGEST


def test_the_picture_itself_is_left_alone() -> None:
    before = GREY.copy()
    draw_names(GREY, [BOX], ["Anna"], [True])
    assert np.array_equal(GREY, before)
    assert np.array_equal(draw_names(GREY, [], [], []), GREY)
    with pytest.raises(DtypeError, match="uint8"):
        draw_names(GREY / 255, [], [], [])


def test_a_missing_library_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "PIL", None)
    with pytest.raises(MissingDependencyError, match=r"minicnn\[recognise\]"):
        draw_names(GREY, [BOX], ["Anna"], [True])
