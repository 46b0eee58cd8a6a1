"""Every published form of VGG-Face gives the same weights, and the network that its authors describe."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from minicnn.errors import LoadError, OptionError, ShapeError
from minicnn.io.safetensors import write_safetensors
from minicnn.io.stored import read_stored
from minicnn.io.vgg_face import LAYERS, open_vgg_face
from minicnn.models import Preprocessing, load_vgg_face, vgg_face
from minicnn.models.pretrained import MEAN_RGB, _to_grey
from minicnn.ops.conv2d import conv2d
from tests.unit.io import vgg_files
from tests.unit.io.vgg_files import Weights, tiny_weights

pytest.importorskip("h5py", reason="Keras's files need the extra 'files'")

FORMS: dict[str, tuple[str, Callable[[Path, Weights], None], str]] = {
    "layers and meta": ("a.mat", lambda path, w: vgg_files.write_mat(path, w), "RGB"),
    "layers and meta, not packed": ("a.mat", lambda path, w: vgg_files.write_mat(path, w, packed=False), "RGB"),
    "net.layers": ("a.mat", lambda path, w: vgg_files.write_mat(path, w, nested=True, old=True), "RGB"),
    "keras-vggface": ("a.h5", vgg_files.write_keras_vggface, "BGR"),
    "keras-vggface, chunked": ("a.h5", lambda path, w: vgg_files.write_keras_vggface(path, w, chunked=True), "BGR"),
    "deepface": ("a.h5", vgg_files.write_deepface, "BGR"),
    "vgg_face_dag": ("a.safetensors", vgg_files.write_torch, "RGB"),
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_holds_the_same_weights(form: str, tmp_path: Path, rng: np.random.Generator) -> None:
    name, write, colours = FORMS[form]
    weights = tiny_weights(rng)
    write(tmp_path / name, weights)
    expected = {address: (array.shape, np.float32) for address, array in weights.items()}
    with open_vgg_face(tmp_path / name) as (stored, places, order):
        found = read_stored(stored, expected, places)
    assert order == colours
    for address, array in weights.items():
        np.testing.assert_array_equal(found[address], array, err_msg=address)
        assert found[address].flags.c_contiguous


@pytest.mark.parametrize("form", FORMS)
def test_a_layer_too_few_is_named(form: str, tmp_path: Path, rng: np.random.Generator) -> None:
    name, write, _ = FORMS[form]
    weights = tiny_weights(rng)
    write(tmp_path / name, weights)
    expected = {address: (array.shape, np.float32) for address, array in weights.items()}
    expected["fc7/kernel"] = ((3, 5), np.float32)
    with (
        pytest.raises(LoadError, match=rf"Cannot load '.*{name}'.*fc7/kernel"),
        open_vgg_face(tmp_path / name) as found,
    ):
        read_stored(found[0], expected, found[1])


CHANGES: dict[str, tuple[Callable[[np.ndarray], np.ndarray], str]] = {
    "NaN": (lambda array: np.full_like(array, np.nan), "NaN or infinity"),
    "infinity": (lambda array: np.full_like(array, np.inf), "NaN or infinity"),
    "another shape": (lambda array: np.concatenate([array, array], axis=-1), "expected"),
    "another type": (lambda array: array.astype(np.float64), "float64.*expected"),
    "whole numbers": (lambda array: np.ones(array.shape, np.int32), "int32.*expected"),
}


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("form", FORMS)
def test_weights_that_do_not_fit_are_named(form: str, change: str, tmp_path: Path, rng: np.random.Generator) -> None:
    name, write, _ = FORMS[form]
    weights = tiny_weights(rng)
    expected = {address: (array.shape, np.float32) for address, array in weights.items()}
    make, reason = CHANGES[change]
    weights["fc8/kernel"] = make(weights["fc8/kernel"])
    write(tmp_path / name, weights)
    with (
        pytest.raises(LoadError, match=rf"Cannot load '.*{name}'.*fc8/kernel.*{reason}|{name}'.*{reason}.*fc8/kernel"),
        open_vgg_face(tmp_path / name) as (stored, places, _),
    ):
        read_stored(stored, expected, places)


def test_numbers_that_matlab_kept_in_a_smaller_type(tmp_path: Path, rng: np.random.Generator) -> None:
    """MATLAB keeps whole numbers as bytes whatever their class: biases of zeros, for one."""
    import scipy.io

    from minicnn.io.mat import read_variables

    scipy.io.savemat(tmp_path / "a.mat", {"x": np.arange(60.0, dtype=np.float32).reshape(3, 4, 5)})
    content = bytearray((tmp_path / "a.mat").read_bytes())
    place = content.index(b"\x07\x00\x00\x00\xf0\x00\x00\x00")  # 240 bytes of float32 become 60 of uint8, padded to 64
    packed = b"\x02\x00\x00\x00\x3c\x00\x00\x00" + bytes(range(12))
    values = np.arange(60.0).reshape(3, 4, 5).reshape(-1, order="F").astype(np.uint8).tobytes()
    packed = b"\x02\x00\x00\x00\x3c\x00\x00\x00" + values + bytes(4)
    content[place:] = packed
    content[128:136] = b"\x0e\x00\x00\x00" + (len(content) - 136).to_bytes(4, "little")
    (tmp_path / "a.mat").write_bytes(content)
    assert np.array_equal(scipy.io.loadmat(tmp_path / "a.mat")["x"], np.arange(60.0).reshape(3, 4, 5))
    with open(tmp_path / "a.mat", "rb") as file:
        x = read_variables(file, len(content))["x"]
        y = np.empty(x.shape, x.dtype)
        x.fill(y)
    assert x.dtype == np.float32
    np.testing.assert_array_equal(y, np.arange(60.0).reshape(3, 4, 5))


@pytest.mark.parametrize("grey", [False, True])
@pytest.mark.parametrize("form", ["layers and meta", "keras-vggface", "vgg_face_dag"])
def test_the_network_computes_what_vgg_face_does(
    form: str, grey: bool, tmp_path: Path, rng: np.random.Generator
) -> None:
    """Up to pool5. Colours in the file's order; a grey picture gives what it gives as a colour picture."""
    name, write, order = FORMS[form]
    reference = vgg_face((64, 64, 3), include_top=False, seed=3)
    weights = dict(reference.weights)
    weights |= {address: array for address, array in tiny_weights(rng).items() if address.startswith("fc")}
    write(tmp_path / name, weights)
    loaded, preprocess_input = load_vgg_face(tmp_path / name, (64, 64, 1 if grey else 3), include_top=False)
    pictures = rng.integers(0, 256, (2, 64, 64, 1 if grey else 3), np.uint8)
    colour = np.broadcast_to(pictures, (2, 64, 64, 3)).astype(np.float32) - np.array(MEAN_RGB, np.float32)
    expected = reference.predict(colour[..., ::-1] if order == "BGR" else colour)
    found = loaded.predict(preprocess_input(pictures))
    tolerance = 0.02 if grey else 1e-6  # the outermost ring of grey pictures is not exact
    assert np.abs(found - expected).max() <= tolerance * np.abs(expected).max()


def test_grey_is_exact_but_for_the_outermost_ring(rng: np.random.Generator) -> None:
    kernel, bias = rng.standard_normal((3, 3, 3, 4)), rng.standard_normal(4)
    weights = {"conv1_1/kernel": kernel.astype(np.float32), "conv1_1/bias": bias.astype(np.float32)}
    kernel, bias = (array.astype(np.float64) for array in weights.values())
    grey = rng.uniform(0, 255, (1, 7, 6, 1))
    colour, _ = conv2d(np.repeat(grey, 3, axis=3) - np.array(MEAN_RGB), kernel, bias, padding="same")
    (mean,) = _to_grey(weights, MEAN_RGB)
    kernel, bias = (array.astype(np.float64) for array in weights.values())
    found, _ = conv2d(grey - mean, kernel, bias, padding="same")
    error = np.abs(found - colour)
    assert error[:, 1:-1, 1:-1].max() < 1e-3  # the new kernel is rounded to float32, at values of some hundreds
    assert error.max() < 0.5 * np.abs(colour).max()


def test_pictures_are_turned_into_what_the_network_was_trained_on() -> None:
    x = np.array([[[[200, 100, 50]]]], np.uint8)
    np.testing.assert_allclose(
        Preprocessing("RGB", MEAN_RGB)(x), [[[[200 - 129.1863, 100 - 104.7624, 50 - 93.594]]]], rtol=1e-6
    )
    np.testing.assert_allclose(
        Preprocessing("BGR", MEAN_RGB[::-1])(x), [[[[50 - 93.594, 100 - 104.7624, 200 - 129.1863]]]], rtol=1e-6
    )
    with pytest.raises(ShapeError, match=r"\(N, H, W, 3\)"):
        Preprocessing("RGB", MEAN_RGB)(x[..., :1])


def test_fc6_takes_one_size_of_picture(tmp_path: Path) -> None:
    with pytest.raises(ShapeError, match=r"7x7x512 = 25088 .* 6x6x512 = 18432 at 200x200.*include_top=False"):
        load_vgg_face(tmp_path / "nothing.mat", (200, 200, 1))
    with pytest.raises(ShapeError, match="3 channels"):
        load_vgg_face(tmp_path / "nothing.mat", (224, 224, 4))


def test_files_that_are_none_of_vgg_face(tmp_path: Path) -> None:
    import h5py
    import scipy.io

    with pytest.raises(OptionError, match=r"\.mat"):
        load_vgg_face(tmp_path / "vgg_face_dag.pth")
    scipy.io.savemat(tmp_path / "a.mat", {"x": np.ones(3)})
    with pytest.raises(LoadError, match=r"a\.mat.*'layers' and 'meta'"):
        load_vgg_face(tmp_path / "a.mat")
    with h5py.File(tmp_path / "a.h5", "w") as root:
        root.attrs["layer_names"] = [b"dense"]
        root.create_group("dense").attrs["weight_names"] = [b"a", b"b"]
        for name in "ab":
            root["dense"].create_dataset(name, data=np.ones(3))
    with pytest.raises(LoadError, match=r"a\.h5.*conv1_1 to fc8"):
        load_vgg_face(tmp_path / "a.h5")
    write_safetensors(tmp_path / "a.safetensors", {"conv1_1.weight": np.ones(3, np.float32)}, {})
    with pytest.raises(LoadError, match=r"a\.safetensors.*is missing"):
        load_vgg_face(tmp_path / "a.safetensors")


def layers_of(**fields: Any) -> dict[str, Any]:
    layers = np.empty((1, 1), object)
    layers[0, 0] = {"name": LAYERS[0], "type": "conv", **fields}
    return {"layers": layers, "meta": {"a": 1}}


@pytest.mark.parametrize(
    "fields", [{}, {"weights": "text"}, {"weights": np.ones((3, 3))}, {"filters": np.ones((3, 3))}]
)
def test_layers_without_a_kernel_and_a_bias(fields: dict[str, Any], tmp_path: Path) -> None:
    import scipy.io

    scipy.io.savemat(tmp_path / "a.mat", layers_of(**fields))
    with pytest.raises(LoadError, match=r"a\.mat.*conv1_1"):
        load_vgg_face(tmp_path / "a.mat")
