"""A run's folder, opened for a command: the engine that was asked for, and faces treated as for the training."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from minicnn.cli.engines import make_engine
from minicnn.cli.options import detector_maker

NOBODY_UNKNOWN = (
    "The run has seen no strangers, so nobody is called unknown: train with --left-out 3, or give it some: minicnn "
    "evaluate RUN DATASET --strangers OTHERS --calibrate."
)


@dataclass(frozen=True, eq=False)
class Opened:
    """A run, an engine for it, its gallery and thresholds."""

    run: Any
    engine: Any
    identifier: Any


def open_run(folder: Path, backend: str = "minicnn") -> Opened:
    """Raises LoadError for a folder that is no run, OptionError for an engine there is not."""
    from minicnn.recognition.identifier import Identifier
    from minicnn.recognition.run import Run

    run = Run.open(folder)
    engine = make_engine(run, backend)
    return Opened(run, engine, Identifier.open(run, engine))


def chosen_detector(config: Any, name: str | None, upsample: int, model: Path | None) -> Any:
    """What finds faces: as chosen on the command line, else as the run's training faces were found."""
    return detector_of(config.detector, name, upsample, model)


def detector_of(recorded: str | None, name: str | None, upsample: int, model: Path | None) -> Any:
    """What finds faces: as chosen on the command line, else as ``recorded``, or dlib-hog."""
    from detection.recognise import detector_named

    if name is None and not upsample and model is None and recorded:
        return detector_named(recorded)
    return detector_maker(name or ("dlib-cnn" if model else "dlib-hog"), upsample, model)()


def recogniser(opened: Opened, detector: Any, landmarks: Path | None) -> Any:
    """Finds faces, cuts them out as for the training, and names them."""
    from detection.recognise import Recogniser, crop_settings, eye_finder

    config = opened.run.config
    settings = crop_settings(config.crop, config.input_shape)
    eyes = eye_finder(config.crop.get("align"), landmarks)
    return Recogniser(opened.identifier.answers, config.people, detector, settings, eyes)


def searcher(opened: Opened, detector: Any, landmarks: Path | None, *, cached: bool = True) -> Any:
    """Finds and embeds faces, and remembers: the cache's key has everything that decides an embedding."""
    from detection.search import EmbeddingCache, Searcher, file_hash
    from minicnn.user_cache import user_cache

    naming, run = recogniser(opened, detector, landmarks), opened.run
    settings = {
        "model": file_hash(run.path("model.npz")),
        "layer": run.config.embedding_layer,
        "engine": opened.engine.name,
        "views": run.config.settings.get("views", False),
        "crop": vars(naming.settings),
        "align": naming.eyes.name if naming.eyes else "none",
        "landmarks": file_hash(landmarks) if landmarks and naming.eyes else "",
        "detector": detector.name,
    }
    cache = EmbeddingCache(user_cache("embeddings") if cached else None, settings)
    return Searcher(detector, lambda rgb, faces: opened.engine.embed(naming.inputs(rgb, faces)), cache)
