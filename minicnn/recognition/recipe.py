"""What is chosen for a training, in one table; and the loss, the optimiser and the batches that follow from it.

The defaults are those that ``minicnn demo`` trains with; ``minicnn orl-protocol --grid`` compares others without
a look at test faces. Both engines are given the same of all this.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, NamedTuple

import numpy as np

from minicnn.augmentation import Augment
from minicnn.data import Batches, PeopleBatches, one_hot
from minicnn.errors import LabelError, OptionError, ShapeError, explain
from minicnn.losses import CategoricalCrossentropy, Loss, TripletSemiHardLoss
from minicnn.optimizers import AdamW
from minicnn.options import flag, number
from minicnn.recognition.run import OBJECTIVES
from minicnn.recognition.unknown import RATE, check_rate
from minicnn.schedules import CosineDecay
from minicnn.shapes import Array, whole

AUGMENT = Augment(flip=True, shift=0.1, rotate=12, zoom=0.2, contrast=0.25)


class Samples(NamedTuple):
    """Network inputs (N, H, W, C) and who they show (N,), integers from 0."""

    x: Array
    labels: Array


@dataclass(frozen=True)
class Recipe:
    """How a network is trained. Raises OptionError for values outside the allowed ones.

    objective:       softmax (scores per person) or triplet (embeddings)
    epochs, batch:   times that all pictures are seen; pictures per step. Triplet batches have people x pictures
    learning_rate:   at the beginning; it falls to 0 along a cosine
    weight_decay:    AdamW's
    label_smoothing: softmax only
    patience:        stop after so many epochs without a better validation loss; 0 never stops early
    balanced:        weigh people so that each counts the same, however many pictures there are; softmax only, because
                     triplet batches have equally many of everybody
    people, pictures, margin, dimensions: triplet only; dimensions of the embedding
    augment:         ``minicnn.augmentation.Augment``'s options; {} shows the pictures as they are
    views:           ask about six views of each picture in predictions
    left_out:        groups of people that are left out in turn, to calibrate "unknown" on them (``left_out``); 0: none
    stranger_rate:   the share of strangers' faces that may be given a name (``unknown``)
    """

    objective: str = "softmax"
    epochs: int = 40
    batch: int = 10
    learning_rate: float = 0.001
    weight_decay: float = 0.05
    label_smoothing: float = 0.1
    dropout: float = 0.0
    patience: int = 0
    balanced: bool = True
    people: int = 10
    pictures: int = 4
    margin: float = 0.2
    dimensions: int = 128
    augment: Mapping[str, Any] = field(default_factory=lambda: asdict(AUGMENT))
    views: bool = True
    left_out: int = 0
    stranger_rate: float = RATE

    def __post_init__(self) -> None:
        if self.objective not in OBJECTIVES:
            raise OptionError(explain(f"objective as one of {', '.join(OBJECTIVES)}", repr(self.objective)))
        least = {"epochs": 1, "batch": 1, "patience": 0, "left_out": 0, "people": 2, "pictures": 2, "dimensions": 1}
        for name, value in least.items():
            whole(getattr(self, name), name, least=value)
        for name in ("learning_rate", "margin"):
            number(name, getattr(self, name), above=0)
        number("weight_decay", self.weight_decay, least=0)
        number("label_smoothing", self.label_smoothing, least=0, below=1)
        number("dropout", self.dropout, least=0, below=1)
        check_rate(self.stranger_rate)
        flag("balanced", self.balanced)
        flag("views", self.views)
        try:
            self.augmentation()
        except TypeError as error:
            raise OptionError(explain("options of Augment", f"{error}")) from None

    def changed(self, settings: Sequence[str]) -> Recipe:
        """With other values, as on a command line: "epochs=60", "augment.rotate=20". Numbers, true and false are
        written as in JSON; all else is text. Raises OptionError for a name there is not and for values out of range.
        """
        values = asdict(self)
        for setting in settings:
            name, equals, text = setting.partition("=")
            *group, last = name.split(".")
            table: Any = values
            for part in group:
                table = table.get(part) if isinstance(table, dict) else None
            if not equals or not isinstance(table, dict) or last not in table:
                fix = "What lies within has a dot: augment.rotate=20."
                raise OptionError(explain(f"NAME=VALUE with a name among {', '.join(values)}", repr(setting), fix))
            try:
                table[last] = json.loads(text)
            except ValueError:
                table[last] = text
        return Recipe(**values)

    def augmentation(self) -> Augment | None:
        """What is done to the pictures of a batch; None: nothing."""
        return Augment(**self.augment) if self.augment else None

    def loss(self) -> Loss:
        """The loss of the objective."""
        if self.objective == "triplet":
            return TripletSemiHardLoss(self.margin)
        return CategoricalCrossentropy(from_logits=True, label_smoothing=self.label_smoothing)

    def metrics(self) -> list[str]:
        """What is counted besides the loss. Triplets have no right answers."""
        return ["accuracy"] if self.objective == "softmax" else []

    def optimizer(self, steps: int) -> AdamW:
        """For an epoch of ``steps`` steps."""
        return AdamW(CosineDecay(self.learning_rate, self.epochs * steps), weight_decay=self.weight_decay)

    def batches(self, samples: Samples, classes: int, seed: int) -> Batches:
        """The training pictures, shuffled and augmented: a function of the seed."""
        augment = self.augmentation()
        if self.objective == "triplet":
            return PeopleBatches(
                samples.x, samples.labels, people=self.people, pictures=self.pictures, seed=seed, augment=augment
            )
        weights = balanced_weights(samples.labels, classes) if self.balanced else None
        return Batches(
            samples.x,
            one_hot(samples.labels, classes),
            batch_size=self.batch,
            seed=seed,
            class_weight=weights,
            augment=augment,
        )


def balanced_weights(labels: Array, classes: int) -> dict[int, float] | None:
    """{class: N / (classes * pictures of it)}; None where all have equally many, for then nothing is to be weighed.

    >>> balanced_weights(np.array([0, 0, 0, 1]), 2)
    {0: 0.6666666666666666, 1: 2.0}
    """
    counts = np.bincount(labels, minlength=classes)
    if counts.min() == counts.max():
        return None
    return {k: len(labels) / (classes * int(count)) for k, count in enumerate(counts)}


def check_samples(samples: Samples, people: tuple[str, ...], what: str = "training") -> None:
    """Can a network learn from these? Raises LabelError for fewer than two people, and for people without a picture
    (of ``what``); ShapeError for arrays that do not fit one another.
    """
    if len(samples.x) != len(samples.labels) or samples.x.ndim != 4:
        received = f"shapes {samples.x.shape} and {samples.labels.shape}"
        raise ShapeError(explain(f"{what} pictures (N, H, W, C) with one label each", received))
    if len(people) < 2:
        fix = "Add a folder with pictures of somebody else: telling one person apart from nobody is no task."
        raise LabelError(explain("a dataset of two people or more", f"{len(people)}", fix))
    counts = np.bincount(samples.labels, minlength=len(people))
    without = [name for name, count in zip(people, counts, strict=False) if not count]
    if len(counts) > len(people) or without:
        some = ", ".join(without[:5]) + (f" and {len(without) - 5} more" if len(without) > 5 else "")
        fix = "Split the dataset again, add pictures, or take these people out."
        raise LabelError(explain(f"a {what} picture of everybody", f"none of {some}", fix))
