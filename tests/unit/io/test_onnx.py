"""ONNX files: another runtime computes what minicnn does, for every layer and for whole networks."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minicnn.errors import OptionError, StateError
from minicnn.io.onnx_activations import CHAINS
from minicnn.io.onnx_file import onnx_model
from minicnn.io.onnx_operators import OPERATORS
from minicnn.layers import LAYERS, Conv2D, Dense, Dropout, Flatten, Input, Layer, MaxPooling2D, ReLU, Softmax
from minicnn.layers.activations import ACTIVATIONS
from minicnn.model import Model
from minicnn.models import face_cnn, residual_cnn
from minicnn.sequential import Sequential
from minicnn.shapes import Array
from tests.architectures import graphs, pictures
from tests.cases import CASES, Case

onnx = pytest.importorskip("onnx", reason="writing ONNX needs the extra 'files'")
onnxruntime = pytest.importorskip("onnxruntime", reason="onnxruntime is what opens the files here")


def every_output(model: Any, x: list[Array]) -> list[Array]:
    """What ONNX Runtime makes of it; ``model`` is a path or the bytes of a model."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    y: list[Array] = session.run(None, {given.name: part for given, part in zip(session.get_inputs(), x, strict=True)})
    return y


def computed(model: Any, x: Array) -> Array:
    (y,) = every_output(model, [x])
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


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_every_layer(case: Case) -> None:
    model, x = case.network(), case.x()
    written = onnx_model(model.config(), model.weights)
    onnx.checker.check_model(written, full_check=True)
    several = x if isinstance(x, list) else [x]
    (y,) = every_output(written.SerializeToString(), several)
    assert_close(y, model(several if len(several) > 1 else several[0]))


def test_every_layer_and_activation_has_its_line() -> None:
    assert OPERATORS.keys() == LAYERS.keys()
    assert {*CHAINS, "softmax"} == set(ACTIVATIONS)


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_every_activation(name: str, rng: np.random.Generator) -> None:
    model = Sequential([LAYERS["Activation"](name)], input_shape=(40,))
    x = 4 * rng.standard_normal((3, 40), np.float32)
    assert_close(computed(onnx_model(model.config(), model.weights).SerializeToString(), x), model(x))


@settings(max_examples=60)
@given(graphs(), st.booleans())
def test_any_network(model: Model, channels_first: bool) -> None:
    """Ways that part and meet, shared layers, kernels whose rows follow from what was flattened."""
    model = model.astype("float32")
    x = pictures(model).astype(np.float32)
    written = onnx_model(model.config(), model.weights, channels_first=channels_first)
    onnx.checker.check_model(written, full_check=True)
    y = computed(written.SerializeToString(), x.transpose(0, 3, 1, 2) if channels_first else x)
    assert_close(y, model(x))


def test_several_inputs_and_outputs_and_a_dense_layer_that_reads_two_orders(rng: np.random.Generator) -> None:
    a, b = Input((4, 3, 2)), Input((24,))
    shared = Dense(5)
    conv = Conv2D(2, 1)(a)
    parts = [shared(Flatten()(conv)), shared(b), shared(Flatten()(LAYERS["Permute"]((3, 1, 2))(conv)))]
    model = Model([a, b], [LAYERS["Add"]()(parts), LAYERS["Multiply"]()([a, conv, Dense(2)(b)]), parts[0]])
    x = [rng.standard_normal((3, 4, 3, 2), np.float32), rng.standard_normal((3, 24), np.float32)]
    found = every_output(onnx_model(model.config(), model.weights).SerializeToString(), x)
    for y, expected in zip(found, model(x), strict=True):
        assert_close(y, expected)


#: A layer, and inputs of different rank that all read it
SHARED: dict[str, tuple[Callable[[], Layer], tuple[tuple[int, ...], ...]]] = {
    "dense": (lambda: Dense(5), ((4,), (3, 5, 4), (6, 4))),
    "batch normalisation": (LAYERS["BatchNormalization"], ((4,), (3, 5, 4), (6, 4))),
    "layer normalisation": (LAYERS["LayerNormalization"], ((4,), (3, 5, 4), (6, 4))),
    "layer normalisation of the first axis": (lambda: LAYERS["LayerNormalization"](axis=1), ((4, 5, 3), (4,))),
    "layer normalisation of two axes": (lambda: LAYERS["LayerNormalization"](axis=(1, 2)), ((4, 5), (4, 5, 3))),
    "unit normalisation": (LAYERS["UnitNormalization"], ((4,), (3, 5, 4))),
    "softmax": (Softmax, ((4,), (3, 5, 4))),
    "gelu": (lambda: LAYERS["Activation"]("gelu"), ((4,), (3, 5, 4))),
    "relu6": (lambda: LAYERS["Activation"]("relu6"), ((4,), (3, 5, 4))),
}


@pytest.mark.parametrize("case", SHARED)
@pytest.mark.parametrize("turned", [False, True])
def test_a_layer_shared_by_inputs_of_different_rank(case: str, turned: bool, rng: np.random.Generator) -> None:
    """Each use has what it needs of the layer's weights, whichever comes last."""
    make, shapes = SHARED[case]
    inputs, shared = [Input(shape) for shape in (shapes[::-1] if turned else shapes)], make()
    model = Model(inputs, [shared(given) for given in inputs])
    for array in model.weights.values():
        array[...] = rng.uniform(0.5, 1.5, array.shape)
    x = [rng.standard_normal((3, *shape), np.float32) for shape in model.shapes[: len(shapes)]]
    written = onnx_model(model.config(), model.weights)
    onnx.checker.check_model(written, full_check=True)
    for y, expected in zip(every_output(written.SerializeToString(), x), model(x), strict=True):
        assert_close(y, expected)


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


@pytest.mark.parametrize("network", [face_cnn, residual_cnn])
def test_a_network_as_a_file(network: Any, tmp_path: Path, rng: np.random.Generator) -> None:
    model = network((64, 48, 1), 5, seed=1)
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
