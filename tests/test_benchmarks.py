"""The benchmarks must not rot: they are collected, one tiny case of each kind runs, and they refuse wrong numbers."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from minicnn.layers import LAYERS

pytest.importorskip("keras", reason="the benchmarks compare with Keras: pip install 'minicnn[bench]'")
pytest.importorskip("pytest_benchmark", reason="the benchmarks need pytest-benchmark: pip install 'minicnn[bench]'")

from benchmarks import crops, dataset_build, layer_engines, model_engines, unknown_rate
from benchmarks.agreement import require_dropped, require_finite
from benchmarks.altered_photos import altered
from benchmarks.cases import calls, layer_cases
from benchmarks.ratios import Ratio, Timing, ratios, table
from benchmarks.threads import require_pinned
from minicnn.errors import MissingDependencyError, OptionError, missing
from tests.unit.cli.recognition_run import build_dataset
from tests.unit.detection.dataset.people import write_people

ROOT = Path(__file__).resolve().parents[1]


TIMED = {name for name, layer in LAYERS.items() if not layer.merges}  # a call has one input


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    """A process of its own: the benchmarks pin threads before anything is loaded."""
    command = [sys.executable, "-m", "pytest", "benchmarks", "-p", "no:cacheprovider", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def test_every_layer_and_both_networks_are_collected() -> None:
    result = run("--collect-only", "-q")
    assert result.returncode == 0, result.stdout + result.stderr
    for kind in TIMED:
        for direction, engines in layer_engines.ENGINES.items():
            for engine in engines:
                assert re.search(rf"\[call:{kind}\(.*-{re.escape(direction)}-{engine}\]", result.stdout)
    for network in ("face_cnn-batch1", "face_cnn-batch32", "vgg_face-batch1"):
        for direction, engines in model_engines.ENGINES.items():
            assert all(f"[{network}-{direction}-{engine}]" in result.stdout for engine in engines)


def test_one_case_of_each_kind_runs() -> None:
    kinds = "call:Dense or call:BatchNorm or (Dropout and Dense) or face_cnn-batch1 or (algorithm and conv1)"
    result = run("--benchmark-disable", "-k", kinds)
    assert result.returncode == 0, result.stdout + result.stderr
    assert re.search(r"threads: \d+ in every pool", result.stdout)
    assert re.search(r"^3[0-9] passed", result.stdout.splitlines()[-1].strip("= ")), result.stdout


def test_measuring_ends_with_a_table_of_ratios() -> None:
    result = run("--benchmark-only", "-k", "call:Flatten and not predict")
    assert result.returncode == 0, result.stdout + result.stderr
    assert "Keras / minicnn: ratios of medians" in result.stdout
    assert re.search(
        r"^call:Flatten\(\)@2x5x3x4: forward\s+[\d.e-]+\s+[\d.]+\s+[\d.]+  keras-", result.stdout, re.MULTILINE
    )


def test_every_row_of_the_shared_table_can_be_timed() -> None:
    ids = [case.id for case in calls(every_row=True)]
    assert len(ids) == len(set(ids)) > len(LAYERS)
    assert {case.kind for case in calls(every_row=False)} == TIMED
    assert len({case.id for case in layer_cases(every_row=True)}) == len(layer_cases(every_row=True))


def test_ratio_takes_the_fastest_way_of_keras() -> None:
    timings = [
        Timing("dense: forward", "minicnn", 0.002),
        Timing("dense: forward", "keras-eager", 0.009),
        Timing("dense: forward", "keras-function", 0.003),
        Timing("algorithms", "direct", 0.001),  # no Keras, no ratio
        Timing("alone: forward", "minicnn", 0.001),
    ]
    found = ratios(timings)
    assert found == [Ratio("dense: forward", 2.0, 3.0, "keras-function")]
    assert found[0].value == pytest.approx(1.5)
    assert re.search(r"dense: forward +2 +3 +1\.50 +keras-function$", table(found)[1])


def test_crops_are_a_batch_of_different_people() -> None:
    x, persons = crops.batch(5)
    assert x.shape == (5, 200, 200, 1)
    assert x.dtype == np.float32
    assert list(persons) == [0, 1, 2, 3, 4]
    with pytest.raises(OptionError, match=r"Received: 41"):
        crops.batch(41)


def test_stand_ins_say_that_they_are_no_faces(monkeypatch: pytest.MonkeyPatch) -> None:
    def without_dlib() -> None:
        raise missing("dlib-bin", "faces", "Finding faces")

    monkeypatch.setattr(crops, "orl_crops", without_dlib)
    found = crops.faces.__wrapped__()
    assert found.x.shape == (crops.PEOPLE, 200, 200, 1)
    assert found.source.startswith("NOT FACES")
    assert "dlib-bin" in found.source
    assert issubclass(MissingDependencyError, ImportError)


def test_wrong_dropout_is_refused(rng: np.random.Generator) -> None:
    x, dy, mask = rng.normal(size=(50, 9)), rng.normal(size=(50, 9)), rng.random((50, 9)) < 0.5
    right = {"y": mask * x / 0.5, "dx": mask * dy / 0.5}
    require_dropped(right, x, dy, 0.5)
    with pytest.raises(AssertionError, match="y is neither"):
        require_dropped(right | {"y": mask * x}, x, dy, 0.5)
    with pytest.raises(AssertionError, match="dx is not dropped where y is"):
        require_dropped(right | {"dx": ~mask * dy / 0.5}, x, dy, 0.5)


def test_diverged_numbers_are_refused() -> None:
    require_finite({"loss": 1.0})
    with pytest.raises(AssertionError, match="diverged"):
        require_finite({"loss": np.float32("nan")})


def test_other_threads_than_told_are_refused() -> None:
    with pytest.raises(RuntimeError, match="Expected 1000 threads in every pool"):
        require_pinned(1000)


@pytest.mark.slow
def test_photographs_of_a_build_that_is_killed_are_counted(tmp_path: Path) -> None:
    if not Path("/proc/self/statm").exists():
        pytest.skip("memory is read from Linux's /proc")
    faces = write_people(tmp_path / "faces", people=2, shots=3)
    command = [sys.executable, "-m", "benchmarks.dataset_build", str(faces), "--work", str(tmp_path / "work")]
    result = subprocess.run(
        [*command, "--photos", "40", "--kills", "1"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stdout + result.stderr
    assert "None lost, none done twice, in 1 kills." in result.stdout
    dataset = tmp_path / "work" / "dataset"
    sources = [record.source for record in dataset_build.records(dataset)]
    assert len(sources) == 40
    assert dataset_build.missing_or_double(dataset, sources) == []
    assert len(dataset_build.missing_or_double(dataset, [*sources, "p0/lost.jpg"])) == 2  # in neither place
    assert len(dataset_build.missing_or_double(dataset, sources[1:])) == 2
    kept = dataset_build.crops_in_journal(dataset)
    assert dataset_build.written_again(dataset, [kept]) == []
    crop = dataset / next(iter(kept))
    crop.write_bytes(crop.read_bytes())
    assert dataset_build.written_again(dataset, [kept]) == [f"{next(iter(kept))}: written again"]


def test_tallies_count_strangers_in_the_order_of_the_report() -> None:
    found = {"unknown": {"value": 0.5, "faces": 7, "called_unknown": 2}, "confidences": {"strangers": [0.5, 0.6, 0.1]}}
    tally = unknown_rate.Tally()
    tally.add(found, [0, 0, 1])
    tally.add(found, [100_000, 100_000, 100_001])
    assert tally.named == [True, False, True] * 2
    assert tally.people == [0, 0, 1, 100_000, 100_000, 100_001]
    assert (tally.known, tally.unknown) == (14, 4)
    with pytest.raises(RuntimeError, match="4 faces of strangers were to be measured, not 3"):
        tally.add(found, [0, 0, 1, 1])


@pytest.mark.slow
def test_rate_of_strangers_is_measured_by_the_commands(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    dataset, work = build_dataset(tmp_path / "people", range(10), split=False), tmp_path / "work"
    (dataset / ".photographs" / "of").mkdir(parents=True)  # is no person
    command = [sys.executable, "-m", "benchmarks.unknown_rate", str(dataset), "--work", str(work)]
    options = ["--strangers", "4", "--draws", "1", "--left-out", "2"]
    subprocess.run([*command, *options], cwd=ROOT, check=True)
    named = re.findall(r"(\d+) of (\d+)", capfd.readouterr().out)
    strangers = [sum(1 for _ in folder.iterdir()) for folder in sorted((work / "0" / "strangers").iterdir())]
    assert int(named[0][1]) == sum(strangers)  # all of them, and then every other one
    assert str(strangers[1] + strangers[3]) in [count for _, count in named[1:]]
    again = subprocess.run([*command, *options], cwd=ROOT, check=False, capture_output=True, text=True)
    assert again.returncode == 2
    assert "exists" in again.stderr


def test_altered_photographs_follow_from_their_seed(rng: np.random.Generator) -> None:
    rgb = rng.integers(0, 256, (40, 50, 3), dtype=np.uint8)
    once, again, other = (altered(rgb, np.random.default_rng([0, number])) for number in (1, 1, 2))
    assert np.array_equal(once, again)
    assert once.shape != other.shape
    assert once.dtype == np.uint8
