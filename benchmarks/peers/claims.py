"""What the project promises: a ratio for each line of its table, the bar it must reach and the aim it would like.

A claim looks at one work or several ("each layer"), and at the fastest way of the peers it is held against. Where there
are several works the worst ratio counts. Memory counts the other way round: ours by theirs, the less the better.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from benchmarks.peers.cases import SINGLE_3X3, SINGLE_OTHERS, all_works
from benchmarks.peers.catalogue import MINICNN, PEERS
from benchmarks.peers.statistics import Result, Spread
from benchmarks.peers.work import Work

KERAS = ("keras",)
ONEDNN = ("keras", "torch")  # both compute their convolutions with it
LAYER_RUNS = ("forward-b1", "forward-b8", "step-b8")
START_UP, MEMORY_FORWARD, MEMORY_TRAINING = "start-up", "memory-forward", "memory-training"


@dataclass(frozen=True)
class Claim:
    """``against``: the peers whose fastest way counts, none for all. ``less``: the ratio is ours / theirs. ``of``: how
    many works it promises something of, where ``works`` are only some of them."""

    name: str
    text: str
    works: tuple[str, ...]
    against: tuple[str, ...]
    bar: float
    aim: float
    less: bool = False
    of: int = 0

    def narrowed(self, works: tuple[str, ...]) -> Claim:
        """What it promises of some of its works; the words say so."""
        if works == self.works:
            return self
        whole = len(self.works)
        return replace(self, works=works, of=whole, text=f"{self.text}; {len(works)} of {whole} works")


@dataclass(frozen=True)
class Verdict:
    """``status``: "aim", "bar" (reached that much), "missed", or "no number" with the reason in ``worst``."""

    claim: Claim
    status: str
    ratio: Spread | None
    worst: str
    opponent: str = ""

    @property
    def met(self) -> bool:
        return self.status in ("aim", "bar")

    def to_json(self) -> dict[str, Any]:
        return {
            "name": self.claim.name,
            "text": self.claim.text,
            "works": len(self.claim.works),
            "of": self.claim.of or len(self.claim.works),
            "bar": self.claim.bar,
            "aim": self.claim.aim,
            "less": self.claim.less,
            "status": self.status,
            "met": self.met,
            "ratio": self.ratio.to_json() if self.ratio else None,
            "case": self.worst,
            "opponent": self.opponent,
        }


def _layers(names: Mapping[str, object]) -> tuple[str, ...]:
    return tuple(f"{name}-{run}" for name in names for run in LAYER_RUNS)


def _network_claims(network: str, title: str) -> list[Claim]:
    return [
        Claim(
            f"{network}-b8-fastest", f"{title} forward, batch 8: fastest peer", (f"{network}-forward-b8",), (), 2.0, 2.7
        ),
        Claim(f"{network}-b8-keras", f"{title} forward, batch 8: Keras", (f"{network}-forward-b8",), KERAS, 2.2, 3.0),
        Claim(
            f"{network}-b1-fastest", f"{title} forward, batch 1: fastest peer", (f"{network}-forward-b1",), (), 1.5, 1.9
        ),
        Claim(f"{network}-b1-keras", f"{title} forward, batch 1: Keras", (f"{network}-forward-b1",), KERAS, 2.5, 3.5),
        Claim(
            f"{network}-train",
            f"{title} training step, batch 8: Keras, PyTorch",
            (f"{network}-train-b8",),
            ONEDNN,
            2.0,
            2.5,
        ),
    ]


_OTHERS = _layers(SINGLE_OTHERS)
CLAIMS = {
    claim.name: claim
    for claim in (
        *_network_claims("vgg224", "VGG-Face 224x224x3"),
        *_network_claims("vgg200", "VGG-Face 200x200x1"),
        Claim("face_cnn-epoch", "face_cnn, one epoch: Keras fit", ("face_cnn-fit-b200",), KERAS, 2.0, 4.0),
        Claim("layers-3x3", "each 3x3 layer, 64 to 512 channels: oneDNN", _layers(SINGLE_3X3), ONEDNN, 1.3, 2.5),
        Claim("layers-other", "each 1x1, strided, 5x5, 7x7, depthwise: oneDNN", _OTHERS, ONEDNN, 1.0, 1.3),
        Claim("start-up", "start to first prediction of face_cnn: Keras", (START_UP,), KERAS, 5.0, 10.0),
        Claim("memory-forward", "peak memory, VGG-Face forward: Keras", (MEMORY_FORWARD,), KERAS, 1.0, 0.7, True),
        Claim("memory-training", "peak memory, VGG-Face step: Keras", (MEMORY_TRAINING,), KERAS, 1.0, 0.7, True),
        Claim("register-kernel", "a large matrix product: OpenBLAS", ("matmul",), ("openblas",), 1.15, 1.4),
    )
}  # fmt: skip


def works_of(claims: list[Claim]) -> dict[str, Work]:
    """The works these claims look at; what needs fresh processes is not among them."""
    wanted = {name for claim in claims for name in claim.works}
    return {name: work for name, work in all_works().items() if name in wanted}


def verdict(claim: Claim, results: Mapping[str, Result]) -> Verdict:
    """The worst of the claim's works decides. One that has no number decides too: leaving out proves nothing."""
    found: list[tuple[float, Spread, str, str]] = []
    for name in claim.works:
        result = results.get(name)
        if result is None:
            return Verdict(claim, "no number", None, f"{name} was not measured")
        if result.ours() is None:
            reasons = [row.reason or row.status for row in result.rows if row.peer == "minicnn"]
            return Verdict(claim, "no number", None, f"{name}: minicnn {'; '.join(reasons) or 'has no row'}")
        opponent = result.fastest(claim.against)
        if opponent is None:
            return Verdict(claim, "no number", None, f"{name}: nobody to compare with")
        ratio = result.ratio(opponent)
        assert ratio is not None
        if claim.less:
            ratio = Spread(1 / ratio.median, 1 / ratio.high, 1 / ratio.low)
        found.append((ratio.median, ratio, name, f"{opponent.peer} {opponent.way}{_left_out(result, claim.against)}"))
    pick = max if claim.less else min
    median, ratio, name, opponent_name = pick(found, key=lambda one: one[0])
    status = "aim" if _reaches(median, claim.aim, claim.less) else "missed"
    if status == "missed" and _reaches(median, claim.bar, claim.less):
        status = "bar"
    return Verdict(claim, status, ratio, name, opponent_name)


def _left_out(result: Result, against: tuple[str, ...]) -> str:
    """Opponents without a single way that could be compared, not asked ones and those that are not installed among
    them: a ratio may look better because they are not in it."""
    able = {name for name, entry in PEERS.items() if result.direction in entry.directions} | {*against}
    peers = {*able, *(row.peer for row in result.rows)} & ({*against} or {*PEERS}) - {MINICNN}
    absent = sorted(peers - {row.peer for row in result.rows if row.ok and row.rounds})
    return f"; WITHOUT {', '.join(absent)}" if absent else ""


def _reaches(value: float, line: float, less: bool) -> bool:
    return value <= line if less else value >= line
