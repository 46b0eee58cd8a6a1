"""What makes a comparison fair: the same warm caches for everybody, models as their users would have them, counts that
are right, and words that say what was left out."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from benchmarks.peers import fresh, judge
from benchmarks.peers.algorithms import Algorithm
from benchmarks.peers.catalogue import PEERS
from benchmarks.peers.channels_first import fused, steps, to_channels_first
from benchmarks.peers.claims import CLAIMS, verdict
from benchmarks.peers.ncnn_peer import _param
from benchmarks.peers.plot import labels
from benchmarks.peers.process import environment, settings
from benchmarks.peers.room import memory_needed
from benchmarks.peers.rounds import MOST_CALLS, Pace, Team, _time
from benchmarks.peers.statistics import Result, Row, spread
from benchmarks.peers.suite import Run, _measure, plan
from benchmarks.peers.tables import markdown
from benchmarks.peers.work import BACKWARD, FORWARD, TRAINING, Work
from minicnn.cli.main import app
from minicnn.models.table import build
from minicnn.roofline import Limits, _on_all

CONV = Work("conv", FORWARD, 2, (4, 5, 2), (("Conv2D", "conv", {"filters": 3, "kernel_size": 3, "padding": "same"}),))
README = Path(__file__).parents[2] / "benchmarks" / "README.md"


def result(**guesses: float) -> Result:
    found = Result("work", FORWARD)
    for peer, guess in guesses.items():
        row = Row(peer, "way")
        row.guess = guess
        found.rows.append(row)
    return found


# -- turns ------------------------------------------------------------------------------------------------------------


def turns(found: Result, pace: Pace, work: Work = CONV) -> list[tuple[str, int, int]]:
    """(peer, calls, warm ones in front) of each turn."""
    asked: list[tuple[str, int, int]] = []

    def worker(entry: Any) -> Any:
        def ask(limit: float, do: str, way: str, calls: int, warm: int) -> dict[str, Any]:
            asked.append((entry.name, calls, warm))
            return {"seconds": [1.0] * calls}

        return SimpleNamespace(ask=ask)

    team: Any = SimpleNamespace(entries=[PEERS[row.peer] for row in found.rows], worker=worker)
    _time(team, work, found, pace, lambda _: None)
    return asked


def test_everybody_has_one_turn_in_a_round_and_who_follows_whom_changes() -> None:
    peers = ("minicnn", "keras", "torch", "ncnn")
    asked = [peer for peer, _, _ in turns(result(**dict.fromkeys(peers, 1.0)), Pace(rounds=12, least=12, turn=0.1))]
    in_rounds = [tuple(asked[k : k + 4]) for k in range(0, 48, 4)]
    assert [sorted(one) for one in in_rounds] == [sorted(peers)] * 12
    before_ours = {one[one.index("minicnn") - 1] for one in in_rounds if one[0] != "minicnn"}
    assert before_ours == {"keras", "torch", "ncnn"}
    assert asked == [peer for peer, _, _ in turns(result(**dict.fromkeys(peers, 1.0)), Pace(rounds=12, least=12))]
    other = turns(result(**dict.fromkeys(peers, 1.0)), Pace(rounds=12, least=12), replace(CONV, name="other"))
    assert asked != [peer for peer, _, _ in other]


@pytest.mark.parametrize(
    "ours, theirs, warm",
    [(0.1, 0.3, (1, 1)), (0.3, 0.1, (1, 1)), (0.3, 0.5, (0, 0)), (0.001, 0.002, (10, 5))],
)
def test_calls_are_warmed_for_everybody_or_for_nobody(ours: float, theirs: float, warm: tuple[int, int]) -> None:
    asked = turns(result(minicnn=ours, keras=theirs), Pace(rounds=1, least=1, turn=0.05))
    found = {peer: before for peer, _, before in asked}
    assert (found["minicnn"], found["keras"]) == warm


@pytest.mark.parametrize("guess, calls", [(1.0, 1), (0.01, 5), (2e-5, 2500), (1e-9, MOST_CALLS), (0.0, MOST_CALLS)])
def test_a_turn_lasts_as_long_for_short_calls(guess: float, calls: int) -> None:
    (found,) = turns(result(minicnn=guess), Pace(rounds=1, least=1, turn=0.05))
    assert found[1] == min(calls, MOST_CALLS)


# -- models as their users have them ----------------------------------------------------------------------------------


def test_what_follows_a_convolution_is_part_of_it_where_a_peer_would_have_it_so() -> None:
    rows: tuple[Any, ...] = (
        ("Conv2D", "conv", {"filters": 5, "kernel_size": 1, "use_bias": False}),
        ("BatchNormalization", "norm", {"epsilon": 0.01}),
        ("ReLU", "relu", {}),
        ("BatchNormalization", "alone", {}),
        ("Flatten", "flatten", {}),
        ("Dense", "fc", {"units": 4}),
        ("BatchNormalization", "last", {"scale": False, "center": False}),
        ("ReLU", "end", {}),
    )
    work, rng = Work("net", FORWARD, 3, (2, 3, 6), rows), np.random.default_rng(0)
    model = build(work.architecture())
    given = {key: rng.standard_normal(array.shape, np.float32) for key, array in model.weights.items()}
    model.set_weights({key: array**2 + 0.5 if "variance" in key else array for key, array in given.items()})
    x = rng.standard_normal((3, 2, 3, 6), np.float32)
    found = fused(steps(work, model.weights))
    assert [(step.kind, step.relu) for step in found] == [
        *(("Conv2D", True), ("BatchNormalization", False), ("Flatten", False), ("Dense", True)),
    ]
    conv, alone, _, dense = found
    y = np.einsum("nchw,fc->nfhw", to_channels_first(x), conv.weights["kernel"][:, :, 0, 0])
    y = np.maximum(y + conv.weights["bias"][:, None, None], 0)
    own = {key: array[:, None, None] for key, array in alone.weights.items()}
    y = (y - own["moving_mean"]) / np.sqrt(own["moving_variance"] + 1e-3) * own["gamma"] + own["beta"]
    y = np.maximum(y.reshape(3, -1) @ dense.weights["kernel"].T + dense.weights["bias"], 0)
    expected = np.asarray(model(x))
    assert (expected == 0).any()
    assert (expected > 0).any()
    np.testing.assert_allclose(y, expected, rtol=1e-4, atol=1e-5)

    lines = _param(found).splitlines()
    assert lines[1] == "5 5"
    assert [line.split()[0] for line in lines[2:]] == ["Input", "Convolution", "BatchNorm", "Flatten", "InnerProduct"]
    assert [" 9=1" in line for line in lines[2:]] == [False, True, False, False, True]


def test_ncnn_computes_the_same_networks() -> None:
    pytest.importorskip("ncnn", reason="ncnn is a peer of the benchmark: make peers")
    from benchmarks.peers.ncnn_peer import Peer
    from benchmarks.peers.work import make_data

    rows: tuple[Any, ...] = (
        ("Conv2D", "conv", {"filters": 8, "kernel_size": 3, "strides": 2, "padding": "same"}),
        ("BatchNormalization", "norm", {}),
        ("ReLU", "relu", {}),
        ("MaxPooling2D", "pool", {"pool_size": 2}),
        ("Flatten", "flatten", {}),
        ("Dense", "fc", {"units": 4}),
    )
    work = Work("net", FORWARD, 2, (12, 13, 3), rows)
    data = make_data(work)
    model = build(work.architecture())
    model.set_weights(data.weights)
    timed = Peer(1).build(work, data, "extractor")
    np.testing.assert_allclose(timed.result(timed.call())["y"], model(data.x), atol=1e-4)


@pytest.mark.parametrize("name", ["TF_ENABLE_ONEDNN_OPTS", "OMP_PROC_BIND", "KMP_AFFINITY", "ONEDNN_MAX_CPU_ISA"])
def test_what_a_shell_has_set_for_one_framework_reaches_none(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, "0")
    monkeypatch.setenv("MALLOC_ARENA_MAX", "1")
    monkeypatch.setenv("KERAS_BACKEND", "torch")
    assert name not in environment(2)
    assert environment(2)["KERAS_BACKEND"] == "tensorflow"
    assert settings(2).items() >= {("MALLOC_ARENA_MAX", "1"), ("OMP_NUM_THREADS", "2")}


# -- counts -----------------------------------------------------------------------------------------------------------


def test_flops_and_bytes_are_those_of_a_calculation_by_hand() -> None:
    multiplications = 4 * 5 * 3 * 3 * 2 * 3  # outputs of a filter, window, channels, filters
    assert CONV.flops() == 2 * 2 * multiplications
    moved = 4 * (2 * (4 * 5 * 2 + 4 * 5 * 3) + 3 * 3 * 2 * 3 + 3)  # x, y, kernel, bias
    assert CONV.intensity() == pytest.approx(CONV.flops() / moved)
    learning = replace(CONV, direction=BACKWARD)
    assert learning.flops() == 3 * CONV.flops()
    assert learning.intensity() == pytest.approx(learning.flops() / (2 * moved))


def test_each_way_that_learns_needs_memory_of_its_own() -> None:
    work = replace(CONV, direction=TRAINING)
    one, keras, both = (
        memory_needed(work, [PEERS[name] for name in names]) for names in (["minicnn"], ["keras"], ["keras", "torch"])
    )
    own = 4.0 * (3 * 3 * 2 * 3 + 3)
    assert keras - own == 2 * (one - own) > 0
    assert both - own == 4 * (one - own)
    assert memory_needed(CONV, [PEERS["keras"]]) == memory_needed(CONV, [PEERS["minicnn"]])


def test_a_limit_is_not_measured_by_threads_that_failed() -> None:
    def fail(index: int) -> None:
        raise OSError("no such core")

    with pytest.raises(OSError, match="no such core"):
        _on_all(2, [0], fail)


def test_labels_of_a_plot_say_what_differs() -> None:
    assert labels(["a-forward-b8", "b-forward-b8"]) == ["a", "b"]
    assert labels(["a-forward-b8", "a-step-b8"]) == ["a-forward-b8", "a-step-b8"]


# -- who may be timed -------------------------------------------------------------------------------------------------


def test_minicnn_must_keep_the_rule_and_a_peer_be_clearly_right() -> None:
    rows = [Row("minicnn", "minicnn"), Row("keras", "compiled"), Row("mnn", "session"), Row("ncnn", "extractor")]
    for row, error in zip(rows, (5e-6, 1e-7, 9e-5, 2e-4), strict=True):
        row.errors = {"y": error}
    judge.judge(CONV, rows, {"conv": "direct"})
    assert [row.status for row in rows] == ["WRONG", "ok", "ok", "WRONG"]
    assert judge.errors(CONV, {"y": np.array([1.0, 2.5])}, {"y": np.array([1.0, 2.0])}) == {"y": 0.25}


def test_a_new_process_that_fails_says_how() -> None:
    with pytest.raises(RuntimeError, match=r"its process ended with code 1: KeyError: 'nobody'"):
        fresh._run(
            "nobody",
            fresh.START,
            1,
            [0] if not hasattr(fresh.os, "sched_getaffinity") else sorted(fresh.os.sched_getaffinity(0))[:1],
        )


def test_a_full_disk_costs_one_work(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device", "weights.npz")

    monkeypatch.setattr(Team, "files", full)
    with Team([PEERS["minicnn"]], 1, [0], tmp_path) as team:
        (row,) = _measure(team, CONV, Pace(), lambda _: None).rows
    assert (row.status, row.reason) == ("failed", "No space left on device: weights.npz")


# -- what is said -----------------------------------------------------------------------------------------------------


def timed(name: str, flops: float = 1.0, **seconds: float) -> Result:
    found = Result(name, FORWARD, flops)
    for peer, each in seconds.items():
        row = Row(peer, "way")
        row.rounds = [each]
        found.rows.append(row)
    return found


def test_a_claim_of_some_works_says_of_how_many() -> None:
    (whole,) = plan("must-show", ("layers-other",)).claims
    assert whole == CLAIMS["layers-other"]
    (part,) = plan("must-show", ("5x5_64_56-forward-b8",)).claims
    assert part.text.endswith(f"; 1 of {len(whole.works)} works")
    found = verdict(part, {part.works[0]: timed(part.works[0], minicnn=1.0, keras=2.0, torch=2.0)}).to_json()
    assert (found["works"], found["of"], found["met"]) == (1, len(whole.works), True)


def test_the_fastest_peer_is_said_to_be_without_those_that_were_not_asked() -> None:
    claim = CLAIMS["vgg224-b8-fastest"]
    found = {claim.works[0]: timed(claim.works[0], minicnn=1.0, keras=3.0, ncnn=4.0)}
    assert verdict(claim, found).opponent == "keras way; WITHOUT mnn, onnxruntime, openvino, torch"
    assert verdict(CLAIMS["vgg224-b8-keras"], found).opponent == "keras way"


def test_a_run_is_sound_if_minicnn_has_a_right_number_for_all() -> None:
    run = Run("minicnn bench", 2, [0, 1], [PEERS["minicnn"]], [])
    run.results = {"a": timed("a", minicnn=1.0)}
    assert run.sound()
    run.results["b"] = timed("b", minicnn=1.0)
    run.results["b"].rows[0].refuse("WRONG", "y is off")
    assert not run.sound()
    run.results = {}
    run.algorithms = [Algorithm("direct", 10.0, "failed: no")]
    assert not run.sound()
    run.algorithms.append(Algorithm("im2col", 10.0, seconds=spread([0.5]), error=1e-7, limit=1e-6, scratch=2.0**20))
    assert run.sound()
    run.reasons = ["'im2col' wins"]
    page = markdown(run)
    assert "| im2col | 500 ms | 1e-05 M | 0 | 1.0 MiB | 1.0e-07 (<= 1.0e-06) |" in page
    assert "'im2col' wins" in page
    assert run.to_json()["reasons"] == ["'im2col' wins"]


def test_a_layer_stands_below_the_roof() -> None:
    run = Run("minicnn bench", 2, [0, 1], [PEERS["minicnn"]], [])
    run.works, run.results = {"conv": CONV}, {"conv": timed("conv", minicnn=1.0)}
    (case,) = run.to_json()["cases"]
    assert (case["intensity"], case["attainable_gflops"]) == (CONV.intensity(), None)
    run.limits = Limits(100.0, 2.0)
    (case,) = run.to_json()["cases"]
    assert case["attainable_gflops"] == 2.0 * CONV.intensity() < 100
    assert "4.2 flops per byte: a direct algorithm reaches 8 GFLOP/s at most" in markdown(run)
    assert "measured limits: 100 GFLOP/s, 2.0 GB/s" in markdown(run)
    run.results = {"conv": timed("conv", flops=0.0, minicnn=1.0)}  # as of a ReLU: nothing is multiplied there
    assert "attainable_gflops" not in run.to_json()["cases"][0]
    assert "flops per byte" not in markdown(run)


def test_the_readme_explains_every_field_of_the_json() -> None:
    run = Run("minicnn bench", 2, [0, 1], [PEERS["minicnn"]], [])
    run.works, run.results = {"conv": CONV}, {"conv": timed("conv", minicnn=1.0)}
    run.verdicts = [verdict(CLAIMS["register-kernel"], {})]
    run.algorithms = [Algorithm("direct", 10.0)]
    section = README.read_text().partition("### The JSON")[2].partition("###")[0]
    explained = set(re.findall(r"`(\w+)`", section))
    data = json.loads(json.dumps(run.to_json() | {"algorithms": [{"name": "direct"}]}))
    fields = {*data, *data["cases"][0], *data["cases"][0]["rows"][0], *data["claims"][0]}
    assert fields - explained == set()


@pytest.mark.parametrize(
    "arguments, expected",
    [
        (["networks", "--batch", "1"], "--layer beside what says how it is. Received: --batch"),
        (["--filters", "8", "--kernel", "3"], "Received: --filters, --kernel"),
        (["layers", "--layer", "relu", "--input", "4,4,2"], "a SUITE, and --only of it, or one --layer"),
        (["--only", "a", "--layer", "relu", "--input", "4,4,2"], "a SUITE, and --only of it, or one --layer"),
        (["--layer", "conv", "--input", "4,4,2", "--algorithms", "--peers", "torch"], "alone. Received: --peers"),
        (["--layer", "conv", "--input", "4,4,2", "--algorithms", "--plot", "a.svg"], "alone. Received: --plot"),
        (["--peers", " , "], "--peers with names, such as keras,torch"),
        (["roofline", "--only", "nonsense"], "--only with a part of a name"),
        (["--list", "--markdown", ".", "--quick"], "about measuring. Received: --quick, --markdown"),
        (["--list", "--only", "matmul", "--json"], ""),
        (["--layer", "dense", "--input", "8", "--kernel", "5", "--padding", "valid"], "Received: --kernel, --padding"),
        (["--layer", "relu", "--input", "4,4,2", "--filters", "8"], "--layer relu has. Received: --filters"),
        (["networks", "--plot", "a.svg"], "--plot of single layers with a kernel"),
        (["--markdown", "."], "a file to write. Received: the folder '.'"),
    ],
)
def test_no_option_is_passed_over(arguments: list[str], expected: str) -> None:
    found = CliRunner().invoke(app, ["bench", *arguments])
    assert found.exit_code == bool(expected)
    assert expected in " ".join(found.stderr.split())


def test_the_roofline_of_some_layers() -> None:
    assert [work.name for work in plan("roofline", ("fc6",)).works] == ["fc6-forward-b8"]
