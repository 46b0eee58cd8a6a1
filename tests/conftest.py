"""What every test relies on: a fixed number of threads, a fixed Keras configuration, fixed seeds.

The environment is set while pytest reads this file, before a test module imports NumPy, Numba or TensorFlow: a thread
pool takes its size when its library loads and keeps it.
"""

from __future__ import annotations

import atexit
import os
import random
import shutil
import sys
import tempfile
import zlib

THREADS = os.environ.get("MINICNN_TEST_THREADS", "2")

for name in ("OMP", "OPENBLAS", "MKL", "NUMBA"):
    os.environ.setdefault(f"{name}_NUM_THREADS", THREADS)
os.environ.setdefault("TF_NUM_INTRAOP_THREADS", THREADS)
os.environ.setdefault("TF_NUM_INTEROP_THREADS", "1")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # errors only: TensorFlow greets with what it could use and does not
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")  # both engines on the same processor, also where there is a GPU
os.environ.setdefault("MPLBACKEND", "Agg")  # plots are files here, never windows

# Keras reads its backend, precision and layout from a file in the home directory. A test must not depend on it.
_keras_home = tempfile.mkdtemp(prefix="minicnn-keras-")
atexit.register(shutil.rmtree, _keras_home, ignore_errors=True)
os.environ["KERAS_HOME"] = _keras_home
os.environ["KERAS_BACKEND"] = "tensorflow"

import hypothesis  # noqa: E402  (the environment comes first)
import numpy as np  # noqa: E402
import pytest  # noqa: E402

# Compiling takes seconds in whichever example comes first, so there are no deadlines. Derandomised: the same examples
# in every run, so a failure is a failure for everybody.
hypothesis.settings.register_profile("minicnn", deadline=None, derandomize=True, max_examples=50, print_blob=True)
hypothesis.settings.load_profile("minicnn")
# For tests that are to fail (test_mutations.py): one example that does is enough, a smaller one is not looked for.
hypothesis.settings.register_profile(
    "any_failure",
    hypothesis.settings.get_profile("minicnn"),
    phases=[hypothesis.Phase.explicit, hypothesis.Phase.generate],
)


def pytest_report_header() -> str:
    """State the threads, as every measurement in this project does."""
    pools = {"Numba": "NUMBA_NUM_THREADS", "BLAS": "OPENBLAS_NUM_THREADS", "TensorFlow": "TF_NUM_INTRAOP_THREADS"}
    return "threads: " + ", ".join(f"{os.environ[variable]} {pool}" for pool, variable in pools.items())


@pytest.fixture
def rng(request: pytest.FixtureRequest) -> np.random.Generator:
    """A generator whose seed is the test's own name: the same numbers in every run, whichever tests run before."""
    return np.random.default_rng(zlib.crc32(request.node.nodeid.encode()))


@pytest.fixture(autouse=True)
def _global_seeds() -> None:
    """minicnn never draws from global generators; Keras and Python's library may."""
    random.seed(0)
    np.random.seed(0)  # noqa: NPY002  (exactly the generator that must not differ between runs)
    if "keras" in sys.modules:
        sys.modules["keras"].utils.set_random_seed(0)
