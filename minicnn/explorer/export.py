"""The explorer as one file: the same page and scripts, with the answers written into it instead of a server behind it.

A page cannot hold every number, so it holds some: the first maps of each layer with all their pixels, and of each of
them the largest number, taken apart, forward and backward. A dot marks the pixel. What is left out says so when it is
asked for.

Nothing in the file refers to anything outside. Modules become ``data:`` addresses that an import map names; a content
policy allows these, the file's own style, and nothing else.
"""

from __future__ import annotations

import base64
import fnmatch
import hashlib
import itertools
import json
import re
from collections.abc import Iterator, Sequence
from typing import Any
from urllib.parse import quote

import numpy as np

from minicnn.errors import OptionError, explain
from minicnn.explorer import answers
from minicnn.explorer.answers import Answer
from minicnn.explorer.explorer import Explorer
from minicnn.explorer.scene import DIRECTIONS, FORWARD
from minicnn.explorer.static_files import STATIC
from minicnn.layers import Conv2D
from minicnn.report.pictures import data_uri
from minicnn.report.text import strict

TERMS = 400  # of a sum; the others are added up
KERNELS = ("edges", "blur", "sharpen")  # of the playground


def export_page(explorer: Explorer, *, depth: int = 8, layers: Sequence[str] = ("*",)) -> str:
    """The page as HTML: ``depth`` maps of each of the ``layers`` (names, or patterns such as "conv*").

    Takes a forward and a backward pass, and Keras's if there is one. Raises OptionError for layers there are not.
    """
    with explorer.lock:
        explorer.ask_beside(None, None)
        explorer.beside.wait()
        names = _chosen(explorer, layers)
        recorded = dict(_record(explorer, names, depth))
    return _page({address: _written(answer) for address, answer in recorded.items()})


def _chosen(explorer: Explorer, layers: Sequence[str]) -> list[str]:
    """The input, the layers that a pattern names, and what convolutions among them read, in the order of data.

    Raises OptionError for a pattern that fits none.
    """
    scene = explorer.scene()
    names = scene.names
    for pattern in layers:
        if not fnmatch.filter(names, pattern):
            raise OptionError(explain(f"layers among {', '.join(names)}", repr(pattern)))
    fits = {name for name in names if any(fnmatch.fnmatchcase(name, pattern) for pattern in layers)} | {names[0]}
    uses = [scene.forward.use(name) for name in fits - {names[0]}]
    fits |= {use.reads[0] for use in uses if isinstance(use.layer, Conv2D)}  # there a kernel can be seen sliding
    return [name for name in names if name in fits]


# -- what is asked -----------------------------------------------------------------------------------------------------


def _record(explorer: Explorer, names: list[str], depth: int) -> Iterator[tuple[str, Answer]]:
    """Addresses as the page's scripts write them, and the answers."""
    state: Any = answers.state(explorer)
    kept = [layer for layer in state["layers"] if layer["name"] in names]
    for layer in kept:
        layer["planes"]["count"] = min(layer["planes"]["count"], depth)
    training = state["training"] | {"epochs": []}  # the networks of earlier epochs stay behind
    yield "state", state | {"number": 0, "layers": kept, "kernels": list(KERNELS), "training": training}
    yield "photo.png", answers.photo(explorer)
    yield "crop.png", answers.crop(explorer)
    yield "costs", answers.costs(explorer)
    for kernel, padding, (stride, dilation) in itertools.product(
        KERNELS, ("valid", "same"), ((1, 1), (2, 1), (3, 1), (1, 2), (1, 3))
    ):
        options = f"kernel={kernel}&padding={padding}&stride={stride}&dilation={dilation}"
        yield f"play?{options}", answers.play(explorer, kernel, padding, str(stride), str(dilation))
    for layer in kept:
        yield from _record_layer(explorer, layer, depth)


def _record_layer(explorer: Explorer, layer: dict[str, Any], depth: int) -> Iterator[tuple[str, Answer]]:
    name, part = layer["name"], quote(layer["name"], safe="!*'()")  # as encodeURIComponent has it
    about: Any = answers.layer(explorer, name)
    yield f"layers/{part}", about
    for direction in DIRECTIONS:
        yield f"strips/{direction}/{part}.png", answers.strip(explorer, direction, name)
        yield f"sheets/{direction}/{part}/0.png", answers.sheet(explorer, direction, name, "0", most=str(depth))
        for number in map(str, range(layer["planes"]["count"])):
            row, column = _largest(explorer, direction, name, int(number))
            values: Any = answers.values(explorer, direction, name, number)
            isolated = direction == FORWARD and layer["kind"] == "Input"  # given, so there is nothing to take apart
            yield f"values/{direction}/{part}/{number}", values | {"explained": [] if isolated else [(row, column)]}
            yield f"maps/{direction}/{part}/{number}.png", answers.one_map(explorer, direction, name, number)
            if isolated:
                continue
            place = f"{number}/{row}/{column}"
            taken_apart = answers.number(explorer, direction, name, number, str(row), str(column), most=str(TERMS))
            yield f"numbers/{direction}/{part}/{place}", taken_apart
            if layer["kernels"] and direction == FORWARD:
                yield f"ways/{part}/{place}", answers.ways(explorer, name, number, str(row), str(column))
    if layer["kernels"]:
        source = quote(about["source"], safe="!*'()")
        for number in map(str, range(layer["planes"]["count"])):
            kernel: Any = answers.kernel(explorer, name, number)
            yield f"kernels/{part}/{number}", kernel
            shown = str(kernel["strongest"])
            yield f"maps/{FORWARD}/{source}/{shown}.png", answers.one_map(explorer, FORWARD, about["source"], shown)


def _largest(explorer: Explorer, direction: str, name: str, number: int) -> tuple[int, int]:
    """The pixel of a map with the largest absolute value."""
    scene = explorer.scene()
    plane = scene.planes(name).plane(scene.values(direction, name), number)
    row, column = np.unravel_index(np.abs(np.nan_to_num(plane)).argmax(), plane.shape)
    return int(row), int(column)


def _written(answer: Answer) -> Any:
    return data_uri(answer) if isinstance(answer, bytes) else strict(answer)


# -- the file ----------------------------------------------------------------------------------------------------------


def _page(recorded: dict[str, Any]) -> str:
    modules = {path.stem: path.read_text(encoding="utf-8") for path in sorted(STATIC.glob("*.js"))}
    named = {f"minicnn/{name}": _module_uri(text) for name, text in modules.items()}
    import_map, start = json.dumps({"imports": named}), 'import "minicnn/main";'
    style = (STATIC / "style.css").read_text(encoding="utf-8")
    policy = (
        f"default-src 'none'; img-src data:; style-src {_hash(style)}; "
        f"script-src data: {_hash(import_map)} {_hash(start)}; base-uri 'none'; form-action 'none'"
    )
    # No "<": neither an end of the script, nor "<!--<script", after which a parser would not see the real end.
    data = json.dumps(recorded, allow_nan=False).replace("<", "\\u003c")
    replacements = {
        '<meta charset="utf-8">': (
            f'<meta charset="utf-8">\n<meta http-equiv="Content-Security-Policy" content="{policy}">'
        ),
        '<link rel="stylesheet" href="style.css">': f"<style>{style}</style>",
        'href="icon.svg"': f'href="{_uri("image/svg+xml", (STATIC / "icon.svg").read_text(encoding="utf-8"))}"',
        '<script type="module" src="main.js"></script>': (
            f'<script type="application/json" id="recorded">{data}</script>\n'
            f'<script type="importmap">{import_map}</script>\n<script type="module">{start}</script>'
        ),
    }
    page = re.sub('<link rel="(?:module)?preload".*\n', "", (STATIC / "index.html").read_text(encoding="utf-8"))
    for old, new in replacements.items():
        assert page.count(old) == 1, old
        page = page.replace(old, new)
    return page


def _module_uri(text: str) -> str:
    """A module as an address. Its imports become names of the import map: nothing is relative to an address of data."""
    return _uri("text/javascript", re.sub(r'from "\./(\w+)\.js"', r'from "minicnn/\1"', text))


def _uri(kind: str, text: str) -> str:
    return f"data:{kind};base64,{base64.b64encode(text.encode()).decode()}"


def _hash(text: str) -> str:
    """What allows exactly this text in a content security policy."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
