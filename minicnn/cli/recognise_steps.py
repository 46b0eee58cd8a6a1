"""The steps of ``minicnn recognise``: photographs or frames -> named faces -> pictures, video, JSON and CSV."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from contextlib import nullcontext, suppress
from pathlib import Path
from typing import Any

from detection.boxes import Face
from detection.collect import search_photos
from detection.draw_names import draw_names
from detection.images import write_image
from detection.recognise import Named
from detection.video import Frame, read_frames, write_video
from minicnn.cli import console
from minicnn.cli.engines import make_engine
from minicnn.cli.runs import Opened, recogniser
from minicnn.io.atomic import write_text
from minicnn.io.tables import write_table
from minicnn.recognition.identifier import Identifier
from minicnn.shapes import Array

Rows = list[dict[str, Any]]
RATE = 25.0  # frames per second of a video of one frame
CAMERA_RATES = (1.0, 10.0)  # at least and at most, of what a camera saw: few computers name faces more often
VIDEO = "named.mp4"


class Asked:
    """Who is asked: the engine of a run, and with ``both`` Keras too, about the same crops."""

    def __init__(self, opened: Opened, detector: Any, landmarks: Path | None, *, both: bool) -> None:
        self.recogniser = recogniser(opened, detector, landmarks)
        self.other = Identifier.open(opened.run, make_engine(opened.run, "keras")) if both else None

    def faces(self, rgb: Array, faces: Sequence[Face]) -> tuple[tuple[Named, ...], Rows]:
        """The named faces of a picture, and as rows; with both engines, a row has what Keras says under "keras"."""
        if not faces:
            return (), []
        x = self.recogniser.inputs(rgb, faces)
        named = self.recogniser.named(faces, self.recogniser.answers(x))
        rows = [face.to_dict() for face in named]
        if self.other is not None:
            for row, face in zip(rows, self.recogniser.named(faces, self.other.answers(x)), strict=True):
                said = face.to_dict()
                row["keras"] = said["name"]
                row |= {f"keras_{key}": said[key] for key in ("probability", "distance") if key in said}
        return named, rows


def recognise_photos(asked: Asked, photos: Sequence[Path], place: Path, out: Path | None) -> tuple[Rows, Rows]:
    """(faces, problems) of the ``photos`` in ``place``; with ``out``, each of them with a face is written there."""
    rows: Rows = []
    problems: Rows = []
    for searched in search_photos(photos, asked.recogniser.detector):
        if searched.problem or searched.rgb is None:
            problems.append(console.problem(searched))
            continue
        named, found = asked.faces(searched.rgb, searched.faces)
        rows += [{"photo": str(searched.photo)} | row for row in found]
        if out is not None:
            write_image(console.result_path(out, searched.photo, place, ".png"), drawn(searched.rgb, named))
    return rows, problems


def recognise_video(
    asked: Asked, source: int | Path, out: Path | None, interval: float, seconds: float | None
) -> tuple[Rows, Rows]:
    """(faces, problems) of a video file or a camera. With ``out``, the frames looked at become ``named.mp4``.

    A camera does not wait while a face is sought: its video shows each frame until the next one that was looked at.
    Ctrl-C ends it as if the video were over: what was seen so far is written.
    """
    rows: Rows = []
    frames = itertools.takewhile(
        lambda frame: seconds is None or frame.second <= seconds, read_frames(source, interval)
    )
    camera = isinstance(source, int)
    first = list(itertools.islice(frames, 1 if camera else 2))  # of a file: how far apart they are is its video's rate
    rate = _camera_rate(interval) if camera else _rate(first)
    looked = 0
    writing = write_video(out / VIDEO, rate) if out is not None else nullcontext()
    with writing as video, suppress(KeyboardInterrupt):
        for frame in itertools.chain(first, frames):
            named, found = asked.faces(frame.rgb, asked.recogniser.detector.detect(frame.rgb))
            rows += [{"frame": frame.index, "second": frame.second} | row for row in found]
            looked += 1
            if video is not None and camera:
                video.add_at(drawn(frame.rgb, named), frame.second)
            elif video is not None:
                video.add(drawn(frame.rgb, named))
    nothing = f"No face in any of the {looked} frames looked at."
    return rows, [] if rows else [{"photo": str(source), "problem": nothing, "readable": True}]


def _rate(first: Sequence[Frame]) -> float:
    apart = first[1].second - first[0].second if len(first) == 2 else 0.0
    return min(1000.0, 1 / apart) if apart > 0 else RATE


def _camera_rate(interval: float) -> float:
    """No more repetitions than the frames need that are ``interval`` seconds apart."""
    least, most = CAMERA_RATES
    return max(least, min(most, 1 / interval)) if interval else most


def drawn(rgb: Array, named: Sequence[Named]) -> Array:
    """The picture with a frame and a name for every face."""
    boxes, labels = [each.face.box for each in named], [each.label for each in named]
    return draw_names(rgb, boxes, labels, [each.name is not None for each in named])


def write_results(out: Path, found: dict[str, Any]) -> None:
    """``faces.json`` with everything, and ``faces.csv`` with a line per face."""
    write_text(out / "faces.json", console.to_json(found) + "\n")
    rows = found["faces"]
    write_table(out / "faces.csv", list(rows[0]) if rows else [], [list(row.values()) for row in rows])
