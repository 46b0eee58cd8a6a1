"""The reports: one file that loads nothing, escapes everything, and can be read without eyes."""

from __future__ import annotations

import base64
import functools
import io
import re
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from typing import Any

import numpy as np
import pytest
from PIL import Image

from minicnn.errors import DtypeError, MissingDependencyError, ShapeError
from minicnn.report import plots
from minicnn.report.page import DemoPictures, Mistake, compare_page, demo_page
from minicnn.report.pictures import picture, png_uri

HOSTILE = "<script>alert('1')</script>\"&.jpg"
VOID = {"meta", "img", "br", "input", "link", "use", "path"}


class Page(HTMLParser):
    """What a browser would see: elements with their attributes, and whether every one is closed."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.words: list[str] = []
        self.feed(html)
        assert not self.open, f"never closed: {self.open}"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    def all(self, tag: str) -> Iterator[dict[str, str | None]]:
        return (attributes for name, attributes in self.elements if name == tag)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())


def array(name: str = "y", ours: float = 1e-7, limit: float = 5e-7) -> dict[str, Any]:
    numbers = {"ours": ours, "keras": 2e-7, "limit": limit, "float64": 1e-16, "float64_limit": 1e-11}
    return {"name": name, "shape": [2, 3], "right": True, "precise": ours <= limit, "ok": ours <= limit, **numbers}


def parity(*, timed: bool = True, backward: bool = True, bad: bool = False) -> dict[str, Any]:
    times = {"ours_forward": 0.002, "keras_forward": 0.004, "ours_step": 0.006, "keras_step": 0.009} if timed else None
    layers = []
    for name, kind in (("conv1", "Conv2D"), ("relu1", "ReLU"), (HOSTILE, "Dense")):
        arrays = [array("y", 0.0), array("dx", 9e-7 if bad and kind == "Dense" else 1e-7)]
        layer = {"name": name, "kind": kind, "output_shape": [5, 5, 4], "parameters": 1234, "times": times}
        layers.append(layer | {"algorithm": None, "arrays": arrays, "ok": all(a["ok"] for a in arrays)})
    network = {"ours_rms": 1e-8, "keras_rms": 2e-8, "limit": 3e-8, "decided": 2, "agreeing": 2, "ok": True}
    return {
        "model": "face_cnn",
        "batch": 2,
        "input_shape": (20, 20, 1),
        "backward": backward,
        "training": False,
        "threads": {"minicnn": 2, "tensorflow": 2},
        "layers": layers,
        "network": network,
        "ok": not bad,
    }


ENVIRONMENT = {
    "machine": {"processor": "A <processor>", "cores": 2, "system": "Linux", "python": "3.12.1"},
    "simd": {"cpu": "some", "width": 256, "fma": True, "features": ["avx2"]},
    "threads": {"environment": {"OMP_NUM_THREADS": "2"}, "numba": 2, "numba_layer": "omp", "blas": []},
    "versions": {"numpy": "2.4.6", "keras": None},
    "jit_cache": {"folder": "cache", "writable": True},
}


def compared(**options: bool) -> dict[str, Any]:
    return parity(**options) | {
        "source": f"2 faces from '{HOSTILE}'",
        "names": ("a.png", HOSTILE),
        "problems": [f"'{HOSTILE}': no picture"],
        "seed": 7,
        "seconds": 12.5,
        "command": f"minicnn compare '{HOSTILE}'",
        "environment": ENVIRONMENT,
        "failures": ["a layer is imprecise"] if options.get("bad") else [],
    }


def demo_data(epochs: int = 3) -> dict[str, Any]:
    engine = {"losses": (3.0, 2.5), "accuracy": 0.5, "seconds": 1.5}
    other = {"losses": (3.0, 2.5001), "accuracy": 0.5, "seconds": 2.5}
    return {
        "command": "minicnn demo",
        "settings": {
            "seed": 0,
            "epochs": epochs,
            "batch": 20,
            "steps": 2,
            "optimizer": "Adam, learning rate 0.001",
            "label_smoothing": 0.1,
            "people": 3,
            "train": 5,
            "test": 5,
            "training_pictures": 15,
            "input_shape": (200, 200, 1),
            "crop": {"margin": 0.3},
        },
        "detection": {"photos": 30, "found": 29, "attempts": {"dlib-hog": 28, "dlib-hog upsample=1": 1}},
        "training": {
            "epochs": [{"ours": engine, "keras": other, "drift": 1e-6, "loss_difference": 1e-4}] * epochs,
            "loss_difference": 1e-4,
            "drift": 1e-6,
            "agreement": 1.0,
            "seconds_per_epoch": {"minicnn": 1.5, "keras": 2.5},
        },
        "test": {
            "pictures": 4,
            "persons": [0, 0, 1, 2],
            "ours": [0, 0, 1, 1],
            "keras": [0, 0, 1, 1],
            "ours_error": 0.25,
            "keras_error": 0.25,
            "ours_wrong": 1,
            "keras_wrong": 1,
        },
        "parity": parity(),
        "failures": [],
        "environment": ENVIRONMENT,
        "seconds": {"faces": 1.0, "training": 100.0, "layers": 10.0, "total": 111.0},
    }


def demo_html(mistakes: int = 1) -> str:
    face = picture(np.zeros((8, 8)), f"a face {HOSTILE}", HOSTILE)
    mistake = Mistake(face, face, f"Is person 3. minicnn: {HOSTILE}")
    lost = Mistake(face, None, "No face was found.")
    return demo_page(demo_data(), DemoPictures([face], [face], [[face, face]], [mistake, lost][:mistakes], mistakes))


PAGES = {
    "compare": lambda: compare_page(compared(), np.zeros((2, 20, 20), np.uint8)),
    "compare, forward": lambda: compare_page(compared(backward=False), np.zeros((2, 20, 20, 3), np.uint8)),
    "compare, untimed": lambda: compare_page(compared(timed=False), np.zeros((2, 20, 20), np.uint8)),
    "compare, failing": lambda: compare_page(compared(bad=True), np.zeros((2, 20, 20), np.uint8)),
    "demo": lambda: demo_html(2),
    "demo without mistakes": lambda: demo_html(0),
}


@functools.cache
def page(name: str) -> str:
    return PAGES[name]()


@pytest.fixture(params=PAGES)
def html(request: pytest.FixtureRequest) -> str:
    return page(request.param)


def test_a_page_is_one_file_that_loads_nothing(html: str) -> None:
    seen = Page(html)
    assert not re.search(r"https?:|//[a-z]|@import|\bsrcset\b", re.sub(r'"data:image/png;base64,[^"]*"', "", html))
    assert not list(seen.all("script")) + list(seen.all("link")) + list(seen.all("iframe"))
    for image in seen.all("img"):
        assert str(image["src"]).startswith("data:image/png;base64,")
    for element, attributes in seen.elements:
        for name in ("href", "xlink:href"):
            assert str(attributes.get(name, "#")).startswith("#"), element
    policy = next(meta["content"] for meta in seen.all("meta") if meta.get("http-equiv"))
    assert policy == "default-src 'none'; style-src 'unsafe-inline'; img-src data:"


def test_a_page_can_be_read_without_eyes(html: str) -> None:
    seen = Page(html)
    assert next(seen.all("html"))["lang"] == "en"
    assert all(image["alt"] for image in seen.all("img"))
    assert all(element["aria-label"] for name, element in seen.elements if element.get("role") in ("img", "region"))
    assert all(svg["aria-hidden"] == "true" for svg in seen.all("svg"))  # the element around it has the words
    assert all(header["scope"] in ("col", "row", "colgroup") for header in seen.all("th"))
    assert len(list(seen.all("caption"))) == len(list(seen.all("table")))
    ids = [str(attributes["id"]) for _, attributes in seen.elements if "id" in attributes]
    assert len(ids) == len(set(ids))


def test_a_page_adapts_to_the_screen(html: str) -> None:
    assert "width=device-width" in html
    assert "prefers-color-scheme: dark" in html
    for svg in Page(html).all("svg"):
        assert "viewbox" in svg
        assert "width" not in svg
    for stand_in in plots.VARIABLES:
        assert stand_in not in html


def test_hostile_names_are_text(html: str) -> None:
    assert "<script" not in html
    assert HOSTILE in Page(html).text


def test_a_page_says_how_it_was_measured(html: str) -> None:
    text = Page(html).text
    for words in ("A <processor>", "2 cores", "Python 3.12.1", "numpy 2.4.6", "OMP_NUM_THREADS=2", "minicnn"):
        assert words in text
    assert "keras None" not in text


def test_failures_are_shown() -> None:
    text = Page(page("compare, failing")).text
    assert "2 of 3" in text
    assert "a layer is imprecise" in text
    assert "Not within the rule" not in Page(page("compare")).text


def test_the_same_run_gives_the_same_page() -> None:
    assert PAGES["compare"]() == page("compare")


# -- plots -----------------------------------------------------------------------------------------------------------


def test_plots_survive_what_training_can_do() -> None:
    diverged = [2.0, float("nan"), float("inf")]
    assert "<path" in plots.loss_curves(diverged, [2.0, 1.0, 0.5])
    assert "<path" in plots.loss_curves([1.0], [1.0])
    assert "<svg" in plots.difference_curve([0.0, 0.0], 2)  # not a bit apart: nothing to draw on a logarithmic axis
    assert "<svg" in plots.difference_curve([0.0, 1e-7], 2)
    assert "<svg" in plots.layer_errors([{"name": "flatten", "arrays": [array(ours=0.0) | {"keras": 0.0}]}])


def test_a_confusion_matrix_has_a_square_for_every_pair() -> None:
    svg = plots.confusion([0, 0, 1, 2], [0, 0, 1, 1], 3)
    assert svg.count("var(--good)") == 2
    assert svg.count("var(--bad)") == 1


def test_the_worst_array_is_the_one_closest_to_its_limit() -> None:
    wrong = array("dbias", 1e-9) | {"right": False}
    layer = {"arrays": [array("y", 4e-7), array("dx", 9e-7, limit=9e-6), array("dkernel", 1e-7)]}
    assert plots.worst_array(layer)["name"] == "y"
    assert plots.worst_array({"arrays": [*layer["arrays"], wrong]})["name"] == "dbias"


# -- pictures --------------------------------------------------------------------------------------------------------


def decoded(uri: str) -> np.ndarray[Any, Any]:
    data = base64.b64decode(uri.removeprefix("data:image/png;base64,"))
    return np.asarray(Image.open(io.BytesIO(data)))


@pytest.mark.parametrize("shape", [(5, 7), (5, 7, 1), (5, 7, 3)])
def test_pictures_keep_every_pixel(shape: tuple[int, ...], rng: np.random.Generator) -> None:
    pixels = rng.integers(0, 256, shape, np.uint8)
    assert np.array_equal(decoded(png_uri(pixels)), pixels.squeeze())
    assert np.array_equal(decoded(png_uri(pixels / 255.0)), pixels.squeeze())


def test_pictures_can_be_made_smaller_never_larger() -> None:
    assert decoded(png_uri(np.zeros((40, 20), np.uint8), height=10)).shape == (10, 5)
    assert decoded(png_uri(np.zeros((40, 20), np.uint8), height=90)).shape == (40, 20)


def test_augmented_pictures_are_clipped() -> None:
    assert decoded(png_uri(np.array([[-0.5, 1.5, np.nan]]))).tolist() == [[0, 255, 0]]


def test_what_is_no_picture() -> None:
    with pytest.raises(ShapeError, match="a picture"):
        png_uri(np.zeros((2, 3, 4), np.uint8))
    with pytest.raises(ShapeError, match="a picture"):
        png_uri(np.zeros((0, 3), np.uint8))
    with pytest.raises(DtypeError, match="uint8"):
        png_uri(np.zeros((2, 3), np.int64))


@pytest.mark.parametrize("module, package", [("matplotlib", "matplotlib"), ("jinja2", "jinja2"), ("PIL", "matplotlib")])
def test_a_missing_library_is_named_with_its_extra(module: str, package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(MissingDependencyError, match=rf"'{package}'.*minicnn\[report\]"):
        demo_html()
