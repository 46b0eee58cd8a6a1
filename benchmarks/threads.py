"""Every thread pool gets the same size before its library loads, and is asked afterwards whether it complied.

A ratio of two times means nothing when one side had more threads than the other. OpenBLAS, OpenMP and Numba read their
size from the environment when they load; TensorFlow is told through its own settings, before its first operation.
Threads are limited in number, not bound to cores: that is the operating system's choice (or yours, with ``taskset``).
"""

from __future__ import annotations

import os

VARIABLES = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "NUMBA_NUM_THREADS",
    "TF_NUM_INTRAOP_THREADS",
)
DEFAULT = "2"


def variables(threads: int) -> dict[str, str]:
    """The environment of a process whose pools all have ``threads`` threads."""
    return {variable: str(threads) for variable in VARIABLES} | {
        "TF_NUM_INTEROP_THREADS": "1",  # one operation after another, as in minicnn; each uses all threads
        "CUDA_VISIBLE_DEVICES": "-1",  # every engine on the processor, also where there is a GPU
        "TF_CPP_MIN_LOG_LEVEL": os.environ.get("TF_CPP_MIN_LOG_LEVEL", "2"),
    }


def pin() -> int:
    """Set the size of every pool to NUMBA_NUM_THREADS (2 without it). Must run before NumPy is imported."""
    threads = int(os.environ.get("NUMBA_NUM_THREADS", DEFAULT))
    os.environ.update(variables(threads))
    return threads


def pin_tensorflow(threads: int) -> None:
    """Import TensorFlow (that takes seconds) and give it ``threads`` threads."""
    from reference_keras.backend import load_tensorflow

    threading = load_tensorflow().config.threading
    threading.set_intra_op_parallelism_threads(threads)
    threading.set_inter_op_parallelism_threads(1)


def in_force() -> dict[str, int]:
    """The threads each pool says it has, not what it was told. Call it once all libraries are loaded."""
    import numba
    from threadpoolctl import threadpool_info

    from reference_keras.timing import tensorflow_threads

    pools = {f"{pool['internal_api']} ({pool['prefix']})": pool["num_threads"] for pool in threadpool_info()}
    return {"numba": numba.get_num_threads(), "tensorflow": tensorflow_threads()} | pools


def require_pinned(threads: int) -> dict[str, int]:
    """What ``in_force`` says; RuntimeError when a pool has another size, because then no time may be compared."""
    found = in_force()
    wrong = {pool: size for pool, size in found.items() if size != threads}
    if wrong:
        raise RuntimeError(
            f"Expected {threads} threads in every pool. Received: {wrong}. A library was loaded before it was pinned: "
            "run the benchmarks in a process of their own, with `make bench THREADS=...` or `pytest benchmarks`."
        )
    return found
