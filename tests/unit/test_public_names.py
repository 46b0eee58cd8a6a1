"""What ``from minicnn import ...`` offers."""

import pytest

import minicnn
from minicnn.layers import LAYERS


@pytest.mark.parametrize("name", minicnn.__all__)
def test_every_name_leads_somewhere_and_is_documented(name: str) -> None:
    assert getattr(minicnn, name).__doc__


def test_every_layer_is_there() -> None:
    assert set(LAYERS) <= set(minicnn.__all__)
    assert set(minicnn.__all__) <= set(dir(minicnn))


def test_an_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(AttributeError, match=r"no attribute 'Conv3D'.*Conv2D"):
        _ = minicnn.Conv3D
