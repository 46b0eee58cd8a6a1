"""Workers that die, hang, lie and talk: one reason each, the others go on, and no process stays."""

from __future__ import annotations

import itertools
import json
import os
import sys
import weakref
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from typer.testing import CliRunner

from benchmarks.peers import cases, catalogue, judge, rounds
from benchmarks.peers.cases import LAYERS, layer_work
from benchmarks.peers.catalogue import Entry
from benchmarks.peers.channels_first import EVERY_PEER, steps, to_channels_first, to_channels_last, turned_back
from benchmarks.peers.interface import Timed
from benchmarks.peers.process import Worker, WorkerError, environment
from benchmarks.peers.room import memory_needed
from benchmarks.peers.rounds import Pace, Team, measure
from benchmarks.peers.statistics import Result, Row
from benchmarks.peers.suite import Run, plan
from benchmarks.peers.torch_layers import OTHERS
from benchmarks.peers.work import BACKWARD, MATMUL, Work, make_data
from benchmarks.peers.worker import Desk
from minicnn.cli.main import app
from minicnn.errors import OptionError
from minicnn.ops import curves

FAKE = "fake_peer"
PACE = Pace(rounds=3, least=3, turn=0.0, prepare_limit=5.0, answer_limit=5.0)
PRODUCT = Work("product", MATMUL, 1, (5, 7, 3))


class FakeEntry(Entry):
    """An entry whose module is the fake's."""

    @property
    def module(self) -> str:
        return FAKE


@pytest.fixture(autouse=True)
def _findable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent))


def core() -> list[int]:
    return sorted(os.sched_getaffinity(0))[:1] if hasattr(os, "sched_getaffinity") else [0]


def fake_result(ways: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, pace: Pace = PACE) -> Result:
    """The fakes "minicnn" (right, and its own referee) and "keras" (with these ways) on a small product."""
    monkeypatch.setattr(rounds, "referee_way", lambda work: "right")
    real = environment

    def surroundings(threads: int) -> dict[str, str]:
        return real(threads) | {"FAKE_WAYS": surroundings.ways}  # type: ignore[attr-defined]

    monkeypatch.setattr("benchmarks.peers.process.environment", surroundings)
    entries = [FakeEntry("minicnn", "minicnn", (), (MATMUL,)), FakeEntry("openblas", "Fake", (), (MATMUL,))]
    with Team(entries, 1, core(), tmp_path) as team:
        surroundings.ways = "right"  # type: ignore[attr-defined]
        team.worker(entries[0])
        surroundings.ways = ways  # type: ignore[attr-defined]
        result = measure(team, PRODUCT, pace, lambda _: None)
        processes = [worker._process for worker in team._workers.values()]
    assert all(process.poll() is not None for process in processes)
    return result


def row(result: Result, way: str) -> Row:
    return next(row for row in result.rows if row.peer == "openblas" and row.way in (way, "-"))


def test_right_ones_are_timed_in_turn(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    result = fake_result("right,talks,wrong,raises", monkeypatch, tmp_path)
    assert len(row(result, "right").rounds) == len(row(result, "talks").rounds) == 3
    wrong, broken = row(result, "wrong"), row(result, "raises")
    assert (wrong.status, wrong.rounds) == ("WRONG", [])
    assert "y is off by 0.01" in wrong.reason
    assert broken.status == "failed"
    assert "ValueError: this way is broken" in broken.reason
    assert result.ours() is not None


def test_one_that_would_install_or_report_something_may_not(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    result = fake_result("right,installs,reports", monkeypatch, tmp_path)
    assert row(result, "installs").status == row(result, "reports").status == "failed"
    assert "PermissionError: a framework that is measured may not run 'exit 0'" in row(result, "installs").reason
    assert "PermissionError: a framework that is measured may not connect to 127.0.0.1" in row(result, "reports").reason
    assert len(row(result, "right").rounds) == 3


@pytest.mark.parametrize("way, reason", [("dies", "signal SIGABRT"), ("hangs", "did not answer within 1 seconds")])
def test_one_that_dies_or_hangs_says_so_and_the_others_go_on(
    way: str, reason: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    result = fake_result(way, monkeypatch, tmp_path, Pace(rounds=2, least=2, turn=0.0, prepare_limit=1.0))
    assert row(result, way).status == "failed"
    assert reason in row(result, way).reason
    ours = result.ours()
    assert ours is not None
    assert len(ours.rounds) == 2


def test_a_framework_that_does_not_load_is_one_message() -> None:
    with pytest.raises(WorkerError, match="Nobody: ModuleNotFoundError: No module named 'no_such_peer'"):
        Worker("Nobody", "no_such_peer", 1, core())


def test_ctrl_c_leaves_no_process(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    entry = FakeEntry("minicnn", "minicnn", (), (MATMUL,))
    with Team([entry], 1, core(), tmp_path) as team:
        process = team.worker(entry)._process
        monkeypatch.setattr(team.worker(entry), "ask", interrupted)
        with pytest.raises(KeyboardInterrupt):
            measure(team, PRODUCT, PACE, lambda _: None)
        assert process.poll() is None
    assert process.poll() is not None


def test_workers_wait_in_their_own_way_not_in_that_of_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_WAIT_POLICY", "passive")
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    found = environment(3)
    assert "OMP_WAIT_POLICY" not in found
    assert "PYTHONDONTWRITEBYTECODE" not in found  # with it, only packages that were installed start from bytecode
    assert {found[name] for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS")} == {"3"}


@pytest.mark.parametrize("kind, options", [("Conv2D", {"filters": 4}), ("DepthwiseConv2D", {"depth_multiplier": 2})])
def test_channels_first_weights_compute_the_same(kind: str, options: dict[str, int]) -> None:
    """One output position by hand; and gradients find the way back."""
    rows = ((kind, "layer", {"kernel_size": (2, 3), **options}),)
    work = Work("one", BACKWARD, 1, (2, 3, 5), rows)
    data = make_data(work)
    (step,) = steps(work, data.weights)
    from minicnn.models.table import build

    model = build(work.architecture())
    model.set_weights(data.weights)
    x, kernel = to_channels_first(data.x)[0], step.weights["kernel"]
    channels = np.repeat(x[:, None], len(kernel) // 5, 0) if kind == "DepthwiseConv2D" else x[None]
    y = (channels * kernel).sum((1, 2, 3)) + step.weights["bias"]
    assert np.allclose(model(data.x).ravel(), y, atol=1e-5)
    assert np.array_equal(turned_back(step, "kernel", kernel), data.weights["layer/kernel"])


def test_a_transposed_convolution_turned_for_others_stamps_the_same() -> None:
    """One pixel's stamp, whose first row and column no padding cut off."""
    work = layer_work("transpose", (1, 1, 5), filters=4, kernel=2, strides=2, batch=1, direction=BACKWARD)
    data = make_data(work)
    (step,) = steps(work, data.weights, OTHERS)
    from minicnn.models.table import build

    model = build(work.architecture())
    model.set_weights(data.weights)
    y = np.einsum("c,cfhw->fhw", data.x.ravel(), step.weights["kernel"]) + step.weights["bias"][:, None, None]
    assert np.allclose(to_channels_first(model(data.x))[0], y, atol=1e-5)
    assert np.array_equal(turned_back(step, "kernel", step.weights["kernel"]), data.weights["transpose/kernel"])


def test_separable_kernels_are_turned_for_others_and_back() -> None:
    work = layer_work("separable", (4, 4, 3), filters=5, direction=BACKWARD)
    data = make_data(work)
    (step,) = steps(work, data.weights, OTHERS)
    depthwise, pointwise = step.weights["depthwise_kernel"], step.weights["pointwise_kernel"]
    assert (depthwise.shape, pointwise.shape, step.groups) == ((3, 1, 3, 3), (5, 3, 1, 1), 3)
    for key in ("depthwise_kernel", "pointwise_kernel", "bias"):
        assert np.array_equal(turned_back(step, key, step.weights[key]), data.weights[f"separable/{key}"])


@pytest.mark.parametrize("warm", [0, 1, 2])
def test_no_round_needs_more_memory_than_the_one_before(warm: int, tmp_path: Path) -> None:
    """Memory that nobody has touched before is slow: a round in which more results live than before is not like it."""

    class Outcome(dict):  # type: ignore[type-arg]
        __hash__ = object.__hash__  # type: ignore[assignment]  (so that it can be in a set)

    alive: weakref.WeakSet[Outcome] = weakref.WeakSet()
    most: list[int] = []

    def call() -> Outcome:
        result = Outcome(y=np.zeros(1))
        alive.add(result)
        most.append(len(alive))
        return result

    peer = SimpleNamespace(build=lambda *_: Timed(call, dict), ways=lambda _: ("way",), describe=dict, clear=list)
    desk = Desk(peer)
    np.savez(tmp_path / "weights.npz")
    np.savez(tmp_path / "inputs.npz", x=0, y=0)
    files = [str(tmp_path / name) for name in ("weights.npz", "inputs.npz")]
    desk.answer({"do": "prepare", "work": PRODUCT.to_json(), "files": files, "results": str(tmp_path / "result")})
    assert max(most) == 2
    for _ in range(3):
        most.clear()
        assert len(desk.answer({"do": "time", "way": "way", "calls": 4, "warm": warm})["seconds"]) == 4
        assert set(most) == {2}
    desk.answer({"do": "clear"})
    assert not alive


@pytest.mark.parametrize("kind", LAYERS)
def test_every_kind_of_layer_that_can_be_asked_for_is_translated_for_pytorch(kind: str) -> None:
    work = layer_work(kind, (6,) if kind == "dense" else (4, 6, 5), strides=2)
    (step,) = steps(work, make_data(work).weights, OTHERS)
    assert step.kind == work.layer_kind == LAYERS[kind][0]
    if step.kind in OTHERS and step.kind not in EVERY_PEER:
        with pytest.raises(ValueError, match=f"{step.kind} is not translated"):
            list(steps(work, {}))


def test_every_activation_is_timed() -> None:
    """By its layer, or by its name; swish is silu."""
    assert {*cases.CURVES, "swish"} == set(curves.CURVES)
    assert {"relu", "leaky_relu", "elu", "sigmoid", "tanh", "softmax", *cases.CURVES} <= set(LAYERS)


def test_pytorch_computes_the_same_layers() -> None:
    torch = pytest.importorskip("torch", reason="PyTorch is a peer of the benchmark: make peers")
    from benchmarks.peers.torch_layers import modules
    from minicnn.models.table import build

    for kind, (kernel, strides) in itertools.product(LAYERS, [(3, 2), (2, 2), (1, 2), (2, 1)]):
        shape = (6,) if kind == "dense" else (4, 6, 5)
        work = layer_work(kind, shape, kernel=kernel, strides=strides, padding="valid")
        data = make_data(work)
        (step,) = steps(work, data.weights, OTHERS)
        model = build(work.architecture())
        model.set_weights(data.weights)
        with torch.no_grad():
            y = torch.nn.Sequential(*modules(torch, step)).eval()(torch.from_numpy(to_channels_first(data.x))).numpy()
        np.testing.assert_allclose(to_channels_last(y), model(data.x), atol=1e-5, err_msg=work.name)


def test_layers_have_names_that_say_what_they_are() -> None:
    assert layer_work("conv", (56, 56, 64), filters=32, strides=2).name == "conv-56x56x64-3x3s2-32-forward-b8"
    assert layer_work("dense", (4096,), filters=10, batch=1).name == "dense-4096-10-forward-b1"
    assert layer_work("softmax", (7, 7, 40)).name == "softmax-7x7x40-forward-b8"
    with pytest.raises(OptionError, match=r"a layer among conv, depthwise, .* softmax.*Received: 'nonsense'"):
        layer_work("nonsense", (7, 7, 40))


def test_dense_behind_flatten_is_reordered() -> None:
    work = Work("two", "forward", 2, (2, 3, 4), (("Flatten", "flatten", {}), ("Dense", "fc", {"units": 5})))
    data = make_data(work)
    from minicnn.models.table import build

    model = build(work.architecture())
    model.set_weights(data.weights)
    _, step = steps(work, data.weights)
    y = to_channels_first(data.x).reshape(2, -1) @ step.weights["kernel"].T + step.weights["bias"]
    assert np.allclose(model(data.x), y, atol=1e-5)
    assert np.array_equal(turned_back(step, "kernel", step.weights["kernel"]), data.weights["fc/kernel"])


def test_nan_and_missing_arrays_are_wrong() -> None:
    truth = {"y": np.ones(3)}
    assert judge.errors(PRODUCT, {"y": np.array([1, np.nan, 1])}, truth) == {"y": np.inf}
    assert judge.errors(PRODUCT, {}, truth) == {"y": np.inf}
    assert Work.from_json(json.loads(json.dumps(PRODUCT.to_json()))) == PRODUCT


def test_plans() -> None:
    assert [work.name for work in plan("must-show", ("register",)).works] == ["matmul"]
    assert [work.name for work in plan("must-show", ("1x1_256_56-forward-b8",)).works] == ["1x1_256_56-forward-b8"]
    mixed = plan("must-show", ("register", "1x1_256_56-forward-b8"))  # a promise by its name, and one work of another
    assert [work.name for work in mixed.works] == ["matmul", "1x1_256_56-forward-b8"]
    assert len(plan("roofline").works) == 12
    with pytest.raises(OptionError, match="a part of a name"):
        plan("layers", ("nonsense",))
    with pytest.raises(OptionError, match="a suite among"):
        plan("nonsense")
    work = next(work for work in plan("networks").works if work.name == "vgg224-train-b32")
    assert memory_needed(work, list(catalogue.PEERS.values())) > 10e9


def test_json_has_a_schema() -> None:
    data = Run("minicnn bench", 1, [0], [catalogue.PEERS["minicnn"]], [catalogue.PEERS["mnn"]]).to_json()
    assert data["schema"] == 1
    assert {"machine", "versions", "threads", "cores", "peers", "missing", "cases", "claims"} <= set(data)
    assert data["missing"]["mnn"]["install"] == "pip install MNN onnx"
    json.dumps(data)


# -- the command ------------------------------------------------------------------------------------------------------


def test_missing_peers_are_named_with_the_command_that_installs_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(catalogue, "version_of", lambda name: None if name == "torch" else "1.0")
    there, missing = catalogue.choose(["torch", "keras"])
    assert [entry.name for entry in there] == ["minicnn", "keras"]
    assert [entry.install for entry in missing] == ["pip install torch==2.13.0  # CPU build"]
    with pytest.raises(OptionError, match="peers among"):
        catalogue.choose(["nobody"])


def test_the_command_writes_what_it_measured(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    entry = FakeEntry("minicnn", "minicnn", (), (MATMUL,))
    monkeypatch.setattr(catalogue, "choose", lambda names: ([entry], []))
    monkeypatch.setattr(rounds, "referee_way", lambda work: "right")
    monkeypatch.setattr(sys, "argv", ["minicnn", "bench", "--only", "register"])
    monkeypatch.setattr("benchmarks.peers.cases.MATMUL_SIZE", (8, 8, 8))
    command = ["bench", "--quick", "--only", "register", "--threads", "1", "--markdown", str(tmp_path / "b.md")]
    result = CliRunner().invoke(app, command)
    assert result.exit_code == 1, result.output  # nobody to compare with: the claim is not proven
    assert "no number" in result.stdout
    result = CliRunner().invoke(app, [*command, "--json"])
    assert result.exit_code == 1
    data = json.loads(result.stdout)
    (case,) = data["cases"]
    assert [(r["peer"], r["status"], len(r["rounds"])) for r in case["rows"]] == [("minicnn", "ok", 5)]
    assert data["claims"][0]["met"] is False
    assert (tmp_path / "b.md").read_text().startswith("# Results")


def test_wrong_usage_is_one_message() -> None:
    result = CliRunner().invoke(app, ["bench", "--layer", "conv", "--input", "56,56"])
    assert result.exit_code == 1
    assert "Expected an input of rows,columns,channels" in " ".join(result.stderr.split())
    unknown = " ".join(CliRunner().invoke(app, ["bench", "--layer", "convolution"]).stderr.split())
    assert "Expected a layer among conv, depthwise, transpose, dense, " in unknown
    assert "Did you mean 'conv'?" in unknown
    listed = CliRunner().invoke(app, ["bench", "--list"])
    assert listed.exit_code == 0
    assert "vgg224-forward-b8" in listed.stdout
    assert len(set(listed.stdout.splitlines())) == len(listed.stdout.splitlines())
    assert json.loads(CliRunner().invoke(app, ["bench", "--list", "--json"]).stdout) == listed.stdout.splitlines()
