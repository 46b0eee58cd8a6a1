"""A training watched again: networks of earlier epochs are kept, found, and shown; damaged ones are refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from minicnn.cli.explore_steps import Looking, prepare_looking
from minicnn.errors import LoadError, OptionError
from minicnn.explorer import answers
from minicnn.explorer.explorer import Explorer, Subject
from minicnn.explorer.photo import Photo
from minicnn.explorer.replay import Replay
from minicnn.recognition.run import HISTORY, Run, RunConfig
from minicnn.recognition.snapshots import Snapshots, kept_epochs, load_snapshot
from minicnn.recognition.train import write_weights
from tests.unit.explorer.conftest import INPUT, small_network


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Three epochs of which every second was kept; after epoch k the network is that of seed k."""
    config = RunConfig("small", INPUT, tuple("abcde"), "minicnn", "softmax", "flatten", 0)
    run = Run.create(tmp_path / "run", config)
    run.path(HISTORY).write_text("epoch,loss\n0,2\n1,1.5\n2,1\n", encoding="utf-8")
    for epoch in range(4):
        network = small_network(softmax=False, seed=epoch)
        keeper = Snapshots(run, network, every=2)
        keeper.on_train_begin() if epoch == 0 else keeper.on_epoch_end(epoch - 1)
    write_weights(run, network)
    return Run.open(run.folder)


def test_an_embedding_is_not_taken_for_scores_of_classes(tmp_path: Path, face: Photo) -> None:
    config = RunConfig("small", INPUT, tuple("abcde"), "minicnn", "triplet", "flatten", 0)
    run = Run.create(tmp_path / "run", config)
    write_weights(run, small_network(softmax=False))
    looking = prepare_looking(str(run.folder), None, None, 0, None)
    state = answers.state(Explorer(looking.subject, face, looking.read))
    assert isinstance(state, dict)
    assert state["scores"]["kind"] == "embedding"
    assert state["gradient_of"] == "CLASS of the embedding"
    assert [row["name"] for row in state["scores"]["top"]] == [
        f"number {row['class']}" for row in state["scores"]["top"]
    ]


def test_every_second_epoch_is_kept_and_the_beginning(run: Run) -> None:
    assert kept_epochs(run) == (0, 2)
    for epoch in (0, 2):
        kernel = load_snapshot(run, epoch).weights["conv1/kernel"]
        assert np.array_equal(kernel, small_network(seed=epoch).weights["conv1/kernel"])


def test_a_resumed_run_keeps_its_beginning(run: Run) -> None:
    Snapshots(run, small_network(softmax=False, seed=9), every=2).on_train_begin()
    assert np.array_equal(load_snapshot(run, 0).weights["conv1/kernel"], small_network().weights["conv1/kernel"])


def test_an_earlier_network_looks_at_the_same_face(run: Run, looking: Looking, face: Photo) -> None:
    replay = Replay.of(run)
    assert (replay.epochs, [row["loss"] for row in replay.history]) == ((0, 2), [2, 1.5, 1])
    explorer = Explorer(Subject(run.model()), face, looking.read, replay=replay)
    expected = small_network(softmax=False, seed=2).up_to("conv1")(face.x)[0]
    assert np.array_equal(explorer.scene(2).values("forward", "conv1"), expected)
    assert explorer.scene(2) is explorer.scene(2)  # computed once
    with pytest.raises(OptionError, match=r"an epoch that was kept \(0, 2\)"):
        explorer.scene(1)


def test_without_snapshots_it_says_how_to_keep_them() -> None:
    with pytest.raises(OptionError, match="--snapshots 1"):
        Replay().model(0)


def test_damaged_and_foreign_networks_are_refused(run: Run) -> None:
    path = run.path("snapshots") / "epoch-0002.npz"
    path.write_bytes(path.read_bytes()[:-100])
    (run.path("snapshots") / "epoch-two.npz").write_bytes(b"")  # not one of ours: not looked at
    assert kept_epochs(run) == (0, 2)
    with pytest.raises(LoadError, match="epoch-0002"):
        load_snapshot(run, 2)
    from minicnn.layers import Dense, Flatten
    from minicnn.sequential import Sequential

    write_weights(run, Sequential([Flatten(), Dense(5)], input_shape=(8, 8, 1)), "snapshots/epoch-0004.npz")
    with pytest.raises(LoadError, match=r"\(8, 8, 1\)"):
        load_snapshot(run, 4)
