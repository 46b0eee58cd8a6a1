"""The gallery as a file: what every training face looks like to the network, and where its crop lies.

gallery.npz      embeddings (M, D) float32, labels (M,) int64, and in metadata.json the crops' paths
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from minicnn.errors import LoadError, MinicnnError, OptionError, explain
from minicnn.io.npz import read_arrays, write_arrays
from minicnn.recognition.identify import Gallery
from minicnn.shapes import Array

FORMAT, VERSION = "minicnn gallery", 1


def save_gallery(path: str | Path, gallery: Gallery, paths: Sequence[str]) -> None:
    """Write the gallery; ``paths`` says where each face's crop lies in the dataset. Atomic."""
    if len(paths) != len(gallery.labels):
        raise OptionError(explain(f"{len(gallery.labels)} paths, one per face", f"{len(paths)}"))
    arrays: dict[str, Array] = {
        "embeddings": np.asarray(gallery.embeddings, np.float32),
        "labels": np.asarray(gallery.labels, np.int64),
    }
    write_arrays(path, arrays, {"format": FORMAT, "version": VERSION, "paths": list(paths)})


def load_gallery(path: str | Path, classes: int) -> tuple[Gallery, tuple[str, ...]]:
    """(gallery, paths) for a run of ``classes`` people. Raises LoadError, naming the file and the reason."""
    arrays, metadata = read_arrays(path)
    try:
        if (metadata["format"], metadata["version"]) != (FORMAT, VERSION):
            raise ValueError(f"not a {FORMAT} of version {VERSION}")
        gallery, paths = Gallery(arrays["embeddings"], arrays["labels"]), tuple(map(str, metadata["paths"]))
        if len(paths) != len(gallery.labels) or gallery.labels.max() >= classes:
            raise ValueError("its paths or labels are not those of this run")
    except (LookupError, TypeError, ValueError, MinicnnError) as error:
        raise LoadError(f"Cannot load '{path}': {error}.") from error
    return gallery, paths
