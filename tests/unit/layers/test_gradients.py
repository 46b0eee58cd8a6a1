"""Every backward pass is the derivative of its forward pass, for every row of the table of cases."""

from __future__ import annotations

import numpy as np
import pytest

from minicnn.gradcheck import check_layer_gradient
from minicnn.layers import INFERENCE, Context
from tests.cases import CASES, Case


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_backward_is_the_derivative_of_forward(case: Case) -> None:
    layer, x = case.built(np.float64), case.x(np.float64)
    for training in (False, True) if layer.acts_differently_in_training else (False,):
        context = Context(training=True, seed=1, step=2) if training else INFERENCE
        report = check_layer_gradient(layer, x, context=context, limit=8)
        assert report.passed(1e-6), f"training={training}\n{report}"
        assert report.checked > report.kinks
