"""``minicnn capture``: crops of one person from a camera or a video."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import Annotated

import typer

from minicnn.cli import console, options
from minicnn.cli.dataset_tables import progress_bar
from minicnn.errors import OptionError, explain
from minicnn.report.text import counted

FolderDetector = Annotated[
    str | None,
    typer.Option("--detector", help="dlib-hog, opencv-haar or dlib-cnn; without it, as for DEST's crops, or dlib-hog."),
]


def capture(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Whose face it is: the name of the folder.")],
    into: Annotated[Path, typer.Option("--into", metavar="DEST", help="The dataset to add to.")],
    camera: Annotated[int | None, typer.Option(help="A camera's number; 0 is the first.")] = None,
    video: Annotated[Path | None, typer.Option(metavar="FILE", help="A video file instead.")] = None,
    limit: Annotated[int, typer.Option(help="Stop after so many crops.")] = 50,
    interval: Annotated[float, typer.Option(help="Seconds between two crops.")] = 0.5,
    policy: Annotated[str, typer.Option(help="Of several faces: largest, central or only (none is used).")] = "largest",
    size: options.Size = 200,
    colour: options.Colour = "grey",
    margin: options.Margin = 0.1,
    detector: FolderDetector = None,
    upsample: options.Upsample = 0,
    model: options.DetectorModel = None,
    align: options.Align = "eyes",
    landmarks: options.Landmarks = None,
    json: console.Json = False,
) -> None:
    """Collect crops of one person's face, a few each second, into DEST/NAME.

    Move your head a little and change the light: crops that differ teach more. How they were cut is in
    DEST/manifest.json, so that `recognise` cuts faces as training did; all people of a dataset need the same --size,
    --colour, --margin, --align, --landmarks and detector, which is taken over where none is given. Exit code 0 if there
    is at least one crop.

    Example:  minicnn capture Anna --camera 0 --into faces/ --limit 40
    """
    from detection.capture import capture_faces, person_folder, recorded_detector
    from detection.video import read_frames
    from minicnn.cli.runs import detector_of

    if (camera is None) == (video is None):
        received = "neither" if camera is None else "both"
        raise OptionError(explain("one source, --camera or --video", received, "--camera 0 is the first camera."))
    settings = options.build_settings(size, colour, margin, "largest", align, landmarks)
    person_folder(into, name)
    chosen = detector_of(recorded_detector(into), detector, upsample, model)
    source = video if camera is None else camera
    assert source is not None, "one of the two was given"
    with closing(read_frames(source, interval)) as frames, progress_bar("Crops") as progress:
        captured = capture_faces(
            frames,
            name,
            into,
            chosen,
            settings.crop,
            eyes=settings.eye_finder(),
            policy=policy,
            limit=limit,
            progress=progress,
        )
    if json:
        crops = [str(path) for path in captured.paths]
        console.print_json({"crops": crops, "frames": captured.frames, "without": captured.without})
    elif captured.paths:
        made = f"{counted(len(captured.paths), 'crop')} from {counted(captured.frames, 'frame')}"
        console.show(f"{made}, in {captured.paths[0].parent}", fold=False)
    if captured.paths and not captured.recorded:
        console.note(
            f"How the other crops in '{into}' were cut is not known, so nothing says how `recognise` should cut faces. "
            "Where a folder begins with a capture, that is recorded."
        )
    if captured.without:
        console.note(f"{captured.without} frames had no face to use.")
    if not captured.paths:
        console.fail(f"No face found in {captured.frames} frames. Come closer, face the camera, and turn on a light.")
