"""What ``from minicnn import ...`` offers."""

import subprocess
import sys

import pytest

import minicnn
from minicnn.layers import LAYERS


@pytest.mark.parametrize("name", minicnn.__all__)
def test_every_name_leads_somewhere_and_is_documented(name: str) -> None:
    assert getattr(minicnn, name).__doc__


def test_every_layer_is_there() -> None:
    assert set(LAYERS) <= set(minicnn.__all__)
    assert set(minicnn.__all__) <= set(dir(minicnn))


def test_keras_other_names_are_the_same_classes() -> None:
    from minicnn import Convolution2D, GlobalAvgPool2D, MaxPool2D

    assert (Convolution2D, GlobalAvgPool2D, MaxPool2D) == (
        minicnn.Conv2D,
        minicnn.GlobalAveragePooling2D,
        minicnn.MaxPooling2D,
    )


@pytest.mark.parametrize(
    ("name", "ours"), [("Conv2d", "Conv2D"), ("maxpooling2d", "MaxPooling2D"), ("to_categorical", "one_hot")]
)
def test_names_of_others_lead_to_ours(name: str, ours: str) -> None:
    with pytest.raises(AttributeError, match=f"no attribute '{name}'. Did you mean '{ours}'"):
        getattr(minicnn, name)


def test_modules_need_no_import_of_their_own() -> None:
    script = "import minicnn; print(minicnn.layers.Conv2D.__name__, minicnn.study.__name__, hasattr(minicnn, 'x.y'))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["Conv2D", "minicnn.study", "False"]
    assert {"layers", "study", "__version__", "__doc__"} <= set(dir(minicnn))
    assert not [name for name in dir(minicnn) if name.startswith("_") and not name.startswith("__")]


def test_an_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(AttributeError, match=r"no attribute 'Conv3D'.*Conv2D"):
        _ = minicnn.Conv3D
