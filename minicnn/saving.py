"""``load_model``: a network from its file, whichever class it is of."""

from __future__ import annotations

from pathlib import Path

from minicnn.io.npz import read_metadata
from minicnn.model import Model
from minicnn.sequential import Sequential

CLASSES: dict[str, type[Model]] = {"Sequential": Sequential, "Model": Model}  # the only names that a file may give


def load_model(path: str | Path) -> Model:
    """The ``Sequential`` or ``Model`` that ``save`` wrote. Raises LoadError, naming the file and the reason."""
    name = read_metadata(path).get("class_name")
    return CLASSES.get(str(name), Model).load(path)  # which refuses what it is not
