"""Every layer's explanations against the layer: each adds up to the number that the layer itself computed."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pytest

from minicnn.layers import LAYERS, Input, Layer
from minicnn.layers.base import INFERENCE, Context
from minicnn.model import Model
from minicnn.sequential import Sequential
from minicnn.shapes import Shape
from minicnn.study import Explanation, Trace, explain_gradient_in, explain_in, trace
from minicnn.study.receptive_field import SEEN
from minicnn.study.rules import RULES
from tests.cases import CASES, Case

POSITIONS = 1000  # per kind of layer, direction and array, divided among the rows of that kind
ROUNDING = 64 * np.finfo(np.float64).eps
ROWS = Counter(type(case.layer()) for case in CASES)
TRAINING = Context(training=True, seed=3)


def traced(case: Case, context: Context, rng: np.random.Generator) -> tuple[Trace, Layer]:
    """Both passes through the layer alone, in float64 and with a random upstream gradient."""
    layer, x = case.built(np.float64), case.x(np.float64)
    if layer.merges:
        inputs = [Input(shape) for shape in case.shape]
        model: Model = Model(inputs, layer(inputs), dtype="float64")
        x = x[0] if len(x) == 1 else x
    else:
        model = Sequential([layer], input_shape=case.shape, dtype="float64")
    forward = trace(model, x, context=context)
    return forward.backward(rng.standard_normal(forward.output.shape)), layer


def contexts(layer: Layer) -> list[Context]:
    return [INFERENCE, TRAINING] if layer.acts_differently_in_training else [INFERENCE]


def drawn(shape: Shape, rng: np.random.Generator) -> list[int]:
    return [int(rng.integers(size)) for size in shape]


def assert_adds_up(explanation: Explanation) -> None:
    """Its own total is the network's number, but for rounding: errors are judged by what was added up."""
    parts = [abs(step.value) for step in explanation.steps] + [abs(explanation.value)]
    size = max(max(parts), sum(float(np.abs(group.products).sum()) for group in explanation.groups))
    assert abs(explanation.total - explanation.value) <= ROUNDING * size, f"\n{explanation}"


def test_every_layer_has_a_rule_and_says_what_it_sees() -> None:
    assert set(RULES) == set(LAYERS.values()) == set(SEEN)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_outputs_and_gradients_add_up(case: Case, rng: np.random.Generator) -> None:
    ways = contexts(case.layer())
    each = -(-POSITIONS // (ROWS[type(case.layer())] * len(ways)))  # rounded up
    for context in ways:
        both, layer = traced(case, context, rng)
        name = layer.name
        for _ in range(each):
            sample, *index = drawn(both.output.shape, rng)
            assert_adds_up(explain_in(both, name, index, sample=sample))
            for source, read in enumerate(both.use(name).xs):
                sample, *index = drawn(read.shape, rng)
                assert_adds_up(explain_gradient_in(both, name, index, source=source, sample=sample))
            for key, array in layer.params.items():
                assert_adds_up(explain_gradient_in(both, name, drawn(array.shape, rng), of=key))


def slopes(explanation: Explanation, of: str) -> dict[tuple[int, ...], float]:
    """The weight of each entry of the array ``of`` in the sum: all factors but that one, added up over its terms."""
    found: dict[tuple[int, ...], float] = Counter()  # type: ignore[assignment]
    for term in explanation.terms:
        (own,) = (factor for factor in term.factors if factor.of == of)
        found[own.position] += float(np.prod([factor.value for factor in term.factors if factor is not own]))
    return found


LINEAR = [
    case
    for case in CASES
    if "Conv2D" in case.id
    or case.id.split("(")[0] in ("Dense", "AveragePooling2D", "UpSampling2D", "ZeroPadding2D", "Permute")
]


@pytest.mark.parametrize("case", LINEAR[::7], ids=lambda case: case.id)
def test_forward_and_backward_know_the_same_weights(case: Case, rng: np.random.Generator) -> None:
    """In a linear layer, x has the same weight in y as dy has in dx: what one direction leaves out, the other would
    have to leave out as well."""
    both, layer = traced(case, INFERENCE, rng)
    (source,) = both.use(layer.name).reads
    for _ in range(20):
        sample, *index = drawn(both.output.shape, rng)
        forward = slopes(explain_in(both, layer.name, index, sample=sample), source)
        if not forward:  # in the frame of a padding
            continue
        x_place = list(forward)[int(rng.integers(len(forward)))]
        back = slopes(explain_gradient_in(both, layer.name, x_place[1:], sample=sample), f"d {layer.name}")
        assert back[(sample, *index)] == pytest.approx(forward[x_place], rel=1e-12)


def test_terms_name_the_places_they_were_read_from(rng: np.random.Generator) -> None:
    """Every factor with positions is found there, in the array that it names."""
    cases: dict[type[Layer], Case] = {}
    for case in CASES:
        cases.setdefault(type(case.layer()), case)
    for case in cases.values():
        both, layer = traced(case, INFERENCE, rng)
        arrays: dict[str, Any] = dict(zip(both.names, both.values, strict=True))
        arrays |= {f"d {name}": both.dvalues[value] for value, name in enumerate(both.names)}
        arrays |= {f"{layer.name}/{key}": array for key, array in (layer.params | layer.state).items()}
        sample, *index = drawn(both.output.shape, rng)
        x_sample, *x_index = drawn(both.values[0].shape, rng)
        explanations = [explain_in(both, layer.name, index, sample=sample)]
        explanations += [explain_gradient_in(both, layer.name, x_index, sample=x_sample)]
        explanations += [
            explain_gradient_in(both, layer.name, drawn(a.shape, rng), of=k) for k, a in layer.params.items()
        ]
        for term in (term for explanation in explanations for term in explanation.terms):
            for factor in term.factors:
                assert not factor.of or arrays[factor.of][factor.position] == factor.value
