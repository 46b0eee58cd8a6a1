"""``minicnn train`` from the outside: a folder of crops becomes a run; everything wrong is one message."""

from __future__ import annotations

import json
import math
import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from detection.images import write_image
from minicnn.callbacks import Callback
from minicnn.cli import train as command
from minicnn.cli import train_steps
from minicnn.recognition.embedding import load_gallery
from minicnn.recognition.run import Run
from minicnn.recognition.unknown import load_thresholds
from tests.unit.cli.terminal import refused, run

SIDE = 32
QUICK = ("--epochs", 3, "--batch", 4, "--no-views")


def make_dataset(folder: Path, people: tuple[str, ...], each: int = 6, *, split: bool = True) -> Path:
    """A pattern per person, seen with noise; the last two pictures of everybody are for validation."""
    rng = np.random.default_rng(1)
    parts: dict[str, list[str]] = {"train": [], "validation": [], "test": []}
    for person in people:
        pattern = rng.integers(40, 216, (4, 4)).repeat(8, axis=0).repeat(8, axis=1)
        for number in range(each):
            path = folder / person / f"{number}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            write_image(path, np.clip(pattern + rng.normal(0, 25, (SIDE, SIDE)), 0, 255).astype(np.uint8))
            parts["validation" if number >= each - 2 else "train"].append(f"{person}/{number}.png")
    if split:
        (folder / "split.json").write_text(json.dumps({"seed": 0} | parts), encoding="utf-8")
    return folder


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    return make_dataset(tmp_path / "faces", ("anna", "boris", "çelik"))


def test_a_run_has_everything(dataset: Path, tmp_path: Path) -> None:
    out = tmp_path / "new" / "run"
    result = run("train", dataset, "--out", out, *QUICK, "--seed", 4, "--set", "augment.rotate=20")
    assert result.exit_code == 0, result.output
    assert "3 people, minicnn" in result.stdout
    assert "epoch 3/3: " in result.stderr
    made = sorted(path.relative_to(out).as_posix() for path in out.rglob("*") if path.is_file())
    assert made == [
        *("checkpoint.npz", "config.json", "gallery.npz", "history.csv", "model.npz"),
        *("plots/accuracy.svg", "plots/loss.svg", "threshold.json"),
    ]
    config = Run.open(out).config
    assert (config.people, config.input_shape, config.seed) == (("anna", "boris", "çelik"), (SIDE, SIDE, 1), 4)
    assert config.settings["recipe"]["augment"]["rotate"] == 20
    _, paths = load_gallery(out / "gallery.npz", 3)
    assert paths[0] == "anna/0.png"
    assert set(load_thresholds(out)) == {"pair"}


def test_as_data(dataset: Path, tmp_path: Path) -> None:
    result = run("train", dataset, "--out", tmp_path / "run", *QUICK, "--json")
    data = json.loads(result.stdout)
    assert data["epochs"] == len(data["history"]) == 3
    losses = [row["val_loss"] for row in data["history"]]
    assert losses[data["kept_epoch"] - 1] == min(losses)


def test_a_loss_that_was_no_number_for_a_while_is_not_the_one_that_was_kept() -> None:
    assert command.kept_epoch([{"val_loss": loss} for loss in (math.nan, 2.0, 1.0, 1.0, math.nan)]) == 2
    assert command.kept_epoch([{"loss": 3.0}, {"loss": 5.0}]) == 1


def test_interrupted_it_says_how_to_go_on_and_ends_the_same(
    dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, broken = tmp_path / "whole", tmp_path / "it's broken"
    assert run("train", dataset, "--out", whole, *QUICK).exit_code == 0

    class Interrupt(Callback):
        def on_epoch_begin(self, epoch: int, logs: object = None) -> None:
            if epoch == 1:
                raise KeyboardInterrupt

    @contextmanager
    def interrupting(epochs: int) -> Iterator[Callback]:
        yield Interrupt()

    with monkeypatch.context() as patch:
        patch.setattr(command, "_progress", interrupting)
        message = refused(run("train", dataset, "--out", broken, *QUICK))
    again = shlex.split(message.partition("Continue with: ")[2])
    assert again == ["minicnn", "train", str(dataset), "--out", str(broken), "--resume"]
    assert run(*again[1:]).exit_code == 0
    for name in ("model.npz", "checkpoint.npz", "history.csv", "gallery.npz", "threshold.json"):
        assert (broken / name).read_bytes() == (whole / name).read_bytes(), name


def test_interrupted_before_it_began_there_is_nothing_to_resume(
    dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def load(*arguments: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(train_steps, "make_trainer", load)
        message = refused(run("train", dataset, "--out", tmp_path / "run", *QUICK))
    assert "the same command" in message
    assert run("train", dataset, "--out", tmp_path / "run", *QUICK).exit_code == 0


def test_triplets_and_weights_and_frozen_layers(dataset: Path, tmp_path: Path) -> None:
    assert run("train", dataset, "--out", tmp_path / "one", *QUICK).exit_code == 0
    options = ("--objective", "triplet", "--weights", tmp_path / "one" / "model.npz", "--freeze", "conv1,bn1")
    result = run("train", dataset, "--out", tmp_path / "two", *QUICK, *options, "--pictures", 2, "--dimensions", 8)
    assert result.exit_code == 0, result.output
    assert "new: embedding/kernel, embedding/bias" in " ".join(result.stderr.split())
    before, after = (Run.open(tmp_path / name).model().weights for name in ("one", "two"))
    assert np.array_equal(before["conv1/kernel"], after["conv1/kernel"])
    assert not np.array_equal(before["conv2/kernel"], after["conv2/kernel"])
    assert "so nobody is called unknown: train with --left-out" in " ".join(result.stderr.split())


@pytest.mark.parametrize("objective", ["softmax", "triplet"])
def test_strangers_by_leaving_people_out(objective: str, tmp_path: Path) -> None:
    faces = make_dataset(tmp_path / "faces", ("anna", "boris", "çelik", "dan"))
    arguments = ("train", faces, *QUICK, "--objective", objective, "--people", 2, "--pictures", 2)
    plain, calibrated = tmp_path / "plain", tmp_path / "calibrated"
    assert run(*arguments, "--out", plain).exit_code == 0
    result = run(*arguments, "--out", calibrated, "--left-out", 2)
    assert result.exit_code == 0, result.output
    assert result.stderr.count("Training without") == 2
    found = load_thresholds(calibrated)
    assert set(found) == {"distance", "pair"}
    for threshold in found.values():
        assert (threshold.rate, threshold.measured["source"]) == (0.05, "people left out of trainings like this one")
    measured = found["distance"].measured
    assert (measured["strangers"], measured["people"]) == (24, 4)  # every face, once
    assert "5 % of faces of strangers get a name. Calibrated on 24 faces of 4 people" in result.stdout
    assert "5 % of pairs of different people pass" in result.stdout
    assert "nobody is called unknown" not in result.stderr
    for name in ("model.npz", "gallery.npz"):  # the run's own network learned as if nobody had been left out
        assert (plain / name).read_bytes() == (calibrated / name).read_bytes()
    again = run("train", faces, "--out", calibrated, "--resume")
    assert again.exit_code == 0, again.output
    assert load_thresholds(calibrated)["distance"].value == found["distance"].value
    few = make_dataset(tmp_path / "few", ("anna", "boris"))
    assert "to leave out 1" in refused(run("train", few, "--out", tmp_path / "no", *QUICK, "--left-out", 2))
    assert not (tmp_path / "no" / "model.npz").exists()


def test_a_folder_without_a_split_is_learned_whole(tmp_path: Path) -> None:
    folder = make_dataset(tmp_path / "faces", ("a", "b"), split=False)
    result = run("train", folder, "--out", tmp_path / "run", *QUICK)
    assert result.exit_code == 0, result.output
    assert "No validation pictures" in result.stderr
    assert len(load_gallery(tmp_path / "run" / "gallery.npz", 2)[1]) == 12
    assert not (tmp_path / "run" / "threshold.json").exists()


def test_people_whom_the_split_leaves_out_are_not_known(dataset: Path, tmp_path: Path) -> None:
    make_dataset(dataset, ("aaa",), split=False)
    result = run("train", dataset, "--out", tmp_path / "run", *QUICK)
    assert result.exit_code == 0, result.output
    assert "Not in the split" in result.stderr
    assert Run.open(tmp_path / "run").config.people == ("anna", "boris", "çelik")
    gallery, paths = load_gallery(tmp_path / "run" / "gallery.npz", 3)
    assert paths[int(np.flatnonzero(gallery.labels == 0)[0])].startswith("anna/")


def test_crops_that_came_after_the_split_are_spoken_of(dataset: Path, tmp_path: Path) -> None:
    make_dataset(dataset, ("aaa",), split=False)  # left out altogether, which has a note of its own
    arguments = ("train", dataset, "--out", tmp_path / "run", *QUICK)
    assert "in no part of the split" not in run(*arguments).stderr
    for path in ("anna/7.png", "anna/8.png", "boris/7.png"):
        write_image(dataset / path, np.full((SIDE, SIDE), 90, np.uint8))
    for result in (run(*arguments[:2], "--out", tmp_path / "later", *QUICK), run(*arguments[:4], "--resume")):
        assert result.exit_code == 0, result.output
        said = " ".join(result.stderr.split())
        assert "3 crops are in no part of the split (added after it?): minicnn dataset split" in said
    assert len(load_gallery(tmp_path / "later" / "gallery.npz", 3)[1]) == 12  # as the split says


def test_people_left_out_who_have_all_the_validation_pictures(tmp_path: Path) -> None:
    """Six people with three crops each and one with eight, as `dataset split` divides them: 15 % of three is none."""
    names = tuple("abcdefg")
    faces = make_dataset(tmp_path / "faces", names)
    split = json.loads((faces / "split.json").read_text(encoding="utf-8"))
    split["validation"] = [path for path in split["validation"] if path.startswith("g/")]
    (faces / "split.json").write_text(json.dumps(split), encoding="utf-8")
    said = refused(run("train", faces, "--out", tmp_path / "run", *QUICK, "--left-out", 3))
    assert "validation pictures of people who stay, whoever is left out" in said
    assert "--validation 1" in said
    assert "epoch" not in said
    assert not (tmp_path / "run").exists()

    assert run("train", faces, "--out", tmp_path / "run", *QUICK).exit_code == 0
    config = json.loads((tmp_path / "run" / "config.json").read_text(encoding="utf-8"))
    config["settings"]["recipe"] |= {"left_out": 3, "epochs": 5}  # begun by a version that did not look
    (tmp_path / "run" / "config.json").write_text(json.dumps(config), encoding="utf-8")
    said = refused(run("train", faces, "--out", tmp_path / "run", "--resume"))
    assert "validation pictures of people who stay" in said
    assert "epoch" not in said  # nor is a run trained on that cannot be finished


def test_one_person_is_not_enough(tmp_path: Path) -> None:
    folder = make_dataset(tmp_path / "faces", ("anna",))
    assert "two people or more" in refused(run("train", folder, "--out", tmp_path / "run"))
    assert not (tmp_path / "run").exists()


def test_a_person_without_training_pictures(dataset: Path, tmp_path: Path) -> None:
    split = json.loads((dataset / "split.json").read_text(encoding="utf-8"))
    split["train"] = [path for path in split["train"] if not path.startswith("boris")]
    (dataset / "split.json").write_text(json.dumps(split), encoding="utf-8")
    assert "none of boris" in refused(run("train", dataset, "--out", tmp_path / "run"))


def test_crops_of_different_sizes(dataset: Path, tmp_path: Path) -> None:
    write_image(dataset / "anna" / "0.png", np.full((40, 32), 9, np.uint8))
    assert "crops of one size" in refused(run("train", dataset, "--out", tmp_path / "run"))


def test_runs_that_cannot_begin_or_go_on(dataset: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    assert "the folder of a run" in refused(run("train", dataset, "--out", out, "--resume"))
    assert run("train", dataset, "--out", out, *QUICK).exit_code == 0
    assert "--resume" in refused(run("train", dataset, "--out", out, *QUICK))
    assert "--epochs" in refused(run("train", dataset, "--out", out, "--resume", "--epochs", 9))
    assert "--set" in refused(run("train", dataset, "--out", out, "--resume", "--set", "augment.rotate=9"))
    sound = (out / "config.json").read_text()
    for name, value in (("snapshots", "x"), ("weights", 5), ("frozen", None), ("recipe", {"epochs": "x"})):
        config = json.loads(sound)
        config["settings"][name] = value
        (out / "config.json").write_text(json.dumps(config))
        assert "its settings are damaged" in refused(run("train", dataset, "--out", out, "--resume"))
    (out / "config.json").write_text(sound)
    write_image(dataset / "anna" / "0.png", np.full((SIDE, SIDE), 9, np.uint8))
    assert "the pictures that" in refused(run("train", dataset, "--out", out, "--resume"))


def test_more_people_than_there_are(dataset: Path, tmp_path: Path) -> None:
    result = run("train", dataset, "--out", tmp_path / "run", *QUICK, "--objective", "triplet", "--people", 20)
    assert result.exit_code == 0, result.output
    assert "--people 20: there are 3 people, so it is 3." in result.stderr
    assert "there are" not in run("train", dataset, "--out", tmp_path / "other", *QUICK, "--people", 20).stderr


@pytest.mark.parametrize(
    "options, message",
    [
        (("--backend", "torch"), "--backend as one of minicnn, keras"),
        (("--objective", "guess"), "objective as one of softmax, triplet"),
        (("--model", "alexnet"), "face-cnn, residual-cnn, vgg-face or FILE.py:function"),
        (("--freeze", "conv9"), "'conv9'"),
        (("--model", "facecnn"), "Did you mean 'face-cnn'?"),
        (("--model", "missing.py:tiny"), "no such file"),
        (("--dropout", 3), "dropout"),
        (("--weights", "missing.npz"), "no such file"),
        (("--learning-rate", 0), "learning_rate"),
        (("--set", "augment.spin=3"), "NAME=VALUE"),
    ],
)
def test_options_out_of_range(options: tuple[object, ...], message: str, dataset: Path, tmp_path: Path) -> None:
    said = refused(run("train", dataset, "--out", tmp_path / "run", *options))
    assert message in said
    assert ("Reading the dataset" in said) == ("--freeze" in options)  # all else is known without it
    assert not (tmp_path / "run").exists()
