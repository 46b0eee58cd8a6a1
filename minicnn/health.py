"""Is everything there that minicnn needs? Findings, each with a verdict and the way to mend it."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from importlib import metadata
from typing import Any

from minicnn.environment import PACKAGES, STAND_INS

PURPOSES = {
    "": "minicnn itself",
    "keras": "comparing with Keras (compare, demo)",
    "files": "Keras's files, ONNX, fetching weights (convert, weights)",
    "faces": "finding and cropping faces (detect, crop, compare, demo)",
    "report": "HTML reports (demo, compare --report)",
    "recognise": "people and runs (dataset, train, evaluate, recognise, verify, find)",
    "bench": "benchmarks (make bench)",
    "explore": "the local page (explore)",
    "course": "the notebooks (jupyter notebook notebooks/: see docs/course/index.md)",
}
OPENCV = "opencv-python-headless"


@dataclass(frozen=True)
class Finding:
    """``verdict``: "ok"; "missing" something optional; "warning", it works but not well; "broken", it does not work."""

    subject: str
    verdict: str
    found: str
    fix: str = ""

    def to_dict(self) -> dict[str, str]:
        return asdict(self)


def diagnose(environment: Mapping[str, Any], keras: Mapping[str, str], failures: Mapping[str, str]) -> list[Finding]:
    """What ``environment.describe()`` means for somebody who wants to work.

    ``keras``: {"backend": "tensorflow", "source": who chose it}, and an "error" if that could not be found out.
    ``failures``: {distribution: message} of those that are installed but do not load.
    """
    return [
        _python(environment["machine"]["python"]),
        *(_extra(extra, environment["versions"], failures) for extra in PACKAGES),
        *_opencv(environment["versions"]),
        _keras(keras),
        _cache(environment["jit_cache"]),
        _simd(environment["simd"]),
        _threads(environment),
    ]


def broken(findings: list[Finding]) -> bool:
    """Whether something required does not work."""
    return any(finding.verdict == "broken" for finding in findings)


def install_command(extra: str) -> str:
    """What to type to get an extra; "" is minicnn itself."""
    return f"pip install 'minicnn[{extra}]'" if extra else "pip install minicnn"


def _python(version: str) -> Finding:
    if (3, 11) <= sys.version_info[:2] <= (3, 13):
        return Finding("Python", "ok", version)
    return Finding("Python", "broken", version, "Use Python 3.11, 3.12 or 3.13.")


def _extra(extra: str, versions: Mapping[str, str | None], failures: Mapping[str, str]) -> Finding:
    subject = f"extra '{extra}'" if extra else "core packages"
    absent = [package for package in PACKAGES[extra] if not versions[package]]
    failing = [package for package in PACKAGES[extra] if package in failures]
    if absent:
        found = f"not installed: {', '.join(absent)}; needed for {PURPOSES[extra]}"
        return Finding(subject, "missing" if extra else "broken", found, install_command(extra))
    if failing:
        found = "; ".join(f"{package}: {failures[package]}" for package in failing)
        # Not the extra: that would have pip look for minicnn itself in the index, where a checkout is not.
        fix = f"In the checkout: pip install -c constraints.txt --force-reinstall {' '.join(map(_present, failing))}"
        return Finding(subject, "broken", found, fix)
    return Finding(subject, "ok", ", ".join(f"{package} {versions[package]}" for package in PACKAGES[extra]))


def _opencv(versions: Mapping[str, str | None]) -> list[Finding]:
    """Two traps that an import does not show: two builds that overwrite each other, and a version without cascades."""
    builds = [name for name in (OPENCV, *STAND_INS[OPENCV]) if _installed(name)]
    if len(builds) > 1:
        found = f"{' and '.join(builds)} overwrite each other: both are the module cv2"
        return [Finding("OpenCV", "warning", found, f"pip uninstall {' '.join(builds)} && pip install {OPENCV}")]
    version = versions[OPENCV]
    if version and version.split(".")[0].isdigit() and int(version.split(".")[0]) >= 5:
        found = f"{version} has no Haar cascades any more"
        return [Finding("OpenCV", "warning", found, f"pip install '{OPENCV}<5'")]
    return []


def _present(package: str) -> str:
    """The distribution that is there: ``package``, or what stands in for it; both together overwrite each other."""
    return next((name for name in (package, *STAND_INS.get(package, ())) if _installed(name)), package)


def _installed(package: str) -> bool:
    try:
        metadata.version(package)
    except metadata.PackageNotFoundError:
        return False
    return True


def _keras(keras: Mapping[str, str]) -> Finding:
    if "error" in keras:
        return Finding("Keras backend", "warning", keras["error"], "Mend or delete the file; Keras makes it anew.")
    found = f"{keras['backend']}, from {keras['source']}"
    if keras["backend"] == "tensorflow":
        return Finding("Keras backend", "ok", found)
    return Finding("Keras backend", "warning", found, "Set KERAS_BACKEND=tensorflow for compare and demo.")


def _cache(cache: Mapping[str, Any]) -> Finding:
    kept = f"{cache['functions']} compiled functions, {cache['bytes'] / 1e6:.1f} MB"
    if cache["writable"]:
        kept = kept if cache["functions"] else "empty; minicnn warmup fills it"
        return Finding("JIT cache", "ok", f"{cache['folder']}: {kept}")
    found = f"{cache['folder']} cannot be written to ({kept}): every run compiles again what is missing"
    return Finding("JIT cache", "warning", found, "Set NUMBA_CACHE_DIR to a folder of yours.")


def _simd(simd: Mapping[str, Any]) -> Finding:
    found = f"{simd['width']} bits ({simd['width'] // 32} float32 at once), {simd['cpu']}"
    found += f": {', '.join(simd['features'])}" if simd["features"] else ""
    if simd["width"] >= 128 and simd["fma"]:
        return Finding("SIMD", "ok", found)
    return Finding("SIMD", "warning", f"{found}; no fused multiply-add", "Nothing to mend: it works, but slowly.")


def _threads(environment: Mapping[str, Any]) -> Finding:
    threads, cores = environment["threads"], environment["machine"]["cores"]
    found = f"{cores} cores; Numba {threads['numba']} on '{threads['numba_layer']}'"
    found += "".join(f"; {pool['library']} {pool['threads']}" for pool in threads["blas"][:1])
    found += "".join(f"; {name}={value}" for name, value in threads["environment"].items())
    if threads["numba"] > cores:
        fix = f"Set NUMBA_NUM_THREADS={cores}: more threads than cores wait for each other."
        return Finding("Threads", "warning", found, fix)
    if threads["numba_layer"] == "workqueue":
        fix = "Fine for one Python thread; pip install tbb for calls from several at once."
        return Finding("Threads", "ok", found, fix)
    return Finding("Threads", "ok", found)
