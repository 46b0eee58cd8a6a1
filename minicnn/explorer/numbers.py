"""An explanation as the page takes it: large sums are cut down to the terms that decide them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from minicnn.study import Explanation
from minicnn.study.explanation import Terms, total_of

MOST_TERMS = 6000  # of a group that are sent: all of a 3x3 convolution of 512 channels; not all of a large dense layer


def taken_apart(explanation: Explanation, most: int = MOST_TERMS) -> dict[str, Any]:
    """Formula, terms and steps for JSON. A group of more than ``most`` terms keeps the largest, in their order;
    "left_out" says how many others there are, and what they come to."""
    return explanation.as_json() | {"groups": [_group(group, most) for group in explanation.groups]}


def _group(group: Terms, most: int) -> dict[str, Any]:
    if len(group) <= most:
        return group.as_json()
    order = np.argsort(-np.abs(group.products), kind="stable")
    kept, others = np.sort(order[:most]), group.products[order[most:]]
    factors = [
        replace(f, values=f.values[kept], positions=None if f.positions is None else f.positions[kept])
        for f in group.factors
    ]
    shown = Terms(tuple(factors), group.products[kept])
    return shown.as_json() | {"left_out": {"count": len(others), "sum": total_of([Terms((), others)])}}
