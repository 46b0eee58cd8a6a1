"""What ``fit`` and ``evaluate`` are given, as batches to train on and batches to measure on."""

from __future__ import annotations

import math
from collections.abc import Mapping

from minicnn.data import Augmentation, Batches
from minicnn.errors import OptionError, ShapeError, explain
from minicnn.given import as_array, require_array, targets_of, weights_of
from minicnn.options import flag, number
from minicnn.shapes import Array

Data = tuple[Array, Array] | tuple[Array, Array, Array]  # x, y and perhaps what each sample counts


def prepare(
    x: Array | Batches,
    y: Array | None,
    *,
    batch_size: int | None,
    shuffle: bool | None,
    seed: int,
    validation_split: float = 0.0,
    validation_data: Data | Batches | None = None,
    sample_weight: Array | None = None,
    class_weight: Mapping[int, float] | None = None,
    augment: Augmentation | None = None,
) -> tuple[Batches, Batches | None]:
    """What ``fit`` was given as (batches to train on, batches to validate on). Contradictions are an OptionError."""
    if validation_split and validation_data is not None:
        raise OptionError(explain("validation_split or validation_data", "both", "Leave one of them out."))
    shuffle = shuffle is None or flag("shuffle", shuffle)
    if isinstance(x, Batches):
        also = {"y": y, "batch_size": batch_size, "sample_weight": sample_weight, "class_weight": class_weight}
        given = [name for name, value in (also | {"augment": augment}).items() if value is not None]
        given += ["validation_split"] * bool(validation_split) + ["shuffle"] * (not shuffle)
        if given:
            raise OptionError(explain("Batches alone", f"also {', '.join(given)}", "Give them to Batches(...)."))
        return x, None if validation_data is None else in_order(validation_data, batch_size)
    require_array(x)
    if y is None:
        raise OptionError(explain("targets y", "None", "There is one target for each input."))
    if validation_split:
        (x, y, sample_weight), last = train_validation_split(x, y, sample_weight, validation_split)
        validation_data = last[:2] if last[2] is None else (*last[:2], last[2])
    batches = Batches(
        x,
        y,
        batch_size=batch_size,
        shuffle=shuffle,
        seed=seed,
        sample_weight=sample_weight,
        class_weight=class_weight,
        augment=augment,
    )
    return batches, None if validation_data is None else in_order(validation_data, batch_size)


def in_order(data: Data | Batches, batch_size: int | None) -> Batches:
    """(x, y) or (x, y, sample_weight) in batches to measure on: unshuffled. Of Batches, themselves."""
    if isinstance(data, Batches):
        if data.augment is not None:
            fix = "Measure on pictures as they are: Batches(x, y)."
            raise OptionError(explain("Batches without augment to measure on", f"augment={data.augment!r:.60}", fix))
        return data
    if not isinstance(data, (tuple, list)) or len(data) not in (2, 3):
        received = f"{len(data)} parts" if isinstance(data, (tuple, list)) else type(data).__name__
        raise OptionError(explain("validation_data as Batches, (x, y) or (x, y, sample_weight)", received))
    x, y, *weight = data
    return Batches(x, y, batch_size=batch_size, shuffle=False, sample_weight=weight[0] if weight else None)


def train_validation_split(
    x: Array, y: Array, sample_weight: Array | None, fraction: float
) -> tuple[tuple[Array, Array, Array | None], tuple[Array, Array, Array | None]]:
    """Keep the **last** ``fraction`` of the data for validation, before any shuffling: Keras's ``validation_split``.

    Returns ((x, y, weight) to train on, (x, y, weight) to validate on). Data sorted by class must be shuffled before:
    otherwise the last classes are never trained on. Training gets floor(N * (1 - fraction)) samples.
    """
    fraction = number("validation_split", fraction, above=0, below=1)
    x = as_array(require_array(x), "inputs as an array (N, ...)")
    if x.ndim < 1:
        raise ShapeError(explain("at least one input (N, ...)", f"shape {x.shape}"))
    y, weight = targets_of(y, len(x)), None if sample_weight is None else weights_of(sample_weight, len(x))
    at = math.floor(len(x) * (1.0 - fraction))
    if at == 0:  # at == len(x) cannot be: fraction > 0
        raise OptionError(explain("enough samples to split", f"{len(x)} with validation_split={fraction}"))
    first, last = (None, None) if weight is None else (weight[:at], weight[at:])
    return (x[:at], y[:at], first), (x[at:], y[at:], last)
