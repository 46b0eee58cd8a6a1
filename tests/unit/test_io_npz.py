"""What was written comes back bit for bit; what was damaged or made by an enemy comes back as one clear error."""

from __future__ import annotations

import io
import os
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from minicnn.errors import LoadError, OptionError
from minicnn.io.npz import read_arrays, read_metadata, write_arrays
from minicnn.shapes import Array

parts = st.text("abcdefghij_0123456789", min_size=1, max_size=8)
names = st.lists(parts, min_size=1, max_size=3).map("/".join)
numbers = hnp.arrays(
    st.sampled_from([np.float32, np.float64, np.int64, np.uint8, np.bool_]),
    hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=4),
)
json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**60), 2**60)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)
in_tmp_path = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=50)


def example() -> dict[str, Array]:
    rng = np.random.default_rng(0)
    return {
        "conv1/kernel": rng.standard_normal((3, 3, 1, 2)).astype(np.float32),
        "conv1/bias": np.array([np.nan, -0.0], np.float32),
        "optimizer/iterations": np.array(7),
    }


@pytest.fixture
def file(tmp_path: Path) -> Path:
    write_arrays(tmp_path / "model.npz", example(), {"format": "test", "layers": [1, 2]})
    return tmp_path / "model.npz"


def same(a: dict[str, Array], b: dict[str, Array]) -> bool:
    return list(a) == list(b) and all(
        (a[k].dtype, a[k].shape, a[k].tobytes()) == (b[k].dtype, b[k].shape, b[k].tobytes()) for k in a
    )


def crafted(path: Path, members: list[tuple[str, bytes]], compression: int = zipfile.ZIP_STORED) -> Path:
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, content in [("metadata.json", b"{}"), *members]:
            archive.writestr(name, content)
    return path


def npy_bytes(array: Array, *, allow_pickle: bool = False) -> bytes:
    buffer = io.BytesIO()
    np.lib.format.write_array(buffer, array, allow_pickle=allow_pickle)
    return buffer.getvalue()


def npy_claiming(header: str, data: bytes = b"") -> bytes:
    text = header.encode().ljust(117) + b"\n"
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text + data


@in_tmp_path
@given(st.dictionaries(names, numbers, max_size=4), st.dictionaries(st.text(), json_values, max_size=3))
def test_round_trip(tmp_path: Path, arrays: dict[str, Array], metadata: dict[str, Any]) -> None:
    path = tmp_path / "any.npz"
    write_arrays(path, arrays, metadata)
    loaded, found = read_arrays(path, {name: (array.shape, array.dtype) for name, array in arrays.items()})
    assert same(loaded, arrays)
    assert found == read_metadata(path) == metadata
    assert all(array.flags.writeable for array in loaded.values())


def test_numpy_alone_can_read_it(file: Path) -> None:
    with np.load(file, allow_pickle=False) as archive:
        assert same({name: archive[name] for name in example()}, example())


def test_equal_content_gives_equal_bytes(file: Path, tmp_path: Path) -> None:
    write_arrays(tmp_path / "again.npz", example(), {"format": "test", "layers": [1, 2]})
    assert (tmp_path / "again.npz").read_bytes() == file.read_bytes()


def test_orders_and_views(tmp_path: Path) -> None:
    x = np.arange(24.0).reshape(2, 3, 4)
    arrays = {"view": x[::-1, ::2, 1:], "fortran": np.asfortranarray(x), "turned": x.T}
    write_arrays(tmp_path / "a.npz", arrays, {})
    loaded, _ = read_arrays(tmp_path / "a.npz")
    assert all(np.array_equal(loaded[name], array) for name, array in arrays.items())
    crafted(tmp_path / "b.npz", [("x.npy", npy_bytes(np.asfortranarray(x)))])  # as np.savez stores it
    assert np.array_equal(read_arrays(tmp_path / "b.npz")[0]["x"], x)


def test_arrays_larger_than_one_piece(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("minicnn.io.npz.CHUNK", 1000)
    x = np.random.default_rng(0).standard_normal(4321)
    write_arrays(tmp_path / "a.npz", {"x": x}, {})
    assert np.array_equal(read_arrays(tmp_path / "a.npz")[0]["x"], x)


def test_every_truncation_is_noticed(file: Path, tmp_path: Path) -> None:
    whole = file.read_bytes()
    for length in [*range(0, len(whole), 50), len(whole) - 1]:
        cut = tmp_path / "cut.npz"
        cut.write_bytes(whole[:length])
        with pytest.raises(LoadError, match=r"cut\.npz"):
            read_arrays(cut)


def test_every_flipped_byte_is_noticed_or_harmless(file: Path, tmp_path: Path) -> None:
    """Zip headers hold bytes that mean nothing here (times, rights). All others are caught: never a wrong number."""
    whole, noticed = file.read_bytes(), 0
    broken = tmp_path / "broken.npz"
    for position in range(len(whole)):
        for mask in (0x01, 0xFF):
            damaged = bytearray(whole)
            damaged[position] ^= mask
            broken.write_bytes(damaged)
            try:
                arrays, metadata = read_arrays(broken)
            except LoadError:
                noticed += 1
                continue
            assert same(arrays, example()), position
            assert metadata == {"format": "test", "layers": [1, 2]}
    assert noticed > 0.7 * 2 * len(whole)  # headers are a large part of a file as small as this one


@in_tmp_path
@given(st.binary(max_size=300))
def test_noise_is_no_file(tmp_path: Path, noise: bytes) -> None:
    (tmp_path / "noise.npz").write_bytes(noise)
    with pytest.raises(LoadError, match=r"noise\.npz"):
        read_arrays(tmp_path / "noise.npz")


@pytest.mark.parametrize(
    "name",
    ["../x.npy", "/etc/x.npy", "a//b.npy", "a/./b.npy", "a/../../b.npy", "..\\x.npy", "C:x.npy", "x.py", "a/", ".npy"],
)
def test_member_names_that_are_paths_or_no_arrays(tmp_path: Path, name: str) -> None:
    content = b"" if name.endswith("/") else npy_bytes(np.ones(2))
    with pytest.raises(LoadError, match=r"member name .* is refused"):
        read_arrays(crafted(tmp_path / "a.npz", [(name, content)]))


def test_object_arrays_are_refused_without_being_unpickled(tmp_path: Path) -> None:
    class Bomb:
        def __reduce__(self) -> tuple[Any, ...]:
            return os.mkdir, (str(tmp_path / "exploded"),)

    path = crafted(tmp_path / "a.npz", [("x.npy", npy_bytes(np.array([Bomb()], object), allow_pickle=True))])
    with pytest.raises(LoadError, match="dtype object"):
        read_arrays(path)
    assert not (tmp_path / "exploded").exists()


@pytest.mark.parametrize("dtype", ["[('a', '<f4')]", "'<U4'", "'<c8'", "'<M8[s]'", "'|V4'"])
def test_dtypes_that_are_no_numbers(tmp_path: Path, dtype: str) -> None:
    content = npy_claiming(f"{{'descr': {dtype}, 'fortran_order': False, 'shape': (1,)}}", bytes(16))
    with pytest.raises(LoadError, match=r"numbers in 'x\.npy'"):
        read_arrays(crafted(tmp_path / "a.npz", [("x.npy", content)]))


@pytest.mark.parametrize(
    "shape", ["(10**12,)", "(1000000, 1000000, 1000000)", "(-2, -2)", "(5,)", "(3,)", "(2**64 + 4,)", "()"]
)
def test_shapes_that_the_member_does_not_hold(tmp_path: Path, shape: str) -> None:
    """Announced terabytes are refused before anything is allocated; a product must not wrap round to the right size."""
    header = f"{{'descr': '<f4', 'fortran_order': False, 'shape': {eval(shape)!r}}}"
    path = crafted(tmp_path / "a.npz", [("x.npy", npy_claiming(header, bytes(16)))])
    with pytest.raises(LoadError, match="do not hold"):
        read_arrays(path)
    good = npy_claiming("{'descr': '<f4', 'fortran_order': False, 'shape': (4,)}", bytes(16))
    assert read_arrays(crafted(tmp_path / "b.npz", [("x.npy", good)]))[0]["x"].shape == (4,)


@pytest.mark.parametrize("header", ["", "(" * 100, "{'descr': '<f4'}", "{'descr': 5, 'fortran_order': 0, 'shape': 1}"])
def test_headers_that_are_none(tmp_path: Path, header: str) -> None:
    with pytest.raises(LoadError, match=r"a\.npz"):
        read_arrays(crafted(tmp_path / "a.npz", [("x.npy", npy_claiming(header, bytes(16)))]))


def test_compressed_members_are_refused_so_nothing_can_expand(tmp_path: Path) -> None:
    bomb = crafted(tmp_path / "a.npz", [("x.npy", npy_bytes(np.zeros(1_000_000)))], zipfile.ZIP_DEFLATED)
    assert bomb.stat().st_size < 20_000
    with pytest.raises(LoadError, match="Expected stored members"):
        read_arrays(bomb)


def test_members_that_share_their_bytes_are_refused(tmp_path: Path) -> None:
    """The overlapping kind of bomb: a thousand directory entries pointing at one member."""
    path = tmp_path / "a.npz"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("metadata.json", "{}")
        archive.writestr("x0.npy", npy_bytes(np.zeros(10_000)))
        original = archive.getinfo("x0.npy")
        for i in range(1, 50):
            twin = zipfile.ZipInfo(f"x{i}.npy")
            twin.header_offset, twin.CRC = original.header_offset, original.CRC
            twin.file_size, twin.compress_size = original.file_size, original.compress_size
            archive.filelist.append(twin)
            archive.NameToInfo[twin.filename] = twin
        archive._didModify = True
    with pytest.raises(LoadError, match="there are gaps or overlaps"):
        read_arrays(path)


def test_a_directory_that_hides_members_is_refused(file: Path) -> None:
    """A directory entry whose comment swallows the entries behind it: still a valid zip, with fewer members."""
    content = bytearray(file.read_bytes())
    first = content.index(b"PK\x01\x02")
    second = content.index(b"PK\x01\x02", first + 1)
    end = content.index(b"PK\x05\x06")
    content[first + 32 : first + 34] = (end - second).to_bytes(2, "little")
    file.write_bytes(content)
    assert zipfile.ZipFile(file).namelist() == ["metadata.json"]
    with pytest.raises(LoadError, match="does not list everything"):
        read_arrays(file)


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_name_twice_is_refused(tmp_path: Path) -> None:
    members = [("x.npy", npy_bytes(np.ones(2))), ("x.npy", npy_bytes(np.zeros(2)))]
    with pytest.raises(LoadError, match="appears twice"):
        read_arrays(crafted(tmp_path / "a.npz", members))


@pytest.mark.parametrize(
    ("expected", "reason"),
    [
        ({"x": ((2, 3), "float32")}, r"'x' is \(3, 2\) float32, expected \(2, 3\) float32"),
        ({"x": ((3, 2), "float64")}, r"expected \(3, 2\) float64"),
        ({"x": ((3, 2), "float32"), "y": ((1,), "float32")}, "'y' is missing"),
        ({}, "'x' is unknown"),
    ],
)
def test_what_does_not_fit_is_named(tmp_path: Path, expected: Any, reason: str) -> None:
    write_arrays(tmp_path / "a.npz", {"x": np.ones((3, 2), np.float32)}, {})
    with pytest.raises(LoadError, match=reason):
        read_arrays(tmp_path / "a.npz", expected)


def test_nothing_is_allocated_before_shapes_were_compared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_arrays(tmp_path / "a.npz", {"fits": np.ones(3), "large": np.ones((100, 100))}, {})

    def allocated(*arguments: Any, **options: Any) -> Any:
        raise AssertionError("allocated too early")

    monkeypatch.setattr("minicnn.io.npz._array", allocated)
    with pytest.raises(LoadError, match="large"):
        read_arrays(tmp_path / "a.npz", {"fits": ((3,), np.float64), "large": ((10, 10), np.float64)})


@pytest.mark.parametrize("content", [b"[1]", b"{", b"\xff\xfe", b"[" * 100_000, b'{"a": 1}'.ljust(5 << 20)])
def test_metadata_that_is_none(tmp_path: Path, content: bytes) -> None:
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        archive.writestr("metadata.json", content)
    for read in (read_metadata, read_arrays):
        with pytest.raises(LoadError, match=r"a\.npz.*metadata\.json"):
            read(tmp_path / "a.npz")


def test_other_things_that_are_no_model_file(tmp_path: Path) -> None:
    np.savez(tmp_path / "plain.npz", x=np.ones(3))
    with pytest.raises(LoadError, match=r"no metadata\.json"):
        read_arrays(tmp_path / "plain.npz")
    with pytest.raises(LoadError, match="no such file"):
        read_arrays(tmp_path / "nothing.npz")
    with pytest.raises(LoadError, match="not a regular file"):
        read_arrays(tmp_path)


@pytest.mark.parametrize("name", ["", "/a", "a/", "../a", "a\\b", "a\nb", "x" * 300])
def test_names_that_could_not_be_read_back_are_not_written(tmp_path: Path, name: str) -> None:
    with pytest.raises(OptionError, match="array names"):
        write_arrays(tmp_path / "a.npz", {name: np.ones(2)}, {})
    assert os.listdir(tmp_path) == []


def test_what_is_no_number_is_not_written(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="array of numbers"):
        write_arrays(tmp_path / "a.npz", {"x": np.array(["text"])}, {})
    with pytest.raises(OptionError, match="JSON"):
        write_arrays(tmp_path / "a.npz", {}, {"x": object()})
    with pytest.raises(OptionError, match="JSON"):
        write_arrays(tmp_path / "a.npz", {}, {"x": float("nan")})
    assert os.listdir(tmp_path) == []
