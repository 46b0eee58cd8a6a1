"""Everything that can be checked, by name and direction."""

from __future__ import annotations

from minicnn.checking.activations import ACTIVATIONS
from minicnn.checking.batch_norm import BATCH_NORM
from minicnn.checking.convolution import CONVOLUTIONS
from minicnn.checking.dense import DENSE
from minicnn.checking.global_pooling import GLOBAL_POOLINGS
from minicnn.checking.losses import LOSSES
from minicnn.checking.optimizers import OPTIMIZERS
from minicnn.checking.pooling import POOLINGS
from minicnn.checking.reshaping import RESHAPINGS
from minicnn.checking.subject import Subject
from minicnn.errors import OptionError, did_you_mean, explain

SUBJECTS: dict[tuple[str, str], Subject] = {
    (subject.layer, subject.direction): subject
    for subject in (
        *CONVOLUTIONS,
        *DENSE,
        *POOLINGS,
        *BATCH_NORM,
        *ACTIVATIONS,
        *GLOBAL_POOLINGS,
        *RESHAPINGS,
        *LOSSES,
        *OPTIMIZERS,
    )
}


def find(layer: str, backward: bool) -> Subject:
    """The subject of that name. Raises OptionError, with the names there are, for an unknown one."""
    direction = "backward" if backward else "forward"
    names = [name for name, way in SUBJECTS if way == direction]
    if (layer, direction) not in SUBJECTS:
        expected = f"a layer to check ({direction}): {', '.join(names)}"
        raise OptionError(explain(expected, repr(layer), did_you_mean(layer, names)))
    return SUBJECTS[layer, direction]
