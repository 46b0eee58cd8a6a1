"""Which files a compiled function comes from: every way to import one."""

from __future__ import annotations

import sys
from pathlib import Path
from types import FunctionType, ModuleType

import pytest

from minicnn.ops.jit_files import package_of, source_stamp

IMPORTS = [
    "from kernels.leaf import FACTOR",
    "from kernels.leaf import (\n    FACTOR,\n)",
    "from kernels.leaf \\\n    import FACTOR",
    "from kernels import leaf",
    "from kernels import \\\n    leaf",
    "from kernels import other, leaf as constants",
    "import kernels.leaf",
    "import os, kernels.leaf as leaf",
    "    from kernels.leaf import FACTOR",
    "from .leaf import FACTOR",
    "from . import leaf",
    "from .below import FACTOR",
    "from .below.deeper import FACTOR",
    "from kernels.below import deeper",
    "from kernels.plain.deeper import FACTOR",
    "from kernels.plain import deeper",
    "from kernels import FACTOR",
    "from . import FACTOR",
    "from kernels.through import FACTOR",
]


def stamp(folder: Path, source: str, factor: float, monkeypatch: pytest.MonkeyPatch) -> bytes | None:
    """Of a function in a package ``kernels``, whose other files hold or import ``factor``."""
    package = folder / "kernels"
    for inside in (package, package / "below", package / "plain"):
        inside.mkdir(parents=True)
    constant = f"FACTOR = {factor}\n"
    for name in ("leaf", "__init__", "below/deeper", "plain/deeper"):
        (package / f"{name}.py").write_text(constant)
    (package / "through.py").write_text("from kernels.below import FACTOR\n")
    (package / "below" / "__init__.py").write_text("from ..leaf import FACTOR\n")
    (package / "other.py").write_text("NOTHING = 0\n")
    (package / "caller.py").write_text(f"{source}\n")
    module = ModuleType("kernels")
    module.__path__ = [str(package)]
    monkeypatch.setitem(sys.modules, "kernels", module)
    function = FunctionType(compile("", str(package / "caller.py"), "exec"), {"__name__": "kernels.caller"})
    assert package_of(function.__module__, function.__code__.co_filename) == package.resolve()
    return source_stamp(function)


@pytest.mark.parametrize("source", IMPORTS)
def test_a_file_counts_however_it_is_imported(source: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stamps = [stamp(tmp_path / str(i), source, factor, monkeypatch) for i, factor in enumerate((2.0, 2.0, 5.0))]
    assert stamps[0] is not None
    assert stamps[0] == stamps[1]
    assert stamps[0] != stamps[2]


@pytest.mark.parametrize(
    "source",
    ["import os", "from kernels.other import NOTHING", "from .other import NOTHING", f"from {'.' * 99} import leaf"],
)
def test_a_file_that_is_not_imported_does_not_count(
    source: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, other = (stamp(tmp_path / str(factor), source, factor, monkeypatch) for factor in (2.0, 5.0))
    assert one == other


def test_a_function_without_a_file_has_no_stamp() -> None:
    assert source_stamp(FunctionType(compile("", "<stdin>", "exec"), {"__name__": "__main__"})) is None
