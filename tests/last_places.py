"""How far a function of vectors is from the truth, in units of the last place."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

STEP = 4001  # of all float32 numbers, every 4001st is tried: it is a prime, so last digits of all kinds occur


def of(loop: Callable[..., None], x: Any, dtype: type = np.float32) -> np.ndarray:
    x = np.array(x, dtype)
    y = np.empty_like(x)
    with np.errstate(over="ignore", under="ignore"):
        loop(x, y)
    return y


def every(largest: float, sign: int) -> np.ndarray:
    """Numbers of all magnitudes that float32 has, up to ``largest``."""
    end = int(np.float32(largest).view(np.uint32))
    return sign * np.arange(0, end, STEP, dtype=np.uint32).view(np.float32)


def last_places(y: np.ndarray, truth: np.ndarray) -> float:
    """The largest error, in units of the last place that the true value has in the type of y."""
    kept = np.finfo(y.dtype)
    _, exponent = np.frexp(truth)
    unit = np.maximum(exponent - kept.nmant - 1, kept.minexp - kept.nmant)
    return float(np.max(np.abs(np.ldexp(y.astype(np.float64) - truth, -unit))))
