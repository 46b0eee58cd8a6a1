"""safetensors: what we write, the library by that name reads, and the other way round; headers that lie are refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from minicnn import load_model
from minicnn.errors import LoadError
from minicnn.io.checks import reading
from minicnn.io.safetensors import read_header, write_safetensors
from minicnn.io.stored import Stored
from minicnn.layers import Dense
from minicnn.sequential import Sequential
from minicnn.shapes import Array

library = pytest.importorskip("safetensors.numpy", reason="the library is the reference")

names = st.text("abc/._0", min_size=1, max_size=8)
numbers = hnp.arrays(
    st.sampled_from([np.float16, np.float32, np.float64, np.int64, np.uint8, np.bool_]),
    hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=4),
)
in_tmp_path = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)


def read(path: Path) -> dict[str, Array]:
    with reading(path, "a .safetensors file") as file:
        stored, _ = read_header(file)
        return {name: filled(one) for name, one in stored.items()}


def filled(stored: Stored) -> Array:
    array = np.empty(stored.shape, stored.dtype)
    stored.fill(array)
    return array


def assert_same(found: dict[str, Array], expected: dict[str, Array]) -> None:
    assert found.keys() == expected.keys()
    for name, array in expected.items():
        assert (found[name].dtype, found[name].shape) == (array.dtype, array.shape)
        assert found[name].tobytes() == array.tobytes()


@in_tmp_path
@given(st.dictionaries(names, numbers, max_size=4))
def test_both_ways_with_the_library(tmp_path: Path, arrays: dict[str, Array]) -> None:
    write_safetensors(tmp_path / "ours.safetensors", arrays, {"any": "thing"})
    assert_same(library.load_file(str(tmp_path / "ours.safetensors")), arrays)
    library.save_file(arrays, str(tmp_path / "theirs.safetensors"))
    assert_same(read(tmp_path / "theirs.safetensors"), arrays)


def test_arrays_larger_than_one_piece(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("minicnn.io.stored.CHUNK", 1000)
    arrays = {"x": np.random.default_rng(0).standard_normal((43, 7, 5))}
    write_safetensors(tmp_path / "a.safetensors", arrays, {})
    assert_same(read(tmp_path / "a.safetensors"), arrays)


def crafted(path: Path, header: Any, data: bytes = bytes(8)) -> Path:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + data)
    return path


def entry(dtype: Any = "F32", shape: Any = (2,), offsets: Any = (0, 8)) -> dict[str, Any]:
    return {"dtype": dtype, "shape": shape, "data_offsets": offsets}


LIES: dict[str, tuple[Any, str]] = {
    "a gap": ({"a": entry(shape=[1], offsets=[4, 8])}, "gaps or overlaps"),
    "an overlap": ({"a": entry(), "b": entry(shape=[1], offsets=[4, 8])}, "gaps or overlaps"),
    "beyond the end": ({"a": entry(shape=[4], offsets=[0, 16])}, "end at byte"),
    "not to the end": ({"a": entry(shape=[1], offsets=[0, 4])}, "end at byte"),
    "a shape that does not fit": ({"a": entry(shape=[3])}, "announces shape"),
    "sizes that wrap round": ({"a": entry(shape=[2**62, 4, 2**62])}, "announces shape"),
    "a negative size": ({"a": entry(shape=[-2])}, "no sizes"),
    "a size that is no integer": ({"a": entry(shape=[2.0])}, "no sizes"),
    "True as a size": ({"a": entry(shape=[True, 2])}, "no sizes"),
    "offsets turned round": ({"a": entry(offsets=[8, 0])}, "announces shape"),
    "three offsets": ({"a": entry(offsets=[0, 8, 8])}, "no sizes"),
    "a type nobody knows": ({"a": entry(dtype="BF16", shape=[4])}, "in one of F16"),
    "a type that is no text": ({"a": entry(dtype=["F32"])}, "in one of F16|TypeError"),
    "a field too many": ({"a": {**entry(), "more": 1}}, "is not {dtype"),
    "no entry": ({"a": 3}, "is not {dtype"),
    "metadata that are no texts": ({"a": entry(), "__metadata__": {"x": 1}}, "table of texts"),
    "no object": ([1], "not an object"),
    "no JSON": (b"{", "not JSON"),
    "a name twice": (b'{"a": 1, "a": 2}', "stands twice"),
}


@pytest.mark.parametrize("lie", LIES)
def test_a_header_that_lies_is_refused(lie: str, tmp_path: Path) -> None:
    header, reason = LIES[lie]
    with pytest.raises(LoadError, match=rf"Cannot load '.*a\.safetensors': .*({reason})"):
        read(crafted(tmp_path / "a.safetensors", header))
    assert read(crafted(tmp_path / "good.safetensors", {"a": entry()}))["a"].tolist() == [0, 0]


def test_weights_alone_need_a_network(tmp_path: Path) -> None:
    model = Sequential([Dense(2)], input_shape=(3,), seed=1)
    library.save_file(dict(model.weights), str(tmp_path / "a.safetensors"))
    with pytest.raises(LoadError, match="weights alone"):
        load_model(tmp_path / "a.safetensors")
    other = Sequential([Dense(2)], input_shape=(3,), seed=2)
    other.load_weights(tmp_path / "a.safetensors")
    np.testing.assert_array_equal(other.weights["dense/kernel"], model.weights["dense/kernel"])
