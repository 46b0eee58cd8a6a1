"""Results that must not depend on how many cores there are."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numba

from minicnn.shapes import Array


def same_bits_on_one_thread(compute: Callable[[], Sequence[Array]]) -> Sequence[Array]:
    """What ``compute`` returns on all threads; on one it must be the same, bit for bit."""
    found, threads = compute(), numba.get_num_threads()
    numba.set_num_threads(1)
    try:
        alone = compute()
    finally:
        numba.set_num_threads(threads)
    assert [array.tobytes() for array in alone] == [array.tobytes() for array in found]
    return found
