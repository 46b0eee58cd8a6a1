"""A run: the folder that a training leaves behind, and that every later command opens.

    config.json      what was trained on what, and how: ``RunConfig``
    model.npz        the network, its best weights (``load_model`` reads it)
    checkpoint.npz   where training stands, to continue it
    history.csv      one row per epoch
    plots/           loss.svg, accuracy.svg
    gallery.npz      embeddings of the training faces: ``embedding``
    threshold.json   when to say "unknown": ``unknown``
    snapshots/       networks of earlier epochs, if they were asked for: ``snapshots``

Whichever engine trained, the files are the same. Each is written whole or not at all, and each is read as if an enemy
had made it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from minicnn.errors import LoadError, MinicnnError, OptionError, explain
from minicnn.io.atomic import write_text
from minicnn.model import Model
from minicnn.saving import load_model
from minicnn.shapes import whole

CONFIG, MODEL, CHECKPOINT, HISTORY, GALLERY, PLOTS = (
    *("config.json", "model.npz", "checkpoint.npz", "history.csv", "gallery.npz", "plots"),
)
FORMAT, VERSION = "minicnn run", 1
SIZE_LIMIT = 16 << 20  # bytes of config.json: a million people fit
BACKENDS = ("minicnn", "keras")
OBJECTIVES = ("softmax", "triplet")


@dataclass(frozen=True)
class RunConfig:
    """What a run is.

    model:            as it was asked for: face-cnn, residual-cnn, vgg-face, or FILE.py:function
    input_shape:      of the network: (rows, columns, channels)
    people:           names; class k is ``people[k]``
    backend:          which engine trained: minicnn or keras
    objective:        softmax (scores per person) or triplet (embeddings alone)
    embedding_layer:  the layer whose output, brought to length 1, describes a face
    seed:             all chance of this run follows from it
    crop, detector:   how the crops were made, so that a new photograph is treated alike; {} and "" where unknown
    settings:         everything else that was chosen, for people and for ``resume``

    Raises OptionError for values outside the allowed ones.
    """

    model: str
    input_shape: tuple[int, int, int]
    people: tuple[str, ...]
    backend: str
    objective: str
    embedding_layer: str
    seed: int
    crop: dict[str, Any] = field(default_factory=dict)
    detector: str = ""
    settings: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        texts = {"model": self.model, "embedding_layer": self.embedding_layer, "detector": self.detector}
        for name, text in texts.items():
            if not isinstance(text, str):
                raise OptionError(explain(f"{name} as text", repr(text)))
        if len(self.input_shape) != 3:
            raise OptionError(explain("input_shape (rows, columns, channels)", repr(self.input_shape)))
        for size in self.input_shape:
            whole(size, "a size in input_shape")
        if len(self.people) < 2 or len(set(self.people)) != len(self.people):
            raise OptionError(explain("people as two or more different names", f"{len(self.people)} of them"))
        if not all(isinstance(name, str) and name for name in self.people):
            raise OptionError(explain("people as names", "something else among them"))
        for name, value, allowed in (
            ("backend", self.backend, BACKENDS),
            ("objective", self.objective, OBJECTIVES),
        ):
            if value not in allowed:
                raise OptionError(explain(f"{name} as one of {', '.join(allowed)}", repr(value)))
        whole(self.seed, "seed", least=0)
        for name, table in (("crop", self.crop), ("settings", self.settings)):
            if not isinstance(table, dict):
                raise OptionError(explain(f"{name} as a table", type(table).__name__))

    def to_json(self) -> str:
        """As ``config.json`` holds it. Raises OptionError for what JSON cannot hold."""
        try:
            return json.dumps({"format": FORMAT, "version": VERSION} | asdict(self), indent=2, allow_nan=False) + "\n"
        except (TypeError, ValueError) as error:
            raise OptionError(explain("settings that JSON can hold", str(error))) from error

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> RunConfig:
        """The way back. Raises LookupError, TypeError, ValueError or OptionError for anything else."""
        if (data["format"], data["version"]) != (FORMAT, VERSION):
            raise ValueError(f"it is {data['format']!r} of version {data['version']!r}, not {FORMAT!r} of {VERSION}")
        values = {name: data[name] for name in cls.__dataclass_fields__}
        return cls(**values | {"input_shape": tuple(data["input_shape"]), "people": tuple(data["people"])})


@dataclass(frozen=True)
class Run:
    """A run's folder and its config. ``Run.open`` reads one, ``Run.create`` begins one."""

    folder: Path
    config: RunConfig

    @classmethod
    def create(cls, folder: str | Path, config: RunConfig) -> Run:
        """Begin a run. Raises OptionError where there is one already; without a network it never got to begin."""
        folder = Path(folder)
        if (folder / CONFIG).exists() and (folder / MODEL).exists():
            fix = "Continue it with --resume, or choose another folder."
            raise OptionError(explain("a folder without a run", f"'{folder}', which has one", fix))
        folder.mkdir(parents=True, exist_ok=True)
        write_text(folder / CONFIG, config.to_json())
        return cls(folder, config)

    @classmethod
    def open(cls, folder: str | Path) -> Run:
        """The run in a folder. Raises LoadError, naming the file and the reason, where there is none."""
        path = Path(folder) / CONFIG
        if not path.is_file():
            fix = "`minicnn train DATASET --out RUN` makes one."
            raise LoadError(explain(f"the folder of a run, with {CONFIG} in it", f"'{folder}'", fix))
        try:
            if path.stat().st_size > SIZE_LIMIT:
                raise ValueError(f"it is larger than {SIZE_LIMIT} bytes")
            config = RunConfig.from_json(json.loads(path.read_text(encoding="utf-8")))
        except (OSError, LookupError, TypeError, ValueError, AttributeError, RecursionError, MinicnnError) as error:
            raise LoadError(f"Cannot load '{path}': it does not describe a run ({error}).") from error
        return cls(Path(folder), config)

    def path(self, name: str) -> Path:
        """A file of the run."""
        return self.folder / name

    def model(self) -> Model:
        """The network with its best weights, read once. Raises LoadError when it is damaged or not this run's."""
        return self._model

    @cached_property
    def _model(self) -> Model:
        path, config = self.path(MODEL), self.config
        model = load_model(path)
        names = [layer.name for layer in model.path]
        problems = []
        if model.input_shape != config.input_shape:
            problems.append(f"takes {model.input_shape} instead of {config.input_shape}")
        if config.embedding_layer not in names:
            problems.append(f"has no layer '{config.embedding_layer}'")
        if config.objective == "softmax" and model.output_shape != (len(config.people),):
            problems.append(f"answers {model.output_shape} instead of ({len(config.people)},)")
        if problems:
            raise LoadError(
                f"Cannot load '{path}': {CONFIG} beside it describes another network; this one "
                f"{' and '.join(problems)}."
            )
        return model
