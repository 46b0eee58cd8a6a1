"""The search and its cache: what is remembered, for how long, and what a damaged file costs (nothing but time)."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from detection.boxes import Box, Face
from detection.images import write_image
from detection.search import EmbeddingCache, Match, Searcher, file_hash
from minicnn.errors import ImageError, LoadError, NoFaceError, ShapeError
from tests.unit.permissions import obeying

ROOT = Path(__file__).resolve().parents[3]


class Counted:
    """A detector that finds a face in every picture that is not black, and an embedding that is the mean colour."""

    name = "counted"

    def __init__(self) -> None:
        self.pictures = 0

    def detect(self, rgb: np.ndarray) -> list[Face]:
        self.pictures += 1
        return [Face(Box(1, 2, 9, 9), 0.5, self.name)] if rgb.any() else []

    def embed(self, rgb: np.ndarray, faces: tuple[Face, ...]) -> np.ndarray:
        colour = rgb.reshape(-1, 3).mean(axis=0, dtype=np.float64)
        return np.repeat((colour / np.linalg.norm(colour))[None], len(faces), axis=0).astype(np.float32)


def paint(path: Path, colour: tuple[int, int, int]) -> Path:
    write_image(path, np.full((10, 12, 3), colour, np.uint8))
    return path


def searcher(folder: Path | None, **settings: object) -> tuple[Searcher, Counted]:
    counted = Counted()
    return Searcher(counted, counted.embed, EmbeddingCache(folder, settings or {"model": "a"})), counted


@pytest.fixture
def photos(tmp_path: Path) -> list[Path]:
    colours = {"red.png": (200, 0, 0), "dark red.png": (90, 0, 10), "blue.png": (0, 0, 200), "black.png": (0, 0, 0)}
    return [paint(tmp_path / name, colour) for name, colour in colours.items()] + [tmp_path / "gone.png"]


def test_a_search_by_hand(photos: list[Path], tmp_path: Path) -> None:
    search, _ = searcher(tmp_path / "cache")
    face, sought = search.largest(photos[0])
    assert face.box == Box(1, 2, 9, 9)
    red, dark, blue, black, gone = search.matches(sought, photos)
    assert isinstance(red, Match)
    assert isinstance(dark, Match)
    assert isinstance(blue, Match)
    assert red.distance == pytest.approx(0, abs=1e-6)
    assert 0 < dark.distance < 0.2
    assert blue.distance == pytest.approx(np.sqrt(2))
    assert black[0] == photos[3]
    assert "none" in black[1]
    assert "no such file" in gone[1]


def test_what_was_seen_is_not_looked_at_again(photos: list[Path], tmp_path: Path) -> None:
    first, counted = searcher(tmp_path / "cache")
    before = [first.embedded(photo) for photo in photos[:4]]
    assert counted.pictures == 4
    again, counted = searcher(tmp_path / "cache")
    moved = photos[0].rename(tmp_path / "moved.png")  # a name does not decide what a photograph shows
    after = [again.embedded(photo) for photo in (moved, *photos[1:4])]
    assert (counted.pictures, again.cache.hits) == (0, 4)
    for old, new in zip(before, after, strict=True):
        assert old.faces == new.faces
        assert np.array_equal(old.embeddings, new.embeddings)


def test_another_picture_or_network_is_another_entry(photos: list[Path], tmp_path: Path) -> None:
    searcher(tmp_path / "cache", model="a")[0].embedded(photos[0])
    other, counted = searcher(tmp_path / "cache", model="b")
    other.embedded(photos[0])
    assert counted.pictures == 1
    paint(photos[0], (1, 2, 3))
    edited, counted = searcher(tmp_path / "cache", model="a")
    edited.embedded(photos[0])
    assert counted.pictures == 1


@pytest.mark.parametrize("damage", [b"", b"PK\x03\x04", b"half", b"swap"])
def test_a_damaged_entry_is_made_again(damage: bytes, photos: list[Path], tmp_path: Path) -> None:
    search, _ = searcher(tmp_path / "cache")
    before = search.embedded(photos[0])
    search.embedded(photos[2])
    one, two = sorted((tmp_path / "cache").rglob("*.npz"))
    for path, other in ((one, two), (two, one)):
        content = two.read_bytes() if other is two and damage == b"swap" else path.read_bytes()
        path.write_bytes(
            content if damage == b"swap" else content[: len(content) // 2] if damage == b"half" else damage
        )
    again, counted = searcher(tmp_path / "cache")
    assert np.array_equal(again.embedded(photos[0]).embeddings, before.embeddings)
    again.embedded(photos[2])
    assert counted.pictures >= 1
    healed, counted = searcher(tmp_path / "cache")
    healed.embedded(photos[0])
    healed.embedded(photos[2])
    assert counted.pictures == 0


def test_a_cache_that_refuses(photos: list[Path], tmp_path: Path) -> None:
    (tmp_path / "cache").mkdir(mode=0o500)
    script = """if True:
        import sys
        from pathlib import Path
        from tests.unit.detection.test_search import searcher
        search, _ = searcher(Path(sys.argv[1]))
        print(len(search.embedded(Path(sys.argv[2])).faces))
    """
    command = [*obeying(), sys.executable, "-c", script, str(tmp_path / "cache"), str(photos[0])]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr, done.returncode) == ("1\n", "", 0)
    assert not list((tmp_path / "cache").iterdir())


def test_a_cache_in_the_way_of_a_file(photos: list[Path], tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file where the folder should be")
    search, _ = searcher(tmp_path / "cache")
    assert search.embedded(photos[0]).faces
    assert (tmp_path / "cache").read_text() == "a file where the folder should be"


def test_no_cache_keeps_nothing(photos: list[Path]) -> None:
    search, counted = searcher(None)
    for _ in range(2):
        search.embedded(photos[0])
    assert counted.pictures == 2


def test_a_photograph_too_large_for_the_detector_is_one_of_many(photos: list[Path], tmp_path: Path) -> None:
    search, counted = searcher(tmp_path / "cache")
    large = tmp_path / "large.png"
    write_image(large, np.full((10, 99, 3), 200, np.uint8))

    def detect(rgb: np.ndarray) -> list[Face]:
        if rgb.shape[1] > 20:
            raise ShapeError("Expected at most 20 columns. Received: 99.")
        return Counted.detect(counted, rgb)

    counted.detect = detect
    _, sought = search.largest(photos[0])
    red, refused, blue = search.matches(sought, [photos[0], large, photos[2]])
    assert isinstance(red, Match)
    assert isinstance(blue, Match)
    assert refused == (large, f"'{large}': Expected at most 20 columns. Received: 99.")
    with pytest.raises(ImageError, match=r"large\.png.*at most 20 columns"):
        search.largest(large)


def test_what_is_no_photograph(photos: list[Path], tmp_path: Path) -> None:
    search, _ = searcher(tmp_path / "cache")
    with pytest.raises(NoFaceError, match=r"black\.png.*--upsample 1"):
        search.largest(photos[3])
    with pytest.raises(ImageError, match="no such file"):
        search.largest(tmp_path / "nothing.png")
    with pytest.raises(ImageError, match="a folder"):
        search.largest(tmp_path)
    with pytest.raises(LoadError, match="nothing"):
        file_hash(tmp_path / "nothing.npz")
