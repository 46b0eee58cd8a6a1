"""Compile everything now, instead of when it is first needed.

A compiled function is compiled anew for each combination of argument types it meets, and which combinations there are
is decided by the layers that call it. So nothing is listed here but layers and networks: they are run, forward and
backward, as they are run in earnest, and whatever they need is compiled on the way, or found on disk. The networks
run at their real sizes, because sizes decide which algorithms are taken; the other layers at small ones.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import NamedTuple

import numpy as np

from minicnn import layers, losses, optimizers
from minicnn.layers import INFERENCE, Context, Conv2D, Dense, DepthwiseConv2D, Layer
from minicnn.layers.activations import ACTIVATIONS
from minicnn.layers.base import Shapes, Tensors
from minicnn.model import Model
from minicnn.models import face_cnn, residual_cnn, vgg_face
from minicnn.ops import jit_cache
from minicnn.ops.apart import BETWEEN
from minicnn.ops.conv2d import ALGORITHMS
from minicnn.sequential import Sequential
from minicnn.shapes import Array, Shape, Window

PICTURES = (1, 20)  # one, and as many as a training step takes: few and many may go different ways


class Step(NamedTuple):
    """One thing to run."""

    title: str
    run: Callable[[], object]


class Warmed(NamedTuple):
    """What came of a step. ``missing``: the first function that would have to be compiled, when only asked."""

    title: str
    compiled: int
    loaded: int
    seconds: float
    missing: str | None = None


def steps(dtype: str = "float32") -> list[Step]:
    """Everything that ``warm_up`` runs: the networks, every layer, every loss, every optimiser."""
    networks = (
        Step("face_cnn, prediction", lambda: _predict(face_cnn(dtype=dtype), dtype)),
        Step("face_cnn, training", lambda: _train(face_cnn(dtype=dtype), dtype)),
        Step("residual_cnn, prediction", lambda: _predict(residual_cnn(dtype=dtype), dtype)),
        Step("residual_cnn, training", lambda: _train(residual_cnn(dtype=dtype), dtype)),
        Step("vgg_face, prediction", lambda: _predict(_vgg_face(dtype), dtype, pictures=(1,))),
        Step("a small network, prediction", lambda: _predict(_small(dtype), dtype)),
        Step("vgg_face, training", lambda: _train(_vgg_face(dtype), dtype, pictures=1)),
    )
    kinds = sorted({type(layer).__name__ for layer, _ in _layers()})
    return [
        *networks,
        *(Step(kind, partial(_run_layers, kind, dtype)) for kind in kinds),
        Step("losses and optimisers", partial(_run_losses_and_optimizers, dtype)),
    ]


def warm_up(dtype: str = "float32", *, only_ask: bool = False) -> Iterator[Warmed]:
    """Run the steps one after the other. ``only_ask`` compiles nothing and says what is missing."""
    for title, run in steps(dtype):
        before, start, missing = jit_cache.counts.copy(), time.perf_counter(), None
        if only_ask:
            try:
                with jit_cache.only_load():
                    run()
            except jit_cache.NotKept as answer:
                missing = str(answer)
        else:
            run()
        done = {key: jit_cache.counts[key] - before[key] for key in ("compiled", "loaded")}
        yield Warmed(title, **done, seconds=time.perf_counter() - start, missing=missing)


# -- networks ---------------------------------------------------------------------------------------------------------


def _vgg_face(dtype: str) -> Model:
    """All convolutions at full size. The dense layers would need half a gigabyte; ``Dense`` has a step of its own."""
    return vgg_face(include_top=False, dtype=dtype)


def _small(dtype: str) -> Model:
    """So small that one core alone asks whether anything has changed."""
    rows = [layers.Conv2D(4, 3), layers.BatchNormalization(), layers.Flatten(), Dense(2), layers.Softmax()]
    return Sequential(rows, input_shape=(5, 5, 2), dtype=dtype)


def _pictures(shape: Shape, dtype: str) -> Array:
    return np.random.default_rng(0).random(shape).astype(dtype)


def _predict(model: Model, dtype: str, pictures: tuple[int, ...] = PICTURES) -> None:
    for N in pictures:
        x = _pictures((N, *(model.input_shape or ())), dtype)
        model(x)
        x.flags.writeable = False  # as arrays of other libraries often are: another type to Numba
        model(x)
        time.sleep(BETWEEN)
        model(x)  # the first one with a plan, which asks whether anything has changed, and where threads are


def _train(model: Model, dtype: str, pictures: int = max(PICTURES)) -> None:
    model.compile("sgd", "mean_squared_error")
    x = _pictures((pictures, *(model.input_shape or ())), dtype)
    model.train_on_batch(x, np.zeros((pictures, *model.output_shape), dtype))


# -- layers -----------------------------------------------------------------------------------------------------------


def _for_3x3() -> list[str]:
    """Algorithms that compute with a 3x3 kernel, but for the loops, which are not compiled."""
    window = Window.of((3, 3))
    able = [name for name, own in ALGORITHMS.items() if own.unsupported((3, 3, 32, 64), window, 1) is None]
    return [name for name in able if name != "loops"]


def _layers() -> list[tuple[Layer, Shapes]]:
    """Each layer in the ways that may go to different loops, and the shape of one sample for it."""
    picture = (13, 12, 32)
    found: list[tuple[Layer, Shapes]] = [
        *((Conv2D(64, 3, padding="same", algorithm=name), picture) for name in _for_3x3()),
        *((Conv2D(64, size, padding=padding), picture) for size in (1, 3, 5, 7) for padding in ("valid", "same")),
        *((Conv2D(64, size, strides=2, padding="same"), picture) for size in (1, 3, 5, 7)),
        *((Conv2D(filters, 3, padding="same", use_bias=False), (13, 12, C)) for C, filters in ((1, 16), (3, 64))),
        (Conv2D(64, 3, dilation_rate=2), picture),
        (Conv2D(64, 3, groups=2), picture),
        *((DepthwiseConv2D(3, strides=strides, padding="same"), picture) for strides in (1, 2)),
        (DepthwiseConv2D(5, depth_multiplier=2), picture),
        (layers.SeparableConv2D(64, 3, padding="same"), picture),
        *((layers.Conv2DTranspose(32, 3, strides=strides, padding="same"), picture) for strides in (1, 2)),
        *((layers.UpSampling2D(interpolation=name), picture) for name in ("nearest", "bilinear")),
        (layers.ZeroPadding2D(), picture),
        *((pooling(size), picture) for pooling in (layers.MaxPooling2D, layers.AveragePooling2D) for size in (2, 3)),
        (layers.MaxPooling2D(3, strides=2, padding="same"), picture),
        (layers.AveragePooling2D(3, strides=2, padding="same"), picture),
        (layers.GlobalMaxPooling2D(), picture),
        (layers.GlobalAveragePooling2D(), picture),
        (layers.Flatten(), picture),
        (layers.Reshape((-1, 32)), picture),
        (layers.Permute((2, 1, 3)), picture),
        *((layers.Activation(name), picture) for name in ACTIVATIONS),
    ]
    everywhere = (
        *(layers.ReLU, layers.LeakyReLU, layers.ELU, layers.Sigmoid, layers.Tanh, layers.Softmax),
        *(layers.BatchNormalization, layers.LayerNormalization, layers.UnitNormalization, lambda: layers.Dropout(0.5)),
    )
    found += [(make(), shape) for make in everywhere for shape in (picture, (130,))]
    found += [(make(), [picture] * 2) for make in (layers.Add, layers.Multiply, layers.Concatenate)]
    found += [(Dense(units, use_bias=bias), (130,)) for units in (1, 64) for bias in (True, False)]
    return [*found, (Dense(64), picture)]


def _run_layers(kind: str, dtype: str) -> None:
    for layer, shape in _layers():
        if type(layer).__name__ == kind:
            layer.build(shape, np.random.default_rng(0), dtype)
            for N in PICTURES:
                several = [_pictures((N, *each), dtype) for each in (shape if layer.merges else [shape])]
                _run_layer(layer, several if layer.merges else several[0])


def _run_layer(layer: Layer, x: Tensors) -> None:
    for context in (INFERENCE, Context(training=True)):
        y, cache = layer.forward(x, context)
        if context.training:
            layer.next_state(cache)
        for input_gradient in (True, False):
            layer.backward(np.ones_like(y), cache, input_gradient=input_gradient)
    for array in x if layer.merges else [x]:
        array.flags.writeable = False
    layer(x)


def _run_losses_and_optimizers(dtype: str) -> None:
    N, classes = 20, 10
    x, hot = _pictures((N, 130), dtype), np.eye(classes, dtype=dtype)[np.arange(N) % classes]
    for loss in (losses.MeanSquaredError(), losses.CategoricalCrossentropy(), losses.BinaryCrossentropy()):
        for name in ("sgd", "rmsprop", "adagrad", "adam", "adamw"):
            model = Sequential([Dense(classes), layers.Sigmoid()], input_shape=(130,), dtype=dtype)
            model.compile(optimizers.get(name), loss)
            model.train_on_batch(x, hot)
    for sparse in (True, False):
        model = Sequential([Dense(classes)], input_shape=(130,), dtype=dtype)
        kind = losses.SparseCategoricalCrossentropy if sparse else losses.CategoricalCrossentropy
        model.compile(optimizers.SGD(momentum=0.9, nesterov=True), kind(from_logits=True))
        model.train_on_batch(x, np.arange(N) % classes if sparse else hot)
