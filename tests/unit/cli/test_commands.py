"""Every command from the outside: what it prints, what it writes, and how it ends."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from detection.images import read_image, write_image
from detection.orl import load_orl
from minicnn import __main__ as entry
from minicnn.models import face_cnn
from tests.unit.cli.terminal import WIDTH, refused, run


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three photographs with a face, one without, one that is none; one of them with a hostile name."""
    folder = tmp_path_factory.mktemp("photos")
    orl = load_orl().images
    for name, index in (("a.png", 0), ("sub/a.png", 10), ("<b>&amp;[red].png", 20)):
        path = folder / name
        path.parent.mkdir(exist_ok=True)
        large = orl[index].repeat(2, axis=0).repeat(2, axis=1)
        write_image(path, large)
    write_image(folder / "wall.png", np.full((120, 120), 90, np.uint8))
    (folder / "text.jpg").write_text("no picture")
    return folder


# -- detect and crop -------------------------------------------------------------------------------------------------


def test_detect_prints_boxes_and_reports_the_rest(photos: Path, tmp_path: Path) -> None:
    result = run("detect", photos, "--draw", tmp_path / "drawn")
    assert result.exit_code == 0
    assert max(map(len, result.stdout.splitlines())) <= 60
    assert "3 faces in 5 photographs" in result.stdout
    assert "sub/a.png" in result.stdout  # beside the a.png above it
    assert "wall.png" in result.stderr
    assert "text.jpg" in result.stderr
    drawn = sorted(path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*.png"))
    assert drawn == ["drawn/<b>&amp;[red].png.png", "drawn/a.png.png", "drawn/sub/a.png.png"]
    assert not np.array_equal(read_image(tmp_path / "drawn" / "a.png.png"), read_image(photos / "a.png"))


def test_detect_as_data(photos: Path) -> None:
    result = run("detect", photos, "--json")
    data = json.loads(result.stdout)
    assert data["photos"] == 5
    assert len(data["faces"]) == 3
    for face in data["faces"]:
        assert face["right"] - face["left"] == face["width"] > 0
        assert face["detector"] == "dlib-hog"
    assert {Path(p["photo"]).name: p["readable"] for p in data["problems"]} == {"wall.png": True, "text.jpg": False}


def test_crop_writes_one_file_per_face(photos: Path, tmp_path: Path) -> None:
    out = tmp_path / "new" / "crops"
    result = run("crop", photos, out, "--size", 48, "--colour", "rgb", "--margin", 0.2, "--json")
    assert result.exit_code == 0
    crops = json.loads(result.stdout)["crops"]
    assert sorted(map(str, out.rglob("*.png"))) == sorted(c["crop"] for c in crops)
    assert len(crops) == 3
    assert all(read_image(c["crop"]).shape == (48, 48, 3) for c in crops)
    assert "overwritten" not in result.stderr
    assert "3 files of the same name were overwritten." in run("crop", photos, out).stderr


@pytest.mark.parametrize(
    "arguments, message",
    [
        (("text.jpg",), "Expected a picture"),
        (("wall.png",), "Expected at least one face. Received: none in 120x120 pixels. Faces may be too small"),
        (("missing.jpg",), "no such file"),
        ((".", "--detector", "eyes"), "Expected a detector, one of dlib-hog, opencv-haar, dlib-cnn. Received: 'eyes'."),
        ((".", "--upsample", 9), "Expected upsample as an integer from 0 to 3. Received: 9."),
        ((".", "--detector", "opencv-haar", "--upsample", 1), "an option of opencv-haar"),
    ],
)
@pytest.mark.parametrize("command", ["detect", "crop"])
def test_what_cannot_be_searched_is_one_error(
    command: str, arguments: tuple[object, ...], message: str, photos: Path, tmp_path: Path
) -> None:
    place, *options = arguments
    outdir = [tmp_path / "out"] if command == "crop" else []
    assert message in refused(run(command, photos / str(place), *outdir, *options))
    assert not any((tmp_path / "out").glob("*"))


def test_what_an_earlier_run_wrote_is_no_photograph(photos: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(photos, tmp_path / "photos")
    for _ in range(2):
        assert json.loads(run("crop", folder, folder / "crops", "--json").stdout)["photos"] == 5
        assert json.loads(run("detect", folder, "--draw", folder / "crops", "--json").stdout)["photos"] == 5
    assert "another folder" in refused(run("crop", folder, folder))


@pytest.mark.parametrize("command", [("detect",), ("crop", "{folder}/out"), ("detectors",)])
def test_files_of_other_kinds_are_passed_over_but_not_in_silence(command: tuple[str, ...], tmp_path: Path) -> None:
    large = load_orl().images[0].repeat(2, axis=0).repeat(2, axis=1)
    write_image(tmp_path / "a.png", large)
    for name in ("b.heic", "c.HEIC", "d.gif", "notes.txt", "faces.json", ".hidden.gif", "out/named.mp4"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    name, *further = (word.format(folder=tmp_path) for word in command)
    others = "4 files were passed over: 2 .heic, 1 .gif, 1 .mp4." if not further else "3 files were passed over: "
    result = run(name, tmp_path, *further, "--json")
    assert result.exit_code == 0
    assert " ".join(result.stderr.split()).count(others) == 1
    assert json.loads(result.stdout)
    assert "link" not in result.stderr
    assert "passed over" not in run("detect", tmp_path / "a.png").stderr


@pytest.mark.skipif(os.name != "posix", reason="symbolic links as POSIX has them")
def test_links_that_are_passed_over_are_said_to_be_links(tmp_path: Path) -> None:
    large = load_orl().images[0].repeat(2, axis=0).repeat(2, axis=1)
    folder = tmp_path / "photos"
    write_image(tmp_path / "outside.png", large)
    folder.mkdir()
    write_image(folder / "a.png", large)
    (folder / "within.png").symlink_to(folder / "a.png")
    assert "passed over" not in run("detect", folder).stderr
    (folder / "b.png").symlink_to(tmp_path / "outside.png")
    said = " ".join(run("detect", folder).stderr.split())
    assert "1 file was passed over: 1 linked .png. A link that leads out of the folder is not followed: copy" in said


def test_a_folder_without_images_is_an_error(tmp_path: Path) -> None:
    assert "a folder with at least one picture" in refused(run("detect", tmp_path))


@pytest.mark.parametrize(
    "options, message",
    [
        (("--policy", "best"), "policy as one of largest, only, all"),
        (("--colour", "red"), "colour as one of grey, rgb"),
        (("--size", 0), "size as an integer"),
        (("--margin", "nan"), "margin as a number"),
    ],
)
def test_crop_options_out_of_range(options: tuple[object, ...], message: str, photos: Path, tmp_path: Path) -> None:
    assert message in refused(run("crop", photos, tmp_path / "out", *options))
    assert not (tmp_path / "out").exists()


def test_an_output_folder_that_cannot_be_one(photos: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    assert "file': File exists. It is a file: give a folder, or " in refused(run("crop", photos, tmp_path / "file"))
    below = refused(run("crop", photos, tmp_path / "file" / "crops"))
    assert "crops': Not a directory. A part of this path is a file: give a folder." in below
    assert (tmp_path / "file").read_text() == "in the way"


# -- summary ---------------------------------------------------------------------------------------------------------


def test_summary_of_vgg_face_is_there_at_once_and_right() -> None:
    data = json.loads(run("summary", "vgg-face", "--json").stdout)
    layers = {layer["name"]: layer for layer in data["layers"]}
    assert data["totals"]["parameters"] == 145_002_878  # Parkhi et al.: 145 million
    assert layers["fc6"]["parameters"] == 7 * 7 * 512 * 4096 + 4096
    assert layers["conv1_2"]["multiplications"] == 224 * 224 * 3 * 3 * 64 * 64
    assert layers["pool5"]["output_shape"] == [7, 7, 512]


def test_summary_fits_a_narrow_terminal() -> None:
    result = run("summary", "vgg-face", "--input", "200x200x1", "--classes", 40, "--no-top")
    assert result.exit_code == 0
    assert max(map(len, result.stdout.splitlines())) <= 60
    assert "fc6" not in result.stdout
    assert "6x6x512" in result.stdout


@pytest.mark.parametrize("width", [60, 80, 140])
def test_summary_says_who_reads_whom_where_ways_part(width: int) -> None:
    shown = run("summary", "residual-cnn", width=width).stdout
    assert "connected" in shown
    assert max(map(len, shown.splitlines())) <= width
    assert ("algorithm" in shown) == (width == 140)
    assert "connected" not in run("summary", "face-cnn", width=80).stdout


def test_a_page_has_the_name_of_a_page(photos: Path, tmp_path: Path) -> None:
    precious = tmp_path / "precious.txt"
    precious.write_text("precious")
    for command in (("compare", photos), ("parity", "--only", "losses")):
        assert "--report with a name that ends in .html" in refused(run(*command, "--report", precious))
    assert precious.read_text() == "precious"


def test_summary_of_a_saved_network(tmp_path: Path) -> None:
    model = face_cnn((32, 32, 1), 3)
    model.save(tmp_path / "net.npz")
    data = json.loads(run("summary", tmp_path / "net.npz", "--json").stdout)
    assert data["totals"]["parameters"] == model.count_params()
    assert data["input_shape"] == [32, 32, 1]
    assert "The file says it." in refused(run("summary", tmp_path / "net.npz", "--classes", 4))


def test_summary_of_nothing_we_know(tmp_path: Path) -> None:
    (tmp_path / "net.npz").write_text("no archive")
    assert "net.npz" in refused(run("summary", tmp_path / "net.npz"))
    unknown = refused(run("summary", "alexnet"))
    assert "the folder of a run, a file with a network, or a network's name. Received: 'alexnet'." in unknown
    assert "Networks: face-cnn, residual-cnn, vgg-face; files: .npz, .safetensors, .keras, .h5, " in unknown
    assert "the folder of a run" in refused(run("summary", tmp_path))
    assert "Did you mean 'vgg-face'?" in refused(run("summary", "vgg-fcae"))
    assert "no such file. Check the name and the folder." in refused(run("summary", tmp_path / "none.npz"))
    assert "at least 32x32" in refused(run("summary", "face-cnn", "--input", "10x10x1"))


@pytest.mark.parametrize(
    "words, meant",
    [
        (("summary", "vgg"), "vgg-face"),
        (("summary", "FaceCNN"), "face-cnn"),
        (("detect", "photo.jpg", "--detector", "hog"), "dlib-hog"),
        (("weights", "fetch", "vggface"), "vgg-face"),
    ],
)
def test_names_that_are_nearly_right(words: tuple[str, ...], meant: str) -> None:
    assert f"Did you mean '{meant}'?" in refused(run(*words))


# -- the command itself ----------------------------------------------------------------------------------------------


def test_help_names_every_command_and_fits() -> None:
    result = run("--help")
    assert result.exit_code == 0
    assert max(map(len, result.stdout.splitlines())) <= 60
    assert "..." not in result.stdout.partition("Commands:")[2]  # no sentence is cut off
    for command in ("demo", "detect", "crop", "compare", "explore", "recognise", "parity", "summary", "doctor"):
        assert command in result.stdout
        helped = run(command, "--help")
        assert helped.exit_code == 0
        assert "Example" in helped.stdout
        assert "[[" not in helped.stdout  # one pair of brackets says that an argument may be left out


@pytest.mark.parametrize("command", ["train", "dataset build", "evaluate", "recognise"])
def test_options_can_be_read_in_a_narrow_terminal(command: str) -> None:
    lines = run(*command.split(), "--help").stdout.splitlines()
    assert max(map(len, lines)) <= WIDTH
    assert not any("…" in line for line in lines)


def test_wrong_usage_is_exit_code_2() -> None:
    assert run("dance").exit_code == 2
    assert run("crop").exit_code == 2
    assert run("summary", "face-cnn", "--classes", "many").exit_code == 2


def test_starting_is_light() -> None:
    script = "import sys, minicnn.cli.main; print(*{name.partition('.')[0] for name in sys.modules})"
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    heavy = {"numba", "scipy", "keras", "tensorflow", "cv2", "dlib", "matplotlib", "jinja2"}
    assert not heavy & set(result.stdout.split())


def test_nothing_is_coloured_in_a_pipe() -> None:
    result = subprocess.run(
        [sys.executable, "-m", "minicnn", "summary", "face-cnn"], capture_output=True, text=True, check=True
    )
    assert "\x1b" not in result.stdout + result.stderr


def test_interrupted_while_it_starts_a_command_ends_with_a_word(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted() -> None:
        raise KeyboardInterrupt

    monkeypatch.setitem(sys.modules, "minicnn.cli.main", SimpleNamespace(main=interrupted))
    with pytest.raises(SystemExit) as ended:
        entry.main()
    assert ended.value.code == 130  # as for a shell: 128 and the signal's number
    assert capsys.readouterr().err == "Interrupted.\n"
