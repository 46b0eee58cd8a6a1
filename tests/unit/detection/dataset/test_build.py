"""Photographs become a dataset: what is used, what is rejected and why, and what a run leaves behind when ended."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from detection.boxes import Face
from detection.crop import CropSettings
from detection.dataset import BuildSettings, build_dataset
from detection.dataset import work as work_module
from detection.dataset.journal import Journal, parse_journal
from detection.dataset.manifest import read_manifest, read_rejected
from detection.detectors import make_detector
from detection.images import read_image, write_image
from minicnn.errors import ImageError, LoadError, OptionError, StateError
from tests.unit.detection.dataset.people import beside, contents, photo, write_people
from tests.unit.detection.pictures import encode, exif, gradient, png_promising

HOG = partial(make_detector, "dlib-hog")
PLAIN = BuildSettings(CropSettings(size=40), "largest", align="none")


def journal_sources(folder: Path) -> list[str]:
    return [json.loads(line)["source"] for line in (folder / "journal.jsonl").read_text().splitlines()[1:]]


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_people(tmp_path_factory.mktemp("photos"))


@pytest.fixture(scope="module")
def whole(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The dataset of an undisturbed run."""
    folder = tmp_path_factory.mktemp("whole")
    build_dataset(source, folder, HOG, PLAIN)
    return folder


@pytest.fixture(scope="module")
def groups(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eight people, each alone in four photographs and beside a stranger, who is twice as large, in a fifth."""
    folder = write_people(tmp_path_factory.mktemp("groups"), 8, 4)
    for person in range(8):
        stranger = photo(30 + person, 0).repeat(2, axis=0).repeat(2, axis=1)
        write_image(folder / f"p{person}" / "with.png", beside(stranger, photo(person, 5)))
    return folder


class TestADataset:
    def test_a_crop_per_photograph_and_where_it_comes_from(self, source, whole) -> None:
        manifest = read_manifest(whole)
        assert manifest is not None
        assert sorted(manifest.photographs) == [f"p{p}/{s}.png.png" for p in range(3) for s in range(4)]
        assert manifest.settings == {
            "size": 40,
            "colour": "grey",
            "margin": 0.1,
            "policy": "largest",
            "align": "none",
            "detector": "dlib-hog",
        }
        for crop, entry in manifest.photographs.items():
            rgb = read_image(source / entry["source"])
            face = HOG().detect(rgb)[0]
            box = face.box
            assert entry["box"] == [box.left, box.top, box.right, box.bottom]
            assert entry["detector"] == "dlib-hog"
            assert (entry["height"], entry["width"]) == rgb.shape[:2]
            assert read_image(whole / crop).shape == (40, 40, 3)

    def test_several_processes_make_the_same_files(self, source, whole, tmp_path) -> None:
        seen = []
        built = build_dataset(source, tmp_path / "two", HOG, PLAIN, processes=2, progress=lambda *now: seen.append(now))
        assert contents(tmp_path / "two") == contents(whole)
        assert seen == [(done, 12) for done in range(13)]
        assert (built.crops, built.done_before, built.rejected) == (12, 0, ())

    def test_a_second_run_does_nothing(self, source, tmp_path, monkeypatch) -> None:
        build_dataset(source, tmp_path / "out", HOG, PLAIN)
        before = contents(tmp_path / "out")
        monkeypatch.setattr(work_module, "read_image", lambda path: pytest.fail(f"{path} was read again"))
        assert build_dataset(source, tmp_path / "out", HOG, PLAIN).done_before == 12
        assert contents(tmp_path / "out") == before

    def test_added_and_changed_photographs_are_done_and_no_others(self, tmp_path) -> None:
        source = write_people(tmp_path / "photos", people=2, shots=2)
        build_dataset(source, tmp_path / "out", HOG, PLAIN)
        write_image(source / "p0" / "new.png", photo(0, 7))
        write_image(source / "p1" / "0.png", photo(1, 8))
        write_image(source / "p1" / "1.png", np.full((200, 200), 9, np.uint8))  # nobody is left in it
        built = build_dataset(source, tmp_path / "out", HOG, PLAIN)
        assert built.done_before == 2
        assert [row.source for row in built.rejected] == ["p1/1.png"]
        build_dataset(source, tmp_path / "afresh", HOG, PLAIN)
        assert contents(tmp_path / "out") == contents(tmp_path / "afresh")

    def test_other_settings_are_refused(self, source, whole) -> None:
        before = contents(whole)
        other = BuildSettings(CropSettings(size=41), "largest", align="none")
        with pytest.raises(StateError, match=r"begun with, size=40\. Received: size=41\."):
            build_dataset(source, whole, HOG, other)
        assert contents(whole) == before

    def test_a_folder_with_other_things_in_it_is_refused(self, source, tmp_path) -> None:
        (tmp_path / "diary.txt").write_text("mine")
        with pytest.raises(StateError, match="an empty folder"):
            build_dataset(source, tmp_path, HOG, PLAIN)
        assert [path.name for path in tmp_path.iterdir()] == ["diary.txt"]

    @pytest.mark.parametrize("dest", ["photos", "photos/faces", "."])
    def test_photographs_and_dataset_stay_apart(self, dest, tmp_path) -> None:
        source = write_people(tmp_path / "photos", people=1, shots=1)
        with pytest.raises(OptionError, match="apart from the photographs"):
            build_dataset(source, tmp_path / dest, HOG, PLAIN)

    def test_one_run_at_a_time(self, source, tmp_path) -> None:
        pytest.importorskip("fcntl", reason="the lock is POSIX's")
        build_dataset(source, tmp_path, HOG, PLAIN)
        settings = {"source": source.name, "settings": PLAIN.as_dict(HOG())}
        with Journal(tmp_path, settings), pytest.raises(StateError, match="one run at a time"):
            build_dataset(source, tmp_path, HOG, PLAIN)


class TestPolicies:
    def boxes(self, folder: Path) -> dict[str, list[int]]:
        manifest = read_manifest(folder)
        assert manifest is not None
        return {entry["source"]: entry["box"] for entry in manifest.photographs.values()}

    def build(self, groups: Path, tmp_path: Path, policy: str):
        settings = BuildSettings(CropSettings(size=64), policy, align="none")
        return build_dataset(groups, tmp_path / policy, HOG, settings)

    def test_alike_takes_the_one_who_is_in_the_others_and_largest_the_larger(self, groups, tmp_path) -> None:
        assert self.build(groups, tmp_path, "largest").several == 8
        self.build(groups, tmp_path, "alike")
        largest, alike = self.boxes(tmp_path / "largest"), self.boxes(tmp_path / "alike")
        right = []
        for name in largest:
            if not name.endswith("with.png"):
                assert alike[name] == largest[name]
                continue
            middle = read_image(groups / name).shape[1] / 2  # the stranger stands at the left, twice as large
            assert largest[name][0] < middle
            right.append(alike[name][0] > middle)
            waiting = (tmp_path / "alike" / ".candidates" / name).parent.glob("with.png-*.png")
            assert (tmp_path / "alike" / f"{name}.png").read_bytes() in [path.read_bytes() for path in waiting]
        assert len(right) == 8
        assert sum(right) >= 6  # 94 of 100 in the long run

    def test_only_uses_photographs_with_one_face(self, groups, tmp_path) -> None:
        built = self.build(groups, tmp_path, "only")
        assert built.crops == 8 * 4
        assert [row.source for row in built.rejected] == [f"p{person}/with.png" for person in range(8)]
        assert {row.reason for row in built.rejected} == {
            "Expected exactly one face (policy 'only'). Received: 2 faces."
        }

    def test_central_takes_the_one_in_the_middle(self, tmp_path) -> None:
        large = photo(12, 0).repeat(2, axis=0).repeat(2, axis=1)
        (tmp_path / "photos" / "anna").mkdir(parents=True)
        row = beside(large, photo(3, 0), large)
        write_image(tmp_path / "photos" / "anna" / "row.png", row)
        self.build(tmp_path / "photos", tmp_path, "central")
        left, _, right, _ = self.boxes(tmp_path / "central")["anna/row.png"]
        assert abs((left + right) - row.shape[1]) < 40
        assert right - left < 170

    def test_ten_faces_give_one_crop(self, tmp_path) -> None:
        (tmp_path / "photos" / "anna").mkdir(parents=True)
        write_image(tmp_path / "photos" / "anna" / "crowd.png", beside(*(photo(p, 0) for p in range(10))))
        for policy in ("largest", "alike", "central"):
            assert self.build(tmp_path / "photos", tmp_path, policy).crops == 1
        manifest = read_manifest(tmp_path / "alike")
        assert manifest is not None
        assert manifest.photographs["anna/crowd.png.png"]["faces"] >= 9
        (rejected,) = self.build(tmp_path / "photos", tmp_path, "only").rejected
        assert "faces" in rejected.reason

    def test_an_unknown_policy_is_refused(self) -> None:
        with pytest.raises(OptionError, match="policy as one of largest, only, alike, central"):
            BuildSettings(policy="best")


class TestBadInput:
    """Each is a line in the list of rejected photographs, and the sound ones beside it are not lost."""

    def test_every_kind_of_bad_photograph(self, tmp_path) -> None:
        face = photo(0, 0)
        rgb = np.repeat(face[:, :, None], 3, axis=2)
        folder = tmp_path / "photos" / "Åsa Ünïcøde 名前"
        folder.mkdir(parents=True)
        jpeg = encode(rgb, "JPEG", quality=95)
        animation = [Image.fromarray(rgb), Image.fromarray(255 - rgb)]
        sound = {
            "sound.png": encode(rgb, "PNG"),
            "wrong-name.txt": encode(rgb, "PNG"),
            "wrong.png": jpeg,
            "16-bit.png": encode(Image.fromarray(face.astype(np.uint16) * 257), "PNG"),
            "cmyk.jpg": encode(Image.fromarray(rgb).convert("CMYK"), "JPEG", quality=95),
            "turned.jpg": encode(np.rot90(rgb, 1).copy(), "JPEG", quality=95, exif=exif(6)),
            "animated.webp": encode(animation[0], "WEBP", save_all=True, append_images=animation[1:], lossless=True),
            "x" * 240 + ".png": encode(rgb, "PNG"),
        }
        bad = {
            "truncated.jpg": (jpeg[: len(jpeg) // 2], "stops early"),
            "empty.png": (b"", "an empty file"),
            "text.jpg": (b"no picture", "text"),
            "huge.png": (png_promising(60_000, 60_000), "60000x60000 pixels"),
            "film.gif": (encode(animation[0], "GIF", save_all=True, append_images=animation[1:]), "a GIF"),
            "noise.bin": (bytes(range(256)), "begins with the bytes"),
            "wall.png": (encode(gradient(), "PNG"), "Expected at least one face. Received: none in 64x48 pixels."),
        }
        for name, data in sound.items():
            (folder / name).write_bytes(data)
        for name, (data, _) in bad.items():
            (folder / name).write_bytes(data)
        (folder / ".hidden.png").write_bytes(b"thumbnail")
        (tmp_path / "outside.png").write_bytes(sound["sound.png"])
        (folder / "leaves.png").symlink_to(tmp_path / "outside.png")
        (folder / "inside.png").symlink_to(folder / "sound.png")
        (folder / "loop.png").symlink_to(folder / "loop.png")
        (folder / "circle").symlink_to(folder)
        (tmp_path / "photos" / "readme.md").write_text("belongs to nobody")

        built = build_dataset(tmp_path / "photos", tmp_path / "out", HOG, PLAIN)
        assert built.people == {folder.name: len(sound) + 1}
        reasons = {Path(row.source).name: row.reason for row in built.rejected}
        assert set(reasons) == {*bad, "leaves.png", "loop.png", "circle"}
        for name, (_, reason) in bad.items():
            assert reason in reasons[name]
        assert "a link that leaves the folder" in reasons["leaves.png"]
        assert "a linked folder" in reasons["circle"]
        assert not any(str(tmp_path) in reason for reason in reasons.values())
        assert list(built.rejected) == read_rejected(tmp_path / "out")
        crops = {name: read_image(tmp_path / "out" / folder.name / f"{name}.png") for name in sound if len(name) < 99}
        for name, crop in crops.items():
            difference = np.abs(crop.astype(int) - crops["sound.png"].astype(int)).mean()
            assert difference < 12, f"{name}: {difference}"

    def test_a_name_that_is_no_text_is_a_line_too(self, tmp_path) -> None:
        folder = write_people(tmp_path / "photos", people=1, shots=1) / "p0"
        strange = os.fsencode(folder) + b"/\xff.png"
        try:
            Path(os.fsdecode(strange)).write_bytes(b"?")
        except OSError:
            pytest.skip("this file system has only names in Unicode")
        built = build_dataset(tmp_path / "photos", tmp_path / "out", HOG, PLAIN)
        assert built.crops == 1
        assert "a name that nobody can read" in built.rejected[0].reason

    def test_the_folder_of_photographs_may_be_called_anything(self, tmp_path) -> None:
        strange = tmp_path / os.fsdecode(b"\xff \\ \xc3\xa4")
        try:
            source = write_people(strange, people=1, shots=1)
        except OSError:
            pytest.skip("this file system has only names in Unicode")
        for done in (0, 1):
            built = build_dataset(source, tmp_path / "out", HOG, PLAIN)
            assert (built.crops, built.done_before) == (1, done)
        manifest = read_manifest(tmp_path / "out")
        assert manifest is not None
        assert manifest.source == strange.name
        assert "ä" in (tmp_path / "out" / "manifest.json").read_text(encoding="utf-8")

    def test_two_people_with_one_photograph_both_get_it(self, tmp_path) -> None:
        source = write_people(tmp_path / "photos", people=2, shots=1)
        (source / "p1" / "0.png").write_bytes((source / "p0" / "0.png").read_bytes())
        assert build_dataset(source, tmp_path / "out", HOG, PLAIN).people == {"p0": 1, "p1": 1}

    @pytest.mark.parametrize("layout, received", [((), "nothing"), (("a.png",), "pictures outside of any")])
    def test_a_folder_without_people_is_an_error(self, layout, received, tmp_path) -> None:
        for name in layout:
            write_image(tmp_path / name, photo(0, 0))
        with pytest.raises(ImageError, match=f"a folder per person. Received: {received}"):
            build_dataset(tmp_path, tmp_path.parent / "out", HOG, PLAIN)

    def test_a_missing_landmark_file_is_an_error_before_anything_is_written(self, source, tmp_path) -> None:
        settings = BuildSettings(landmarks=tmp_path / "shape.dat")
        with pytest.raises(LoadError, match=r"shape\.dat.*no such file"):
            build_dataset(source, tmp_path / "out", HOG, settings)
        assert not (tmp_path / "out").exists()

    def test_a_landmark_file_that_is_none_is_one_error(self, source, tmp_path) -> None:
        (tmp_path / "shape.dat").write_bytes(b"not a model" * 100)
        settings = BuildSettings(landmarks=tmp_path / "shape.dat")
        for processes in (1, 2):
            with pytest.raises(LoadError, match=r"shape\.dat.*dlib refuses"):
                build_dataset(source, tmp_path / f"out{processes}", HOG, settings, processes=processes)


class TestEndedInTheMiddle:
    def test_a_full_disk_is_one_error_and_the_next_run_goes_on(self, source, whole, tmp_path, monkeypatch) -> None:
        written = []

        def fills_up(path, crop):
            if len(written) == 5:
                raise_full(path)
            written.append(path)
            write_image(path, crop)

        def raise_full(path):
            try:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
            except OSError:
                raise ImageError("as write_image words it") from None

        with monkeypatch.context() as patched:
            patched.setattr(work_module, "write_image", fills_up)
            with pytest.raises(ImageError, match=r"No space left on device.*goes on"):
                build_dataset(source, tmp_path / "out", HOG, PLAIN)
        assert len(journal_sources(tmp_path / "out")) == 5
        assert not (tmp_path / "out" / "manifest.json").exists()
        assert build_dataset(source, tmp_path / "out", HOG, PLAIN).done_before == 5
        assert contents(tmp_path / "out") == contents(whole)

    def test_a_disk_too_full_for_the_journal_leaves_no_half_line(self, source, whole, tmp_path, monkeypatch) -> None:
        calls = []
        real = os.fsync

        def refuses(handle):
            calls.append(handle)
            if len(calls) > 12 and os.path.samestat(os.fstat(handle), os.stat(tmp_path / "out" / "journal.jsonl")):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            real(handle)

        with monkeypatch.context() as patched:
            patched.setattr(os, "fsync", refuses)
            with pytest.raises(ImageError, match="No space left on device"):
                build_dataset(source, tmp_path / "out", HOG, PLAIN)
        assert (tmp_path / "out" / "journal.jsonl").read_bytes().endswith(b"}\n")
        assert 0 < build_dataset(source, tmp_path / "out", HOG, PLAIN).done_before < 12
        assert contents(tmp_path / "out") == contents(whole)

    @pytest.mark.parametrize("cut", [1, 10, 100])
    def test_a_line_that_was_cut_off_is_done_again(self, cut, source, whole, tmp_path) -> None:
        build_dataset(source, tmp_path / "out", HOG, PLAIN)
        journal = tmp_path / "out" / "journal.jsonl"
        journal.write_bytes(journal.read_bytes()[:-cut])
        assert build_dataset(source, tmp_path / "out", HOG, PLAIN).done_before == 11
        assert sorted(journal_sources(tmp_path / "out")) == [f"p{p}/{s}.png" for p in range(3) for s in range(4)]
        assert contents(tmp_path / "out") == contents(whole)

    @pytest.mark.parametrize("line", ["not json", "[]", '{"source": "p0/0.png"}'])
    def test_a_journal_that_is_damaged_otherwise_is_refused(self, line, source, tmp_path) -> None:
        build_dataset(source, tmp_path / "out", HOG, PLAIN)
        journal = tmp_path / "out" / "journal.jsonl"
        lines = journal.read_text().splitlines()
        journal.write_text("\n".join([*lines[:2], line, *lines[3:]]) + "\n")
        with pytest.raises(LoadError, match="line 3"):
            build_dataset(source, tmp_path / "out", HOG, PLAIN)

    @pytest.mark.parametrize(
        "field, value",
        [("faces", "3"), ("size", None), ("person", 1), ("sha256", []), ("width", 1.5)]
        + [(f"finds.{field}", value) for field, value in (("score", "1"), ("box", [1, 2, 3]), ("look", 5))]
        + [("finds.box", [1, 2, 3, "4"]), ("finds.angle", None)],
    )
    def test_a_field_of_another_kind_is_damage(self, field, value, whole) -> None:
        lines = (whole / "journal.jsonl").read_bytes().splitlines(keepends=True)
        record = json.loads(lines[1])
        assert parse_journal(lines[:2], whole).records[0].source == record["source"]
        group, _, name = field.rpartition(".")
        (record["finds"][0] if group else record)[name] = value
        with pytest.raises(LoadError, match="line 2"):
            parse_journal([lines[0], json.dumps(record).encode() + b"\n"], whole)

    def test_a_journal_that_leads_out_of_the_folder_is_refused(self, source, tmp_path) -> None:
        build_dataset(source, tmp_path / "out", HOG, PLAIN)
        journal = tmp_path / "out" / "journal.jsonl"
        journal.write_text(journal.read_text().replace('"p0/1.png"', '"../../p0/1.png"'))
        with pytest.raises(LoadError, match="what became of a photograph"):
            build_dataset(source, tmp_path / "out", HOG, PLAIN)

    @pytest.mark.slow
    @pytest.mark.parametrize("policy, lines", [("largest", 2), ("alike", 9)])
    def test_a_run_killed_with_force_goes_on(self, policy, lines, tmp_path) -> None:
        """Killed as soon as so many photographs are in the journal; the workers must not outlive it."""
        source = write_people(tmp_path / "photos", people=4, shots=6)
        for person in range(4):
            write_image(source / f"p{person}" / "two.png", beside(photo(person, 6), photo(9, 0)))
        script = (
            "import sys; from functools import partial\n"
            "from detection.crop import CropSettings\n"
            "from detection.dataset import BuildSettings, build_dataset\n"
            "from detection.detectors import make_detector\n"
            "if __name__ == '__main__':\n"
            "    settings = BuildSettings(CropSettings(size=40), sys.argv[3])\n"
            "    build_dataset(sys.argv[1], sys.argv[2], partial(make_detector, 'dlib-hog'), settings, processes=2)\n"
        )
        (tmp_path / "run.py").write_text(script)
        environment = os.environ | {"PYTHONPATH": str(Path(__file__).resolve().parents[4])}

        def start(out: str) -> subprocess.Popen[bytes]:
            command = [sys.executable, str(tmp_path / "run.py"), str(source), str(tmp_path / out), policy]
            return subprocess.Popen(command, env=environment)

        assert start("whole").wait(timeout=120) == 0
        journal = tmp_path / "killed" / "journal.jsonl"
        run = start("killed")
        deadline = time.monotonic() + 60
        while not (journal.exists() and journal.read_bytes().count(b"\n") > lines):
            assert run.poll() is None, "ended before it could be killed"
            assert time.monotonic() < deadline
            time.sleep(0.002)
        children = Path(f"/proc/{run.pid}/task/{run.pid}/children")
        workers = [int(pid) for pid in children.read_text().split()] if children.exists() else []
        run.send_signal(signal.SIGKILL)
        run.wait(timeout=10)
        before = journal_sources_until_cut(journal)
        assert lines <= len(before) < 28
        assert not (tmp_path / "killed" / "manifest.json").exists()
        for pid in workers:
            while Path(f"/proc/{pid}").exists() and "Z" not in Path(f"/proc/{pid}/stat").read_text().split()[2]:
                assert time.monotonic() < deadline, "a worker outlives the run that was killed"
                time.sleep(0.01)

        assert start("killed").wait(timeout=120) == 0
        assert contents(tmp_path / "killed") == contents(tmp_path / "whole")
        after = journal_sources(tmp_path / "killed")
        assert after[: len(before)] == before
        assert len(after) == len(set(after)) == 28  # none lost, none done twice


class Fragile:
    """dlib's detector, but at a picture of ``width`` pixels the process dies, as it does when memory runs out.

    ``once``: a file that is made at the first such death; there is no second one then.
    """

    def __init__(self, width: int, once: Path | None = None) -> None:
        self.name, self.width, self.once = "fragile", width, once
        self.hog = HOG()

    def detect(self, rgb: np.ndarray) -> list[Face]:
        if rgb.shape[1] == self.width and not (self.once and self.once.exists()):
            if self.once:
                self.once.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return self.hog.detect(rgb)


class DeadAtOnce:
    """A detector whose process dies while it is made, in every process but the one that asked for it."""

    name = "dead at once"

    def __init__(self, parent: int) -> None:
        if os.getpid() != parent:
            os.kill(os.getpid(), signal.SIGKILL)


@pytest.mark.slow
class TestProcessesThatDie:
    WIDE = 777

    @pytest.fixture
    def photos(self, tmp_path: Path) -> Path:
        folder = write_people(tmp_path / "photos")
        for name in ("p0/0a.png", "p2/0a.png"):  # neither at the beginning nor at the end
            write_image(folder / name, np.full((90, self.WIDE), 9, np.uint8))
        return folder

    def test_the_photograph_at_fault_is_rejected_and_the_others_are_not_lost(self, photos, whole, tmp_path) -> None:
        left = tmp_path / "out" / "p1" / ".0.png.png.0123456789ab.tmp"  # what a process that died had begun to write
        seen = []

        def progress(done: int, total: int) -> None:
            left.parent.mkdir(exist_ok=True)
            left.write_bytes(b"half")
            seen.append((done, total))

        maker = partial(Fragile, self.WIDE)
        built = build_dataset(photos, tmp_path / "out", maker, PLAIN, processes=2, progress=progress)
        assert [row.source for row in built.rejected] == ["p0/0a.png", "p2/0a.png"]
        assert all("at which the process that reads it dies" in row.reason for row in built.rejected)
        assert seen == [(done, 14) for done in range(15)]
        crops = {path: data for path, data in contents(tmp_path / "out").items() if path.endswith(".png")}
        assert crops == {path: data for path, data in contents(whole).items() if path.endswith(".png")}
        assert not left.exists()
        again = build_dataset(photos, tmp_path / "out", maker, PLAIN, processes=2)
        assert (again.done_before, again.rejected) == (14, built.rejected)

    def test_a_process_that_was_ended_from_outside_costs_nothing(self, photos, tmp_path) -> None:
        maker = partial(Fragile, self.WIDE, tmp_path / "once")
        built = build_dataset(photos, tmp_path / "out", maker, PLAIN, processes=2)
        assert (tmp_path / "once").exists()
        assert built.crops == 12
        assert {row.reason for row in built.rejected} == {
            "Expected at least one face. Received: none in 777x90 pixels."
        }
        assert len(journal_sources(tmp_path / "out")) == 14

    def test_processes_that_cannot_start_are_one_error(self, photos, tmp_path) -> None:
        with pytest.raises(StateError, match="one that died at its start"):
            build_dataset(photos, tmp_path / "out", partial(DeadAtOnce, os.getpid()), PLAIN, processes=2)
        assert journal_sources(tmp_path / "out") == []


def journal_sources_until_cut(journal: Path) -> list[str]:
    lines = journal.read_bytes().splitlines(keepends=True)[1:]
    return [json.loads(line)["source"] for line in lines if line.endswith(b"\n")]
