"""Is minicnn right, layer by layer? Same weights, same input, same upstream gradient; both sides against a referee.

For every layer four computations run, and each answers to the referee R, the first of them:

    minicnn in float64      R: the truth, up to rounding far below float32's
    Keras in float64        is it wrong? Nothing but rounding may separate it from R
    minicnn in float32      is it rounded well? The rule in tolerance.py compares its error ...
    Keras in float32        ... with this one

compared are the output y, the gradient dx of the input, the gradient of every parameter, and the moving statistics
after a training step. Upstream gradients are random: ones would hide transposed indices. A network is walked once
from front to back, one layer at a time, so that of VGG-Face's weights only one layer's exist in four copies.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numba
import numpy as np

from minicnn.errors import DtypeError, OptionError, explain
from minicnn.layers import Layer, Softmax
from minicnn.layers.base import Tensors
from minicnn.model import Model
from reference_keras.reports import ArrayReport, LayerReport, NetworkReport, ParityReport
from reference_keras.sides import Arrays, in_dtype, keras_layer_with_weights, run_keras, run_minicnn
from reference_keras.timing import tensorflow_threads, time_layer
from reference_keras.tolerance import LARGE_TILES, float64_limit, layer_limit, max_error, network_limit, rms
from reference_keras.ulps import ulp_report


@dataclass(frozen=True)
class Walk:
    """Where three walks through a network have arrived: the activations of each side, carried from layer to layer.

    In front of a layer that merges, each side has a list of them.
    """

    ours: Tensors
    keras: Tensors
    referee: Tensors

    @classmethod
    def at(cls, x: Tensors) -> Walk:
        """All three at the beginning."""
        return cls(x, x, _each(x, lambda part: part.astype(np.float64)))

    @classmethod
    def meeting(cls, walks: list[Walk]) -> Walk:
        """Several ways that a layer merges."""
        return cls([w.ours for w in walks], [w.keras for w in walks], [w.referee for w in walks])


def compare_layer(
    layer: Layer, x: Tensors, *, backward: bool = True, training: bool = False, ulps: bool = False, seed: int = 0
) -> LayerReport:
    """Compare one layer with its Keras twin on the batch ``x`` (N, ...), float32; a list of them if it merges.

    A layer that is not built yet is built for x, with random numbers in *every* parameter: zero biases would hide a
    forgotten one. ``training`` lets BatchNormalization use the batch's statistics; Dropout then needs rate 0, because
    the two sides draw different masks. ``ulps`` counts the errors element by element too. Raises DtypeError and
    OptionError; a disagreement is not raised but reported.
    """
    _require_float32(x, "x")
    rng = np.random.default_rng(seed)
    if not layer.built:
        layer.build(_each(x, lambda part: part.shape[1:]), rng)
        _randomize(layer, rng)
    return _compare(layer, x, rng, backward=backward, training=training, ulps=ulps)[0]


def compare_layers(
    model: Model,
    x: Tensors,
    *,
    backward: bool = True,
    training: bool = False,
    timing: bool = False,
    ulps: bool = False,
    seed: int = 0,
) -> ParityReport:
    """Compare every layer of ``model`` (float32) on the batch ``x``, and the (first) output of the whole network.

    Each layer gets as input what minicnn's layers before it made of x. ``timing`` measures both sides' layers too
    (see ``timing.time_layer``). The network as a whole is judged by its scores: if it ends in a Softmax, by what goes
    in there. Probabilities depend on few numbers, and the rounding of few numbers is a throw of dice.
    Memory: the model, and about five float64 copies of its largest layer (VGG-Face at batch 1: 8 GB in all). Options
    and errors otherwise as in ``compare_layer``.
    """
    if model.dtype != np.float32:
        raise DtypeError(explain("a float32 model", str(model.dtype), "Use model.astype('float32')."))
    model.require_built()
    _require_float32(x, "x")
    rng = np.random.default_rng(seed)
    graph, reports, judged = model.graph, [], _judged(model)
    walks = {value: Walk.at(part) for value, part in enumerate(x if isinstance(x, list) else [x])}
    readers = graph.readers + Counter([judged])
    options = {"backward": backward, "training": training, "timing": timing, "ulps": ulps}
    for place, (layer, sources) in enumerate(graph.nodes):
        walk = Walk.meeting([walks[source] for source in sources]) if layer.merges else walks[sources[0]]
        report, walk = _compare(layer, walk.ours, rng, walk=walk, **options)
        reports.append(report)
        walks[graph.inputs + place] = walk
        readers.subtract(sources)
        walks = {value: walk for value, walk in walks.items() if readers[value] > 0}
    large_tiles = any(report.algorithm in LARGE_TILES for report in reports)
    return ParityReport(
        model=model.name,
        batch=len(x[0] if isinstance(x, list) else x),
        input_shape=model.shapes[0],
        backward=backward,
        training=training,
        threads={"minicnn": numba.get_num_threads(), "tensorflow": tensorflow_threads()},
        layers=tuple(reports),
        network=_compare_scores(walks[judged], large_tiles),
    )


def _judged(model: Model) -> int:
    """The value that the network is judged by: its first output, or what goes into the softmax that makes it."""
    graph = model.graph
    value = graph.outputs[0]
    maker = graph.nodes[value - graph.inputs] if value >= graph.inputs else None
    return maker.sources[0] if maker and isinstance(maker.layer, Softmax) else value


def _compare(
    layer: Layer,
    x: Tensors,
    rng: np.random.Generator,
    *,
    backward: bool,
    training: bool,
    timing: bool = False,
    ulps: bool = False,
    walk: Walk | None = None,
) -> tuple[LayerReport, Walk]:
    """One layer: its report, and where the walks stand behind it. At any time only one Keras layer exists."""
    _require_no_chance(layer, training)
    walk = walk or Walk.at(x)
    shape: Any = _each(x, lambda part: part.shape[1:])
    batch = len(x[0] if layer.merges else x)
    dy = rng.standard_normal((batch, *layer.output_shape(shape)), dtype=np.float32) if backward else None
    x64, dy64 = Walk.at(x).referee, None if dy is None else dy.astype(np.float64)

    referee = run_minicnn(in_dtype(layer, np.float64), x64, dy64, training)
    float64 = _errors(run_keras(keras_layer_with_weights(layer, np.float64), x64, dy64, training), referee)
    found = run_minicnn(layer, x, dy, training)
    y, ours = found["y"], _errors(found, referee)
    twin = keras_layer_with_weights(layer, np.float32)
    theirs = run_keras(twin, x, dy, training)
    keras = _errors(theirs, referee)
    both = found.keys() & theirs.keys() if ulps else ()
    counted = {name: ulp_report(found[name], theirs[name], referee[name]) for name in both}
    del found, theirs
    times = time_layer(layer, twin, x, dy, training) if timing else None
    del twin

    algorithm = layer.algorithm_used() if hasattr(layer, "algorithm_used") else None
    words = [option for key, option in layer.config().items() if key != "name" and isinstance(option, str)]
    arrays = tuple(
        ArrayReport(
            name=name,
            shape=array.shape,
            ours=ours[name],
            keras=keras[name],
            limit=layer_limit(keras[name], algorithm),
            float64=float64[name],
            float64_limit=float64_limit(type(layer).__name__, *words),
            ulps=counted.get(name),
        )
        for name, array in referee.items()
    )
    report = LayerReport(
        name=layer.name,
        kind=type(layer).__name__,
        input_shape=shape,
        output_shape=y.shape[1:],
        parameters=layer.count_params(),
        algorithm=algorithm,
        arrays=arrays,
        times=times,
    )
    del referee
    return report, Walk(
        ours=y,
        keras=run_keras(keras_layer_with_weights(layer, np.float32), walk.keras, None, training)["y"],
        referee=run_minicnn(in_dtype(layer, np.float64), walk.referee, None, training)["y"],
    )


def _errors(found: Arrays, referee: Arrays) -> dict[str, float]:
    """How far each array is from the referee's; inf for one that is not there."""
    return {name: max_error(found[name], array) if name in found else math.inf for name, array in referee.items()}


def _compare_scores(walk: Walk, large_tiles: bool) -> NetworkReport:
    referee = walk.referee.reshape(len(walk.referee), -1)  # (N, ...) -> (N, K)
    ours, keras = walk.ours.reshape(referee.shape), walk.keras.reshape(referee.shape)
    keras_rms = rms(keras - referee)
    decided = np.zeros(len(referee), dtype=bool)
    if referee.shape[1] > 1:
        top = np.sort(referee, axis=1)
        decided = top[:, -1] - top[:, -2] > 10 * np.abs(keras - referee).max(axis=1)
    agreeing = decided & (ours.argmax(axis=1) == keras.argmax(axis=1))
    return NetworkReport(
        ours_rms=rms(ours - referee),
        keras_rms=keras_rms,
        limit=network_limit(keras_rms, rms(referee), large_tiles=large_tiles),
        decided=int(decided.sum()),
        agreeing=int(agreeing.sum()),
    )


def _randomize(layer: Layer, rng: np.random.Generator) -> None:
    """Give a new layer the weights of one that has learned: nothing exactly 0 or 1, variances positive."""
    for arrays in (layer.params, layer.state):
        for name, array in arrays.items():
            if np.all(array == 0):
                array[...] = rng.normal(scale=0.5, size=array.shape)
            elif np.all(array == 1):
                array[...] = rng.uniform(0.5, 1.5, size=array.shape)
            assert name != "moving_variance" or array.min() > 0


def _each(x: Any, change: Callable[[Any], Any]) -> Any:
    """``change`` of an array, or of every array in a list."""
    return [change(part) for part in x] if isinstance(x, list) else change(x)


def _require_float32(x: Any, name: str) -> None:
    if isinstance(x, list) and x and isinstance(x[0], np.ndarray):
        for part in x:
            _require_float32(part, name)
        return
    if not isinstance(x, np.ndarray) or x.dtype != np.float32:
        received = str(x.dtype) if isinstance(x, np.ndarray) else type(x).__name__
        fix = "The referee is float64; what is judged is float32."
        raise DtypeError(explain(f"{name} as a float32 array", received, fix))


def _require_no_chance(layer: Layer, training: bool) -> None:
    rate = getattr(layer, "rate", 0.0)
    if training and rate > 0:
        fix = "The two sides draw different masks: compare with dropout=0, or with training=False."
        raise OptionError(explain(f"rate 0 for '{layer.name}' when training is compared", f"rate {rate}", fix))
