"""Up-sampling in numbers that go past the cache."""

from __future__ import annotations

import numpy as np
import pytest

from minicnn.ops.copying import passes_cache
from minicnn.ops.up_sampling import up_sampling2d, up_sampling2d_backward
from minicnn.ops.up_sampling_loops import LARGE_BYTES
from minicnn.shapes import Array
from tests.threads import same_bits_on_one_thread


@pytest.mark.parametrize("interpolation", ["nearest", "bilinear"])
def test_neither_threads_nor_the_way_past_the_cache_change_a_bit(interpolation: str, rng: np.random.Generator) -> None:
    """Five pictures are more than a cache of its own holds, and shared by the threads; one picture is neither."""
    x, dy = rng.standard_normal((5, 64, 64, 32)), rng.standard_normal((5, 128, 128, 32))

    def both() -> tuple[Array, Array]:
        y, cache = up_sampling2d(x, 2, interpolation)
        return y, up_sampling2d_backward(dy, cache)

    y, dx = same_bits_on_one_thread(both)
    assert passes_cache(y, 32, LARGE_BYTES)
    one, cache = up_sampling2d(x[4:], 2, interpolation)
    assert not passes_cache(one, 32, LARGE_BYTES)
    assert one.tobytes() == y[4:].tobytes()
    assert up_sampling2d_backward(dy[4:], cache).tobytes() == dx[4:].tobytes()
