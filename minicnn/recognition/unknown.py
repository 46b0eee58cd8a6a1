"""When to say "unknown": a threshold that lets strangers through at a rate one can choose.

A network always has a most likely person, also for somebody it has never seen. So a name counts only when the face is
near enough to a face of that person: at a distance of at most ``value``. The question is which value.

**The rule.** Take n faces of strangers and sort them by distance, the nearest first. With

    k = floor(rate * (n + 1))

the value is the k-th of them. A new stranger, drawn as the n were, then passes with probability at most k / (n + 1),
so at most ``rate``, whatever the distribution is: its place among n + 1 faces is equally likely to be any (split
conformal prediction; Vovk, Gammerman and Shafer, "Algorithmic Learning in a Random World", 2005). With n < 1 / rate - 1
that is impossible, for k would be 0; the value then shuts out all n, ``expected`` says 1 / (n + 1), and ``reachable``
is False. Equal values are shut out together, never let in beyond k.

**What the rate means.** It is a mean over strangers: of many people, each with some faces, so many faces in a hundred
get a name. Most strangers get none at all, and somebody with a double among the known people gets it nearly always. So
a rate that is seen on ten strangers scatters widely about the one that was asked for, and one that rests on thirty is
not known better than thirty people allow. ``interval`` says how well (``interval_by_people``).

**Where strangers come from.** Best are people whom the network has never seen (``evaluate --strangers``). Where there
are none, networks are trained besides, each without some of the people (``left_out``). ``source`` says which it was.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from scipy.special import betaincinv, stdtrit

from minicnn.errors import LoadError, OptionError, ShapeError, explain
from minicnn.io.atomic import write_text
from minicnn.shapes import Array

FILE = "threshold.json"
FORMAT, VERSION = "minicnn thresholds", 2
KINDS = ("distance", "pair")  # of a face to the person it is named after; of two faces, for verification
RATE = 0.05
SIZE_LIMIT = 16 << 20  # bytes; one calibrated on all pictures of LFW has 400 kB


@dataclass(frozen=True)
class Threshold:
    """Accept distances of at most ``value``.

    ``rate`` is the share of strangers that was asked for, ``measured`` what was found (the module's docstring).
    ``faces`` are digests of the strangers' faces that it was calibrated on, so that it is not measured on them again;
    none where these were no strangers' (``left_out``), and in files older than this record.
    """

    value: float
    kind: str
    rate: float
    measured: dict[str, Any] = field(default_factory=dict)
    faces: tuple[str, ...] = field(default=(), repr=False)  # thousands

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise OptionError(explain(f"kind as one of {', '.join(KINDS)}", repr(self.kind)))
        check_rate(self.rate)
        if isinstance(self.value, bool) or not isinstance(self.value, (int, float)) or not math.isfinite(self.value):
            raise OptionError(explain("value as a finite number", repr(self.value)))
        if not isinstance(self.faces, tuple) or not all(isinstance(digest, str) for digest in self.faces):
            raise OptionError(explain("faces as digests in a tuple", type(self.faces).__name__))

    def accepts(self, distance: Array | float) -> Array:
        """Which answers count: bool, in the shape of ``distance``. NaN never does."""
        return np.asarray(distance, np.float64) <= self.value


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
    people: Array | None = None,
    source: str = "strangers",
) -> Threshold:
    """The threshold that strangers pass at ``rate``, from the distances of n of them, (n,).

    ``known`` are those of faces of people one knows: what the threshold costs them is measured too. ``people`` (n,)
    tells the strangers apart, for the interval. Raises ShapeError without finite numbers to go by.
    """
    check_rate(rate)
    distances = np.asarray(strangers, np.float64)
    if distances.ndim != 1 or distances.size == 0 or not np.isfinite(distances).all():
        fix = "A threshold needs the faces of strangers."
        received = f"shape {distances.shape}"
        raise ShapeError(explain("finite distances of strangers (n,), at least one", received, fix))
    order = np.sort(distances)
    k = math.floor(rate * (len(order) + 1) + 1e-9)  # 0.05 * 20 must not be 0.99999
    limit = float(order[min(max(k, 1), len(order)) - 1])
    if np.count_nonzero(order <= limit) > k:  # none may pass, or the k-th has equals behind it
        limit = float(np.nextafter(limit, -np.inf))
    passed = distances <= limit
    accepted = int(np.count_nonzero(passed))
    measured: dict[str, Any] = {
        "source": source,
        "strangers": len(order),
        "accepted": accepted,
        "false_accept_rate": accepted / len(order),
        "expected": max(k, 1) / (len(order) + 1),
        "reachable": k >= 1,
    }
    if people is not None:
        measured |= {"people": len(np.unique(people)), "interval": interval_by_people(passed, people)}
    threshold = Threshold(limit, kind, rate, measured)
    if known is not None and len(known):
        named = int(np.count_nonzero(threshold.accepts(known)))
        measured |= {"known": len(known), "known_accepted": named, "known_interval": interval(named, len(known))}
    return threshold


def interval(hits: float, trials: float, confidence: float = 0.95) -> tuple[float, float]:
    """The exact interval of Clopper and Pearson for a rate: ``hits`` were seen in ``trials``, all independent."""
    tail = (1 - confidence) / 2
    low = betaincinv(hits, trials - hits + 1, tail) if hits > 0 else 0.0
    high = betaincinv(hits + 1, trials - hits, 1 - tail) if hits < trials else 1.0
    return float(low), float(high)


def interval_by_people(hit: Array, people: Array, confidence: float = 0.95) -> tuple[float, float]:
    """The same for faces, hit or not (n,) bool, of which those of one person are alike: ``people`` (n,) are labels.

    If one stranger in thirty has a double among the known people, all ten pictures of that stranger pass: 10 of 300
    faces, but one of 30 people. So n is divided by how much larger the variance is than that of n independent faces,
    and the exact interval taken for that many (Korn and Graubard, "Confidence Intervals for Proportions with Small
    Expected Number of Positive Counts Estimated from Survey Data", Survey Methodology 24, 1998). Where all faces were
    hit, or none, there is no variance to see: then each person counts as one face.
    """
    labels = np.unique(people, return_inverse=True)[1]
    n, count = len(labels), int(labels.max()) + 1
    faces, hits = np.bincount(labels), np.bincount(labels, weights=hit)
    rate = float(hits.sum() / n)
    effective = float(count)
    if 0 < rate < 1 and count > 1:
        variance = count / (count - 1) * float(np.square(hits - rate * faces).sum()) / n**2
        tail = (1 - confidence) / 2
        few = (stdtrit(n - 1, tail) / stdtrit(count - 1, tail)) ** 2  # a variance of few people is uncertain
        effective = min(float(n), rate * (1 - rate) / variance * few) if variance > 0 else float(n)
    return interval(rate * effective, effective, confidence)


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
            kind: {"value": t.value, "rate": t.rate, "measured": t.measured} | ({"faces": t.faces} if t.faces else {})
            for kind, t in thresholds.items()
        },
    }
    write_text(Path(folder) / FILE, json.dumps(data, indent=2, allow_nan=False) + "\n")


def update_thresholds(folder: str | Path, fresh: Mapping[str, Threshold]) -> dict[str, Threshold]:
    """Save thresholds that were calibrated anew. Those of other kinds stay: what is in a run's folder is about its
    network, for whoever writes another one takes them away (``train.write_weights``). All that the run has now.

    A damaged file is replaced.
    """
    try:
        kept = load_thresholds(folder)
    except LoadError:
        kept = {}
    now = kept | dict(fresh)
    if fresh:
        save_thresholds(folder, now)
    return now


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
            kind: Threshold(
                float(entry["value"]), kind, float(entry["rate"]), dict(entry["measured"]), _listed(entry, "faces")
            )
            for kind, entry in data["thresholds"].items()
        }
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        fix = "Calibrate it again with: minicnn evaluate RUN DATASET --strangers OTHERS --calibrate."
        raise LoadError(f"Cannot load '{path}': {error}. {fix}") from error


def _listed(entry: Mapping[str, Any], name: str) -> tuple[Any, ...]:
    """A list of the file, () where it has none. Raises TypeError for anything else, also for what could pass as one."""
    found = entry.get(name, [])
    if not isinstance(found, list):
        raise TypeError(f"{name} is no list")
    return tuple(found)
