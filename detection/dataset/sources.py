"""A folder per person, as people have them: which photographs there are, and what cannot be used for its place alone.

The folder's name is the person's. Deeper folders belong to the person above them. Every file counts, whatever its name
says: the reader recognises pictures by their content, and what is none is listed as rejected with the reason. Only
hidden files and folders are passed over; systems keep thumbnails there.

Links are followed when they stay inside: a linked file may lead anywhere, and a linked folder in circles. A folder that
cannot be read is refused by its name, or its photographs would be missing without a word. So is a photograph that
nobody may open: it is there, and what was made of it before stays.
"""

from __future__ import annotations

import hashlib
import os
import unicodedata
from collections import Counter
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from detection.headers import refuse
from detection.images import SUFFIXES

CLOSED = "a file that cannot be read, Permission denied: change its permissions"
MAX_NAME = 180  # bytes: leaves room for endings, and for the temporary names of files that are being written


@dataclass(frozen=True, order=True)
class Photo:
    """A file of one person. ``source`` is its path below the whole folder, with "/" on every system."""

    source: str
    person: str


@dataclass(frozen=True)
class Sources:
    """``photos`` in the order of their names; ``refused``: those that are not read at all, each with the reason.

    ``left_out``: people who have photographs, but fewer than ``least``.
    """

    root: Path
    photos: tuple[Photo, ...]
    refused: tuple[tuple[Photo, str], ...]
    least: int = 1
    left_out: frozenset[str] = frozenset()

    @property
    def names(self) -> frozenset[str]:
        """What the photographs are called."""
        return frozenset(photo.source for photo in self.photos)

    @property
    def people(self) -> tuple[str, ...]:
        """The names of everybody who has a photograph."""
        return tuple(sorted({photo.person for photo in self.photos}))

    def with_at_least(self, count: int) -> Sources:
        """Only the people who have ``count`` photographs or more, with those that nobody may open.

        Raises ImageError when there is nobody left.
        """
        closed = (photo for photo, reason in self.refused if reason == CLOSED)
        numbers = Counter(photo.person for photo in [*self.photos, *closed])
        photos = tuple(photo for photo in self.photos if numbers[photo.person] >= count)
        if not photos:
            received = f"at most {max(numbers.values())}"
            raise refuse(str(self.root), f"a person with {count} photographs or more", received, "Ask for fewer.")
        people = {photo.person for photo in photos}
        refused = tuple(entry for entry in self.refused if entry[0].person in people)
        left_out = frozenset(person for person, number in numbers.items() if number < count)
        return Sources(self.root, photos, refused, count, left_out)


def find_sources(folder: str | os.PathLike[str]) -> Sources:
    """The photographs in a folder of folders. Raises ImageError when there is no such folder, or nothing in it."""
    root = Path(folder)
    if not root.is_dir():
        received = "a file" if root.exists() else "no such folder"
        raise refuse(str(root), "a folder with a folder per person", received, "Check the name.")
    inside = root.resolve()
    photos: list[Photo] = []
    refused: list[tuple[Photo, str]] = []
    for person in sorted(entry.name for entry in root.iterdir() if entry.is_dir() and not entry.name.startswith(".")):
        if (root / person).is_symlink():
            refused.append((Photo(person, person), "a linked folder: copy it to use it"))
            continue
        files, closed = _files(root, person)
        refused += closed
        for photo, path in files:
            if _spelled(photo) != photo:
                refused.append((_spelled(photo), "a name that nobody can read: rename the file or its folder"))
            elif os.path.islink(path) and os.path.isdir(path):
                refused.append((photo, "a linked folder: copy it to use it"))
            elif not Path(os.path.realpath(path)).is_relative_to(inside):
                refused.append((photo, "a link that leaves the folder: copy the photograph to use it"))
            elif not _may_be_read(path):
                refused.append((photo, CLOSED))
            else:
                photos.append(photo)
    if not photos:
        loose = any(path.suffix.lower() in SUFFIXES for path in root.iterdir() if path.is_file())
        received = "pictures outside of any" if loose else "nothing"
        if refused:
            received = f"nothing that can be used: '{refused[0][0].source}' is {refused[0][1]}"
        fix = "Make a folder with the name of each person, and put their photographs into it."
        raise refuse(str(root), "a folder with a folder per person", received, fix)
    return Sources(root, tuple(sorted(photos)), tuple(sorted(refused)))


def _may_be_read(path: Path) -> bool:
    """Also true for what is not there, as a link to nothing: the reader says what is wrong with it."""
    try:
        os.stat(path)
    except OSError as error:
        return not isinstance(error, PermissionError)
    return os.access(path, os.R_OK)


def _spelled(photo: Photo) -> Photo:
    """With what is no letter written out, as ``\\udce9``."""
    names = (photo.source, photo.person)
    readable = not any(unicodedata.category(letter) in ("Cc", "Cs") for letter in photo.source)
    return photo if readable else Photo(*(ascii(name)[1:-1] for name in names))


def _files(root: Path, person: str) -> tuple[list[tuple[Photo, Path]], list[tuple[Photo, str]]]:
    """Everything in a person's folder and below that is not hidden, linked folders as themselves; and the folders that
    cannot be read, with the reason.
    """
    found: list[tuple[Photo, Path]] = []
    closed: list[tuple[Photo, str]] = []

    def refuse_folder(error: OSError) -> None:
        name = Path(error.filename or root / person).relative_to(root).as_posix()
        reason = f"a folder that cannot be read, {error.strerror or error}: change its permissions"
        closed.append((_spelled(Photo(name, person)), reason))

    for parent, folders, names in os.walk(root / person, onerror=refuse_folder):  # followlinks is off
        folders[:] = [name for name in folders if not name.startswith(".")]
        linked = [name for name in folders if os.path.islink(Path(parent, name))]
        for name in [*names, *linked]:
            if not name.startswith("."):
                path = Path(parent, name)
                found.append((Photo(path.relative_to(root).as_posix(), person), path))
    return found, closed


def crop_path(photo: Photo, ending: str = ".png") -> str:
    """Where the crop of a photograph lies in the dataset: the same path, with ``.png`` behind it.

    The photograph's own suffix stays in the name, so that a.jpg and a.png do not overwrite each other. Names that would
    become too long for a file system (255 bytes) are cut, and stay distinct by a piece of their hash.
    """
    path = PurePosixPath(photo.source)
    name = path.name
    if len(os.fsencode(name)) > MAX_NAME:
        digest = hashlib.sha256(os.fsencode(name)).hexdigest()[:12]
        name = f"{os.fsencode(name)[: MAX_NAME - 13].decode('utf-8', 'ignore')}-{digest}"
    return path.with_name(name + ending).as_posix()
