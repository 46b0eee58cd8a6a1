"""How long a layer takes on both sides, measured fairly.

Both are warmed up first (minicnn compiles with Numba, Keras is traced into a ``tf.function``: each at its best), then
they run turn by turn, so that whatever else the machine does hits both alike, and the median counts. Each side uses
the threads it has: ``numba.set_num_threads`` and ``tf.config.threading`` before its first use decide.
"""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable
from typing import Any

from minicnn.layers.base import Context, Layer, Tensors
from minicnn.shapes import Array
from reference_keras.backend import load_tensorflow
from reference_keras.reports import LayerTimes
from reference_keras.sides import tensors


def time_layer(
    layer: Layer, twin: Any, x: Tensors, dy: Array | None, training: bool = False, repeats: int = 5
) -> LayerTimes:
    """Median times of a layer and of its Keras twin: forward, and with ``dy`` forward and backward together."""
    tensorflow = load_tensorflow()
    context = Context(training=training)
    inputs = tensors(x)
    forward = tensorflow.function(lambda batch: twin(batch, training=training))
    ours, keras = _medians(lambda: layer.forward(x, context), lambda: forward(inputs).numpy(), repeats)
    if dy is None:
        return LayerTimes(ours, keras)

    def keras_step(batch: Any, upstream: Any) -> Any:
        with tensorflow.GradientTape() as tape:
            tape.watch(batch)
            y = twin(batch, training=training)
        sources = [batch, *(variable.value for variable in twin.trainable_variables)]
        return tape.gradient(y, sources, output_gradients=upstream, unconnected_gradients="zero")

    def our_step() -> None:
        _, cache = layer.forward(x, context)
        layer.backward(dy, cache)

    step, upstream = tensorflow.function(keras_step), tensorflow.constant(dy)
    flatten = tensorflow.nest.flatten
    return LayerTimes(ours, keras, *_medians(our_step, lambda: flatten(step(inputs, upstream))[0].numpy(), repeats))


def tensorflow_threads() -> int:
    """Threads TensorFlow divides one operation over: its setting, its environment variable, or else every core."""
    chosen: int = load_tensorflow().config.threading.get_intra_op_parallelism_threads()
    variable = os.environ.get("TF_NUM_INTRAOP_THREADS", "")
    return chosen or (int(variable) if variable.isdecimal() else 0) or os.cpu_count() or 1


def _medians(ours: Callable[[], object], keras: Callable[[], object], repeats: int) -> tuple[float, float]:
    ours(), keras()  # compile, trace, fill the caches
    pairs = [(_seconds(ours), _seconds(keras)) for _ in range(repeats)]
    return statistics.median(pair[0] for pair in pairs), statistics.median(pair[1] for pair in pairs)


def _seconds(call: Callable[[], object]) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start
