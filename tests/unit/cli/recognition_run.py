"""A dataset of AT&T/ORL faces and a run on it, made in a second: what the commands of recognition are tried on.

The network is a fixed random projection, which keeps distances well enough to tell a few people apart; its scores are
minus the distances to each person's mean face, so nothing has to be trained.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from detection.crop import CropSettings, as_input, crop_face, standardise
from detection.dataset.load import load_dataset
from detection.detectors import make_detector
from detection.images import write_image
from detection.orl import load_orl
from minicnn.layers import AveragePooling2D, Dense, Flatten
from minicnn.recognition.embedding import save_gallery
from minicnn.recognition.engine import MinicnnEngine
from minicnn.recognition.identify import Gallery
from minicnn.recognition.run import GALLERY, Run, RunConfig
from minicnn.recognition.train import write_weights
from minicnn.sequential import Sequential

CROP = CropSettings(size=48, margin=0.1)
NAMES = ("Žofie", "林 Anna", "<b>Bob", "Dan", "Eve", "Finn", "Gul", "Hao", "Ida", "Jón")
TRAIN, VALIDATION = 4, 3  # of ten pictures of each; the rest is for the test


def photo(person: int, shot: int) -> np.ndarray:
    """An ORL picture, twice as large so that dlib finds its face: (224, 184) uint8."""
    return load_orl().images[10 * person + shot].repeat(2, axis=0).repeat(2, axis=1)


def build_dataset(folder: Path, people: range, *, split: bool = True) -> Path:
    """Crops of ``people`` (0..9, called NAMES) in a folder each, and ``split.json``."""
    detector = make_detector("dlib-hog")
    parts: dict[str, list[str]] = {"train": [], "validation": [], "test": []}
    for person in people:
        (folder / NAMES[person]).mkdir(parents=True)
        found = 0
        for shot in range(10):
            picture = np.repeat(photo(person, shot)[:, :, None], 3, axis=2)
            faces = detector.detect(picture)
            if not faces:
                continue
            path = f"{NAMES[person]}/{NAMES[person]}_{shot + 1:04d}.png"
            write_image(folder / path, crop_face(picture, faces[0].box, CROP))
            part = "train" if found < TRAIN else "validation" if found < TRAIN + VALIDATION else "test"
            parts[part].append(path)
            found += 1
    if split:
        (folder / "split.json").write_text(json.dumps({"seed": 0} | parts), encoding="utf-8")
    return folder


def build_run(folder: Path, dataset: Path, objective: str = "softmax") -> Run:
    """A run that knows the people of ``dataset``."""
    faces = load_dataset(dataset, "train")
    x = standardise(as_input(faces.crops))
    config = RunConfig(
        model="projection",
        input_shape=(48, 48, 1),
        people=faces.people,
        backend="minicnn",
        objective=objective,
        embedding_layer="embedding",
        seed=0,
        crop={"size": 48, "colour": "grey", "margin": 0.1, "align": "none"},
        detector="dlib-hog",
    )
    layers = [AveragePooling2D(4, name="pool"), Flatten(name="flatten"), Dense(64, name="embedding")]
    scores = [Dense(len(faces.people), name="scores")] if objective == "softmax" else []
    model = Sequential([*layers, *scores], input_shape=(48, 48, 1), name="projection", seed=3)
    if objective == "softmax":
        trunk = Sequential(layers, input_shape=(48, 48, 1), name="trunk")
        means = np.stack([trunk.predict(x)[faces.labels == k].mean(axis=0) for k in range(len(faces.people))])
        # -|e - m|^2 = 2 e m - |m|^2 - |e|^2, and the last is the same for everybody
        weights = {"scores/kernel": 2 * means.T, "scores/bias": -np.square(means).sum(axis=1)}
        scale = 4 / np.square(means).sum(axis=1).mean()
        model.set_weights(model.weights | {name: (scale * w).astype(np.float32) for name, w in weights.items()})
    run = Run.create(folder, config)
    write_weights(run, model)
    run = Run.open(folder)
    save_gallery(run.path(GALLERY), Gallery(MinicnnEngine(run).embed(x), faces.labels), faces.paths)
    return run
