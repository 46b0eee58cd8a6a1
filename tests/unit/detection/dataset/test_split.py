"""Division into training, validation and test: everybody gets their share, and near-duplicates stay together."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from detection.crop import CropSettings
from detection.dataset import BuildSettings, build_dataset
from detection.dataset.check import check_dataset
from detection.dataset.load import PARTS, load_dataset, read_split
from detection.dataset.similar import Similar
from detection.dataset.split import divide, split_dataset
from detection.detectors import make_detector
from detection.images import read_image, write_image
from detection.optional import load_cv2
from minicnn.errors import ImageError, LabelError, LoadError, OptionError
from tests.unit.detection.dataset.people import photo, write_people

BAD_SHARES = [
    {"test": 1.5},
    {"test": -0.1},
    {"validation": float("nan")},
    {"test": True},
    {"test": 0.6, "validation": 0.4},
]


def similar(people: dict[str, list[int]]) -> Similar:
    """Person -> group number of each of their crops; the same number is a near-duplicate, whoever's it is."""
    paths = tuple(f"{person}/{i}.png" for person, own in people.items() for i in range(len(own)))
    names = tuple(person for person, own in people.items() for _ in own)
    groups = np.unique([number for own in people.values() for number in own], return_inverse=True)[1]
    return Similar(paths, names, groups, np.arange(len(paths)))


def alone(**counts: int) -> Similar:
    """People with so many crops, none like another."""
    numbers = iter(range(10**6))
    return similar({person: [next(numbers) for _ in range(count)] for person, count in counts.items()})


groupings = st.dictionaries(
    st.sampled_from(["anna", "bo", "cem", "名前"]), st.lists(st.integers(0, 12), min_size=1, max_size=15), min_size=1
)
shares = st.sampled_from([0, 0.1, 0.25, 0.4])


class TestDivide:
    @given(groupings, shares, shares, st.integers(0, 1000))
    def test_every_crop_in_one_part_and_every_group_on_one_side(self, people, validation, test, seed) -> None:
        given_ = similar(people)
        split = divide(given_, validation, test, seed)
        part_of = {path: part for part in PARTS for path in getattr(split, part)}
        assert sorted(part_of) == sorted(given_.paths)
        assert sum(len(getattr(split, part)) for part in PARTS) == len(given_.paths)
        for number in np.unique(given_.near):
            assert len({part_of[given_.paths[i]] for i in np.flatnonzero(given_.near == number)}) == 1

    @given(st.integers(2, 30), shares, shares, st.integers(0, 1000))
    def test_without_duplicates_everybody_gets_exactly_their_share(self, count, validation, test, seed) -> None:
        split = divide(alone(anna=count, bo=count), validation, test, seed)
        for person in ("anna", "bo"):
            got = [sum(path.startswith(person) for path in getattr(split, part)) for part in PARTS]
            in_test = max(round(test * count), int(test > 0))
            assert got[2] == in_test
            assert got[1] == min(round(validation * count), count - 1 - in_test)
            assert got[0] >= 1
        assert split.notes == ()

    @given(st.integers(0, 1000))
    def test_somebody_new_leaves_the_others_where_they_were(self, seed) -> None:
        few, more = divide(alone(anna=9, bo=8), 0.2, 0.3, seed), divide(alone(aaron=5, anna=9, bo=8), 0.2, 0.3, seed)
        for part in PARTS:
            assert [p for p in getattr(more, part) if not p.startswith("aaron")] == list(getattr(few, part))

    def test_the_seed_decides(self) -> None:
        splits = {divide(alone(anna=20), 0.2, 0.3, seed).test for seed in range(20)}
        assert len(splits) > 15
        assert divide(alone(anna=20), 0.2, 0.3, 7) == divide(alone(anna=20), 0.2, 0.3, 7)

    def test_numbers_instead_of_shares(self) -> None:
        split = divide(alone(anna=10, bo=10), 0, 5, 0)
        assert (len(split.train), len(split.validation), len(split.test)) == (10, 0, 10)
        with pytest.raises(
            LabelError, match=r"more than 6 crops of 'bo' \(1 for validation, 5 for test\). Received: 6"
        ):
            divide(alone(anna=10, bo=6), 1, 5, 0)

    def test_people_with_few_crops_are_left_out_or_noted(self) -> None:
        split = divide(alone(anna=10, bo=2, cem=1), 0.2, 0.2, 0, min_images=2)
        assert not any(path.startswith("cem") for part in PARTS for path in getattr(split, part))
        assert "cem: left out, 1 of at least 2 crops" in split.notes
        assert any("cem: too few crops (1)" in note for note in divide(alone(anna=10, cem=1), 0.2, 0.2, 0).notes)

    def test_one_who_is_left_out_does_not_come_back_with_a_shared_picture(self) -> None:
        split = divide(similar({"anna": [1, 2, 3, 4], "bo": [1]}), 0.25, 0.25, 0, min_images=2)
        assert not any(path.startswith("bo") for part in PARTS for path in getattr(split, part))

    def test_one_large_group_is_for_training_and_is_noted(self) -> None:
        split = divide(similar({"anna": [5] * 10}), 0.2, 0.2, 0)
        assert len(split.train) == 10
        assert "2 for test" in split.notes[0].replace("0 instead of ", "")

    def test_nobody_left_is_an_error(self) -> None:
        with pytest.raises(LabelError, match="a person with 5 crops or more"):
            divide(alone(anna=3), 0.2, 0.2, 0, min_images=5)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Five people with six crops; every one's first picture is there again, smaller and as a JPEG."""
    root = tmp_path_factory.mktemp("crops")
    for person in range(5):
        (root / f"p{person}").mkdir()
        for shot in range(6):
            write_image(root / f"p{person}" / f"{shot}.png", photo(person, shot)[12:212, :][:184, :184])
        again = read_image(root / f"p{person}" / "0.png")
        smaller = load_cv2("a test").resize(again, (150, 150), interpolation=3)
        write_image(root / f"p{person}" / "again.jpg", load_cv2("a test").resize(smaller, (184, 184)))
    return root


class TestFiles:
    def test_a_picture_saved_anew_stays_with_its_original_for_every_seed(self, folder) -> None:
        for seed in range(40):
            split = split_dataset(folder, seed=seed)
            for person in range(5):
                original, again = f"p{person}/0.png", f"p{person}/again.jpg"
                sides = [part for part in PARTS if {original, again} & set(getattr(split, part))]
                assert len(sides) == 1
            assert check_dataset(folder).leaks == () if seed % 10 == 0 else True

    def test_the_file_says_what_was_done_and_load_reads_it(self, folder) -> None:
        split = split_dataset(folder, validation=0.2, test=2, seed=3)
        data = read_split(folder)
        assert (data["seed"], data["test"]) == (3, list(split.test))
        whole = load_dataset(folder)
        parts = {part: load_dataset(folder, part) for part in PARTS}
        assert whole.crops.shape == (35, 184, 184)
        assert sorted(path for part in parts.values() for path in part.paths) == sorted(whole.paths)
        for part in parts.values():
            assert part.people == whole.people == tuple(f"p{n}" for n in range(5))
            for crop, label, path in zip(part.crops, part.labels, part.paths, strict=True):
                index = whole.paths.index(path)
                assert np.array_equal(crop, whole.crops[index])
                assert path.startswith(f"p{label}/")

    @pytest.mark.parametrize("arguments", BAD_SHARES)
    def test_shares_that_make_no_sense(self, arguments, folder) -> None:
        with pytest.raises(OptionError, match="share"):
            split_dataset(folder, **arguments)

    @pytest.mark.parametrize(
        "text, message",
        [
            ("", "JSON with the lists"),
            ('{"train": [], "validation": []}', "JSON with the lists"),
            ('{"train": [1], "validation": [], "test": []}', "JSON with the lists"),
            ('{"train": ["../p0/0.png"], "validation": [], "test": []}', "crops of this folder"),
            ('{"train": [], "validation": [], "test": []}', "at least one crop for train"),
        ],
    )
    def test_a_damaged_split_is_one_error(self, text, message, tmp_path) -> None:
        (tmp_path / "p0").mkdir()
        write_image(tmp_path / "p0" / "0.png", photo(0, 0))
        (tmp_path / "split.json").write_text(text)
        with pytest.raises(LoadError, match=message):
            load_dataset(tmp_path, "train")

    def test_no_split_an_unknown_part_and_crops_of_two_sizes(self, tmp_path) -> None:
        (tmp_path / "p0").mkdir()
        write_image(tmp_path / "p0" / "0.png", photo(0, 0))
        with pytest.raises(LoadError, match="minicnn dataset split"):
            load_dataset(tmp_path, "train")
        with pytest.raises(OptionError, match="part as one of train, validation, test"):
            load_dataset(tmp_path, "exam")
        write_image(tmp_path / "p0" / "1.png", photo(0, 0)[1:])
        with pytest.raises(ImageError, match=r"crops of one size, 184x224 as in 'p0/0\.png'\. Received: 184x223"):
            load_dataset(tmp_path)

    def test_one_colour_picture_makes_all_of_them_colour(self, tmp_path) -> None:
        (tmp_path / "p0").mkdir()
        grey = photo(0, 0)
        write_image(tmp_path / "p0" / "0.png", grey)
        write_image(tmp_path / "p0" / "1.png", np.stack([grey, grey, 255 - grey], axis=2))
        crops = load_dataset(tmp_path).crops
        assert crops.shape == (2, 224, 184, 3)
        assert np.array_equal(crops[0], np.repeat(grey[:, :, None], 3, axis=2))
        assert np.array_equal(crops[1][..., 2], 255 - grey)

    def test_all_parts_have_the_colour_of_the_dataset(self, tmp_path) -> None:
        (tmp_path / "p0").mkdir()
        for number in range(3):
            write_image(tmp_path / "p0" / f"{number}.png", photo(0, number))
        write_image(tmp_path / "p0" / "3.png", np.stack([photo(0, 3), photo(0, 3), 255 - photo(0, 3)], axis=2))
        split = {"train": ["p0/0.png", "p0/1.png"], "validation": ["p0/2.png"], "test": ["p0/3.png"]}
        (tmp_path / "split.json").write_text(json.dumps(split))
        assert {load_dataset(tmp_path, part).crops.shape[3] for part in split} == {3}

    def test_a_manifest_says_which_colour_a_dataset_has(self, tmp_path) -> None:
        write_people(tmp_path / "photos", people=1, shots=2)  # black and white
        for colour, shape in (("rgb", (2, 30, 30, 3)), ("grey", (2, 30, 30))):
            settings = BuildSettings(CropSettings(30, colour), align="none")
            build_dataset(tmp_path / "photos", tmp_path / colour, partial(make_detector, "dlib-hog"), settings)
            assert load_dataset(tmp_path / colour).crops.shape == shape
        write_image(tmp_path / "grey" / "p0" / "captured.png", np.full((30, 30, 3), (9, 0, 0), np.uint8))
        with pytest.raises(ImageError, match=r"p0/captured\.png'.*a grey crop.*one in colour.*same --colour"):
            load_dataset(tmp_path / "grey")

    def test_what_was_asked_is_written_beside_it(self, folder) -> None:
        split_dataset(folder, seed=5, test=0.3)
        asked = json.loads((folder / "split.json").read_text(encoding="utf-8"))["asked"]
        assert (asked["test"], asked["min_images"]) == (0.3, 1)
