"""ONNX files: another runtime computes what minicnn does, for every layer and for whole networks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from minicnn.errors import OptionError, StateError
from minicnn.io.onnx_file import onnx_model
from minicnn.io.onnx_operators import OPERATORS
from minicnn.layers import LAYERS, Conv2D, Dense, Dropout, Flatten, Layer, MaxPooling2D, ReLU, Softmax
from minicnn.models import face_cnn
from minicnn.sequential import Sequential
from minicnn.shapes import Array
from tests.cases import CASES, Case

onnx = pytest.importorskip("onnx", reason="writing ONNX needs the extra 'files'")
onnxruntime = pytest.importorskip("onnxruntime", reason="onnxruntime is what opens the files here")


def computed(model: Any, x: Array) -> Array:
    """What ONNX Runtime makes of it; ``model`` is a path or the bytes of a model."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    y: Array = session.run(["y"], {"x": x})[0]
    return y


def learned(layers: list[Layer], input_shape: tuple[int, ...], seed: int = 0) -> Sequential:
    """A network with weights as after training."""
    model = Sequential(layers, input_shape=input_shape, seed=seed)
    rng = np.random.default_rng(seed)
    for array in model.weights.values():
        if array.ndim == 1:
            array[...] = rng.uniform(0.5, 1.5, array.shape)
    return model


def assert_close(found: Array, expected: Array) -> None:
    assert found.shape == expected.shape
    assert np.abs(found - expected).max() <= 1e-5 * max(1.0, np.abs(expected).max())


WRITTEN = [case for case in CASES if type(case.layer()).__name__ in OPERATORS]


@pytest.mark.parametrize("case", WRITTEN, ids=lambda case: case.id)
def test_every_layer(case: Case) -> None:
    model = Sequential([case.built()], input_shape=case.input_shape[1:])
    x = case.x()
    written = onnx_model(model.config(), model.weights)
    onnx.checker.check_model(written, full_check=True)
    assert_close(computed(written.SerializeToString(), x), model(x))


def test_layers_without_an_operator_are_refused_by_name() -> None:
    assert OPERATORS.keys() < LAYERS.keys()
    model = Sequential([LAYERS["Permute"]((2, 1))], input_shape=(3, 4))
    with pytest.raises(OptionError, match=r"to write ONNX.*Permute"):
        onnx_model(model.config(), model.weights)


ROWS: dict[str, list[Layer]] = {
    "dense behind flatten": [Conv2D(3, 3), Flatten(), ReLU(), Dropout(0.5), Dense(4), Softmax()],
    "flatten at the end": [Conv2D(3, 3), Flatten()],
    "flatten before a softmax": [MaxPooling2D(), Flatten(), Softmax(), Dense(4)],
    "flatten twice": [Conv2D(3, 3), Flatten(), Flatten(), Dense(2)],
    "a picture at the end": [Conv2D(3, 3), Softmax(axis=1)],
    "dense between convolutions": [Conv2D(3, 2), Dense(5), Conv2D(2, 2)],
}


@pytest.mark.parametrize("row", ROWS)
@pytest.mark.parametrize("channels_first", [False, True])
def test_the_order_of_axes_is_kept(row: str, channels_first: bool, rng: np.random.Generator) -> None:
    layers = [LAYERS[type(layer).__name__](**layer.config()) for layer in ROWS[row]]
    for layer in layers:
        layer.has_default_name = True
    model = learned(layers, (7, 6, 2))
    x = rng.standard_normal((3, 7, 6, 2), np.float32)
    written = onnx_model(model.config(), model.weights, batch=3, channels_first=channels_first)
    y = computed(written.SerializeToString(), x.transpose(0, 3, 1, 2) if channels_first else x)
    assert_close(y.transpose(0, 2, 3, 1) if channels_first and y.ndim == 4 else y, model(x))


def test_a_network_as_a_file(tmp_path: Path, rng: np.random.Generator) -> None:
    model = face_cnn((64, 48, 1), 5, seed=1)
    model.save(tmp_path / "a.onnx")
    for count in (1, 4):  # any number of pictures
        x = rng.standard_normal((count, 64, 48, 1), np.float32)
        assert_close(computed(str(tmp_path / "a.onnx"), x), model.predict(x))


def test_float64(rng: np.random.Generator) -> None:
    """Computed by onnx itself: ONNX Runtime has no convolution in float64 on a processor."""
    from onnx.reference import ReferenceEvaluator

    model = learned([Conv2D(3, 3), ReLU(), Flatten(), Dense(4)], (7, 6, 2)).astype("float64")
    x = rng.standard_normal((3, 7, 6, 2))
    (found,) = ReferenceEvaluator(onnx_model(model.config(), model.weights)).run(None, {"x": x})
    assert found.dtype == np.float64
    np.testing.assert_allclose(found, model(x), rtol=1e-12)


def test_what_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(StateError, match="built"):
        Sequential([Dense(3)]).save(tmp_path / "a.onnx")
    config = learned([Dense(3)], (2,)).config()
    with pytest.raises(OptionError, match="2 GB"):
        onnx_model(config, {"dense/kernel": np.broadcast_to(np.float32(0), (2**16, 2**15))})
    assert list(tmp_path.iterdir()) == []
