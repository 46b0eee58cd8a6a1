"""Medians of ratios, the claims they decide, and the pages that show them."""

from __future__ import annotations

import math

import pytest

from benchmarks.peers.catalogue import PEERS
from benchmarks.peers.claims import CLAIMS, Claim, verdict, works_of
from benchmarks.peers.statistics import Result, Row, ratios, spread
from benchmarks.peers.suite import Run
from benchmarks.peers.tables import case_rows, claim_rows, markdown


def result(name: str, **times: list[float]) -> Result:
    found = Result(name, "forward", flops=2e9)
    for peer, rounds in times.items():
        row = Row(peer, "way")
        row.rounds = rounds
        found.rows.append(row)
    return found


def claim(works: tuple[str, ...] = ("a",), against: tuple[str, ...] = (), less: bool = False) -> Claim:
    return Claim("c", "text", works, against, 1.0 if less else 2.0, 0.7 if less else 3.0, less)


def test_the_ratio_is_taken_within_rounds_so_a_slow_minute_cancels() -> None:
    ours, theirs = [1.0, 1.0, 10.0, 10.0, 1.0], [2.0, 2.0, 20.0, 20.0, 2.0]
    assert ratios(theirs, ours) == (2.0, 2.0, 2.0)
    assert spread([3.0]) == (3.0, 3.0, 3.0)
    assert math.isnan(spread([]).median)


def test_the_fastest_peer_is_the_one_with_the_least_median() -> None:
    found = result("a", minicnn=[1.0] * 3, keras=[3.0, 3.0, 1.0], torch=[2.0, 2.0, 9.0])
    fastest = found.fastest()
    assert fastest is not None
    assert fastest.peer == "torch"
    assert (kept := found.fastest(("keras",))) is not None
    assert kept.peer == "keras"


def test_wrong_rows_are_never_compared() -> None:
    found = result("a", minicnn=[1.0], keras=[3.0], torch=[0.1])
    found.rows[2].refuse("WRONG", "y is off")
    assert verdict(claim(), {"a": found}).opponent == "keras way; WITHOUT mnn, ncnn, onnxruntime, openvino, torch"
    found.rows[0].refuse("WRONG", "dx is off")
    judged = verdict(claim(), {"a": found})
    assert (judged.status, judged.met) == ("no number", False)
    assert "dx is off" in judged.worst


@pytest.mark.parametrize("time, status", [(3.5, "aim"), (2.5, "bar"), (1.5, "missed")])
def test_bar_and_aim(time: float, status: str) -> None:
    assert verdict(claim(), {"a": result("a", minicnn=[1.0], keras=[time])}).status == status


def test_the_worst_work_decides_and_a_missing_one_too() -> None:
    results = {"a": result("a", minicnn=[1.0], keras=[9.0]), "b": result("b", minicnn=[1.0], keras=[1.5])}
    judged = verdict(claim(("a", "b")), results)
    assert (judged.worst, judged.status) == ("b", "missed")
    assert verdict(claim(("a", "z")), results).status == "no number"


def test_memory_counts_the_other_way_round() -> None:
    judged = verdict(claim(less=True), {"a": result("a", minicnn=[6.0], keras=[10.0])})
    assert judged.status == "aim"
    assert judged.ratio is not None
    assert judged.ratio.median == pytest.approx(0.6)


def test_every_claim_names_works_that_exist() -> None:
    fresh = {"start-up", "memory-forward", "memory-training"}
    for one in CLAIMS.values():
        assert set(works_of([one])) | fresh >= set(one.works), one.name
        assert set(one.against) <= set(PEERS)
        assert (one.aim < one.bar) == one.less


def test_a_page_shows_ratio_bar_aim_and_verdict() -> None:
    found = result("a", minicnn=[1.0, 1.0], keras=[2.5, 2.5], torch=[])
    found.rows[2].refuse("failed", "it | broke")
    run = Run("minicnn bench", 2, [0, 1], [PEERS["minicnn"], PEERS["keras"]], [PEERS["ncnn"]])
    run.results = {"a": found}
    run.verdicts = [verdict(claim(), run.results)]
    page = markdown(run)
    assert "minicnn bench" in page
    assert (
        "2.50 [2.50, 2.50] | >= 2 | 3 | bar met: a (keras way; WITHOUT mnn, ncnn, onnxruntime, openvino, torch)" in page
    )
    assert "failed: it \\| broke" in page
    assert "not installed: ncnn; pip install ncnn" in page
    assert [row[0] for row in case_rows(found)] == ["minicnn way", "keras way", "torch way"]
    assert claim_rows(run.verdicts)[0][2:4] == (">= 2", "3")
