"""Seeing inside a network: what its layers make of a picture, where each number comes from, and what a gradient says.

In reading order: ``trace`` keeps everything that one pass computes; ``explain`` takes one of these numbers apart, down
to every product; ``explain_gradient`` does the same for the way back.
"""

from minicnn.study.costs import LayerCost, layer_costs, machine_limits
from minicnn.study.explaining import (
    activation_after,
    explain,
    explain_gradient,
    explain_gradient_in,
    explain_in,
    explain_loss_in,
    explain_scores_gradient_in,
)
from minicnn.study.explanation import Explanation, Factor, Number, Step, Term, Terms
from minicnn.study.receptive_field import ReceptiveField, receptive_field
from minicnn.study.trace import Trace, activations, gradients, one_hot, trace

__all__ = [
    "Explanation",
    "Factor",
    "LayerCost",
    "Number",
    "ReceptiveField",
    "Step",
    "Term",
    "Terms",
    "Trace",
    "activation_after",
    "activations",
    "explain",
    "explain_gradient",
    "explain_gradient_in",
    "explain_in",
    "explain_loss_in",
    "explain_scores_gradient_in",
    "gradients",
    "layer_costs",
    "machine_limits",
    "one_hot",
    "receptive_field",
    "trace",
]
