"""Which network is trained: by name, from somebody's own file, with weights from an earlier training.

    softmax    ... -> flatten -> one score per person            the embedding is what the last dense layer is given
    triplet    ... -> flatten -> embedding (D) -> length 1       the embedding is what comes out

Every network ends in scores (logits) or in points on the unit sphere, never in a softmax layer: see "logits" in
docs/architecture.md.
"""

from __future__ import annotations

import fnmatch
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from minicnn.errors import OptionError, ShapeError, did_you_mean, explain
from minicnn.layers import Dense, Softmax, UnitNormalization
from minicnn.model import Model
from minicnn.models import face_cnn, residual_cnn, vgg_face
from minicnn.saving import load_model
from minicnn.shapes import Shape
from minicnn.user_code import call, load_function, locate

NETWORKS: dict[str, Callable[..., Model]] = {"face-cnn": face_cnn, "residual-cnn": residual_cnn, "vgg-face": vgg_face}
EMBEDDING, UNIT = "embedding", "unit"  # names of the two last layers of a triplet network


def make_network(
    name: str, input_shape: Shape, classes: int, *, objective: str, dimensions: int, dropout: float, seed: int
) -> Model:
    """The network to train, its initial weights from ``seed``. Raises OptionError, ShapeError or LoadError.

    ``name`` is one of NETWORKS or FILE.py:function. The function is called with (input_shape, classes), and returns
    a Model that ends in one score per class; running somebody's file is running their program. ``dropout`` is
    for the named networks. For the objective triplet the last dense layer, which knows classes, gives way to one of
    ``dimensions`` numbers and to UnitNormalization.
    """
    check_name(name)
    if name in NETWORKS:
        model = NETWORKS[name](input_shape, classes, softmax=False, dropout=dropout, seed=seed)
    else:
        model = call(load_function(name), name, input_shape=input_shape, classes=classes)
        _check(model, name, input_shape, classes)
        model = _anew(model, seed)
    if objective == "softmax":
        return model
    tensors, scores = model.symbols(), model.graph.nodes[_last_dense(model)]
    unit = UnitNormalization(name=UNIT)(Dense(dimensions, name=EMBEDDING)(tensors[scores.sources[0]]))
    return Model(tensors[0], unit, name=model.name, dtype=str(model.dtype), seed=seed)


def check_name(name: str) -> None:
    """Raise OptionError for a network that there is not, LoadError for a file that there is not. Nothing is made."""
    if ":" in name:
        locate(name)
    elif name not in NETWORKS:
        expected = f"a network: {', '.join(NETWORKS)} or FILE.py:function"
        raise OptionError(explain(expected, repr(name), did_you_mean(name, NETWORKS)))


def embedding_layer(model: Model, objective: str) -> str:
    """The layer that describes a face: the last one, or the one before the scores. Raises OptionError."""
    if objective == "triplet":
        return model.path[-1].name
    (before,) = model.graph.nodes[_last_dense(model)].sources
    if before < model.graph.inputs:
        raise OptionError(explain("a network with a layer before its last dense one", f"'{model.name}'"))
    return model.path[before - model.graph.inputs].name


def start_from(model: Model, path: str | Path) -> tuple[list[str], list[str]]:
    """Copy the weights of a file that ``Model.save`` wrote, wherever name and shape agree: (taken, left as they were).

    The last layer of a network that knew other people does not fit, and stays new. Raises LoadError for a damaged
    file, ShapeError where nothing fits.
    """
    given = load_model(path).weights
    own = model.weights
    taken = [address for address in own if address in given and given[address].shape == own[address].shape]
    if not taken:
        fix = f"This network has {', '.join(list(own)[:4])}, ..."
        raise ShapeError(explain(f"weights in '{path}' that fit '{model.name}'", f"{', '.join(list(given)[:4])}", fix))
    for address in taken:
        own[address][...] = given[address]
    return taken, [address for address in own if address not in taken]


def freeze(model: Model, patterns: Sequence[str]) -> list[str]:
    """Stop training the layers with these names (``conv*`` is a pattern); returns their names.

    Raises OptionError for a name that no layer has, and when nothing is left to train.
    """
    names = [layer.name for layer in model.layers]
    for pattern in patterns:
        if not fnmatch.filter(names, pattern):
            raise OptionError(explain(f"layers to freeze among {', '.join(names)}", repr(pattern)))
    frozen = [name for name in names if any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns)]
    for layer in model.layers:
        if layer.name in frozen:
            layer.trainable = False
    if not model.trainable:
        raise OptionError(explain("at least one layer with weights that is not frozen", ", ".join(patterns)))
    return frozen


def _last_dense(model: Model) -> int:
    places = [place for place, layer in enumerate(model.path) if isinstance(layer, Dense)]
    if not places:
        fix = "The last dense layer gives the scores; what it is given describes a face."
        raise OptionError(explain(f"a network with a dense layer, '{model.name}'", "none", fix))
    return places[-1]


def _anew(model: Model, seed: int) -> Model:
    """The same network, not built before, with initial weights from ``seed``."""
    fresh = type(model).from_config(model.config() | {"seed": seed})
    fresh.build(model.input_shape)
    return fresh


def _check(model: Any, name: str, input_shape: Shape, classes: int) -> None:
    """Is what somebody's function returned a network that can be trained? The first reason that speaks against it."""
    fix = "End in Dense(classes), without a softmax: training takes the loss from the scores."
    if not isinstance(model, Model):
        kind = type(model)
        received = kind.__name__ if kind.__module__ == "builtins" else f"a {kind.__module__}.{kind.__qualname__}"
        raise OptionError(explain(f"{name} to return a minicnn Model or Sequential", received, fix))
    if model.input_shape is None:
        example = "Sequential(layers, input_shape=input_shape)"
        received = "one that is not built, and knows no shapes"
        raise OptionError(explain(f"{name} to return a built network", received, f"For example {example}."))
    if model.input_shape != tuple(input_shape):
        mend = "Make it for the input_shape that the function is given."
        raise ShapeError(explain(f"{name} to return a network for {input_shape}", f"{model.input_shape}", mend))
    if model.output_shape != (classes,):
        expected = f"{name} to return a network with one score for each of {classes} people, ({classes},)"
        raise ShapeError(explain(expected, f"{model.output_shape}", fix))
    if isinstance(model.path[-1], Softmax):
        raise OptionError(explain(f"{name} to return a network that ends in scores", "a softmax at its end", fix))
