"""What the networks of the demo are given."""

from __future__ import annotations

import numpy as np
import pytest

from detection.crop import CropSettings
from detection.detectors import DlibHog
from detection.orl import orl_crops
from minicnn.cli.demo_steps import Faces, pictures, views
from reference_keras.side_by_side import SideBySide


@pytest.fixture(scope="module")
def faces() -> Faces:
    """Small crops of all 400 pictures, four of which dlib alone does not find."""
    return Faces(orl_crops(CropSettings(size=32), DlibHog()), 40, np.arange(0, 400, 10), np.arange(5, 400, 10))


def test_crops_come_standardised_and_missing_ones_empty(faces: Faces) -> None:
    x = faces.x
    assert x.shape == (400, 32, 32, 1)
    assert x.dtype == np.float32
    found = faces.crops.found
    np.testing.assert_allclose(x[found].mean(axis=(1, 2, 3)), 0, atol=1e-5)
    np.testing.assert_allclose(x[found].std(axis=(1, 2, 3)), 1, atol=1e-5)
    assert not x[~found].any()
    assert not found.all()


def test_views_show_the_picture_first_then_mirrored_nearer_and_farther(faces: Faces) -> None:
    x = faces.x[:3]
    seen = list(views(x))
    assert len(seen) == 6
    assert {view.shape for view in seen} == {x.shape}
    np.testing.assert_allclose(seen[0], x, atol=1e-6)
    for plain, mirrored in zip(seen[::2], seen[1::2], strict=True):
        np.testing.assert_allclose(mirrored, plain[:, :, ::-1], atol=1e-4)
    spot = np.zeros((1, 41, 41, 1), np.float32)
    spot[:, 10:31, 10:31] = 1
    same, nearer, farther = (view.sum() for view in list(views(spot))[::2])
    assert nearer > 1.1 * same
    assert farther < 0.9 * same


def test_the_report_shows_crops_as_grey_levels(faces: Faces) -> None:
    probabilities = np.eye(40)[faces.crops.persons[faces.test]]
    shown = pictures(faces, SideBySide((), probabilities, probabilities, 0.0, 0.0))
    assert len(shown.augmented) == 3
    assert all(len(row) == 6 for row in shown.augmented)
    assert len(shown.mistakes) == (~faces.crops.found[faces.test]).sum()  # everybody is recognised, if found
