"""Every layer against Keras, for every row of the table of cases.

Same weights, same input, random upstream gradient. In float64 both sides must agree to rounding; in float32 minicnn
may be at most twice as far from the float64 truth as Keras (the rule, and its exception for Winograd, are in
``reference_keras.tolerance``).
"""

from __future__ import annotations

import numpy as np
import pytest

from minicnn.layers import ELU, Activation, Conv2D, Conv2DTranspose, Layer, LeakyReLU, ReLU, Sigmoid, Tanh
from minicnn.layers.activations import ACTIVATIONS
from tests.cases import CASES, Case

pytest.importorskip("keras", reason="parity needs Keras: pip install 'minicnn[keras]'")

from reference_keras.parity import compare_layer
from reference_keras.reports import LayerReport
from reference_keras.sides import keras_layer_with_weights, run_keras, run_minicnn


def assert_agrees(report: LayerReport, layer: Layer, *, moves: bool = False) -> None:
    assert report.ok, "\n".join(report.failures())
    inputs = [f"dx{i}" for i in range(len(layer.input_shape))] if layer.merges else ["dx"]
    expected = {
        "y",
        *inputs,
        *(f"d{name}" for name in layer.params if layer.trainable),
        *(layer.state if moves else ()),
    }
    assert {array.name for array in report.arrays} == expected


def dilated_transpose(case: Case) -> bool:
    layer = case.layer()
    return isinstance(layer, Conv2DTranspose) and layer.window.dilation != (1, 1)


@pytest.mark.parametrize("case", list(filter(dilated_transpose, CASES)), ids=lambda case: case.id)
def test_what_tensorflow_cannot_do_on_a_processor(case: Case) -> None:
    """There is nothing to compare with; ``tests/unit/ops/test_conv2d_transpose.py`` compares with the definition."""
    with pytest.raises(Exception, match="do not yet support dilation rates larger than 1"):
        compare_layer(case.built(), case.x())


@pytest.mark.parametrize("case", [case for case in CASES if not dilated_transpose(case)], ids=lambda case: case.id)
def test_layer_agrees_with_keras(case: Case) -> None:
    layer = case.built()
    assert_agrees(compare_layer(layer, case.x()), layer)


@pytest.mark.parametrize(
    "case",
    [case for case in CASES if case.layer().acts_differently_in_training and getattr(case.layer(), "rate", 0) == 0],
    ids=lambda case: case.id,
)
def test_training_agrees_with_keras(case: Case) -> None:
    """Batch statistics, their gradients, and what they make of the moving ones."""
    layer = case.built()
    assert_agrees(compare_layer(layer, case.x(), training=True), layer, moves=True)


STRIDED = [  # (channels, filters, size, kernel, pictures): sums that were too long for the rule with 256 terms
    (16, 40, 25, 3, 4),  # 144 products are one sum
    (32, 64, 25, 3, 4),
    (64, 128, 25, 3, 2),
    (16, 32, 50, 5, 2),
    (3, 64, 64, 7, 2),
    (32, 64, 24, 3, 8),
    (128, 128, 20, 3, 2),  # Winograd
]


@pytest.mark.parametrize("channels, filters, size, kernel, pictures", STRIDED)
def test_strided_layers_with_long_sums_stay_within_the_rule(
    channels: int, filters: int, size: int, kernel: int, pictures: int
) -> None:
    for seed in range(3):
        x = np.random.default_rng(seed).standard_normal((pictures, size, size, channels), dtype=np.float32)
        report = compare_layer(Conv2D(filters, kernel, strides=2, padding="same"), x, seed=seed)
        assert report.ok, "\n".join(report.failures())


FEW_FILTERS = [(3, 3, 7, 1), (3, 3, 7, 2), (3, 8, 7, 1), (6, 3, 5, 1), (15, 3, 3, 1), (1, 3, 11, 1), (64, 3, 3, 2)]
MORE_FILTERS = [(3, 16, 7, 1), (3, 64, 7, 2), (16, 16, 3, 2), (160, 16, 1, 2), (320, 320, 1, 1), (288, 64, 1, 1)]


@pytest.mark.parametrize("channels, filters, kernel, strides", [*FEW_FILTERS, *MORE_FILTERS])
@pytest.mark.parametrize("positive", [False, True], ids=["normal numbers", "after a ReLU"])
def test_no_sum_is_too_long_for_the_rule(
    channels: int, filters: int, kernel: int, strides: int, positive: bool
) -> None:
    """With few filters Keras's sums are short; those of positive numbers come further before they come back."""
    for seed in range(3):
        x = np.random.default_rng(seed).standard_normal((4, 28, 28, channels), dtype=np.float32)
        layer = Conv2D(filters, kernel, strides=strides, padding="same")
        report = compare_layer(layer, np.maximum(x, 0) if positive else x, seed=seed)
        assert report.ok, "\n".join(report.failures())


LARGE_TILES = [(16, 32, 50, 3, 4), (64, 64, 40, 3, 2), (128, 96, 30, 3, 1), (256, 256, 24, 3, 1)]
LARGE_TILES += [(16, 32, 30, 5, 4), (64, 64, 20, 5, 2), (128, 96, 12, 5, 2)]


@pytest.mark.parametrize("channels, filters, size, kernel, pictures", LARGE_TILES)
@pytest.mark.parametrize("positive", [False, True], ids=["normal numbers", "after a ReLU"])
def test_large_tiles_stay_within_their_rule(
    channels: int, filters: int, size: int, kernel: int, pictures: int, positive: bool
) -> None:
    for seed in range(3):
        x = np.random.default_rng(seed).standard_normal((pictures, size, size, channels), dtype=np.float32)
        layer = Conv2D(filters, kernel, padding="same")
        report = compare_layer(layer, np.maximum(x, 0) if positive else x, seed=seed)
        assert report.algorithm == ("winograd_6x6" if kernel == 3 else "winograd_5x5_4x4")
        assert report.ok, "\n".join(report.failures())


# Where the curves have corners: 0, and the ends of relu6, of hard_sigmoid and of saturation.
CORNERS = np.array([[0.0, -0.0, 3.0, -3.0, 6.0, -6.0, 1.0, -1.0, 30.0, -30.0]], np.float32)


@pytest.mark.parametrize("name", [name for name in ACTIVATIONS if name != "softmax"])  # which looks at whole rows
def test_activations_agree_at_their_corners(name: str) -> None:
    report = compare_layer(Activation(name), CORNERS)
    assert report.ok, "\n".join(report.failures())


CURVED = [Activation(name) for name in ACTIVATIONS if name != "softmax"]
CURVED += [ReLU(), LeakyReLU(), LeakyReLU(0.0), ELU(), ELU(0.3), ELU(0.0), Sigmoid(), Tanh()]


@pytest.mark.parametrize("layer", CURVED, ids=lambda layer: f"{layer.name} {layer.config()}")
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_what_activations_make_of_nan_is_what_keras_makes_of_it(dtype: type, layer: Layer) -> None:
    """Some let a gradient through, others answer NaN; in whole vectors and in what is left of one."""
    x = np.ones((1, 21), dtype)
    x[:, ::2] = np.nan
    dy = np.arange(1, 22, dtype=dtype)[None]
    layer.build(x.shape[1:], np.random.default_rng(0), dtype)
    found = run_minicnn(layer, x, dy, False)
    expected = run_keras(keras_layer_with_weights(layer, dtype), x, dy, False)
    for name in ("y", "dx"):
        np.testing.assert_allclose(found[name], expected[name], rtol=1e-6)  # and NaN where NaN is
