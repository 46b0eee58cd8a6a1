"""The steps of ``minicnn demo``: what is handed from detection to minicnn to reference_keras to the report.

These packages do not know each other, and should not. Whoever wants to do the same in a notebook finds the way here:
faces, ``Batches``, ``train_side_by_side``, ``compare_layers``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from detection.crop import CropSettings, as_input, standardise
from detection.draw import draw_faces
from detection.orl import OrlCrops, load_orl, orl_crops
from detection.split import stratified_split
from minicnn.data import Batches
from minicnn.model import Model
from minicnn.models import face_cnn
from minicnn.optimizers import AdamW
from minicnn.recognition.recipe import AUGMENT
from minicnn.recognition.views import ZOOMS, views
from minicnn.report.page import DemoPictures, Mistake
from minicnn.report.pictures import Picture, picture
from minicnn.schedules import CosineDecay
from minicnn.shapes import Array
from reference_keras.parity import compare_layers
from reference_keras.reports import ParityReport
from reference_keras.side_by_side import Epoch, SideBySide, train_side_by_side

TRAIN, TEST = 5, 5  # pictures per person, as in Lawrence et al. 1997
BATCH = 10
COMPARED = 16  # faces in the comparison of layers
LEARNING_RATE = 0.001  # falls to 0 along a cosine
WEIGHT_DECAY = 0.05
LABEL_SMOOTHING = 0.1
CROP = CropSettings(margin=0.3)  # with some hair and the chin: they tell people apart too
SHOWN = 8  # people in the report's galleries
MOST_MISTAKES = 24  # shown as pictures; a network that learned has far fewer
HEIGHT = 160  # of a picture in the report, in pixels


@dataclass(frozen=True, eq=False)
class Faces:
    """The crops of ``people`` people, and which pictures (indices) are for training and which for the test."""

    crops: OrlCrops
    people: int
    train: Array
    test: Array

    @property
    def x(self) -> Array:
        """What the networks are given."""
        return standardise(as_input(self.crops.crops))


def find_faces(people: int, seed: int) -> Faces:
    """Find, cut out and split. A training picture without a face is left out; a test picture without one stays in."""
    crops = orl_crops(CROP)
    persons = crops.persons[crops.persons < people]  # people come one after the other, so indices stay right
    train, test = stratified_split(persons, train=TRAIN, test=TEST, seed=seed)
    return Faces(crops, people, train[crops.found[train]], test)


def batches(faces: Faces, seed: int) -> Batches:
    """The training crops in shuffled, augmented batches: a function of the seed."""
    x, y = faces.x[faces.train], faces.crops.persons[faces.train]
    return Batches(x, y, batch_size=BATCH, seed=seed, augment=AUGMENT)


def train(faces: Faces, epochs: int, seed: int, on_epoch: Callable[[int, Epoch], None]) -> tuple[Model, SideBySide]:
    """Train both engines from the same weights on the same batches; the network that minicnn trained, and both
    histories. Both are asked about several views of each test picture, and the mean of their answers counts.
    """
    model = face_cnn(classes=faces.people, softmax=False, dropout=0.0, seed=seed)
    test = faces.x[faces.test]
    data = batches(faces, seed)
    optimizer = AdamW(CosineDecay(LEARNING_RATE, epochs * len(data)), weight_decay=WEIGHT_DECAY)
    seen = np.concatenate(list(views(test)))  # (6N, H, W, 1): all pictures in the first view, then in the second, ...
    training = train_side_by_side(
        model, data, seen, epochs=epochs, optimizer=optimizer, label_smoothing=LABEL_SMOOTHING, on_epoch=on_epoch
    )
    ours, keras = (p.reshape(-1, len(test), faces.people).mean(axis=0) for p in (training.ours, training.keras))
    return model, replace(training, ours=ours, keras=keras)


def compare(model: Model, faces: Faces, seed: int) -> ParityReport:
    """Every layer of the trained network in both engines, on test faces, as in training: with the batch's statistics.

    The network was trained on logits; here it gets its last layer, the softmax, which has no weights.
    """
    whole = face_cnn(classes=faces.people, dropout=0.0)
    whole.set_weights(model.weights)
    x = faces.x[faces.test[:: max(1, len(faces.test) // COMPARED)][:COMPARED]]
    return compare_layers(whole, x, backward=True, training=True, timing=True, seed=seed)


# -- what it comes to -----------------------------------------------------------------------------------------------


def settings(faces: Faces, epochs: int, seed: int) -> dict[str, Any]:
    """Everything that was chosen."""
    return {
        "seed": seed,
        "epochs": epochs,
        "batch": BATCH,
        "steps": -(-len(faces.train) // BATCH),
        "optimizer": (
            f"AdamW, learning rate {LEARNING_RATE:g} falling to 0 along a cosine, weight decay {WEIGHT_DECAY:g}"
        ),
        "label_smoothing": LABEL_SMOOTHING,
        "crop": asdict(CROP) | {"standardised": True},
        "augment": asdict(AUGMENT),
        "dropout": 0.0,
        "people": faces.people,
        "train": TRAIN,
        "test": TEST,
        "test_views": {"zoom": ZOOMS, "flip": [False, True]},
        "training_pictures": len(faces.train),
        "input_shape": faces.x.shape[1:],
    }


def detection_facts(faces: Faces) -> dict[str, Any]:
    """How many faces were found, and which attempt found them."""
    used = [face for face, person in zip(faces.crops.faces, faces.crops.persons, strict=True) if person < faces.people]
    found = [face for face in used if face]
    return {
        "photos": len(used),
        "found": len(found),
        "attempts": dict(Counter(face.detector for face in found).most_common()),
    }


def test_facts(faces: Faces, training: SideBySide) -> dict[str, Any]:
    """What both networks said of the test pictures. A face that was not found is an error of both."""
    facts: dict[str, Any] = {"pictures": len(faces.test), "persons": faces.crops.persons[faces.test].tolist()}
    for engine, probabilities in (("ours", training.ours), ("keras", training.keras)):
        predicted = probabilities.argmax(axis=1)
        error = faces.crops.error_rate(faces.test, predicted)
        facts |= {
            engine: predicted.tolist(),
            f"{engine}_error": error,
            f"{engine}_wrong": round(error * len(faces.test)),
        }
    return facts


# -- pictures ----------------------------------------------------------------------------------------------------------


def pictures(faces: Faces, training: SideBySide) -> DemoPictures:
    """What the report shows: some photographs with boxes, their crops, variants of three, and all mistakes."""
    crops, orl = faces.crops, load_orl()
    first = faces.train[np.unique(crops.persons[faces.train], return_index=True)[1]]  # a training picture of everybody
    chosen = first[:: max(1, len(first) // SHOWN)][:SHOWN]
    photos = []
    for i in chosen:
        rgb = np.repeat(orl.images[i][:, :, None], 3, axis=2)  # (112, 92) -> (112, 92, 3)
        large = rgb.repeat(3, axis=0).repeat(3, axis=1)  # three times as large: a thin frame on a small picture
        photos.append(_photo(large, crops, int(i)))
    shown = [picture(crops.crops[i], f"crop of {_person(crops, i)}", crops.names[i], height=HEIGHT) for i in chosen]
    rows = [_variants(faces, int(i)) for i in chosen[:3]]
    mistakes = _mistakes(faces, training)
    return DemoPictures(photos, shown, rows, mistakes[:MOST_MISTAKES], max(0, len(mistakes) - MOST_MISTAKES))


def _photo(large: Array, crops: OrlCrops, index: int) -> Picture:
    face = crops.faces[index]
    assert face is not None  # a training picture has a face
    box = type(face.box)(*(3 * edge for edge in (face.box.left, face.box.top, face.box.right, face.box.bottom)))
    drawn = draw_faces(large, [type(face)(box, face.score, face.detector)])
    size = f"{face.box.width}x{face.box.height} pixels"
    return picture(drawn, f"{_person(crops, index)} with a frame around the face", f"{crops.names[index]}, {size}")


def _variants(faces: Faces, index: int) -> list[Picture]:
    crop = as_input(faces.crops.crops[index : index + 1])  # not standardised: grey levels to look at
    variants = AUGMENT(np.repeat(crop, 5, axis=0), np.random.default_rng(index))
    who = _person(faces.crops, index)
    varied = [picture(x, f"variant {i} of {who}", height=HEIGHT) for i, x in enumerate(variants, start=1)]
    return [picture(crop[0], f"crop of {who}", height=HEIGHT), *varied]


def _mistakes(faces: Faces, training: SideBySide) -> list[Mistake]:
    crops, found = faces.crops, []
    for place, i in enumerate(faces.test):
        names = [probabilities[place] for probabilities in (training.ours, training.keras)]
        ours, keras = (int(p.argmax()) for p in names)
        truth = int(crops.persons[i])
        if ours == keras == truth and crops.found[i]:
            continue
        face = picture(crops.crops[i], f"test picture {crops.names[i]}", crops.names[i], height=HEIGHT)
        if not crops.found[i]:
            found.append(Mistake(face, None, "No face was found in this picture: an error of both."))
            continue
        taken = ours if ours != truth else keras
        other = faces.train[crops.persons[faces.train] == taken][0]
        wrong = picture(
            crops.crops[other], f"training picture of person {taken + 1}", f"person {taken + 1}", height=HEIGHT
        )
        says = [
            f"{engine}: {'right' if said == truth else f'person {said + 1}'} ({p[said]:.0%} sure)"
            for engine, said, p in (("minicnn", ours, names[0]), ("Keras", keras, names[1]))
        ]
        found.append(Mistake(face, wrong, f"Is person {truth + 1}. {'; '.join(says)}."))
    return found


def _person(crops: OrlCrops, index: Any) -> str:
    return f"person {int(crops.persons[index]) + 1}"
