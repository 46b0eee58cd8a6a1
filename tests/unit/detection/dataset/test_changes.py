"""What people do between two runs: photographs are moved and removed, crops are deleted. The dataset follows."""

from __future__ import annotations

import builtins
import io
import json
import os
import shutil
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from detection.crop import CropSettings
from detection.dataset import BuildSettings, build_dataset, build_lfw, check_dataset
from detection.dataset.build import DELETED, Built
from detection.dataset.manifest import read_manifest, read_rejected
from detection.dataset.sources import CLOSED, find_sources
from detection.detectors import make_detector
from detection.images import write_image
from minicnn.errors import ImageError, StateError
from tests.unit.detection.dataset.people import beside, contents, photo, write_people

HOG = partial(make_detector, "dlib-hog")
ALIKE = BuildSettings(CropSettings(size=40), "alike", align="none")


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Two people with two photographs each; in p0's second, somebody else is beside p0."""
    folder = write_people(tmp_path / "photos", people=2, shots=2)
    write_image(folder / "p0" / "1.png", beside(photo(0, 1), photo(9, 0)))
    return folder


@pytest.fixture
def out(tmp_path: Path, photos: Path) -> Path:
    """The dataset of these photographs."""
    build(photos, tmp_path / "out")
    assert len(list((tmp_path / "out" / ".candidates" / "p0").iterdir())) == 2
    return tmp_path / "out"


def build(source: Path, folder: Path) -> Built:
    """Build, and make sure that what it says is what is there."""
    built = build_dataset(source, folder, HOG, ALIKE)
    manifest = read_manifest(folder)
    assert manifest is not None
    assert sorted(manifest.photographs) == crops(folder)
    assert built.crops == len(manifest.photographs) == sum(built.people.values())
    assert list(built.rejected) == read_rejected(folder)
    return built


def crops(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.glob("p*/*.png"))


def visible(folder: Path) -> dict[str, bytes]:
    return {path: data for path, data in contents(folder).items() if not path.startswith(".")}


def move(folder: Path, old: str, new: str) -> None:
    (folder / new).parent.mkdir(parents=True, exist_ok=True)
    (folder / old).rename(folder / new)


class TestCropsMadeByHand:
    """They stay, in every run, until their photograph is saved anew."""

    @pytest.mark.parametrize("name", ["0.png", "1.png"])
    def test_instead_of_one_that_was_badly_cut(self, name, photos, out) -> None:
        crop = out / "p0" / f"{name}.png"
        write_image(crop, np.full((200, 200), 7, np.uint8))
        mended = crop.read_bytes()
        for _ in range(2):
            build(photos, out)
            assert crop.read_bytes() == mended
        os.utime(photos / "p0" / name, (1e9, 1e9))
        build(photos, out)
        assert crop.read_bytes() != mended

    def test_for_a_photograph_in_which_none_was_found(self, photos, out) -> None:
        write_image(photos / "p0" / "2.png", np.full((90, 90, 3), 7, np.uint8))
        build(photos, out)
        crop = out / "p0" / "2.png.png"
        write_image(crop, np.full((200, 200), 7, np.uint8))
        build_dataset(photos, out, HOG, ALIKE)
        assert crop.exists()
        os.utime(photos / "p0" / "2.png", (1e9, 1e9))
        build(photos, out)
        assert not crop.exists()


def interrupted(*arguments: object) -> Built:
    raise KeyboardInterrupt


class TestAnInterruptedRun:
    """It had seen what became of a photograph, and not yet changed its crop: the next run does."""

    @pytest.mark.parametrize("faces", [0, 2])
    def test_of_a_photograph_that_was_replaced(self, faces, photos, out, monkeypatch, tmp_path) -> None:
        picture = beside(photo(0, 2), photo(9, 1)) if faces else np.full((90, 90, 3), 7, np.uint8)
        write_image(photos / "p0" / "0.png", picture)
        with monkeypatch.context() as patch:
            patch.setattr("detection.dataset.build._finish", interrupted)
            with pytest.raises(KeyboardInterrupt):
                build_dataset(photos, out, HOG, ALIKE)
        assert build(photos, out).done_before == 4
        build(photos, tmp_path / "afresh")
        assert crops(out) == crops(tmp_path / "afresh")
        assert visible(out)["p1/0.png.png"] == visible(tmp_path / "afresh")["p1/0.png.png"]
        if faces:
            assert visible(out)["p0/0.png.png"] == visible(tmp_path / "afresh")["p0/0.png.png"]


class TestADiskThatGoesAwayMeanwhile:
    def test_takes_no_crop_along(self, photos, out) -> None:
        """Between the list of photographs and the look at each of them."""
        before = visible(out)
        sources = find_sources(photos)
        photos.rename(photos.with_name("elsewhere"))
        photos.mkdir()
        built = build_dataset(sources, out, HOG, ALIKE)
        assert (built.crops, built.rejected) == (4, ())
        photos.rmdir()
        photos.with_name("elsewhere").rename(photos)
        assert build(photos, out).done_before == 4
        assert {path: visible(out)[path] for path in crops(out)} == {path: before[path] for path in crops(out)}

    def test_is_a_reason_where_nothing_was_known(self, photos, tmp_path) -> None:
        sources = find_sources(photos)
        for name in ("0.png", "1.png"):
            (photos / "p0" / name).unlink()
        built = build_dataset(sources, tmp_path / "out", HOG, ALIKE)
        assert built.people == {"p1": 2}
        assert [(one.source, one.reason) for one in built.rejected] == [
            (f"p0/{name}", "it went away while the dataset was built") for name in ("0.png", "1.png")
        ]

    def test_is_not_a_link_to_nothing(self, photos, out) -> None:
        (photos / "p0" / "2.png").symlink_to(photos / "p0" / "nothing.png")
        built = build(photos, out)
        assert [one.source for one in built.rejected] == ["p0/2.png"]
        assert "went away" not in built.rejected[0].reason
        assert build(photos, out).done_before == 5


class TestPhotographsThatWereMoved:
    """Their crops are kept, whoever is right about the name; where the very same bytes lie now is said."""

    @pytest.mark.parametrize("name", ["0.png", "1.png"])
    def test_to_the_right_person(self, name, photos, out) -> None:
        before = visible(out)
        move(photos, f"p0/{name}", f"p1/mine-{name}")
        for _ in range(2):
            built = build(photos, out)
            assert built.moved == {f"p0/{name}.png": f"p1/mine-{name}"}
            assert (built.gone, built.deleted, built.rejected) == ((f"p0/{name}.png",), (), ())
            assert built.people == {"p0": 2, "p1": 3}
            assert visible(out)[f"p0/{name}.png"] == before[f"p0/{name}.png"]
        assert check_dataset(out).two_names != ()

    @pytest.mark.parametrize("name", ["0.png", "1.png"])
    def test_the_old_crop_that_was_deleted_stays_so(self, name, photos, out, tmp_path) -> None:
        move(photos, f"p0/{name}", f"p1/mine-{name}")
        build(photos, out)
        (out / "p0" / f"{name}.png").unlink()
        for _ in range(2):
            built = build(photos, out)
            assert (built.moved, built.gone, built.deleted, built.rejected) == ({}, (), (), ())
            assert built.people == {"p0": 1, "p1": 3}
        build(photos, tmp_path / "afresh")
        assert visible(out) == visible(tmp_path / "afresh")

    def test_with_their_folder(self, photos, out) -> None:
        before = {path: data for path, data in visible(out).items() if path.startswith("p")}
        move(photos, "p0", "p7")
        built = build(photos, out)
        assert built.people == {"p0": 2, "p1": 2, "p7": 2}
        assert built.moved == {f"p0/{name}.png.png": f"p7/{name}.png" for name in (0, 1)}
        assert len(before) == 4
        assert before.items() <= visible(out).items()

    def test_and_back(self, photos, out) -> None:
        before = visible(out)
        move(photos, "p0/0.png", "p1/2.png")
        build(photos, out)
        move(photos, "p1/2.png", "p0/0.png")
        built = build(photos, out)
        assert (built.moved, built.done_before) == ({"p1/2.png.png": "p0/0.png"}, 4)
        (out / "p1" / "2.png.png").unlink()
        assert build(photos, out).moved == {}
        assert visible(out) == before

    def test_one_of_two_copies(self, photos, out) -> None:
        shutil.copy(photos / "p0" / "0.png", photos / "p1" / "copy.png")
        assert build(photos, out).people == {"p0": 2, "p1": 3}
        (photos / "p0" / "0.png").unlink()
        built = build(photos, out)
        assert (built.moved, built.people) == ({"p0/0.png.png": "p1/copy.png"}, {"p0": 2, "p1": 3})

    def test_the_same_bytes_in_another_folder_of_that_name(self, photos, out, tmp_path) -> None:
        """Somebody else's name for them is no reason to take a crop away, nor to lose one mended by hand."""
        others = tmp_path / "disk" / "photos"
        (others / "p2").mkdir(parents=True)
        shutil.copy(photos / "p0" / "0.png", others / "p2" / "0.png")
        write_image(out / "p0" / "0.png.png", np.full((40, 40), 7, np.uint8))
        before = {path: data for path, data in visible(out).items() if path.startswith("p")}
        built = build(others, out)
        assert built.moved == {"p0/0.png.png": "p2/0.png"}
        assert len(built.gone) == 4
        assert len(before) == 4
        assert before.items() <= visible(out).items()

    @pytest.mark.skipif(os.name != "posix", reason="symbolic links as POSIX has them")
    def test_to_a_name_that_the_file_system_takes_for_the_same(self, photos, out) -> None:
        """As "anna" and "Anna" are for some; here, one folder with both names."""
        move(photos, "p0", "P0")
        move(out, "p0", "P0")
        (out / "p0").symlink_to(out / "P0")
        built = build_dataset(photos, out, HOG, ALIKE)
        assert (built.moved, built.gone, built.deleted, built.people) == ({}, (), (), {"P0": 2, "p1": 2})
        assert sorted(path.name for path in (out / "P0").iterdir()) == ["0.png.png", "1.png.png"]


class TestPhotographsThatAreGone:
    def test_they_keep_their_crops_and_are_named(self, photos, out) -> None:
        before = visible(out)
        for name in ("0.png", "1.png"):
            (photos / "p0" / name).unlink()
        for _ in range(2):
            built = build(photos, out)
            assert built.gone == ("p0/0.png.png", "p0/1.png.png")
            assert (built.moved, built.people) == ({}, {"p0": 2, "p1": 2})
            assert visible(out) == before

    def test_folders_of_one_name_one_after_the_other(self, photos, out, tmp_path) -> None:
        others = tmp_path / "disk" / "photos"
        for number in range(2):
            (others / "p2").mkdir(parents=True, exist_ok=True)
            write_image(others / "p2" / f"{number}.png", photo(2, number))
        assert build(others, out).people == {"p0": 2, "p1": 2, "p2": 2}
        both = visible(out)
        built = build(photos, out)
        assert (built.done_before, built.gone) == (4, ("p2/0.png.png", "p2/1.png.png"))
        assert visible(out) == both

    @pytest.mark.parametrize("name", ["0.png", "1.png"])
    def test_a_crop_of_theirs_that_was_deleted(self, name, photos, out) -> None:
        move(photos, f"p0/{name}", f"../{name}")
        build(photos, out)
        (out / "p0" / f"{name}.png").unlink()
        for _ in range(2):
            built = build(photos, out)
            assert (built.gone, built.deleted, built.rejected) == ((), (), ())
        move(photos, f"../{name}", f"p0/{name}")
        assert build(photos, out).deleted == (f"p0/{name}.png",)

    def test_what_was_rejected_is_no_longer_listed(self, photos, out) -> None:
        wall = photos / "p1" / "wall.png"
        write_image(wall, np.full((90, 90), 90, np.uint8))
        assert [row.source for row in build(photos, out).rejected] == ["p1/wall.png"]
        wall.unlink()
        assert build(photos, out).rejected == ()


class TestCropsThatWereDeleted:
    @pytest.mark.parametrize("name", ["0.png", "1.png"])
    def test_they_are_not_made_again_and_not_listed(self, name, photos, out) -> None:
        data = (out / "p0" / f"{name}.png").read_bytes()
        (out / "p0" / f"{name}.png").unlink()
        for _ in range(3):
            built = build(photos, out)
            assert built.deleted == (f"p0/{name}.png",)
            assert [(row.source, row.reason) for row in built.rejected] == [(f"p0/{name}", DELETED)]
            assert built.people == {"p0": 1, "p1": 2}
        (out / "p0" / f"{name}.png").write_bytes(data)  # from wherever deleted files go
        built = build(photos, out)
        assert (built.deleted, built.rejected, built.people) == ((), (), {"p0": 2, "p1": 2})

    @pytest.mark.parametrize("name", ["0.png", "1.png"])
    def test_until_the_photograph_is_saved_anew(self, name, photos, out) -> None:
        before = visible(out)
        (out / "p0" / f"{name}.png").unlink()
        build(photos, out)
        os.utime(photos / "p0" / name, ns=(1, 1))
        built = build(photos, out)
        assert (built.deleted, built.done_before) == ((), 3)
        assert visible(out) == before

    @pytest.mark.parametrize("name", ["0.png", "1.png"])
    def test_until_it_is_saved_anew_before_any_run_has_seen_that(self, name, photos, out) -> None:
        before = visible(out)
        (out / "p0" / f"{name}.png").unlink()
        os.utime(photos / "p0" / name, ns=(1, 1))
        for done_before in (3, 4):
            built = build(photos, out)
            assert (built.deleted, built.done_before) == ((), done_before)
            assert visible(out) == before

    def test_all_of_a_person(self, photos, out) -> None:
        shutil.rmtree(out / "p0")
        assert build(photos, out).people == {"p1": 2}
        assert crops(out) == ["p1/0.png.png", "p1/1.png.png"]

    def test_one_of_several_faces_that_no_run_has_copied_yet(self, photos, out) -> None:
        """As when a run is killed before its end: its journal names the photograph, its manifest is not there, or does
        not know it.
        """
        before = visible(out)
        manifest = json.loads((out / "manifest.json").read_text())
        (out / "p0" / "1.png.png").unlink()
        for change in ("none", "without it", "of an earlier state", "damaged"):
            entries = [item for item in manifest["photographs"] if item["crop"] != "p0/1.png.png"]
            if change == "of an earlier state":
                entries = [item | {"sha256": "0" * 64} for item in manifest["photographs"]]
            text = "?" if change == "damaged" else json.dumps(manifest | {"photographs": entries})
            (out / "manifest.json").write_text(text)
            if change == "none":
                (out / "manifest.json").unlink()
            assert build(photos, out).deleted == ()
            assert visible(out) == before
            (out / "p0" / "1.png.png").unlink()


class TestPeopleWhoAreLeftOut:
    @pytest.fixture
    def lfw(self, tmp_path: Path) -> Path:
        for person, (name, count) in enumerate((("Ada", 3), ("Bo", 2), ("Cy", 1))):
            (tmp_path / "lfw" / name).mkdir(parents=True)
            for number in range(1, count + 1):
                write_image(tmp_path / "lfw" / name / f"{name}_{number:04d}.png", photo(person, number))
        return tmp_path / "lfw"

    def build(self, lfw: Path, least: int) -> Built:
        return build_lfw(lfw, lfw.parent / "out", ALIKE, min_images=least)

    def test_fewer_than_before_is_refused_before_anything_is_done(self, lfw, tmp_path) -> None:
        assert self.build(lfw, 2).people == {"Ada": 3, "Bo": 2}
        before = contents(tmp_path / "out")
        with pytest.raises(StateError) as refused:
            self.build(lfw, 3)
        assert "no crops of people with fewer than 3 photographs. Received: crops of 1 such person: Bo." in str(
            refused.value
        )
        assert contents(tmp_path / "out") == before
        shutil.rmtree(tmp_path / "out" / "Bo")  # as it says
        built = self.build(lfw, 3)
        assert (built.people, built.rejected, built.gone, built.deleted) == ({"Ada": 3}, (), (), ())
        manifest = read_manifest(tmp_path / "out")
        assert manifest is not None
        assert {entry["person"] for entry in manifest.photographs.values()} == {"Ada"}

    @pytest.mark.parametrize("several", [False, True])
    def test_who_was_deleted_as_told_is_made_again(self, several, lfw, tmp_path) -> None:
        if several:
            write_image(lfw / "Bo" / "Bo_0001.png", beside(photo(9, 0), photo(1, 1), photo(8, 0)))
        self.build(lfw, 2)
        before = visible(tmp_path / "out")
        shutil.rmtree(tmp_path / "out" / "Bo")
        self.build(lfw, 3)
        built = self.build(lfw, 2)
        assert (built.people, built.deleted, built.done_before) == ({"Ada": 3, "Bo": 2}, (), 3)
        assert visible(tmp_path / "out") == before

    def test_who_was_deleted_by_hand_stays_so(self, lfw, tmp_path) -> None:
        self.build(lfw, 2)
        shutil.rmtree(tmp_path / "out" / "Bo")
        built = self.build(lfw, 2)
        assert (built.people, len(built.deleted)) == ({"Ada": 3}, 2)

    def test_a_photograph_that_nobody_may_open_counts(self, lfw, tmp_path, monkeypatch) -> None:
        self.build(lfw, 2)
        before = {path: data for path, data in visible(tmp_path / "out").items() if "/" in path}
        forbid(monkeypatch, lfw / "Bo" / "Bo_0001.png")
        built = self.build(lfw, 2)
        assert (built.people, built.gone) == ({"Ada": 3, "Bo": 2}, ("Bo/Bo_0001.png.png",))
        assert {path: data for path, data in visible(tmp_path / "out").items() if "/" in path} == before

    def test_more_than_before_are_added(self, lfw, tmp_path) -> None:
        assert self.build(lfw, 3).people == {"Ada": 3}
        built = self.build(lfw, 1)
        assert (built.people, built.done_before) == ({"Ada": 3, "Bo": 2, "Cy": 1}, 3)

    def test_a_photograph_that_could_not_be_used_does_not_stand_in_the_way(self, lfw, tmp_path) -> None:
        for number in (1, 2):
            write_image(lfw / "Bo" / f"Bo_{number:04d}.png", np.full((90, 90), 90, np.uint8))
        assert len(self.build(lfw, 2).rejected) == 2
        assert self.build(lfw, 3).rejected == ()


def forbid(monkeypatch: pytest.MonkeyPatch, forbidden: Path) -> None:
    """A file that nobody may open, root neither."""
    access, opened = os.access, io.open

    def may(path, mode, **options):
        return Path(path) != forbidden and access(path, mode, **options)

    def refuse(file, *arguments, **options):
        if not isinstance(file, int) and Path(file) == forbidden:
            raise PermissionError(13, os.strerror(13), os.fspath(file))
        return opened(file, *arguments, **options)

    monkeypatch.setattr(os, "access", may)
    monkeypatch.setattr(builtins, "open", refuse)


class TestAPhotographThatCannotBeOpened:
    @pytest.mark.parametrize("name", ["0.png", "1.png"])
    @pytest.mark.parametrize("changed", [False, True])
    def test_keeps_its_crop(self, name, changed, photos, out) -> None:
        before = visible(out)
        if changed:
            os.utime(photos / "p0" / name, ns=(1, 1))
        with pytest.MonkeyPatch.context() as patch:
            forbid(patch, photos / "p0" / name)
            for _ in range(2):
                built = build(photos, out)
                assert [(row.source, row.reason) for row in built.rejected] == [(f"p0/{name}", CLOSED)]
                assert (built.gone, built.people) == ((f"p0/{name}.png",), {"p0": 2, "p1": 2})
                assert visible(out)[f"p0/{name}.png"] == before[f"p0/{name}.png"]
        built = build(photos, out)
        assert (built.gone, built.rejected, built.done_before) == ((), (), 3 if changed else 4)
        assert visible(out) == before

    def test_is_used_as_soon_as_it_can_be(self, photos, tmp_path) -> None:
        """Whoever may open it now has changed neither its size nor its time."""
        with pytest.MonkeyPatch.context() as patch:
            forbid(patch, photos / "p0" / "0.png")
            assert build(photos, tmp_path / "out").people == {"p0": 1, "p1": 2}
        assert build(photos, tmp_path / "out").people == {"p0": 2, "p1": 2}

    def test_in_a_folder_whose_files_nobody_may_ask_about(self, photos, out, monkeypatch) -> None:
        before, stat = visible(out), os.stat

        def refuse(path, **options):
            if Path(path).parent == photos / "p0":
                raise PermissionError(13, os.strerror(13), os.fspath(path))
            return stat(path, **options)

        monkeypatch.setattr(os, "stat", refuse)
        built = build(photos, out)
        assert [row.reason for row in built.rejected] == [CLOSED, CLOSED]
        assert built.gone == ("p0/0.png.png", "p0/1.png.png")
        assert {path: before[path] for path in crops(out)} == {path: visible(out)[path] for path in crops(out)}


class TestAFolderThatCannotBeRead:
    @pytest.mark.parametrize("name", ["p0", "p0/älter"])
    def test_is_rejected_by_its_name(self, name, closed, tmp_path) -> None:
        photos = write_people(tmp_path / "photos", people=2, shots=1)
        (photos / "p0" / "älter").mkdir()
        closed.append(photos / name)
        built = build(photos, tmp_path / "out")
        assert [(row.source, row.person) for row in built.rejected] == [(name, "p0")]
        assert built.rejected[0].reason == "a folder that cannot be read, Permission denied: change its permissions"
        assert built.people == ({"p1": 1} if name == "p0" else {"p0": 1, "p1": 1})

    def test_keeps_the_crops_that_were_made_before(self, closed, photos, out) -> None:
        before = visible(out)
        closed.append(photos / "p0")
        built = build(photos, out)
        assert (built.gone, len(built.rejected)) == (("p0/0.png.png", "p0/1.png.png"), 1)
        closed.clear()
        build(photos, out)
        assert visible(out) == before

    def test_as_the_only_one_is_named_too(self, closed, tmp_path) -> None:
        photos = write_people(tmp_path / "photos", people=1, shots=1)
        closed.append(photos / "p0")
        with pytest.raises(ImageError, match="nothing that can be used: 'p0' is a folder that cannot be read"):
            build_dataset(photos, tmp_path / "out", HOG, ALIKE)
