"""Which pixels a score depends on: gradients of one output number, raw and refined.

    saliency              max over channels of |dscore/dx|                        Simonyan, Vedaldi and Zisserman 2014
    smooth_grad           the same of the mean gradient over noisy copies of x    Smilkov et al. 2017
    guided_backprop       ReLUs let only positive gradients pass                  Springenberg et al. 2015
    grad_cam              maps of a layer, weighed by their mean gradients        Selvaraju et al. 2017

The score is taken before a final softmax, as in these papers: a probability also rises when others fall, and where a
network is certain its gradient is nearly nothing. All of them are one or more of minicnn's own backward passes.

``index`` is the class that is asked about, for the whole batch; None asks each picture about its own winner. Raises
OptionError for a class that is not there or a network of several inputs or outputs, and what the model raises for x.
"""

from __future__ import annotations

import copy
from collections.abc import Callable

import numpy as np

from minicnn.errors import OptionError, ShapeError, explain
from minicnn.graph import Graph, Node
from minicnn.layers import Layer, ReLU
from minicnn.layers.base import INFERENCE, Params
from minicnn.model import Model
from minicnn.ops.activations import ActivationCache, relu_backward
from minicnn.options import number
from minicnn.passes import backward, every_value
from minicnn.shapes import Array, whole
from minicnn.study.rules.curves import is_relu, is_softmax
from minicnn.study.trace import number_of, one_hot


def scores_of(model: Model) -> Model:
    """The network without the softmax it may end in; it shares its weights."""
    graph = model.graph
    if graph.inputs > 1 or len(graph.outputs) > 1:
        received = f"{graph.inputs} inputs and {len(graph.outputs)} outputs"
        raise OptionError(explain(f"'{model.name}' to have one input and one output", received))
    last = graph.nodes[graph.outputs[0] - graph.inputs]
    if not is_softmax(last.layer) or last.sources[0] < graph.inputs:
        return model
    tensors = model.symbols()
    return Model(tensors[0], tensors[last.sources[0]], name=model.name, dtype=str(model.dtype), seed=model.seed)


def asked(scores: Array, index: int | None) -> Array:
    """dy that asks for the gradient of one score (N, K) of each picture: 1 at ``index``, or at the largest."""
    if scores.ndim != 2:
        raise ShapeError(explain("a network that ends in scores (N, K)", f"an output of shape {scores.shape}"))
    if index is None:
        dy = np.zeros_like(scores)
        np.put_along_axis(dy, scores.argmax(axis=1)[:, None], 1, axis=1)
        return dy
    if whole(index, "index", least=0) >= scores.shape[1]:
        raise OptionError(explain(f"a class from 0 to {scores.shape[1] - 1}", repr(index)))
    return one_hot(scores, index)


def score_gradient(model: Model, x: Array, index: int | None = None) -> Array:
    """dscore/dx (N, H, W, C): how one score changes with each number of each picture."""
    return _asked(scores_of(model), x, index)[1][0]


def saliency(model: Model, x: Array, index: int | None = None) -> Array:
    """(N, H, W): the largest |dscore/dx| of each pixel's channels."""
    return strongest(score_gradient(model, x, index))


def smooth_grad(
    model: Model, x: Array, index: int | None = None, *, samples: int = 25, noise: float = 0.15, seed: int = 0
) -> Array:
    """Saliency (N, H, W) of the mean gradient over ``samples`` copies with noise, which leaves what they agree on.

    The noise is normal, with ``noise`` times the range of each picture as standard deviation. The class is that of the
    picture without noise. Cost: ``samples`` passes both ways.
    """
    whole(samples, "samples")
    number("noise", noise, least=0)
    scoring = scores_of(model)
    graph, dy = frozen(scoring), asked(scoring(x), index)
    rng, total = np.random.default_rng(seed), np.zeros(np.shape(x))
    axes = tuple(range(1, np.ndim(x)))
    scale = noise * (np.max(x, axis=axes, keepdims=True) - np.min(x, axis=axes, keepdims=True))
    for _ in range(samples):
        noisy = x + scale * rng.standard_normal(total.shape)
        total += there_and_back(graph, scoring.as_inputs(noisy), lambda scores: dy)[1][0]
    return strongest(total / samples)


def guided_backprop(model: Model, x: Array, index: int | None = None) -> Array:
    """(N, H, W, C): the gradient in which every ReLU also stops what is negative on its way back.

    What is left are the pixels that push the score up through neurons that were on. No gradient of any function, but
    a sharp picture.
    """
    return _asked(scores_of(model), x, index, _guided)[1][0]


class GuidedReLU(ReLU):
    """A ReLU that lets only positive gradients pass. Not a layer of networks: it exists for ``guided_backprop``."""

    def backward(
        self, dy: Array, cache: ActivationCache, *, input_gradient: bool = True
    ) -> tuple[Array | None, Params]:
        return relu_backward(np.maximum(dy, 0), cache), {}


def _guided(layer: Layer) -> Layer:
    return GuidedReLU(name=layer.name) if is_relu(layer) else _frozen(layer)


def grad_cam(model: Model, x: Array, layer: str, index: int | None = None) -> Array:
    """(N, h, w) in the size of the maps of ``layer``: where it found what speaks for the class.

    Each map is weighed by the mean of its gradient, and the sum is cut off at 0:

        max(sum over k of  A[h, w, k] * (mean over h, w of dscore/dA[h, w, k]), 0)

    Usually ``layer`` is the last with maps, which knows most about what and still something about where. Raises
    OptionError for a layer without maps. ``enlarged`` brings the result to the picture's size.
    """
    scoring = scores_of(model)
    value = number_of(scoring, layer)
    if len(scoring.shapes[value]) != 3:
        fix = "Take a convolution, or what follows it."
        raise OptionError(explain("a layer with maps (H, W, K)", f"'{layer}' with {scoring.shapes[value]}", fix))
    values, dvalues = _asked(scoring, x, index)
    weights = dvalues[value].mean(axis=(1, 2), keepdims=True, dtype=np.float64)
    maps: Array = np.maximum((weights * values[value]).sum(axis=3), 0)
    return maps


def strongest(gradient: Array) -> Array:
    """(N, H, W, C) -> (N, H, W): the largest absolute value of each pixel's channels."""
    largest: Array = np.abs(gradient).max(axis=-1)
    return largest


# -- a pass there and back, without the gradients of weights -----------------------------------------------------------

Passes = tuple[list[Array], dict[int, Array]]  # every value, and the gradient of every value


def there_and_back(graph: Graph, inputs: list[Array], dy_of: Callable[[Array], Array]) -> Passes:
    """Both passes through a graph with one output, whose gradient is ``dy_of`` the output."""
    values, caches = every_value(graph, inputs, INFERENCE)
    dvalues: dict[int, Array] = {}
    (output,) = graph.outputs
    dx, _ = backward(graph, [dy_of(values[output])], caches, input_gradient=True, dvalues=dvalues)
    assert dx is not None
    return values, dvalues | dict(enumerate(dx))


def frozen(model: Model, twin: Callable[[Layer], Layer] | None = None) -> Graph:
    """The network's graph with each layer's ``twin`` (None: itself, frozen, so that its weights' gradients cost
    nothing)."""
    make = twin or _frozen
    return Graph(
        model.graph.inputs, tuple(Node(make(n.layer), n.sources) for n in model.graph.nodes), model.graph.outputs
    )


def _frozen(layer: Layer) -> Layer:
    same = copy.copy(layer)
    same.trainable = False
    return same


def _asked(scoring: Model, x: Array, index: int | None, twin: Callable[[Layer], Layer] | None = None) -> Passes:
    return there_and_back(frozen(scoring, twin), scoring.as_inputs(x), lambda scores: asked(scores, index))
