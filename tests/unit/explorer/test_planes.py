"""Numbers cut into pictures: every number has one pixel, and every pixel one number."""

from __future__ import annotations

import numpy as np
import pytest

from minicnn.errors import OptionError, ShapeError
from minicnn.explorer.planes import Planes


@pytest.mark.parametrize("shape", [(3, 5, 2), (1, 1, 4), (7,), (1,), (16,), (40,)])
def test_every_pixel_is_the_number_at_its_index(shape: tuple[int, ...], rng: np.random.Generator) -> None:
    values, planes = rng.normal(size=shape), Planes.of(shape)
    found = {}
    for k in range(planes.count):
        plane = planes.plane(values, k)
        assert plane.shape == (planes.rows, planes.columns)
        for row, column in np.ndindex(*plane.shape):
            try:
                index = planes.index(row, column, k)
            except OptionError:  # the filling of a vector's last row
                assert plane[row, column] == 0
                continue
            assert plane[row, column] == values[index]
            found[index] = True
    assert len(found) == values.size


@pytest.mark.parametrize("place", [(3, 0, 0), (0, 5, 0), (0, 0, 2), (-1, 0, 0)])
def test_a_pixel_outside_is_refused_with_the_size(place: tuple[int, int, int]) -> None:
    with pytest.raises(OptionError, match="row from 0 to 2, a column to 4, a map to 1"):
        Planes.of((3, 5, 2)).index(*place)


def test_a_map_that_is_not_there_is_refused() -> None:
    with pytest.raises(OptionError, match="map from 0 to 1"):
        Planes.of((3, 5, 2)).plane(np.zeros((3, 5, 2)), 2)


def test_two_axes_are_no_picture() -> None:
    with pytest.raises(ShapeError, match=r"\(H, W, C\)"):
        Planes.of((3, 5))
