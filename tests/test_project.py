"""Promises of the project as a whole: which imports are allowed, what it installs, what may be committed."""

from __future__ import annotations

import ast
import doctest
import importlib
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import minicnn.ops
from minicnn.gradcheck import check_layer_gradient

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("minicnn", "reference_keras", "detection")
OPTIONAL = [
    *("cv2", "dlib", "h5py", "imagehash", "keras", "onnx", "requests", "sklearn", "tensorflow", "threadpoolctl"),
    *("jinja2", "matplotlib", "rich", "typer"),
]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def run(*command: str, **options: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, **options)  # type: ignore[call-overload, no-any-return]


def committed_files() -> list[Path]:
    """What git tracks, and what it would track after `git add .`, so that a mistake shows before the commit."""
    listing = run("git", "-c", "safe.directory=*", "ls-files", "-z", "--cached", "--others", "--exclude-standard")
    if listing.returncode != 0:
        pytest.skip(f"not a git checkout, so there is nothing committed to look at: {listing.stderr.strip()}")
    return [path for name in listing.stdout.split("\0") if name and (path := ROOT / name).is_file()]


def modules(*folders: str) -> list[Path]:
    return [path for folder in folders for path in sorted((ROOT / folder).rglob("*.py"))]


# ------------------------------------------------------------------------------------------------------------ imports


def test_import_contracts_hold() -> None:
    command = "from importlinter.cli import lint_imports_command; lint_imports_command()"
    result = run(sys.executable, "-c", command, "--no-cache")
    assert result.returncode == 0, result.stdout + result.stderr
    assert "Contracts: 4 kept, 0 broken." in result.stdout


def test_importing_minicnn_loads_only_what_it_needs() -> None:
    result = run(sys.executable, "-c", "import sys, minicnn; print(*sys.modules)")
    assert result.returncode == 0, result.stderr
    loaded = set(result.stdout.split())
    assert "minicnn" in loaded
    assert not {name.partition(".")[0] for name in loaded} & {*OPTIONAL, "detection", "reference_keras"}
    assert "scipy.special" not in loaded  # Numba asks SciPy for its version; the rest waits until it is needed


def test_every_module_of_minicnn_imports_with_numpy_scipy_and_numba_alone() -> None:
    """What is promised for an installation without any extra, shown by hiding the rest of what pyproject.toml names."""
    script = """
import importlib, pkgutil, sys
hidden = set(sys.argv[1:])
class Hide:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in hidden:
            raise ModuleNotFoundError(f"{name} is hidden by this test", name=name)
sys.meta_path.insert(0, Hide())
import minicnn
for module in pkgutil.walk_packages(minicnn.__path__, "minicnn.", onerror=lambda name: None):
    if not module.name.startswith(("minicnn.cli", "minicnn.__main__")):
        importlib.import_module(module.name)
        print(module.name)
"""
    result = run(sys.executable, "-c", script, *OPTIONAL)
    assert result.returncode == 0, result.stderr
    assert "minicnn.shapes" in result.stdout.split()


# ------------------------------------------------------------------------------------------------------- installation


def test_version_is_the_same_everywhere() -> None:
    version = PYPROJECT["project"]["version"]
    source = (ROOT / "minicnn" / "__init__.py").read_text(encoding="utf-8")
    assert re.findall(r'^__version__ = "(.+)"$', source, re.MULTILINE) == [version]
    newest = re.search(r"^## \[(\d.*?)\]", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert newest is not None
    assert newest[1] == version


def requirements() -> list[Requirement]:
    project = PYPROJECT["project"]
    groups = [
        PYPROJECT["build-system"]["requires"],
        project["dependencies"],
        *project["optional-dependencies"].values(),
        *PYPROJECT["dependency-groups"].values(),
    ]
    return [r for group in groups for r in map(Requirement, group) if r.name != project["name"]]


def test_constraints_pin_everything_that_pyproject_names() -> None:
    lines = [line.split("#")[0].strip() for line in (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()]
    pins: dict[str, str] = {}
    for line in filter(None, lines):
        match = re.fullmatch(r"([A-Za-z0-9._-]+)==([A-Za-z0-9.]+)", line)
        assert match, f"constraints.txt: expected name==version, received {line!r}"
        pins[canonicalize_name(match[1])] = match[2]
    for requirement in requirements():
        pinned = pins.get(canonicalize_name(requirement.name))
        assert pinned is not None, f"constraints.txt does not pin {requirement.name}"
        assert requirement.specifier.contains(pinned), f"{requirement.name}=={pinned} is not within {requirement}"


@pytest.mark.parametrize("package", PACKAGES)
def test_package_is_typed_and_packaged(package: str) -> None:
    assert (ROOT / package / "py.typed").is_file()
    assert package in PYPROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]


# --------------------------------------------------------------------------------------------------- what is committed


def test_no_committed_file_names_a_registry_or_a_path_of_one_machine() -> None:
    # Written in pieces, or this file would be the first to match.
    hosts = ["pypi" + ".org", "python" + "hosted.org", "conda" + ".anaconda", "index" + "-url"]
    folders = ["ro" + "ot", "wo" + "rk", "t" + "mp", "ho" + "me", "Us" + "ers"]
    # A path starts a word: the middle of `a/b/c` is none of one machine's.
    pattern = re.compile("|".join([*map(re.escape, hosts), rf"(?<![\w.)}}\]*-])/(?:{'|'.join(folders)})/"]))
    found = []
    for path in committed_files():
        text = path.read_text(encoding="utf-8", errors="ignore")
        found += [f"{path.relative_to(ROOT)}: {match[0]}" for match in pattern.finditer(text)]
    assert not found


def test_committed_files_are_small() -> None:
    """No photographs, no weights: what is large is downloaded, generated or trained."""
    large = {str(path.relative_to(ROOT)): size for path in committed_files() if (size := path.stat().st_size) > 500_000}
    assert not large


# ------------------------------------------------------------------------------------------------------- readability


@pytest.mark.parametrize("folder", [*PACKAGES, "benchmarks", "tests", "website"])
def test_every_module_says_what_it_is_for(folder: str) -> None:
    trees = {path: ast.parse(path.read_text(encoding="utf-8")) for path in modules(folder)}
    assert trees, f"{folder} has no modules"
    silent = [str(path.relative_to(ROOT)) for path, tree in trees.items() if tree.body and not ast.get_docstring(tree)]
    assert not silent


@pytest.mark.parametrize("folder", [*PACKAGES, "benchmarks", "website"])
def test_every_module_can_be_read_in_one_sitting(folder: str) -> None:
    lengths = {path: len(path.read_text(encoding="utf-8").splitlines()) for path in modules(folder)}
    assert not {str(path.relative_to(ROOT)): length for path, length in lengths.items() if length > 300}


def test_the_reading_list_of_the_operations_names_every_module() -> None:
    listed = re.findall(r"[\w/]+", minicnn.ops.__doc__ or "")
    assert {path.stem for path in (ROOT / "minicnn" / "ops").glob("[!_]*.py")} - set(listed) == set()


EXAMPLES = [path for path in modules(*PACKAGES) if ">>> " in path.read_text(encoding="utf-8")]


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_examples_in_docstrings_print_what_they_say(path: Path) -> None:
    name = ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
    result = doctest.testmod(importlib.import_module(name))
    assert result.attempted > 0
    assert result.failed == 0


def test_the_layer_that_contributing_adds_as_an_example_works(monkeypatch: pytest.MonkeyPatch) -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    blocks = re.findall(r"^```python\n# minicnn/(\S+)\.py\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    assert [name for name, _ in blocks] == ["ops/cropping", "layers/cropping"]
    for name, source in blocks:
        module = ModuleType(f"minicnn.{name.replace('/', '.')}")
        monkeypatch.setitem(sys.modules, module.__name__, module)
        exec(compile(source, f"CONTRIBUTING.md: {name}", "exec"), module.__dict__)

    layer = module.Cropping2D(cropping=2)
    assert layer.build((5, 7, 3), np.random.default_rng(0)) == (1, 3, 3)
    x = np.random.default_rng(1).normal(size=(2, 5, 7, 3))
    assert np.array_equal(layer(x), x[:, 2:3, 2:5])
    report = check_layer_gradient(layer, x)
    assert report.passed(), report
