"""Loops, im2col and Winograd lead to one number, the layer's own."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from minicnn.errors import OptionError
from minicnn.explorer.algorithms import MOST_COLUMNS, ways
from minicnn.layers import Conv2D, Dense, Layer


def made(rng: np.random.Generator, **options: Any) -> tuple[Conv2D, np.ndarray, np.ndarray]:
    layer = Conv2D(4, 3, **{"padding": "same", "bias_initializer": "random_normal"} | options)
    x = rng.normal(size=(11, 13, 3))
    layer.build(x.shape, rng, np.float64)
    return layer, x, layer(x[None])[0]


@pytest.mark.parametrize("options", [{}, {"padding": "valid"}, {"use_bias": False}])
@pytest.mark.parametrize("place", [(0, 0, 0), (4, 7, 3), (8, 10, 1)])
def test_every_way_leads_to_the_layers_own_number(
    options: dict[str, Any], place: tuple[int, int, int], rng: np.random.Generator
) -> None:
    layer, x, y = made(rng, **options)
    found = ways(layer, x, place)
    im2col = found["im2col"]
    row = np.array(im2col["matrix"][im2col["chosen"]]) @ np.array(im2col["kernel"]) + found["bias"]
    assert row == pytest.approx(y[place], abs=1e-12)
    assert im2col["products"][im2col["chosen"]] == pytest.approx(y[place], abs=1e-12)
    neighbours = range(im2col["first"], im2col["first"] + len(im2col["products"]))
    assert np.allclose(im2col["products"], [y[place[0], c, place[2]] for c in neighbours], atol=1e-12)
    tiles = found["winograd"]["tiles"]
    assert set(tiles) == {"F(2x2, 3x3)", "F(4x4, 3x3) at complex points", "F(6x6, 3x3) at real and complex points"}
    for tile in tiles.values():
        assert tile["outputs"][tile["row"]][tile["column"]] == pytest.approx(y[place], abs=1e-12)
        inside = y[tile["top"] :, tile["left"] :, place[2]][: tile["m"], : tile["m"]]
        assert np.allclose(np.array(tile["outputs"])[: inside.shape[0], : inside.shape[1]], inside, atol=1e-12)
        assert np.allclose(np.array(tile["u"]) * np.array(tile["v"]), tile["product"])
        assert tile["multiplications"] < tile["directly"]


def test_5x5_kernels_have_forms_of_their_own(rng: np.random.Generator) -> None:
    layer, x = Conv2D(2, 5, padding="same"), rng.normal(size=(7, 6, 3))
    layer.build(x.shape, rng, np.float64)
    found = ways(layer, x, (3, 4, 1))["winograd"]
    assert found["reason"] is None
    small, large = found["tiles"].values()
    for tile in (small, large):
        assert tile["outputs"][tile["row"]][tile["column"]] == pytest.approx(layer(x[None])[0, 3, 4, 1], abs=1e-12)
    assert (small["multiplications"], small["directly"]) == (46, 100)
    assert (large["multiplications"], large["directly"]) == (78, 400)


@pytest.mark.parametrize("place", [(0, 0, 1), (2, 1, 0), (3, 2, 1)])
@pytest.mark.parametrize("padding", ["valid", "same"])
def test_stride_2_has_a_form_of_its_own(padding: str, place: tuple[int, int, int], rng: np.random.Generator) -> None:
    layer, x = Conv2D(2, 3, 2, padding=padding), rng.normal(size=(9, 7, 3))
    layer.build(x.shape, rng, np.float64)
    (tile,) = ways(layer, x, place)["winograd"]["tiles"].values()
    assert tile["outputs"][tile["row"]][tile["column"]] == pytest.approx(layer(x[None])[(0, *place)], abs=1e-12)
    assert (tile["multiplications"], tile["directly"]) == (25, 36)


@pytest.mark.parametrize("options", [{"strides": 3}, {"dilation_rate": 2}])
def test_where_winograd_has_no_form_the_reason_is_said(options: dict[str, Any], rng: np.random.Generator) -> None:
    layer, x, y = made(rng, **options)
    found = ways(layer, x, (2, 3, 1))
    assert found["winograd"]["tiles"] == {}
    assert found["winograd"]["reason"]
    assert found["im2col"]["products"][found["im2col"]["chosen"]] == pytest.approx(y[2, 3, 1], abs=1e-12)


def test_of_many_columns_the_first_are_shown_and_all_are_summed(rng: np.random.Generator) -> None:
    layer, x = Conv2D(1, 3), rng.normal(size=(5, 5, 100))
    layer.build(x.shape, rng, np.float64)
    found = ways(layer, x, (1, 1, 0))["im2col"]
    assert found["columns"] == 900
    assert len(found["kernel"]) == len(found["matrix"][0]) == MOST_COLUMNS
    assert found["products"][found["chosen"]] == pytest.approx(layer(x[None])[0, 1, 1, 0], abs=1e-12)


@pytest.mark.parametrize("layer", [Dense(3, name="scores"), Conv2D(4, 3, groups=2, name="grouped")])
def test_other_layers_are_refused_by_name(layer: Layer) -> None:
    with pytest.raises(OptionError, match=layer.name):
        ways(layer, np.zeros((5, 5, 4)), (0, 0, 0))


def test_the_channel_that_is_shown_has_the_largest_part(rng: np.random.Generator) -> None:
    layer, x, _ = made(rng)
    x[:, :, [0, 2]] *= 1e-6
    assert ways(layer, x, (4, 4, 0))["winograd"]["channel"] == 1
