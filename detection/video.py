"""Pictures from a video file or a camera, one after the other: RGB, uint8 0..255, (H, W, 3).

A video is as hostile as any other file, and the library behind OpenCV opens far more than videos: addresses, playlists
that name other files, numbered pictures by a pattern in the name. So a source is a camera's number or a regular file of
this machine, known by its first bytes to be one of a few containers; everything else is refused before OpenCV sees it.

Frames come as they are decoded, never more than one in memory. A file that breaks off gives the frames it has.
"""

from __future__ import annotations

import math
import os
import re
import secrets
import time
from collections.abc import Generator, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from detection.headers import refuse
from detection.images import MAX_PIXELS, check_rgb
from detection.optional import load_cv2
from detection.regular_files import open_regular
from minicnn.errors import ImageError, OptionError, ShapeError, explain
from minicnn.shapes import Array

VIDEO_SUFFIXES = (".avi", ".m4v", ".mkv", ".mov", ".mp4", ".webm")
FORMATS = "MP4, MOV, AVI, MKV or WebM"
MAX_CAMERA = 99
_CONTAINERS = re.compile(rb"....(ftyp|moov|mdat|wide|free)|RIFF....AVI |\x1a\x45\xdf\xa3", re.DOTALL)
_PICTURES_IN_FTYP = re.compile(rb"....ftyp(hei|hev|mif|msf|avif|avis)", re.DOTALL)


@dataclass(frozen=True, eq=False)  # arrays have no single truth value to compare by
class Frame:
    """One picture of a video: ``rgb`` uint8 (H, W, 3), its number from 0, and the second at which it is shown.

    A camera's seconds count from its first frame.
    """

    rgb: Array
    index: int
    second: float


def is_video(path: str | os.PathLike[str]) -> bool:
    """Whether a file's name says that it is a video; ``read_frames`` looks at what is in it."""
    return Path(path).suffix.lower() in VIDEO_SUFFIXES


def read_frames(source: int | str | os.PathLike[str], interval: float = 0.0) -> Generator[Frame, None, None]:
    """The frames of a camera (its number) or of a video file, at least ``interval`` seconds apart; 0: every frame.

    A camera never ends; stop when you have enough. The source is released when the iterator is closed or used up.
    Raises, at the first frame, ImageError when the file is missing, no regular file, no video of a known container or
    without a frame, or when the camera does not answer; OptionError for an interval below 0.
    """
    if not isinstance(interval, (int, float)) or not math.isfinite(interval) or interval < 0:
        raise OptionError(explain("interval as a number of seconds >= 0", repr(interval), "0 takes every frame."))
    is_camera = isinstance(source, int)
    name = f"camera {source}" if is_camera else os.fspath(source)
    capture = _open_camera(source) if isinstance(source, int) else _open_file(source)
    rate = capture.get(load_cv2("Reading a video").CAP_PROP_FPS)
    try:
        yield from _frames(capture, name, interval, is_camera, rate)
    finally:
        capture.release()


def _frames(capture: Any, name: str, interval: float, is_camera: bool, rate: float) -> Iterator[Frame]:
    index, due, began = 0, 0.0, time.monotonic()
    while capture.grab():  # decodes; only retrieve() converts and copies
        steady = index / rate if rate > 0 else float(index)
        second = time.monotonic() - began if is_camera else steady
        if second + 1e-6 >= due:
            done, bgr = capture.retrieve()
            if done and bgr is not None and bgr.ndim == 3:
                yield Frame(np.ascontiguousarray(bgr[:, :, ::-1]), index, second)
                due = second + interval
        index += 1
    if index == 0:
        expected = "a camera that gives pictures" if is_camera else f"a video with frames ({FORMATS})"
        fix = "Is another program using it?" if is_camera else "The file may be damaged, or of a rare codec."
        raise refuse(name, expected, "not a single frame", fix)


def _open_camera(number: int) -> Any:
    if isinstance(number, bool) or not 0 <= number <= MAX_CAMERA:
        fix = "0 is the first camera."
        raise OptionError(explain(f"a camera's number from 0 to {MAX_CAMERA}", repr(number), fix))
    cv2 = load_cv2("Reading from a camera")
    with _quiet(cv2):
        capture = cv2.VideoCapture(number)
    if not capture.isOpened():
        fix = "Is it plugged in, and may this program use it? Another number, or a video file, may work."
        raise refuse(f"camera {number}", "a camera", "no answer", fix)
    return capture


def _open_file(source: str | os.PathLike[str]) -> Any:
    name = os.fspath(source)
    if re.match(r"[A-Za-z][A-Za-z0-9+.-]+:/", name):
        raise refuse(name, "a video file on this machine", "an address", "Download it first.")
    with open_regular(source, "video") as file:
        start = file.read(16)
    if not _CONTAINERS.match(start) or _PICTURES_IN_FTYP.match(start):
        received = f"a file that begins with the bytes {start[:8].hex(' ')}" if start else "an empty file"
        raise refuse(name, f"a video ({FORMATS})", received, "Convert it to MP4.")
    cv2 = load_cv2("Reading a video")
    with _quiet(cv2):
        # By its full name, which cannot be an address, and by FFmpeg alone: another reader would take "%03d" in a name
        # for a pattern of numbered pictures.
        capture = cv2.VideoCapture(os.path.realpath(source), cv2.CAP_FFMPEG)
    if not capture.isOpened():
        raise refuse(name, f"a video ({FORMATS})", "something OpenCV cannot decode", "Convert it to MP4 (H.264).")
    width, height = (int(capture.get(p)) for p in (cv2.CAP_PROP_FRAME_WIDTH, cv2.CAP_PROP_FRAME_HEIGHT))
    if not 0 < width * height <= MAX_PIXELS:
        capture.release()
        expected = f"frames of 1 to {MAX_PIXELS // 10**6} megapixels"
        raise refuse(name, expected, f"{width}x{height} pixels", "Make it smaller first.")
    return capture


@contextmanager
def _quiet(cv2: Any) -> Iterator[None]:
    """OpenCV prints its own warnings about what does not open; our error says it better."""
    logging = getattr(getattr(cv2, "utils", None), "logging", None)
    if logging is None:
        yield
        return
    level = logging.getLogLevel()
    logging.setLogLevel(logging.LOG_LEVEL_SILENT)
    try:
        yield
    finally:
        logging.setLogLevel(level)


# -- writing ----------------------------------------------------------------------------------------------------------


class VideoWriter:
    """Frames into one video file; see ``write_video``."""

    def __init__(self, path: Path, rate: float) -> None:
        self._path, self._rate, self._size = path, rate, (0, 0)
        self._writer: Any = None
        self._begin: float | None = None  # the second of the first frame of add_at, and its newest frame
        self._newest: Array | None = None
        self.frames = 0  # added so far

    def add(self, rgb: Array) -> None:
        """Append one RGB frame, uint8 (H, W, 3). Raises ShapeError when its size is not that of the first."""
        check_rgb(rgb, "frame")
        size = (rgb.shape[1], rgb.shape[0])
        if self._writer is None:
            cv2 = load_cv2("Writing a video")
            self._size = size
            with _quiet(cv2):
                self._writer = cv2.VideoWriter(str(self._path), cv2.VideoWriter_fourcc(*"mp4v"), self._rate, size)
            if not self._writer.isOpened():
                raise ImageError(explain("a place to write a video to", f"'{self._path.parent}'", "Check the folder."))
        if size != self._size:
            raise ShapeError(explain(f"frames of {self._size[0]}x{self._size[1]} pixels", f"{size[0]}x{size[1]}"))
        self._writer.write(np.ascontiguousarray(rgb[:, :, ::-1]))
        self.frames += 1

    def add_at(self, rgb: Array, second: float) -> None:
        """Append an RGB frame that is shown from ``second`` on, counted from that of the first.

        What was shown before is repeated until then, so the video lasts as long as reality, however unevenly its frames
        came. Of frames that come too soon for a place of their own, the newest has the next place, if one is left over.
        Raises OptionError for a second that is no number >= 0, and what ``add`` raises.
        """
        if not math.isfinite(second) or second < 0:
            raise OptionError(explain("second as a number >= 0", repr(second)))
        if self._begin is None:
            self._begin = second
        place = round((second - self._begin) * self._rate)
        while self._newest is not None and self.frames < place:
            self.add(self._newest)
        self._newest = rgb
        if self.frames <= place:
            self.add(rgb)

    def release(self) -> None:
        """Finish the file."""
        if self._writer is not None:
            self._writer.release()

    def is_whole(self) -> bool:
        """Does the finished file have every frame? OpenCV says nothing when the disk refuses some of it.

        It has one more when Ctrl-C came after a frame was written and before it was counted.
        """
        cv2 = load_cv2("Writing a video")
        with _quiet(cv2):
            written = cv2.VideoCapture(str(self._path), cv2.CAP_FFMPEG)
            frames = int(written.get(cv2.CAP_PROP_FRAME_COUNT)) if written.isOpened() else 0
            written.release()
        return frames >= self.frames


@contextmanager
def write_video(path: str | os.PathLike[str], rate: float = 25.0) -> Iterator[VideoWriter]:
    """An MP4 file (MPEG-4 part 2) of ``rate`` frames a second, to add frames to. Atomic, like ``write_image``:

        with write_video("named.mp4", rate=25) as video:
            video.add(frame)                # one after the other, or
            video.add_at(frame, second)     # whenever they come

    The file appears when the block ends well and has at least one frame; when the block raises, nothing is left behind.
    Raises OptionError for a name that does not end in .mp4 or a rate that is no positive number, ImageError when the
    folder or the disk refuses.
    """
    target = Path(os.path.realpath(path))
    if target.suffix.lower() != ".mp4" or not target.parent.is_dir():
        raise OptionError(explain("a name that ends in .mp4, in an existing folder", f"'{path}'"))
    if not math.isfinite(rate) or rate <= 0:
        raise OptionError(explain("rate as a number of frames per second > 0", repr(rate), "25 is common."))
    temporary = target.with_name(f".{target.stem[:100]}.{secrets.token_hex(6)}.tmp.mp4")
    writer = VideoWriter(temporary, rate)
    try:
        try:
            yield writer
        finally:
            writer.release()
        if writer.frames:
            if not writer.is_whole():
                fix = "Make room or choose another folder."
                raise refuse(str(path), "a disk that takes the video", "one that refused some of it", fix)
            os.replace(temporary, target)
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
