"""The documentation says what is so: every name has its place, files and tests that it names are there, its commands
exist and its examples run. Links between pages are checked by ``mkdocs build --strict`` (``make docs``).
"""

from __future__ import annotations

import ast
import re
import shlex
from html.parser import HTMLParser
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml

import detection
import detection.dataset
import minicnn
from website import chapters, commands, formulas, pages, pictures, reference

ROOT = Path(__file__).resolve().parents[1]
PAGES = sorted((ROOT / "docs").rglob("*.md"))
CHAPTERS = [page for page in PAGES if page.parent.name == "operations" and page.name != "index.md"]
TEXTS = [*PAGES, *(ROOT / source for source in pages.PAGES), *sorted((ROOT / "notebooks").glob("*.py"))]
FOLDERS = "minicnn|tests|reference_keras|detection|docs|benchmarks|website|notebooks"
NAMED = re.compile(rf"`((?:{FOLDERS})/[\w/.]+)(?:::(\w+))?")
ADDED = (
    "minicnn/ops/cropping.py",
    "minicnn/layers/cropping.py",
    "tests/unit/ops/test_cropping.py",
)  # by CONTRIBUTING.md
CODE = re.compile(r"^(?:# )?```(\w*)\n(.*?)^(?:# )?```", re.DOTALL | re.MULTILINE)


def front_matter(page: Path) -> dict[str, Any]:
    text = page.read_text(encoding="utf-8")
    meta: dict[str, Any] = yaml.safe_load(text.split("---\n")[1])
    return meta


def identify(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


# ----------------------------------------------------------------------------------------------------------- chapters


def test_every_layer_loss_and_optimizer_has_its_place_in_a_chapter() -> None:
    explained = [name for chapter in CHAPTERS for name in front_matter(chapter)["covers"]]
    assert sorted(explained) == sorted(set(explained))
    wanted = {name for home in ("layers", "losses", "optimizers") for name in minicnn._HOME[f"minicnn.{home}"]}
    assert wanted - set(explained) == {"Layer", "Context"}  # the contract, which reading.md is about
    assert set(explained) <= set(minicnn.__all__)


@pytest.mark.parametrize("chapter", CHAPTERS, ids=identify)
def test_a_chapter_has_all_its_parts(chapter: Path) -> None:
    text, meta = chapter.read_text(encoding="utf-8"), front_matter(chapter)
    for name in meta["covers"]:
        assert f"`{name}" in text or name.lower() in text.lower(), name
    assert "picture:" in text
    assert "\n$$\n" in text
    assert re.search(r"\\mathrm\{d\}|same taps|no backward pass", text), "nothing is said of the way back"
    for part in (r"## .*[Ss]hapes", r"## Pitfalls", r"## What proves it"):
        assert re.search(part, text), part
    assert all((ROOT / path).is_file() for path in (*meta["code"], *meta["tests"]))


@pytest.mark.parametrize("text", TEXTS, ids=identify)
def test_files_and_tests_that_are_named_exist(text: Path) -> None:
    named = NAMED.findall(text.read_text(encoding="utf-8"))
    for path, function in named:
        assert (ROOT / path).exists() or path in ADDED, path
        if function:
            tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
            assert function in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}, function


@pytest.mark.parametrize("page", PAGES, ids=identify)
def test_examples_run(page: Path) -> None:
    """The Python blocks of a page, one after the other."""
    names: dict[str, Any] = {}
    for language, source in CODE.findall(page.read_text(encoding="utf-8")):
        if language == "python":
            exec(compile(source, identify(page), "exec"), names)


# ----------------------------------------------------------------------------------------------------------- commands

COMMANDS = dict(commands.commands())


def command_lines(text: Path) -> list[str]:
    """Every line of a code block that calls minicnn, without its comment."""
    found = []
    for language, block in CODE.findall(text.read_text(encoding="utf-8")):
        if language in ("", "bash", "sh"):
            lines = [line.removeprefix("# ") if text.suffix == ".py" else line for line in block.splitlines()]
            found += [re.split(r"\s#\s", line)[0].strip() for line in lines if re.match(r"minicnn\s", line)]
    return found


LINES = [pytest.param(line, id=f"{identify(text)}: {line}") for text in TEXTS for line in command_lines(text)]


def test_commands_are_found() -> None:
    assert len(LINES) > 40


@pytest.mark.parametrize("line", LINES)
def test_a_command_of_the_documentation_is_one(line: str) -> None:
    """Its name exists, its options exist and have values of their kind, and no argument is missing or too much."""
    words = shlex.split(line)
    length = next(n for n in (3, 2) if tuple(words[:n]) in COMMANDS)
    command = COMMANDS[tuple(words[:length])]
    command.make_context(" ".join(words[:length]), words[length:])  # raises what a terminal shows


def test_every_command_is_on_its_page() -> None:
    page = commands.page()
    for words, command in COMMANDS.items():
        assert f"## {' '.join(words)}\n" in page
        for parameter in command.params:
            assert all(name in page for name in parameter.opts if name.startswith("--"))
    assert "\\<" not in page


# --------------------------------------------------------------------------------------- formulas, pictures, reference


def test_a_formula_becomes_a_drawing_with_words() -> None:
    page = formulas.typeset(r'<p><span class="arithmatex">\(a &lt; \frac{1}{2}\)</span></p>')
    assert page.startswith('<p><svg class="math" role="img" aria-label="a &lt; \\frac{1}{2}"')
    assert "arithmatex" not in page


def test_a_formula_of_two_lines_is_two_drawings() -> None:
    page = formulas.typeset('<div class="arithmatex">\\[\nx \\\\ y\n\\]</div>')
    assert re.findall(r'aria-label="(\w)"', page) == ["x", "y"]


def test_a_formula_stands_on_the_line() -> None:
    """What reaches below the line hangs below it: y does, x does not."""
    depth = {letter: float(re.findall(r"vertical-align:(-?[\d.]+)em", formulas.svg(letter))[0]) for letter in "xy"}
    assert depth["y"] < depth["x"] - 0.1


def test_a_formula_that_cannot_be_set_is_named() -> None:
    with pytest.raises(ValueError, match=r"\\nonsense"):
        formulas.svg(r"\nonsense{x}")


class Tags(HTMLParser):
    """Checks that what is opened is closed, in order."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


@pytest.mark.parametrize("name", pictures.PICTURES)
def test_a_picture_is_drawn_in_the_colours_of_the_page(name: str) -> None:
    page = pictures.drawn(f'<p><img alt="words" src="picture:{name}" title="caption" /></p>')
    tags = Tags()
    tags.feed(page)
    assert not tags.open
    assert 'role="img" aria-label="words"' in page
    assert "<figcaption>caption</figcaption>" in page
    assert "var(--ink)" in page or "var(--muted)" in page
    assert not re.search(r"#0(\d)(?:0\1){2}|http|<image", page), "a stand-in colour, an address or pixels are left"


def test_pictures_are_used_and_known() -> None:
    asked = [name for page in PAGES for name in re.findall(r"\]\(picture:(\w+)", page.read_text(encoding="utf-8"))]
    assert set(asked) == set(pictures.PICTURES)
    with pytest.raises(KeyError, match="nobody"):
        pictures.drawn('<p><img alt="words" src="picture:nobody" /></p>')
    with pytest.raises(ValueError, match="needs words"):
        pictures.drawn('<p><img alt="" src="picture:taps" /></p>')


@pytest.mark.parametrize("package", [detection, detection.dataset], ids=lambda package: package.__name__)
def test_the_reference_has_what_the_packages_of_faces_offer(package: ModuleType) -> None:
    places = {module for part in reference.modules().values() for module in part}
    homes = {
        getattr(package, name).__module__ for name in package.__all__ if hasattr(getattr(package, name), "__module__")
    }
    assert {home if home in places else home.rpartition(".")[0] for home in homes} <= places


def test_the_reference_has_every_public_name() -> None:
    made = reference.pages()
    for module, names in reference.public_names().items():
        for name in names:
            assert f"::: {reference.address(name)}" in made[reference.place(module)]
            assert f"[`{name}`]" in made["reference/index.md"]


def test_the_head_of_a_chapter_says_where_to_read_and_how_to_check() -> None:
    meta = {"covers": ["MaxPooling2D"], "code": ["minicnn/ops/max_pooling.py"], "tests": ["tests/x.py"]}
    head = chapters.headed("# Pooling\n\nText.", meta, "operations/pooling.md")
    assert head.startswith("# Pooling\n")
    assert "[`MaxPooling2D`][minicnn.layers.pooling.MaxPooling2D]" in head
    assert "[`minicnn/ops/max_pooling.py`](../reference/minicnn.ops.max_pooling.md)" in head
    assert "minicnn check mine.py:f --layer MaxPooling2D --backward" in head
    assert chapters.headed("# Start", {}, "index.md") == "# Start"


def test_links_between_files_become_links_between_pages() -> None:
    text = "[a](docs/architecture.md#speed) [b](CHANGELOG.md) [c](https://keras.io) [d](#here)"
    moved = pages.moved(text, "README.md")
    assert moved == "[a](architecture.md#speed) [b](changelog.md) [c](https://keras.io) [d](#here)"
    with pytest.raises(KeyError, match=r"nowhere\.md"):
        pages.moved("[x](nowhere.md)", "README.md")
