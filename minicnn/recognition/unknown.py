"""When to say "unknown": a threshold that lets strangers through at a rate one can choose.

A network always has a most likely person, also for somebody it has never seen. So the answer counts only when it is
sure enough: the softmax probability at least ``value``, or the distance to the nearest gallery face at most ``value``.
The question is which value.

**The rule.** Take n faces of strangers and sort them by how sure the network was, the surest first. With

    k = floor(rate * (n + 1))

the value is the k-th of them. A new stranger, drawn as the n were, then passes with probability at most k / (n + 1),
so at most ``rate``, whatever the distribution is: its place among n + 1 faces is equally likely to be any (split
conformal prediction; Vovk, Gammerman and Shafer, "Algorithmic Learning in a Random World", 2005). With n < 1 / rate - 1
that is impossible, for k would be 0; the value then shuts out all n, ``expected`` says 1 / (n + 1), and ``reachable``
is False. Equal values are shut out together, never let in beyond k.

**The numbers that come along.** ``accepted`` of ``strangers`` faces passed, and ``interval`` has the exact 95 %
interval of Clopper and Pearson for that rate. Both treat faces as independent. Several faces of one stranger are not:
with few people the truth is less certain than the interval says, therefore ``people`` stands beside it.

**Where strangers come from.** Best are people whom the network has never seen. Where there are none, two ways:

- networks trained besides, each without some of the people (``left_out``). It costs these trainings;
- everybody left out in turn after the training (``left_out_distances``, ``left_out_probabilities``): what would the
  network have said to this face, had it not known this person? For that, the person's gallery faces (or logit) are
  taken away. But the network was *trained* on that person, so its answers are not a stranger's.

``source`` says which of the three it was.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from scipy.special import softmax

from minicnn.errors import LoadError, OptionError, ShapeError, explain
from minicnn.io.atomic import write_text
from minicnn.shapes import Array

FILE = "threshold.json"
FORMAT, VERSION = "minicnn thresholds", 1
KINDS = ("probability", "distance", "pair")  # "pair": the distance of two faces, for verification
RATE = 0.05
SIZE_LIMIT = 1 << 20  # bytes; a file of thresholds has a few hundred
LEFT_OUT = "everybody left out in turn"


@dataclass(frozen=True)
class Threshold:
    """Accept what is at least (kind "probability") or at most (kinds "distance", "pair") ``value``.

    ``rate`` is the share of strangers that was asked for, ``measured`` what was found (the module's docstring).
    """

    value: float
    kind: str
    rate: float
    measured: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise OptionError(explain(f"kind as one of {', '.join(KINDS)}", repr(self.kind)))
        check_rate(self.rate)
        if isinstance(self.value, bool) or not isinstance(self.value, (int, float)) or not math.isfinite(self.value):
            raise OptionError(explain("value as a finite number", repr(self.value)))

    def accepts(self, confidence: Array | float) -> Array:
        """Which answers count: bool, in the shape of ``confidence``. NaN never does."""
        sure = np.asarray(confidence, np.float64)
        return sure >= self.value if self.kind == "probability" else sure <= self.value


def check_rate(rate: Any) -> None:
    """Raise OptionError unless ``rate`` is a number between 0 and 1, both excluded."""
    if isinstance(rate, bool) or not isinstance(rate, (int, float)) or not 0 < rate < 1:
        fix = "0.05 lets one stranger in twenty pass."
        raise OptionError(explain("rate as a number between 0 and 1", repr(rate), fix))


def calibrate(
    strangers: Array,
    kind: str,
    rate: float = RATE,
    *,
    known: Array | None = None,
    people: int | None = None,
    source: str = "strangers",
) -> Threshold:
    """The threshold that strangers pass at ``rate``, from how sure the network was of n of them, (n,).

    ``known`` is how sure it was of faces that it named rightly: what the threshold costs them is measured too.
    ``people`` is how many strangers the faces are of. Raises ShapeError without finite numbers to go by.
    """
    check_rate(rate)
    scores = np.asarray(strangers, np.float64)
    if scores.ndim != 1 or scores.size == 0 or not np.isfinite(scores).all():
        fix = "A threshold needs the faces of at least two people."
        raise ShapeError(explain("finite confidences of strangers (n,), at least one", f"shape {scores.shape}", fix))
    sign = -1.0 if kind == "probability" else 1.0  # below, less is surer
    order = np.sort(sign * scores)
    k = math.floor(rate * (len(order) + 1) + 1e-9)  # 0.05 * 20 must not be 0.99999
    limit = float(order[min(max(k, 1), len(order)) - 1])
    if np.count_nonzero(order <= limit) > k:  # none may pass, or the k-th has equals behind it
        limit = float(np.nextafter(limit, -np.inf))
    accepted = int(np.count_nonzero(order <= limit))
    measured: dict[str, Any] = {
        "source": source,
        "strangers": len(order),
        "people": people,
        "accepted": accepted,
        "false_accept_rate": accepted / len(order),
        "interval": interval(accepted, len(order)),
        "expected": max(k, 1) / (len(order) + 1),
        "reachable": k >= 1,
    }
    threshold = Threshold(sign * limit, kind, rate, measured)
    if known is not None and len(known):
        passed = int(np.count_nonzero(threshold.accepts(known)))
        measured |= {"known": len(known), "known_accepted": passed, "known_interval": interval(passed, len(known))}
    return threshold


def interval(hits: int, trials: int, confidence: float = 0.95) -> tuple[float, float]:
    """The exact interval of Clopper and Pearson for a rate of which ``hits`` of ``trials`` were seen."""
    from scipy.stats import binomtest

    found = binomtest(hits, trials).proportion_ci(confidence, method="exact")
    return float(found.low), float(found.high)


def left_out_distances(person_distances: Array, labels: Array) -> tuple[Array, Array]:
    """Everybody left out in turn: (strangers, known) distances (N,), from ``identify.person_distances`` (N, K).

    ``strangers``: to the nearest face of anybody else. ``known``: to the nearest of one's own.
    """
    rows = np.arange(len(labels))
    others = person_distances.copy()
    others[rows, labels] = np.inf
    return others.min(axis=1), person_distances[rows, labels]


def left_out_probabilities(logits: Array, labels: Array) -> tuple[Array, Array]:
    """The same for softmax: (strangers, known) probabilities (N,), from logits (N, K).

    ``strangers``: the highest of a softmax without the person's own logit. ``known``: the person's own, of all.
    """
    rows = np.arange(len(labels))
    exact = np.asarray(logits, np.float64)
    if exact.ndim != 2 or exact.shape[1] < 2:
        fix = "With one person alone, nobody can be a stranger."
        raise ShapeError(explain("logits (N, K) of at least two people", f"shape {exact.shape}", fix))
    others = exact.copy()
    others[rows, labels] = -np.inf
    return softmax(others, axis=1).max(axis=1), softmax(exact, axis=1)[rows, labels]


# -- as a file -------------------------------------------------------------------------------------------------------


def save_thresholds(folder: str | Path, thresholds: Mapping[str, Threshold]) -> None:
    """Write ``threshold.json`` into a run's folder: at most one threshold of each kind, under its kind. Atomic."""
    for kind, threshold in thresholds.items():
        if threshold.kind != kind:
            raise OptionError(explain(f"a threshold of kind '{kind}'", f"one of kind '{threshold.kind}'"))
    data = {
        "format": FORMAT,
        "version": VERSION,
        "thresholds": {
            kind: {"value": t.value, "rate": t.rate, "measured": t.measured} for kind, t in thresholds.items()
        },
    }
    write_text(Path(folder) / FILE, json.dumps(data, indent=2, allow_nan=False) + "\n")


def load_thresholds(folder: str | Path) -> dict[str, Threshold]:
    """The thresholds of a run by kind; an empty dict where none was calibrated. Raises LoadError for a damaged file."""
    path = Path(folder) / FILE
    if not path.exists():
        return {}
    try:
        if not path.is_file() or path.stat().st_size > SIZE_LIMIT:
            raise ValueError(f"not a regular file of at most {SIZE_LIMIT} bytes")
        data = json.loads(path.read_text(encoding="utf-8"))
        if (data["format"], data["version"]) != (FORMAT, VERSION):
            raise ValueError(f"not {FORMAT} of version {VERSION}")
        return {
            kind: Threshold(float(entry["value"]), kind, float(entry["rate"]), dict(entry["measured"]))
            for kind, entry in data["thresholds"].items()
        }
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        fix = "Calibrate it again with: minicnn evaluate RUN DATASET --part validation --calibrate."
        raise LoadError(f"Cannot load '{path}': {error}. {fix}") from error
