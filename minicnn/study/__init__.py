"""Seeing inside a network: what its layers make of a picture, where each number comes from, and what a gradient says.

In reading order: ``trace`` keeps everything that one pass computes; ``explain`` takes one of these numbers apart, down
to every product; ``explain_gradient`` does the same for the way back; ``receptive_field`` says what a number can see.
``attribution`` and ``probing`` ask which pixels matter, ``statistics`` how numbers are spread, ``costs`` what each
layer takes, and ``pictures`` makes arrays to look at.
"""

from __future__ import annotations

from minicnn.study.attribution import grad_cam, guided_backprop, saliency, score_gradient, scores_of, smooth_grad
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
from minicnn.study.pictures import (
    activation_grid,
    each_augmentation,
    enlarged,
    filter_grid,
    grey,
    grid,
    matrix,
    stretched,
)
from minicnn.study.probing import Maximised, maximised_activation, occlusion
from minicnn.study.receptive_field import ReceptiveField, receptive_field
from minicnn.study.statistics import Histogram, dead_units, gradient_histograms, histogram, weight_histograms
from minicnn.study.trace import Trace, activations, gradients, one_hot, trace

__all__ = [
    "Explanation",
    "Factor",
    "Histogram",
    "LayerCost",
    "Maximised",
    "Number",
    "ReceptiveField",
    "Step",
    "Term",
    "Terms",
    "Trace",
    "activation_after",
    "activation_grid",
    "activations",
    "dead_units",
    "each_augmentation",
    "enlarged",
    "explain",
    "explain_gradient",
    "explain_gradient_in",
    "explain_in",
    "explain_loss_in",
    "explain_scores_gradient_in",
    "filter_grid",
    "grad_cam",
    "gradient_histograms",
    "gradients",
    "grey",
    "grid",
    "guided_backprop",
    "histogram",
    "layer_costs",
    "machine_limits",
    "matrix",
    "maximised_activation",
    "occlusion",
    "one_hot",
    "receptive_field",
    "saliency",
    "score_gradient",
    "scores_of",
    "smooth_grad",
    "stretched",
    "trace",
    "weight_histograms",
]
