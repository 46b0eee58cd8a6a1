"""What ``check_dataset`` finds in datasets with a known flaw, and that it finds nothing in a sound one."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from detection.crop import CropSettings
from detection.dataset import BuildSettings, build_dataset, check_dataset, split_dataset, write_sheet
from detection.dataset.check import unlisted
from detection.dataset.hashes import BITS, DISTANCE, as_numbers, close_pairs, group, perceptual_hash
from detection.detectors import make_detector
from detection.images import read_image, write_image
from detection.optional import load_cv2
from minicnn.errors import ImageError, LoadError, OptionError
from tests.unit.detection.dataset.people import beside, orl_images, photo, write_people
from tests.unit.detection.pictures import encode

HOG = partial(make_detector, "dlib-hog")
PLAIN = BuildSettings(CropSettings(size=100), "largest", align="none")


def build(source: Path, folder: Path) -> Path:
    build_dataset(source, folder, HOG, PLAIN)
    return folder


class TestHashes:
    def test_other_sizes_and_formats_are_near_and_other_pictures_far(self) -> None:
        cv2 = load_cv2("a test")
        hashes, copies = [], []
        for person in range(0, 40, 4):
            rgb = np.repeat(photo(person, 0)[:, :, None], 3, axis=2)
            hashes.append(perceptual_hash(rgb))
            smaller = cv2.resize(rgb, None, fx=0.6, fy=0.6, interpolation=cv2.INTER_AREA)
            encoded = np.frombuffer(encode(rgb, "JPEG", quality=60), np.uint8)
            brighter = np.clip(rgb.astype(int) + 15, 0, 255).astype(np.uint8)
            copies.append([perceptual_hash(p) for p in (smaller, cv2.imdecode(encoded, 1), brighter)])
        numbers = as_numbers(hashes)
        for own, changed in zip(numbers, copies, strict=True):
            assert np.bitwise_count(as_numbers(changed) ^ own).sum(axis=1).max() <= DISTANCE
        assert len(close_pairs(numbers, DISTANCE)[0]) == 0

    def test_different_pictures_of_one_person_are_not_taken_for_one(self) -> None:
        """The ten shots of everybody in ORL: another expression, a turned head, often seconds apart."""
        numbers = as_numbers([perceptual_hash(image) for image in orl_images()])
        pairs, _ = close_pairs(numbers, DISTANCE)
        people = pairs // 10
        assert not (people[:, 0] != people[:, 1]).any()
        assert len(pairs) <= 3  # of 40 * 45

    @given(st.lists(st.binary(min_size=32, max_size=32), max_size=12), st.integers(0, BITS))
    def test_pairs_as_counted_one_by_one(self, raw, distance) -> None:
        raw = [*raw, *raw[:2]]
        numbers = as_numbers([data.hex() for data in raw])
        expected = {}
        for i in range(len(raw)):
            for j in range(i + 1, len(raw)):
                bits = (int.from_bytes(raw[i], "big") ^ int.from_bytes(raw[j], "big")).bit_count()
                if bits <= distance:
                    expected[i, j] = bits
        pairs, distances = close_pairs(numbers, distance)
        assert dict(zip(map(tuple, pairs.tolist()), distances.tolist(), strict=True)) == expected

    def test_pairs_beyond_one_block(self, rng) -> None:
        numbers = rng.integers(0, 2**63, size=(700, 4), dtype=np.uint64)
        numbers[650], numbers[300] = numbers[10], numbers[299]
        assert sorted(map(tuple, close_pairs(numbers, 3)[0].tolist())) == [(10, 650), (299, 300)]

    def test_groups_are_tied_by_others_in_between(self) -> None:
        numbers = group(6, np.array([[0, 3], [3, 5], [1, 2]]))
        assert numbers[0] == numbers[3] == numbers[5] != numbers[1] == numbers[2] != numbers[4]

    @pytest.mark.parametrize("distance", [-1, 257, 2.0, True])
    def test_a_distance_out_of_range(self, distance) -> None:
        with pytest.raises(OptionError, match="distance as an integer from 0 to 256"):
            close_pairs(np.zeros((2, 4), np.uint64), distance)

    @pytest.mark.parametrize("text", ["", "zz" * 32, "ab" * 31])
    def test_no_hash(self, text) -> None:
        with pytest.raises(LoadError, match="64 hexadecimal digits"):
            as_numbers([text, "00" * 32])


class TestCheck:
    def test_a_sound_dataset(self, tmp_path) -> None:
        folder = build(write_people(tmp_path / "photos", 3, 5), tmp_path / "out")
        split_dataset(folder, seed=1)
        found = check_dataset(folder)
        assert (found.groups, found.few, found.problems, found.balance) == ((), (), (), 1.0)
        assert [person.parts for person in found.people] == [(3, 1, 1)] * 3

    def test_what_is_wrong_is_found(self, tmp_path) -> None:
        source = write_people(tmp_path / "photos", 3, 5)
        (source / "p0" / "same.png").write_bytes((source / "p0" / "0.png").read_bytes())
        rgb = np.repeat(photo(1, 1)[:, :, None], 3, axis=2)
        (source / "p1" / "again.jpg").write_bytes(encode(rgb, "JPEG", quality=80))
        (source / "p2" / "stolen.png").write_bytes((source / "p0" / "3.png").read_bytes())
        write_image(source / "p2" / "wall.png", np.full((100, 100), 7, np.uint8))
        (source / "lonely").mkdir()
        write_image(source / "lonely" / "0.png", photo(9, 0))
        folder = build(source, tmp_path / "out")
        found = check_dataset(folder)
        groups = {group.paths: group for group in found.groups}
        assert set(groups) == {
            ("p0/0.png.png", "p0/same.png.png"),
            ("p1/1.png.png", "p1/again.jpg.png"),
            ("p0/3.png.png", "p2/stolen.png.png"),
        }
        assert [groups[paths].exact for paths in sorted(groups)] == [True, True, False]
        (two_names,) = found.two_names
        assert two_names.people == ("p0", "p2")
        assert found.few == ("lonely",)
        assert found.balance == 6
        people = {person.name: person for person in found.people}
        assert (people["p0"].crops, people["p0"].repeated, people["p2"].rejected) == (6, 3, 1)
        assert found.problems == ("1 picture under two names or more.",)

    def test_a_group_photograph_cut_out_for_two_people_is_the_same_photograph(self, tmp_path) -> None:
        source = write_people(tmp_path / "photos", 2, 4)
        together = beside(photo(0, 5), photo(1, 5).repeat(2, axis=0).repeat(2, axis=1))
        for person in ("p0", "p1"):
            write_image(source / person / "together.png", together)
        build_dataset(source, tmp_path / "out", HOG, BuildSettings(CropSettings(size=100), "alike", align="none"))
        crops = [read_image(tmp_path / "out" / person / "together.png.png") for person in ("p0", "p1")]
        assert not np.array_equal(*crops)  # different people were cut out of it
        (group,) = check_dataset(tmp_path / "out").two_names
        assert group.paths == ("p0/together.png.png", "p1/together.png.png")

    def test_leakage_is_found(self, tmp_path) -> None:
        source = write_people(tmp_path / "photos", 2, 5)
        rgb = np.repeat(photo(1, 1)[:, :, None], 3, axis=2)
        (source / "p1" / "again.jpg").write_bytes(encode(rgb, "JPEG", quality=80))
        folder = build(source, tmp_path / "out")
        split_dataset(folder, seed=1)
        assert check_dataset(folder).leaks == ()
        split = json.loads((folder / "split.json").read_text())
        for part in ("train", "validation", "test"):
            split[part] = [path for path in split[part] if path not in ("p1/1.png.png", "p1/again.jpg.png")]
        split["train"].append("p1/1.png.png")
        split["test"].append("p1/again.jpg.png")
        (folder / "split.json").write_text(json.dumps(split))
        (leak,) = check_dataset(folder).leaks
        assert leak.parts == ("train", "test")
        assert check_dataset(folder).problems == ("1 picture in several parts of the split.",)

    def test_crops_that_came_after_the_split(self, tmp_path) -> None:
        source = write_people(tmp_path / "photos", 3, 5)
        folder = build(source, tmp_path / "out")
        assert check_dataset(folder).unlisted == ()  # not divided yet
        split_dataset(folder, seed=1)
        assert (check_dataset(folder).unlisted, unlisted(folder)) == ((), ())
        write_image(source / "p1" / "5.png", photo(1, 5))
        write_image(source / "p1" / "6.png", photo(1, 6))
        (source / "p3").mkdir()
        write_image(source / "p3" / "0.png", photo(3, 0))
        build(source, folder)
        found = check_dataset(folder)
        assert found.unlisted == ("p1/5.png.png", "p1/6.png.png", "p3/0.png.png") == unlisted(folder)
        assert found.problems == ()  # they teach nothing, and spoil nothing
        split_dataset(folder, seed=1)
        assert check_dataset(folder).unlisted == ()

    def test_one_person_and_one_crop_each(self, tmp_path) -> None:
        one = build(write_people(tmp_path / "one", 1, 3), tmp_path / "out1")
        assert check_dataset(one).problems == ("Only one person, 'p0': there is nobody to tell apart.",)
        each = build(write_people(tmp_path / "each", 3, 1), tmp_path / "out2")
        assert check_dataset(each).problems == ("One crop per person: nothing is left for a test.",)

    @pytest.mark.parametrize("change", ["twice", "missing"])
    def test_a_split_that_does_not_fit_is_an_error(self, change, tmp_path) -> None:
        folder = build(write_people(tmp_path / "photos", 2, 3), tmp_path / "out")
        split_dataset(folder)
        split = json.loads((folder / "split.json").read_text())
        split["test"].append(split["train"][0] if change == "twice" else "p0/9.png")
        (folder / "split.json").write_text(json.dumps(split))
        with pytest.raises(LoadError, match="each in one part"):
            check_dataset(folder)

    @pytest.mark.parametrize("text", ["", "[]", '{"format": "minicnn dataset 2"}', '{"format": 1' + "[" * 9999])
    def test_a_damaged_manifest_is_one_error(self, text, tmp_path) -> None:
        folder = build(write_people(tmp_path / "photos", 2, 2), tmp_path / "out")
        (folder / "manifest.json").write_text(text)
        with pytest.raises(LoadError, match="a manifest"):
            check_dataset(folder)

    def test_a_folder_without_crops_is_an_error(self, tmp_path) -> None:
        with pytest.raises(ImageError, match="at least one picture"):
            check_dataset(tmp_path)


class TestSheet:
    def test_a_row_of_crops_per_person_and_frames(self, tmp_path) -> None:
        folder = tmp_path / "crops"
        for person, count in (("anna", 3), ("Åsa 名前 with a name that goes on and on", 2)):
            (folder / person).mkdir(parents=True)
            for shot in range(count):
                write_image(folder / person / f"{shot}.png", np.full((50, 50), 40 + 60 * shot, np.uint8))
        assert write_sheet(folder, tmp_path / "sheet.png", marked=["anna/2.png"], columns=2) == 4
        sheet = read_image(tmp_path / "sheet.png")
        assert sheet.shape == (2 * 84 + 4, 180 + 2 * 84 + 4, 3)
        middles = [
            [sheet[4 + 84 * row + 40, 184 + 84 * column + 40].tolist() for column in range(2)] for row in range(2)
        ]
        assert middles == [[[160] * 3, [40] * 3], [[40] * 3, [100] * 3]]  # the framed one comes first
        assert sheet[5, 185].tolist() == [210, 40, 40]
        assert (sheet[:, :180] < 128).any()  # names
        with pytest.raises(OptionError, match="columns"):
            write_sheet(folder, tmp_path / "sheet.png", columns=0)
