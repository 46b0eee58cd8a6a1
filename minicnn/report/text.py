"""Numbers as people read them, short enough for a narrow table; and as programs do."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any


def count(number: float) -> str:
    """A number of things, to three digits.

    >>> count(102764544), count(1792), count(40)
    ('102.8M', '1.8k', '40')
    """
    for limit, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(number) >= limit:
            return f"{number / limit:.1f}{unit}"
    return f"{number:.0f}"


def counted(number: int, one: str, many: str = "") -> str:
    """So many of what is called ``one``; of several, ``many``, which without a word of its own has an s at the end.

    >>> counted(1, "face"), counted(0, "face"), counted(2, "person", "people")
    ('1 face', '0 faces', '2 people')
    """
    return f"{number} {one if number == 1 else many or one + 's'}"


def duration(seconds: float | None) -> str:
    """A time in the unit that suits it; "" for None.

    >>> duration(0.0123), duration(0.00004), duration(75), duration(None)
    ('12.3 ms', '40 µs', '75.0 s', '')
    """
    if seconds is None:
        return ""
    if seconds < 1e-3:
        return f"{seconds * 1e6:.0f} µs"
    if seconds < 1:
        return f"{seconds * 1e3:.{1 if seconds < 0.1 else 0}f} ms"
    return f"{seconds:.{2 if seconds < 10 else 1}f} s"


def shape(sizes: Sequence[int]) -> str:
    """A shape in the way command lines write it.

    >>> shape((224, 224, 64))
    '224x224x64'
    """
    return "x".join(map(str, sizes))


def ratio(ours: float | None, keras: float | None) -> str:
    """How many times ours is Keras's; "-" where there is nothing to compare, both being exact.

    >>> ratio(1e-7, 2e-7), ratio(0.0, 0.0), ratio(1e-7, 0.0)
    ('0.50', '-', 'inf')
    """
    if ours is None or keras is None:
        return ""
    if keras == 0:
        return "-" if ours == 0 else "inf"
    quotient = ours / keras
    return f"{quotient:.2f}" if quotient < 99.5 else f"{quotient:.0f}"


def error(value: float) -> str:
    """A relative error; 0 is exact.

    >>> error(1.234e-7), error(0.0)
    ('1.2e-07', '0')
    """
    return f"{value:.1e}" if value else "0"


def percent(share: float) -> str:
    """A share of 1.

    >>> percent(0.025)
    '2.5 %'
    """
    return f"{100 * share:.1f} %"


def strict(data: Any) -> Any:
    """``data`` with everything JSON cannot say turned into something it can: NaN into "nan", arrays into lists."""
    if isinstance(data, dict):
        return {str(key): strict(value) for key, value in data.items()}
    if isinstance(data, (list, tuple)):
        return [strict(value) for value in data]
    if hasattr(data, "tolist"):  # NumPy's numbers and arrays
        return strict(data.tolist())
    if isinstance(data, float) and not math.isfinite(data):
        return str(data)
    return data if isinstance(data, (str, int, float, bool, type(None))) else str(data)
