"""``load_model``: a network from a file, whatever wrote it.

The file says which class of network it holds; the class knows how to build it. ``minicnn.io.models`` has the formats.
"""

from __future__ import annotations

from pathlib import Path

from minicnn.constructors import explained
from minicnn.errors import LoadError, explain
from minicnn.io.models import read_description
from minicnn.model import Model
from minicnn.sequential import Sequential

#: The classes of network by their names in files: the only ones a file may ask for.
CLASSES: dict[str, type[Model]] = {"Sequential": Sequential, "Model": Model}


@explained
def load_model(path: str | Path, *, allow_nan: bool = False) -> Model:
    """The network of a ``.npz``, ``.keras``, ``.h5`` or ``.safetensors`` file, ready to predict.

    Keras's files are read without Keras. A layer with an activation inside becomes two layers, "conv1" and
    "conv1_relu"; how Keras trained the network is not taken over. Raises LoadError, naming the file and the reason,
    for whatever is not a whole, undamaged network of layers that minicnn has; also for weights that are NaN or
    infinite, unless ``allow_nan``. Nothing in the file is ever run.
    """
    kind = read_description(path).class_name
    if kind not in CLASSES:
        reason = explain(f"a network of class {', '.join(CLASSES)}", repr(kind))
        raise LoadError(f"Cannot load '{path}': {reason}")
    return CLASSES[kind].load(path, allow_nan=allow_nan)
