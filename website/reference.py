"""The reference: a page per module with the docstrings of its public names, made by mkdocstrings."""

from __future__ import annotations

import re
from pathlib import Path

import griffe

import minicnn

ROOT = Path(__file__).resolve().parents[1]

#: What people call from their own code and ``import minicnn`` does not bring: titles of parts, and modules.
ELSEWHERE = {
    "Faces": [f"detection.{name}" for name in ("images", "boxes", "detectors", "crop", "align", "orl", "split")],
    "Datasets": [
        f"detection.dataset.{name}" for name in ("settings", "build", "ready_made", "check", "split", "load", "sheet")
    ],
    "Recognition": [
        f"minicnn.recognition.{name}"
        for name in ("recipe", "run", "engine", "identifier", "identify", "unknown", "evaluation", "verification")
    ],
    "Against Keras": ["reference_keras.parity"],
}


def public_names() -> dict[str, tuple[str, ...]]:
    """The names of ``import minicnn`` by their module, in reading order."""
    return dict(minicnn._HOME)


def modules() -> dict[str, list[str]]:
    """Titles of parts, and the modules of each in reading order."""
    operations = [_module(path) for path in sorted((ROOT / "minicnn" / "ops").rglob("*.py"))]
    return {
        "What you import": list(public_names()),
        "Operations": [module for module in operations if module not in public_names()],
        "See inside": [_module(path) for path in sorted((ROOT / "minicnn" / "study").glob("*.py"))],
        **ELSEWHERE,
    }


def place(module: str) -> str:
    """Where the page of a module lies."""
    return f"reference/{module}.md"


def pages() -> dict[str, str]:
    """Every page of the reference as Markdown."""
    made = {place(module): _page(module) for part in modules().values() for module in part}
    return made | {"reference/index.md": _index()}


def navigation() -> list[dict[str, object]]:
    """The reference's part of the table of contents."""
    parts: list[dict[str, object]] = [{"Names": "reference/index.md"}]
    return parts + [{title: [{_short(m): place(m)} for m in names]} for title, names in modules().items()]


def _module(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def _short(module: str) -> str:
    """A module's name as the table of contents shows it, which is narrow."""
    for prefix in ("minicnn.", "ops.", "recognition.", "detection.", "dataset."):
        module = module.removeprefix(prefix)
    return module


def _page(module: str) -> str:
    names = public_names().get(module, ())
    lines = [f"# {module}", "", f"::: {module}", "    options:", "      show_root_heading: false"]
    if not names:
        return "\n".join(lines)
    lines += ["      members: false"]
    for name in names:
        lines += ["", f"::: {_home(module, name)}"]
    return "\n".join(lines)


def _home(module: str, name: str) -> str:
    """The full address of a name: where it is written, if its module only passes it on."""
    found = getattr(minicnn, name)
    return f"{found.__module__}.{name}"


def _index() -> str:
    lines = ["# Names", "", "What `import minicnn` offers, in the order in which the code is best read.", ""]
    for module, names in public_names().items():
        links = ", ".join(f"[`{name}`][{_home(module, name)}]" for name in names)
        lines += [f"[{module}]({module}.md)", f":   {links}", ""]
    return "\n".join(lines)


def address(name: str) -> str:
    """Where the reference explains the public ``name`` of minicnn, for a link to it."""
    homes = {each: module for module, names in public_names().items() for each in names}
    return _home(homes[name], name)


class Doctests(griffe.Extension):
    """Examples in docstrings (``>>> ...``) become blocks of code: to Markdown they would be quotations."""

    def on_object(self, *, obj: griffe.Object, **kwargs: object) -> None:
        """Called for every object that was found."""
        if obj.docstring and ">>> " in obj.docstring.value:
            obj.docstring.value = fenced(obj.docstring.value)


def fenced(text: str) -> str:
    """``text`` with its doctests in fences.

    >>> fenced("Two.\\n\\n>>> 1 + 1\\n2").splitlines()[2:]
    ['```pycon', '>>> 1 + 1', '2', '```']
    """
    block = re.compile(r"^>>> .*?(?=\n\s*\n(?!>>> )|\Z)", re.DOTALL | re.MULTILINE)
    return block.sub(lambda match: f"```pycon\n{match[0].rstrip()}\n```", text)
