"""Every file is hostile: one LoadError that names it, within two seconds and 200 MB, and nothing is left behind."""

from __future__ import annotations

import json
import os
import struct
import subprocess
import sys
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from minicnn import load_model, load_vgg_face
from minicnn.errors import LoadError, OptionError
from minicnn.io import keras_files
from minicnn.io.safetensors import write_safetensors
from minicnn.layers import BatchNormalization, Conv2D, Dense, Flatten, ReLU
from minicnn.sequential import Sequential
from tests.unit.io.vgg_files import write_mat

h5py = pytest.importorskip("h5py", reason="Keras's files need the extra 'files'")

ROOT = Path(__file__).resolve().parents[3]
ENDINGS = (".npz", ".safetensors", ".keras", ".h5")
SECONDS = 2.0


def network() -> Sequential:
    layers = [Conv2D(2, 3), BatchNormalization(), ReLU(), Flatten(), Dense(3)]
    return Sequential(layers, input_shape=(5, 4, 1), seed=1)


def attack(*arguments: Any) -> list[tuple[str, str]]:
    """[(what, outcome)] of ``attack.py`` in a process of its own. Fails when it crashed or took too long."""
    command = [sys.executable, "-m", "tests.unit.io.attack", *map(str, arguments)]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert result.returncode == 0, f"{result.stdout[-300:]} {result.stderr[-2000:]}"
    outcomes = []
    for line in result.stdout.splitlines():
        what, end = json.JSONDecoder().raw_decode(line)
        outcome, seconds = json.loads(line[end:])
        assert seconds < SECONDS, line
        outcomes.append((what, outcome))
    return outcomes


# -- damage ------------------------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("ending", ENDINGS)
def test_damage_is_noticed_or_harmless(ending: str, tmp_path: Path) -> None:
    """Never another error, another shape, a NaN, or a crash. (Without a checksum, a number may be another.)"""
    model = network()
    model.save(tmp_path / f"model{ending}")
    whole = "loaded:" + ",".join(f"{address}{array.shape}" for address, array in model.weights.items())
    count = 60 if ending == ".h5" else 1500  # each .h5 is first read in a process of its own
    outcomes = attack("--damage", count, tmp_path / f"model{ending}")
    assert len(outcomes) == count
    kinds = {outcome for _, outcome in outcomes}
    assert kinds <= {"LoadError", whole}, [row for row in outcomes if row[1] not in ("LoadError", whole)][:5]
    assert sum(outcome == "LoadError" for _, outcome in outcomes) > count / 5
    assert os.listdir(tmp_path) == [f"model{ending}"]


@pytest.mark.slow
@pytest.mark.parametrize("packed", [False, True])
def test_damage_to_a_matlab_file(packed: bool, tmp_path: Path) -> None:
    """Sixteen layers of one channel: no weights of VGG-Face, so what is not damaged is refused for its shapes."""
    shapes = dict.fromkeys(vgg_names()[:13], (3, 3, 1, 1)) | dict.fromkeys(("fc6", "fc7", "fc8"), (1, 1))
    weights = {f"{name}/kernel": np.ones(shape, np.float32) for name, shape in shapes.items()}
    weights |= {f"{name}/bias": np.ones(1, np.float32) for name in shapes}
    weights["fc6/kernel"] = np.ones((49, 1), np.float32)
    write_mat(tmp_path / "a.mat", weights, packed=packed)
    outcomes = attack("--damage", 1500, tmp_path / "a.mat")
    assert {outcome for _, outcome in outcomes} == {"LoadError"}, outcomes[:5]
    assert os.listdir(tmp_path) == ["a.mat"]


def vgg_names() -> tuple[str, ...]:
    from minicnn.io.vgg_face import LAYERS

    return LAYERS


@pytest.mark.parametrize("ending", ENDINGS)
def test_every_truncation_is_refused(ending: str, tmp_path: Path) -> None:
    network().save(tmp_path / f"model{ending}")
    whole = (tmp_path / f"model{ending}").read_bytes()
    for length in [*range(0, len(whole), 197), len(whole) - 1]:
        (tmp_path / f"cut{ending}").write_bytes(whole[:length])
        with pytest.raises(LoadError, match=rf"Cannot load '.*cut\{ending}'"):
            load_model(tmp_path / f"cut{ending}")


def test_a_flipped_bit_in_an_archive_never_changes_a_number(tmp_path: Path) -> None:
    """.npz and .keras have checksums; .npz is flipped byte by byte in test_io_npz.py."""
    model = network()
    model.save(tmp_path / "model.keras")
    whole = (tmp_path / "model.keras").read_bytes()
    array = model.weights["dense/kernel"].tobytes()
    place = whole.index(array)
    for position in range(place, place + len(array), 7):
        damaged = bytearray(whole)
        damaged[position] ^= 1
        (tmp_path / "flipped.keras").write_bytes(damaged)
        with pytest.raises(LoadError, match="CRC"):
            load_model(tmp_path / "flipped.keras")


# -- the wrong thing under the right name ------------------------------------------------------------------------------


PAIRS = [
    (ending, other)
    for ending in (*ENDINGS, ".mat")
    for other in ENDINGS
    # a reader of Keras's files looks at the first bytes, as Keras does
    if ending != other and {ending, other} != {".keras", ".h5"}
]


@pytest.mark.parametrize("ending, other", PAIRS)
def test_another_format_under_this_name(ending: str, other: str, tmp_path: Path) -> None:
    network().save(tmp_path / f"a{other}")
    path = (tmp_path / f"a{other}").rename(tmp_path / f"a{ending}")
    with pytest.raises(LoadError, match=rf"Cannot load '.*a\{ending}'"):
        load_vgg_face(path) if ending == ".mat" else load_model(path)


@pytest.mark.parametrize("ending", [*ENDINGS, ".mat"])
def test_what_is_no_file(ending: str, tmp_path: Path) -> None:
    load: Callable[[Path], Any] = load_vgg_face if ending == ".mat" else load_model
    path = tmp_path / f"a{ending}"
    with pytest.raises(LoadError, match="no such file"):
        load(path)
    os.mkfifo(path)  # opening it would wait for ever
    with pytest.raises(LoadError, match="not a regular file"):
        load(path)
    path.unlink()
    path.mkdir()
    with pytest.raises(LoadError, match="not a regular file"):
        load(path)
    path.rmdir()
    path.write_bytes(b"")
    with pytest.raises(LoadError, match=rf"a\{ending}"):
        load(path)


def test_an_ending_that_nobody_reads(tmp_path: Path) -> None:
    for name in ("a.pkl", "a.pt", "a", "a.onnx"):
        with pytest.raises(OptionError, match=r"\.npz, \.safetensors, \.keras"):
            load_model(tmp_path / name)


# -- weights that do not fit -------------------------------------------------------------------------------------------


def changed(path: Path, change: Callable[[dict[str, Any]], None]) -> None:
    """A file of the network whose arrays were changed, whole and undamaged."""
    model = network()
    arrays: dict[str, Any] = dict(model.weights)
    change(arrays)
    model.save(path)
    if path.suffix == ".safetensors":
        from minicnn.io.models import Description, _metadata

        write_safetensors(path, arrays, _metadata(Description("Sequential", model.config())))
    elif path.suffix == ".npz":
        from minicnn.io.npz import read_arrays, write_arrays

        write_arrays(path, arrays, read_arrays(path)[1])
    elif path.suffix == ".h5":
        keras_files.write_h5(path, model.config(), arrays)
    else:
        keras_files.write_keras(path, model.config(), arrays)


CHANGES: dict[str, tuple[Callable[[dict[str, Any]], Any], str]] = {
    "missing": (lambda arrays: arrays.pop("dense/bias"), "missing|layers with weights"),
    "one too many": (
        lambda arrays: arrays.update({"dense/more": np.ones(3, np.float32)}),
        "unknown|layers with weights",
    ),
    "another shape": (lambda arrays: arrays.update({"dense/bias": np.ones(4, np.float32)}), r"\(4,\).*\(3,\)"),
    "another type": (lambda arrays: arrays.update({"dense/bias": np.ones(3, np.float64)}), "float64.*float32"),
    "whole numbers": (lambda arrays: arrays.update({"dense/bias": np.ones(3, np.int32)}), "int32.*float32"),
    "NaN": (lambda arrays: arrays.update({"dense/bias": np.float32([1, np.nan, 2])}), "dense/bias.*NaN"),
    "infinity": (lambda arrays: arrays.update({"dense/bias": np.float32([1, -np.inf, 2])}), "dense/bias.*infinity"),
}


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("change", CHANGES)
def test_weights_that_do_not_fit_are_named(ending: str, change: str, tmp_path: Path) -> None:
    path = tmp_path / f"a{ending}"
    make, reason = CHANGES[change]
    changed(path, make)
    with pytest.raises(LoadError, match=rf"a\{ending}'.*({reason})"):
        load_model(path)
    other = network()
    before = {address: array.copy() for address, array in other.weights.items()}
    with pytest.raises(LoadError, match=rf"a\{ending}'.*({reason})"):
        other.load_weights(path)
    for address, array in before.items():  # nothing was changed half-way
        np.testing.assert_array_equal(other.weights[address], array)


def test_weights_alone_are_distrusted_too(tmp_path: Path) -> None:
    """A .weights.h5 has no description: what it must hold, the network that takes the weights says."""
    path, model = tmp_path / "a.weights.h5", network()
    model.save(path)
    whole = path.read_bytes()
    for length in range(0, len(whole) - 1, 997):
        path.write_bytes(whole[:length])
        with pytest.raises(LoadError, match=r"Cannot load '.*a\.weights\.h5'"):
            model.load_weights(path)
    for make, reason in CHANGES.values():
        arrays: dict[str, Any] = dict(network().weights)
        make(arrays)
        keras_files.write_weights_h5(path, model.config(), arrays)
        with pytest.raises(LoadError, match=rf"Cannot load '.*a\.weights\.h5'.*({reason})"):
            model.load_weights(path)
    for address, array in network().weights.items():  # nothing was changed half-way
        np.testing.assert_array_equal(model.weights[address], array)
    with pytest.raises(LoadError, match="weights alone, without a network"):
        load_model(path, allow_nan=True)


@pytest.mark.parametrize("ending", ENDINGS)
def test_a_network_that_diverged_can_be_looked_at(ending: str, tmp_path: Path) -> None:
    changed(tmp_path / f"a{ending}", CHANGES["NaN"][0])
    assert np.isnan(load_model(tmp_path / f"a{ending}", allow_nan=True).weights["dense/bias"]).tolist() == [0, 1, 0]
    model = network()
    model.load_weights(tmp_path / f"a{ending}", allow_nan=True)
    assert np.isnan(model.weights["dense/bias"]).any()


# -- HDF5 --------------------------------------------------------------------------------------------------------------

KERNEL = "model_weights/dense/sequential/dense/kernel"


def edited(tmp_path: Path, edit: Callable[[Any], None]) -> Path:
    network().save(tmp_path / "a.h5")
    with h5py.File(tmp_path / "a.h5", "r+") as root:
        edit(root)
    return tmp_path / "a.h5"


def replace(root: Any, **options: Any) -> None:
    shape = root[KERNEL].shape
    del root[KERNEL]
    root.create_dataset(KERNEL, shape, "f4", **options)


def virtual(root: Any) -> None:
    shape = root[KERNEL].shape
    del root[KERNEL]
    layout = h5py.VirtualLayout(shape, "f4")
    layout[...] = h5py.VirtualSource("secret.h5", "x", shape)
    root.create_virtual_dataset(KERNEL, layout)


def circle(root: Any) -> None:
    root["model_weights/dense/again"] = root["model_weights"]


def linked(link: Any) -> Callable[[Any], None]:
    def edit(root: Any) -> None:
        del root[KERNEL]
        root[KERNEL] = link

    return edit


def text_attribute(name: str, value: Any) -> Callable[[Any], None]:
    return lambda root: root["model_weights"].attrs.__setitem__(name, value)


DOORS: dict[str, tuple[Callable[[Any], None], str]] = {
    "external link": (linked(h5py.ExternalLink("secret.h5", "x")), "is a link"),
    "soft link": (linked(h5py.SoftLink("/model_weights/conv2d/sequential/conv2d/kernel")), "is a link"),
    "external storage": (lambda root: replace(root, external=[("secret.bin", 0, 144)]), "in another file"),
    "virtual dataset": (virtual, "in another file"),
    "circle": (circle, "stands twice"),
    "never written": (lambda root: replace(root, chunks=(1, 1)), "never written|holds"),
    "text": (lambda root: _text(root), "numbers in"),
    "objects": (lambda root: replace_type(root, h5py.special_dtype(ref=h5py.Reference)), "numbers in"),
    "a group": (lambda root: _group(root), "no dataset"),
    "names that are numbers": (text_attribute("layer_names", [1, 2, 3]), "texts as 'layer_names'"),
    "a name out of the tree": (text_attribute("layer_names", [b"../../etc"]), "is missing"),
    "an absolute name": (text_attribute("layer_names", [b"/model_weights/dense"]), "is missing"),
}


def _text(root: Any) -> None:
    del root[KERNEL]
    root[KERNEL] = "text"


def _group(root: Any) -> None:
    del root[KERNEL]
    root.create_group(KERNEL)


def replace_type(root: Any, dtype: Any) -> None:
    shape = root[KERNEL].shape
    del root[KERNEL]
    root.create_dataset(KERNEL, shape, dtype)


@pytest.mark.parametrize("door", DOORS)
def test_hdf5_leads_nowhere_else(door: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beside it lies what an attacker would like to read, where the link would find it."""
    monkeypatch.chdir(tmp_path)
    with h5py.File(tmp_path / "secret.h5", "w") as root:
        root["x"] = np.full(network().weights["dense/kernel"].shape, 7, np.float32)
    (tmp_path / "secret.bin").write_bytes(bytes(144))
    edit, reason = DOORS[door]
    with pytest.raises(LoadError, match=rf"Cannot load '.*a\.h5': .*({reason})"):
        load_model(edited(tmp_path, edit))


def test_a_filter_that_would_load_a_library_is_refused(tmp_path: Path) -> None:
    def edit(root: Any) -> None:
        shape = root[KERNEL].shape
        del root[KERNEL]
        properties = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        properties.set_chunk(shape)
        properties.set_filter(32999, h5py.h5z.FLAG_OPTIONAL, (1,))
        h5py.h5d.create(root.id, KERNEL.encode(), h5py.h5t.IEEE_F32LE, h5py.h5s.create_simple(shape), properties)

    with pytest.raises(LoadError, match="filter 32999"):
        load_model(edited(tmp_path, edit))


def test_a_bit_that_sends_the_library_in_circles(tmp_path: Path) -> None:
    """The size of a text in HDF5's heap of texts: libhdf5 1.14 never comes back from it."""
    network().save(tmp_path / "a.h5")
    content = bytearray((tmp_path / "a.h5").read_bytes())
    description = content.index(b'{"class_name"')
    content[description - 8 + 1] ^= 2  # 8 bytes of size in front of each object
    (tmp_path / "a.h5").write_bytes(content)
    assert {outcome for _, outcome in attack(tmp_path / "a.h5")} == {"LoadError"}


# -- bombs -------------------------------------------------------------------------------------------------------------


def hdf5_bomb(path: Path, **options: Any) -> None:
    """A dense layer of 40 GB whose numbers were never written, or are zeros that gzip makes small."""
    units = options.pop("units")
    layers = [
        {"class_name": "InputLayer", "config": {"batch_shape": [None, 1000], "dtype": "float32", "name": "i"}},
        {"class_name": "Dense", "config": {"name": "dense", "units": units, "activation": "linear", "use_bias": False}},
    ]
    with h5py.File(path, "w") as root:
        root.attrs["model_config"] = json.dumps({"class_name": "Sequential", "config": {"name": "s", "layers": layers}})
        group = root.create_group("model_weights")
        group.attrs["layer_names"] = [b"dense"]
        dense = group.create_group("dense")
        dense.attrs["weight_names"] = [b"dense/kernel:0"]
        data = dense.create_dataset("dense/kernel:0", (1000, units), "f4", **options)
        if options:
            for row in range(0, 1000, 100):
                data[row : row + 100] = 0


def nested_zip_bomb(path: Path) -> None:
    network().save(path)
    with zipfile.ZipFile(path) as old:
        content = {name: old.read(name) for name in old.namelist()}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as new:
        new.writestr("config.json", content["config.json"])
        with new.open("model.weights.h5", "w", force_zip64=True) as member:
            member.write(content["model.weights.h5"])
            for _ in range(300):
                member.write(bytes(1 << 20))


def matlab_bomb(path: Path, announced: int, zeros: int) -> None:
    """A packed array that announces ``announced`` bytes and unpacks to ``zeros``."""
    array = struct.pack("<IIIIII", 6, 8, 7, 0, 5, 8) + struct.pack("<ii", 1, announced // 4)
    array += struct.pack("<HH4s", 1, 1, b"x") + struct.pack("<II", 7, announced)
    packer = zlib.compressobj()
    packed = packer.compress(struct.pack("<II", 14, len(array) + announced) + array)
    packed += b"".join(packer.compress(bytes(1 << 20)) for _ in range(zeros >> 20)) + packer.flush()
    header = b"MATLAB 5.0 MAT-file".ljust(124) + b"\x00\x01IM"
    path.write_bytes(header + struct.pack("<II", 15, len(packed)) + packed)


def safetensors_bomb(path: Path) -> None:
    header = b'{"a":{"dtype":"F32","shape":[1000000,100000],"data_offsets":[0,400000000000]}}'
    path.write_bytes(len(header).to_bytes(8, "little") + header)


def deep_json(path: Path) -> None:
    path.write_bytes((500_000).to_bytes(8, "little") + b'{"a":' + b"[" * 499_995)


BOMBS: dict[str, tuple[str, Callable[[Path], None]]] = {
    "HDF5, never written": ("a.h5", lambda path: hdf5_bomb(path, units=10**7)),
    "HDF5, zeros in gzip": (
        "b.h5",
        lambda path: hdf5_bomb(path, units=10**5, chunks=(100, 10**5), compression="gzip", shuffle=True),
    ),
    "zip in .keras": ("c.keras", nested_zip_bomb),
    "MATLAB, announced": ("d.mat", lambda path: matlab_bomb(path, 2**31 - 2**16, 1 << 20)),
    "MATLAB, not announced": ("e.mat", lambda path: matlab_bomb(path, 1 << 20, 300 << 20)),
    "safetensors": ("f.safetensors", safetensors_bomb),
    "safetensors, a header of terabytes": ("g.safetensors", lambda path: path.write_bytes(b"\xff" * 7 + b"\x00{}")),
    "safetensors, brackets": ("h.safetensors", deep_json),
}


def test_bombs_do_not_go_off(tmp_path: Path) -> None:
    for name, make in BOMBS.values():
        make(tmp_path / name)
        assert (tmp_path / name).stat().st_size < 3 << 20
    before = sorted(os.listdir(tmp_path))
    outcomes = attack(*(tmp_path / name for name, _ in BOMBS.values()))
    assert len(outcomes) == len(BOMBS)
    assert {outcome for _, outcome in outcomes} == {"LoadError"}, outcomes
    assert sorted(os.listdir(tmp_path)) == before


# -- archives and programs ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["../x", "/etc/x", "a/../../x", "C:x", "..\\x"])
def test_members_that_lead_out_of_a_keras_archive(name: str, tmp_path: Path) -> None:
    network().save(tmp_path / "a.keras")
    with zipfile.ZipFile(tmp_path / "a.keras", "a") as archive:
        archive.writestr(name, b"x")
    with pytest.raises(LoadError, match="leads out of the archive"):
        load_model(tmp_path / "a.keras")
    assert os.listdir(tmp_path) == ["a.keras"]


def test_a_keras_archive_without_weights_or_network(tmp_path: Path) -> None:
    for missing in ("config.json", "model.weights.h5"):
        network().save(tmp_path / "a.keras")
        with zipfile.ZipFile(tmp_path / "a.keras") as old:
            content = {name: old.read(name) for name in old.namelist() if name != missing}
        with zipfile.ZipFile(tmp_path / "a.keras", "w") as new:
            for member, data in content.items():
                new.writestr(member, data)
        with pytest.raises(LoadError, match=f"no {missing}"):
            load_model(tmp_path / "a.keras")


PROGRAMS: dict[str, Any] = {
    "Lambda": {"class_name": "Lambda", "config": {"name": "l", "function": ["4wEAAA==", None, None]}},
    "a class of somebody's own": {
        "class_name": "Dense",
        "registered_name": "evil>Dense",
        "config": {"name": "l", "units": 1},
    },
    "a class that is no layer": {"class_name": "os.system", "config": {"name": "l"}},
    "an attribute of ours": {"class_name": "__init__", "config": {"name": "l"}},
    "an activation of somebody's own": {
        "class_name": "Dense",
        "config": {"name": "l", "units": 1, "activation": {"class_name": "Evil", "config": {}}},
    },
    "an option nobody knows": {"class_name": "ReLU", "config": {"name": "l", "exec": "print(1)"}},
    "no config": {"class_name": "ReLU"},
    "a list": [],
    "a name that is no text": {"class_name": "ReLU", "config": {"name": 3}},
    "units of terabytes": {"class_name": "Dense", "config": {"name": "l", "units": 10**12}},
    "units as a word": {"class_name": "Dense", "config": {"name": "l", "units": "many"}},
}


@pytest.mark.parametrize("program", PROGRAMS)
@pytest.mark.parametrize("ending", [".keras", ".h5"])
def test_nothing_in_a_description_is_run_or_believed(program: str, ending: str, tmp_path: Path) -> None:
    from minicnn.io.keras_config import config_to_keras

    path = tmp_path / f"a{ending}"
    network().save(path)
    model = config_to_keras(network().config())
    model["config"]["layers"].append(PROGRAMS[program])
    if ending == ".h5":
        with h5py.File(path, "r+") as root:
            root.attrs["model_config"] = json.dumps(model)
    else:
        with zipfile.ZipFile(path) as old:
            weights = old.read("model.weights.h5")
        with zipfile.ZipFile(path, "w") as new:
            new.writestr("config.json", json.dumps(model))
            new.writestr("model.weights.h5", weights)
    with pytest.raises(LoadError, match=rf"Cannot load '.*a\{ending}'"):
        load_model(path)
