"""What the tables say, and what is built from them: names, shapes, counts, and refusals that explain themselves."""

from __future__ import annotations

import numpy as np
import pytest

from minicnn.errors import OptionError, ShapeError
from minicnn.layers import LAYERS
from minicnn.model import Model
from minicnn.models import (
    Architecture,
    Row,
    build,
    face_cnn,
    face_cnn_table,
    residual_cnn,
    residual_cnn_table,
    vgg_face,
    vgg_face_table,
)
from minicnn.models.outline import outline
from minicnn.models.table import INPUT
from minicnn.sequential import Sequential
from minicnn.summary import summarize


def shapes(model: Model, kind: str) -> list[tuple[int, ...]]:
    return [layer.output_shape(layer.input_shape) for layer in model.layers if type(layer).__name__ == kind]


VGG_CONVOLUTIONS = ["1_1", "1_2", "2_1", "2_2", "3_1", "3_2", "3_3", "4_1", "4_2", "4_3", "5_1", "5_2", "5_3"]


def test_vgg_face_has_the_layers_of_the_paper_in_order() -> None:
    names = [row.name for row in vgg_face_table().rows]
    expected = []
    for number in VGG_CONVOLUTIONS:
        expected += [f"conv{number}", f"relu{number}"]
        if number in ("1_2", "2_2", "3_3", "4_3", "5_3"):
            expected.append(f"pool{number[0]}")
    expected += ["flatten", "fc6", "relu6", "drop6", "fc7", "relu7", "drop7", "fc8", "prob"]
    assert names == expected


def test_vgg_face_filters_double_from_block_to_block() -> None:
    filters = [row.options["filters"] for row in vgg_face_table().rows if row.kind == "Conv2D"]
    assert filters == [64, 64, 128, 128, 256, 256, 256, 512, 512, 512, 512, 512, 512]


@pytest.mark.slow
def test_vgg_face_has_the_published_number_of_parameters() -> None:
    assert vgg_face().count_params() == 145_002_878


def test_odd_pictures_halve_downwards() -> None:
    model = vgg_face((200, 200, 1), include_top=False)
    assert shapes(model, "MaxPooling2D") == [(100, 100, 64), (50, 50, 128), (25, 25, 256), (12, 12, 512), (6, 6, 512)]
    assert model.output_shape == (6, 6, 512)


def test_face_cnn_shrinks_from_200_to_6() -> None:
    model = face_cnn()
    sizes = [
        layer.output_shape(layer.input_shape)[0] for layer in model.layers if layer.name.startswith(("conv", "pool"))
    ]
    assert sizes == [50, 50, 25, 25, 12, 12, 6, 6]
    assert model.output_shape == (40,)


def test_face_cnn_is_small() -> None:
    """A network for two cores: under a million numbers, under 100 MFLOP a picture."""
    model = face_cnn()
    flop = sum(
        2 * np.prod(layer.output_shape(layer.input_shape)[:2]) * layer.params["kernel"].size
        for layer in model.layers
        if type(layer).__name__ == "Conv2D"
    )
    assert model.count_params() < 1_000_000
    assert 70e6 < flop < 80e6  # the docstring says 74


@pytest.mark.parametrize("table", [face_cnn_table, residual_cnn_table, vgg_face_table])
def test_names_are_unique_and_kinds_known(table) -> None:
    rows = table().rows
    assert len({row.name for row in rows}) == len(rows)
    assert {row.kind for row in rows} <= LAYERS.keys()


@pytest.mark.parametrize("table", [face_cnn_table, residual_cnn_table, vgg_face_table])
def test_without_softmax_the_last_layer_gives_logits(table) -> None:
    rows = table(classes=7, softmax=False).rows
    assert rows[-1].kind == "Dense"
    assert rows[-1].options["units"] == 7
    assert [*rows, Row("Softmax", "prob")] == list(table(classes=7).rows)


def test_dropout_is_an_option() -> None:
    rates = [row.options["rate"] for row in vgg_face_table(dropout=0.25).rows if row.kind == "Dropout"]
    assert rates == [0.25, 0.25]
    assert [row.options["rate"] for row in face_cnn_table(dropout=0.1).rows if row.kind == "Dropout"] == [0.1]


def test_probabilities_sum_to_one() -> None:
    crops = np.random.default_rng(0).standard_normal((2, 64, 48, 1), dtype=np.float32)
    p = face_cnn((64, 48, 1), classes=5)(crops)
    assert p.shape == (2, 5)
    np.testing.assert_allclose(p.sum(axis=1), 1, rtol=1e-6)
    assert (p > 0).all()


def test_the_seed_decides_the_weights() -> None:
    one, same, other = (face_cnn((32, 32, 1), 3, seed=seed).weights for seed in (1, 1, 2))
    assert all(np.array_equal(one[address], same[address]) for address in one)
    assert not np.array_equal(one["conv1/kernel"], other["conv1/kernel"])


def test_he_initialisation_keeps_activations_alive_through_thirteen_convolutions() -> None:
    x = np.random.default_rng(0).standard_normal((1, 64, 64, 3), dtype=np.float32)
    assert 0.1 < vgg_face((64, 64, 3), include_top=False)(x).std() < 10


@pytest.mark.parametrize("model", [face_cnn, residual_cnn, vgg_face])
@pytest.mark.parametrize("input_shape", [(31, 64, 1), (64, 31, 3), (64, 64), (64, 64, 0), (64.0, 64, 3)])
def test_pictures_that_are_too_small_are_refused_with_the_reason(model, input_shape) -> None:
    with pytest.raises(ShapeError, match=r"at least 32x32.*Received: \(.*\(200, 200, 1\)"):
        model(input_shape)


def test_an_unknown_kind_is_refused_with_the_row_and_the_known_ones() -> None:
    table = Architecture("odd", (8, 8, 1), (Row("Conv3D", "conv1"),))
    with pytest.raises(OptionError, match=r"Conv2D.*Received: 'Conv3D' in row 'conv1'"):
        build(table)


# -- tables that branch ------------------------------------------------------------------------------------------------


def test_residual_cnn_shrinks_from_200_to_6() -> None:
    model = residual_cnn()
    assert shapes(model, "Add") == [(50, 50, 16), (25, 25, 32), (12, 12, 64), (6, 6, 128)]
    assert model.output_shape == (40,)
    assert model.get_layer("fc").count_params() == 5160


def test_residual_cnn_is_small() -> None:
    rows = summarize(residual_cnn())
    assert sum(row.parameters for row in rows) < 400_000
    assert 70e6 < 2 * sum(row.multiplications for row in rows) < 110e6  # floating-point operations, as face_cnn's 74


def test_every_block_adds_its_input() -> None:
    reads = {row.name: row.reads for row in summarize(residual_cnn())}
    assert reads["block1_conv1"] == ("relu1",)
    assert reads["block1_add"] == ("relu1", "block1_bn2")  # the shape stays: the input itself
    assert reads["block2_conv0"] == reads["block2_conv1"] == ("pool1",)
    assert reads["block2_add"] == ("block2_bn0", "block2_bn2")
    fused = {row.name: row.algorithm for row in summarize(residual_cnn())}
    assert fused["block1_relu1"] == fused["block1_bn1"] == "in block1_conv1"
    assert fused["block1_relu2"] == "in block1_add"


def test_a_block_that_computes_nothing_passes_its_input_on() -> None:
    """With gamma = beta = 0 in the second normalisation a block adds nothing: what is positive passes as it is."""
    model = residual_cnn((64, 48, 1), classes=3)
    for key in ("gamma", "beta"):
        model.weights[f"block1_bn2/{key}"][...] = 0
    tensors = model.symbols()
    names = ["", *(layer.name for layer in model.path)]
    before, after = (tensors[names.index(name)] for name in ("relu1", "block1_relu2"))
    crops = np.random.default_rng(0).standard_normal((2, 64, 48, 1), dtype=np.float32)
    np.testing.assert_array_equal(*Model(tensors[0], [before, after])(crops))


def test_a_table_is_a_row_of_layers_or_a_graph() -> None:
    assert isinstance(build(face_cnn_table((32, 32, 1), 2)), Sequential)
    assert type(build(residual_cnn_table((32, 32, 1), 2))) is Model
    named = Architecture("named", (4,), (Row("ReLU", "a", reads=(INPUT,)), Row("ReLU", "b", reads=("a",))))
    assert isinstance(build(named), Sequential)


def test_a_row_can_read_only_what_stands_above_it() -> None:
    table = Architecture("odd", (8, 8, 1), (Row("ReLU", "a", reads=("b",)), Row("ReLU", "b")))
    with pytest.raises(OptionError, match=r"names of rows above 'a' for it to read\. Received: b"):
        build(table)


def test_an_outline_has_shapes_and_takes_no_memory() -> None:
    sketch, model = outline(residual_cnn_table()), residual_cnn()
    assert sketch.shapes == model.shapes
    assert sketch.count_params() == model.count_params()
    assert all(array.strides == (0,) * array.ndim for array in sketch.weights.values())
