"""evaluate, recognise, verify and find from the outside: what they print, what they write, and how they end."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from detection import video
from detection.images import read_image, write_image
from detection.video import read_frames, write_video
from minicnn.recognition.unknown import load_thresholds, save_thresholds
from tests.unit.cli.recognition_run import NAMES, build_dataset, build_run, photo
from tests.unit.cli.terminal import refused, run


@pytest.fixture(autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Datasets of friends and strangers, and the friends' runs, with thresholds."""
    root = tmp_path_factory.mktemp("recognition")
    places = {
        "friends": build_dataset(root / "friends", range(6)),
        "others": build_dataset(root / "others", range(6, 10)),
    }
    for objective in ("softmax", "triplet"):
        build_run(root / objective, places["friends"], objective)
        places[objective] = root / objective
    return places


@pytest.fixture
def calibrated(places: dict[str, Path], tmp_path: Path) -> Path:
    """A copy of the softmax run, with thresholds."""
    folder = shutil.copytree(places["softmax"], tmp_path / "calibrated")
    how = ("--strangers", places["others"], "--calibrate", "--rate", 0.1, "--no-baseline")
    assert run("evaluate", folder, places["friends"], *how).exit_code == 0
    return folder


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two photographs of friends, one of ten faces, one of nobody, and one that is none."""
    folder = tmp_path_factory.mktemp("photos")
    write_image(folder / "anna 林.png", photo(1, 8))
    (folder / "sub").mkdir()
    write_image(folder / "sub" / "dan.png", photo(3, 9))
    write_image(folder / "dan known.png", photo(3, 0))  # the runs were made with this one
    rows = [np.concatenate([photo(person, shot) for person in range(5)], axis=1) for shot in (7, 8)]
    write_image(folder / "ten.png", np.concatenate(rows))
    write_image(folder / "wall.png", np.full((120, 120), 90, np.uint8))
    (folder / "text.jpg").write_text("no picture")
    (folder / "of a telephone.heic").write_text("not opened at all")
    return folder


# -- evaluate --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("objective", ["softmax", "triplet"])
def test_evaluate_prints_and_writes(objective: str, places: dict[str, Path], tmp_path: Path) -> None:
    page = tmp_path / "new" / "page.html"
    result = run("evaluate", places[objective], places["friends"], "--strangers", places["others"], "--report", page)
    assert result.exit_code == 0, result.stderr
    assert max(map(len, result.stdout.splitlines())) <= 60
    for words in ("Accuracy", "Baseline", "EER", "not measurable", "Strangers given a name"):
        assert words in result.stdout
    assert "&lt;b&gt;Bob" in page.read_text(encoding="utf-8")
    assert not (places[objective] / "threshold.json").exists()  # only --calibrate writes into the run


def test_evaluate_writes_no_page_over_something_else(places: dict[str, Path], tmp_path: Path) -> None:
    (tmp_path / "precious.csv").write_text("precious")
    arguments = (places["softmax"], places["friends"], "--report", tmp_path / "precious.csv")
    assert "--report with a name that ends in .html" in refused(run("evaluate", *arguments))
    assert (tmp_path / "precious.csv").read_text() == "precious"


def test_evaluate_as_data(places: dict[str, Path], tmp_path: Path) -> None:
    arguments = ("--strangers", places["others"], "--report", tmp_path / "page.html", "--json", "--rate", 0.1)
    found = json.loads(run("evaluate", places["softmax"], places["friends"], *arguments).stdout)
    named = found["classification"]
    assert named["faces"] == len(json.loads((places["friends"] / "split.json").read_text())["test"])
    assert named["accuracy"] > 0.3  # a random projection; guessing is 0.17
    assert len(found["mistakes"]) == named["faces"] - named["right"]
    assert sum(map(sum, named["confusion"])) == named["faces"]
    assert found["baseline"]["accuracy"] > 0.6
    assert found["verification"]["eer"] < 0.5
    assert found["verification"]["val_at_far"]["value"] is None
    unknown = found["unknown"]
    assert unknown["calibration"]["people"] == unknown["strangers_people"] == 2  # half of the strangers each
    assert unknown["strangers"] < 25
    assert set(found["thresholds"]) == {"distance", "pair"}


def test_calibrated_thresholds_stay_with_the_run(calibrated: Path, places: dict[str, Path], tmp_path: Path) -> None:
    kept = load_thresholds(calibrated)
    assert kept["distance"].rate == 0.1
    found = run("evaluate", calibrated, places["friends"], "--no-baseline", "--json", "--rate", 0.3)
    assert json.loads(found.stdout)["unknown"]["value"] == kept["distance"].value
    refusal = refused(run("evaluate", calibrated, places["friends"], "--calibrate", "--no-baseline"))
    assert "4 strangers or more" in refusal
    assert "Received: 0 people (0 faces)" in refusal
    assert "--left-out" in refusal
    assert load_thresholds(calibrated) == kept
    save_thresholds(calibrated, {"pair": kept["pair"]})  # as a training without strangers leaves it
    found = run("evaluate", calibrated, places["friends"], "--strangers", places["others"], "--no-baseline", "--json")
    assert json.loads(found.stdout)["unknown"]["strangers_people"] == 2
    assert load_thresholds(calibrated).keys() == {"pair"}


def test_evaluate_by_pairs(places: dict[str, Path], tmp_path: Path) -> None:
    names = NAMES[3:6]  # without spaces: they are in the first fields of a line
    folds = ["3\t2"]
    for shift in range(3):
        a, b, c = (names[(shift + i) % 3] for i in range(3))
        folds += [f"{a}\t1\t2", f"{b}\t3\t4", f"{a}\t1\t{c}\t2", f"{b}\t3\t{a}\t99"]
    (tmp_path / "pairs.txt").write_text("\n".join(folds) + "\n")
    arguments = ("--pairs", tmp_path / "pairs.txt", "--report", tmp_path / "page.html", "--no-baseline", "--json")
    found = json.loads(run("evaluate", places["triplet"], places["friends"], *arguments).stdout)
    assert len(found["lfw"]["accuracies"]) == 3
    assert found["lfw"]["used"] + found["lfw"]["missing"] == 12
    assert found["lfw"]["missing"] >= 3
    assert any("people in its pairs that were trained on: 3." in note for note in found["notes"])
    (tmp_path / "pairs.txt").write_text("1\t1\nDan\t1\n")
    result = run("evaluate", places["triplet"], places["friends"], "--pairs", tmp_path / "pairs.txt")
    assert "3 lines" in refused(result)


def test_evaluate_strangers_by_pairs(places: dict[str, Path], tmp_path: Path) -> None:
    first, second = NAMES[6:8]
    fold = [f"{first}\t1\t2", f"{second}\t3\t4", f"{first}\t1\t{second}\t2", f"{first}\t4\t{second}\t3"]
    (tmp_path / "pairs.txt").write_text("\n".join(["2\t2", *fold, *fold]) + "\n")
    page = tmp_path / "page.html"
    arguments = ("evaluate", places["softmax"], places["others"], "--pairs", tmp_path / "pairs.txt", "--report", page)
    found = json.loads(run(*arguments, "--json").stdout)
    assert found["lfw"]["used"] == 8
    assert found["lfw"]["accuracies"][0] == found["lfw"]["accuracies"][1]  # both folds are the same pairs
    assert found["verification"]["different_pairs"] > 0
    assert found["mistakes"] == []
    for section in ("classification", "baseline", "unknown"):
        assert "knows nobody" in found[section]["problem"]
    assert "LFW protocol" in run(*arguments).stdout
    assert "Strangers only" in page.read_text(encoding="utf-8")
    assert "validation" in refused(run(*arguments, "--calibrate"))


def test_summary_of_a_run(places: dict[str, Path]) -> None:
    data = json.loads(run("summary", places["triplet"], "--json").stdout)
    assert (data["model"], data["input_shape"]) == ("projection", [48, 48, 1])
    assert [layer["name"] for layer in data["layers"]] == ["pool", "flatten", "embedding"]
    assert "The run says it." in refused(run("summary", places["triplet"], "--classes", 4))


def test_what_cannot_be_evaluated(places: dict[str, Path], tmp_path: Path) -> None:
    assert "the folder of a run" in refused(run("evaluate", tmp_path, places["friends"]))
    assert "people of the run" in refused(run("evaluate", places["softmax"], places["others"]))
    assert "no such folder" in refused(run("evaluate", places["softmax"], tmp_path / "nowhere"))
    result = run("evaluate", places["softmax"], places["friends"], "--strangers", places["friends"])
    assert "only people it knows" in refused(result)
    unknown = refused(run("evaluate", places["softmax"], places["friends"], "--part", "tests"))
    assert "--part as one of train, validation, test or all. Received: 'tests'. Did you mean 'test'?" in unknown
    unsplit = build_dataset(tmp_path / "unsplit", range(2), split=False)
    assert "dataset split" in refused(run("evaluate", places["softmax"], unsplit))
    assert "validation" in refused(run("evaluate", places["softmax"], unsplit, "--part", "all", "--calibrate"))
    small = tmp_path / "small" / NAMES[0]
    small.mkdir(parents=True)
    write_image(small / "1.png", np.zeros((40, 40), np.uint8))
    assert "size 48" in refused(run("evaluate", places["softmax"], small.parent, "--part", "all"))
    assert "between 0 and 1" in refused(run("evaluate", places["softmax"], places["friends"], "--rate", 1.5))
    (tmp_path / "file").write_text("")
    report = tmp_path / "file" / "page.html"
    assert refused(run("evaluate", places["softmax"], places["friends"], "--report", report))
    damaged = shutil.copytree(places["softmax"], tmp_path / "damaged")
    (damaged / "gallery.npz").write_bytes(b"PK\x03\x04 nothing")
    assert "gallery.npz" in refused(run("evaluate", damaged, places["friends"]))


def test_evaluate_says_that_faces_were_trained_on(places: dict[str, Path], tmp_path: Path) -> None:
    split = json.loads((places["friends"] / "split.json").read_text(encoding="utf-8"))
    later = shutil.copytree(places["friends"], tmp_path / "later")  # split again after the training, one face stays
    swapped = split | {"train": split["test"][1:], "test": [*split["train"], split["test"][0]]}
    (later / "split.json").write_text(json.dumps(swapped), encoding="utf-8")

    def notes(dataset: Path, *options: str) -> list[str]:
        arguments = ("--no-baseline", "--report", tmp_path / "page.html", *options)
        result = run("evaluate", places["triplet"], dataset, *arguments, "--json")
        found: list[str] = json.loads(result.stdout)["notes"]
        assert " ".join(found).split() == result.stderr.partition("page.html")[2].split()  # as notes on stderr too
        return found

    learned, faces = len(split["train"]), len(swapped["test"])
    assert notes(later)[0].startswith(f"{learned} of {faces} test faces were trained on")
    assert "train again after the split" in notes(later)[0]
    assert "trained on" in (tmp_path / "page.html").read_text(encoding="utf-8")
    assert notes(places["friends"]) == notes(places["friends"], "--part", "validation") == []
    assert notes(later, "--part", "train") == []
    (everything,) = notes(places["friends"], "--part", "all")
    assert everything.startswith(f"{learned} of {sum(map(len, (split[part] for part in split if part != 'seed')))} ")
    for path in split["train"]:  # another dataset, whose pictures happen to be called the same
        write_image(later / path, read_image(later / path)[::-1, :, 0])
    assert notes(later) == []


def test_evaluate_without_a_split(places: dict[str, Path], tmp_path: Path) -> None:
    unsplit = build_dataset(tmp_path / "unsplit", range(2), split=False)
    found = json.loads(run("evaluate", places["softmax"], unsplit, "--part", "all", "--json").stdout)
    assert "no training part" in found["baseline"]["problem"]
    assert "No threshold" in found["unknown"]["problem"]
    assert (places["softmax"] / "evaluation.html").is_file()


# -- recognise -------------------------------------------------------------------------------------------------------


def test_recognise_a_folder(calibrated: Path, photos: Path, tmp_path: Path) -> None:
    out = tmp_path / "new" / "named"
    result = run("recognise", calibrated, photos, "--out", out)
    assert result.exit_code == 0, result.stderr
    assert max(map(len, result.stdout.splitlines())) <= 60
    assert "wall.png" in result.stderr
    assert "text.jpg" in result.stderr
    assert "1 file was passed over: 1 .heic." in result.stderr
    found = json.loads((out / "faces.json").read_text(encoding="utf-8"))
    by_photo: dict[str, list[dict]] = {}
    for face in found["faces"]:
        by_photo.setdefault(Path(face["photo"]).name, []).append(face)
    assert 8 <= len(by_photo["ten.png"]) <= 10
    assert by_photo["dan known.png"][0]["best"] == "Dan"
    for face in found["faces"]:
        assert face["known"] == (face["distance"] <= found["threshold"])
        assert 0 < face["probability"] <= 1
        assert face["name"] == (face["best"] if face["known"] else "unknown")
    with open(out / "faces.csv", encoding="utf-8", newline="") as file:
        assert [row["name"] for row in csv.DictReader(file)] == [face["name"] for face in found["faces"]]
    assert len(found["problems"]) == 2
    drawn = sorted(path.relative_to(out).as_posix() for path in out.rglob("*.png"))
    assert drawn == ["anna 林.png.png", "dan known.png.png", "sub/dan.png.png", "ten.png.png"]
    before, after = read_image(photos / "ten.png"), read_image(out / "ten.png.png")
    assert before.shape == after.shape
    box = by_photo["ten.png"][0]
    inside = slice(box["top"] + 30, box["bottom"] - 30), slice(box["left"], box["right"])
    assert np.array_equal(before[inside], after[inside])  # no pixel of a face is hidden
    assert not np.array_equal(before, after)


def test_recognise_a_video(calibrated: Path, tmp_path: Path) -> None:
    with write_video(tmp_path / "film.mp4", rate=10) as video:
        for shot in (8, 8, 9, 9, 9):
            video.add(np.repeat(photo(3, shot)[:, :, None], 3, axis=2))
    result = run("recognise", calibrated, tmp_path / "film.mp4", "--out", tmp_path / "out", "--json")
    assert result.exit_code == 0, result.stderr
    found = json.loads(result.stdout)
    assert {face["frame"] for face in found["faces"]} == set(range(5))
    assert found["faces"][-1]["second"] == pytest.approx(0.4)
    written = list(read_frames(tmp_path / "out" / "named.mp4"))
    assert len(written) == 5
    assert written[4].second == pytest.approx(0.4)
    result = run("recognise", calibrated, tmp_path / "film.mp4", "--seconds", 0.15, "--json")
    assert {face["frame"] for face in json.loads(result.stdout)["faces"]} == {0, 1}


def test_ctrl_c_ends_a_video_and_keeps_what_was_seen(
    calibrated: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with write_video(tmp_path / "film.mp4", rate=10) as film:
        for shot in (8, 8, 9, 9, 9):
            film.add(np.repeat(photo(3, shot)[:, :, None], 3, axis=2))

    class Interrupted(video.VideoWriter):
        def add(self, rgb: np.ndarray) -> None:
            super().add(rgb)
            if self.frames == 3:
                self.frames = 2  # the worst moment: it is written, and not yet counted
                raise KeyboardInterrupt

    monkeypatch.setattr(video, "VideoWriter", Interrupted)
    result = run("recognise", calibrated, tmp_path / "film.mp4", "--out", tmp_path / "out", "--json")
    assert result.exit_code == 0, result.stderr
    assert {face["frame"] for face in json.loads(result.stdout)["faces"]} == {0, 1, 2}
    assert len(list(read_frames(tmp_path / "out" / "named.mp4"))) == 3


def test_a_triplet_run_says_distances(places: dict[str, Path], photos: Path) -> None:
    result = run("recognise", places["triplet"], photos / "dan known.png", "--json")
    (face,) = json.loads(result.stdout)["faces"]
    assert face["name"] == "Dan"
    assert face["distance"] < 0.01
    assert "nobody is called unknown" in result.stderr


def test_what_cannot_be_recognised(calibrated: Path, photos: Path, tmp_path: Path) -> None:
    assert "none in 120x120" in refused(run("recognise", calibrated, photos / "wall.png"))
    assert "no such file" in refused(run("recognise", calibrated, tmp_path / "nothing.jpg"))
    assert "the folder of a run" in refused(run("recognise", photos, photos))
    assert "camera 97" in refused(run("recognise", calibrated, "--camera", 97, "--out", tmp_path / "camera"))
    assert list((tmp_path / "camera").iterdir()) == []
    assert "neither" in refused(run("recognise", calibrated))
    (tmp_path / "film.mp4").write_bytes(b"\0\0\0\x18ftypmp42" + bytes(200))
    assert "film.mp4" in refused(run("recognise", calibrated, tmp_path / "film.mp4", "--out", tmp_path / "film"))
    assert list((tmp_path / "film").iterdir()) == []
    (tmp_path / "file").write_text("")
    assert refused(run("recognise", calibrated, photos, "--out", tmp_path / "file"))
    assert "--backend as one of minicnn, keras" in refused(run("recognise", calibrated, photos, "--backend", "torch"))
    (calibrated / "threshold.json").write_text("{}")
    assert "threshold.json" in refused(run("recognise", calibrated, photos))


@pytest.mark.slow
def test_both_engines_name_the_same_people(calibrated: Path, photos: Path) -> None:
    result = run("recognise", calibrated, photos, "--both", "--json")
    assert result.exit_code == 0, result.stderr
    found = json.loads(result.stdout)
    assert found["agreement"] == 1
    for face in found["faces"]:
        assert face["keras_probability"] == pytest.approx(face["probability"], abs=1e-4)
        assert face["keras_distance"] == pytest.approx(face["distance"], abs=1e-4)
    alone = json.loads(run("recognise", calibrated, photos, "--backend", "keras", "--json").stdout)
    assert [face["name"] for face in alone["faces"]] == [face["name"] for face in found["faces"]]


# -- verify and find -------------------------------------------------------------------------------------------------


def test_verify(calibrated: Path, photos: Path, tmp_path: Path) -> None:
    write_image(tmp_path / "dan again.png", photo(3, 8))
    same = json.loads(
        run("verify", calibrated, photos / "sub" / "dan.png", tmp_path / "dan again.png", "--json").stdout
    )
    other = json.loads(run("verify", calibrated, photos / "sub" / "dan.png", photos / "anna 林.png", "--json").stdout)
    itself = json.loads(run("verify", calibrated, photos / "anna 林.png", photos / "anna 林.png", "--json").stdout)
    assert itself["distance"] == pytest.approx(0, abs=1e-6)
    assert same["distance"] < other["distance"]
    assert (itself["same"], other["same"]) == (True, False)
    assert same["threshold"] == load_thresholds(calibrated)["pair"].value
    assert same["calibrated_on"] == "people the network has never seen"
    words = run("verify", calibrated, photos / "anna 林.png", photos / "sub" / "dan.png").stdout
    assert "Different people" in words
    assert "10 % of pairs of different people" in " ".join(words.split())
    assert max(map(len, words.splitlines())) <= 60
    assert "at least one face" in refused(run("verify", calibrated, photos / "wall.png", photos / "sub" / "dan.png"))
    assert "text.jpg" in refused(run("verify", calibrated, photos / "text.jpg", photos / "sub" / "dan.png"))


def test_verify_without_a_threshold(places: dict[str, Path], photos: Path) -> None:
    result = run("verify", places["triplet"], photos / "sub" / "dan.png", photos / "anna 林.png")
    assert result.exit_code == 0
    assert "No answer" in result.stdout
    assert "--calibrate" in result.stderr


def test_find_ranks_by_distance_and_remembers(calibrated: Path, photos: Path, tmp_path: Path) -> None:
    write_image(tmp_path / "sought.png", photo(3, 8))
    arguments = ("find", calibrated, tmp_path / "sought.png", "--in", photos, "--json")
    first = json.loads(run(*arguments).stdout)
    assert Path(first["matches"][0]["photo"]).name in ("ten.png", "dan.png", "dan known.png")
    assert [m["distance"] for m in first["matches"]] == sorted(m["distance"] for m in first["matches"])
    assert Path(first["matches"][-1]["photo"]).name == "anna 林.png"
    assert {Path(p["photo"]).name for p in first["problems"]} == {"wall.png", "text.jpg"}
    assert first["from_cache"] == 0
    second = json.loads(run(*arguments).stdout)
    assert second["from_cache"] == 5  # four with faces, and the wall
    assert second["matches"] == first["matches"]
    shown = run(*arguments[:-1])
    assert max(map(len, shown.stdout.splitlines())) <= 60
    assert "1 file was passed over: 1 .heic." in shown.stderr
    assert "Searching photographs: 6 of 6" in shown.stderr
    (tmp_path / "empty").mkdir()
    assert "at least one picture" in refused(
        run("find", calibrated, tmp_path / "sought.png", "--in", tmp_path / "empty")
    )


def test_find_leaves_out_the_photograph_itself_but_not_its_copy(calibrated: Path, photos: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(photos, tmp_path / "folder")
    shutil.copy(folder / "anna 林.png", folder / "sub" / "copy.png")
    (tmp_path / "link.png").symlink_to(folder / "anna 林.png")
    for sought in (folder / "anna 林.png", tmp_path / "link.png"):
        found = json.loads(run("find", calibrated, sought, "--in", folder, "--json").stdout)
        names = [Path(match["photo"]).name for match in found["matches"]]
        assert "anna 林.png" not in names
        assert names[0] == "copy.png"
        assert found["matches"][0]["distance"] == pytest.approx(0, abs=1e-6)
    (tmp_path / "alone").mkdir()
    alone = shutil.copy(photos / "anna 林.png", tmp_path / "alone")
    assert "other photographs" in refused(run("find", calibrated, alone, "--in", tmp_path / "alone"))
