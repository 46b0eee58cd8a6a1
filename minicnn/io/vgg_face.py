"""Where the published files of VGG-Face keep its weights, and what they want to be given.

Four forms travel. All hold the same sixteen layers; they differ in names, in the order of axes, and in which colour
comes first:

    file                        kernels                    fc6                                pictures
    MatConvNet .mat             HWIO, first axis fastest   convolution 7x7x512x4096           RGB
    keras-vggface .h5           HWIO                       dense 25088x4096                   BGR
    deepface .h5                HWIO                       convolution 7x7x512x4096           BGR
    vgg_face_dag .safetensors   OIHW                       dense 4096x25088, channels first   RGB

MatConvNet's file has two forms itself: variables ``layers`` and ``meta``, or all within ``net``; and each layer keeps
``weights {kernel, bias}``, or ``filters`` and ``biases``. What was published as a PyTorch checkpoint is a pickle, which
runs code when it is opened, so it is read after conversion (``safetensors.torch.save_file(state_dict, path)``).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from minicnn.errors import explain
from minicnn.io.checks import reading, refuse
from minicnn.io.hdf5 import open_tree
from minicnn.io.keras_weights import is_legacy, legacy_weights
from minicnn.io.mat import read_variables
from minicnn.io.models import suffix
from minicnn.io.safetensors import read_header
from minicnn.io.stored import Arrange, Place, Stored, as_it_is
from minicnn.shapes import Array

CONVOLUTIONS = tuple(f"conv{block}_{i + 1}" for block, n in enumerate((2, 2, 3, 3, 3), start=1) for i in range(n))
DENSE = ("fc6", "fc7", "fc8")
LAYERS = (*CONVOLUTIONS, *DENSE)
FC6_INPUT = (7, 7, 512)  # rows, columns, channels of pool5 for a picture of 224x224

Found = tuple[dict[str, Stored], dict[str, Place], str]


@contextmanager
def open_vgg_face(path: str | Path) -> Iterator[Found]:
    """(arrays in the file, where each address of ``vgg_face`` lies, "RGB" or "BGR"). Raises LoadError."""
    ending = suffix(path, tuple(READERS))
    with (
        reading(path, f"a {ending} file of VGG-Face") as file,
        READERS[ending](file, os.fstat(file.fileno()).st_size) as found,
    ):
        yield found


@contextmanager
def _matconvnet(file: BinaryIO, size: int) -> Iterator[Found]:
    variables = read_variables(file, size)
    net = variables.get("net", variables)
    layers = net.get("layers") if isinstance(net, dict) else None
    if not isinstance(layers, list):
        refuse(explain("the variables 'layers' and 'meta', or 'net' with 'layers'", ", ".join(variables)[:200]))
    stored: dict[str, Stored] = {}
    for layer in layers:
        name = layer.get("name") if isinstance(layer, dict) else None
        if name in LAYERS:
            weights = layer.get("weights", [layer.get("filters"), layer.get("biases")])
            if not isinstance(weights, list) or [type(array) for array in weights[:2]] != [Stored, Stored]:
                refuse(f"the layer '{name}' has no kernel and bias as arrays of numbers")
            if f"{name}/kernel" in stored:
                refuse(f"two layers have the name '{name}'")
            stored |= {f"{name}/kernel": weights[0], f"{name}/bias": weights[1]}
    yield stored, _places(lambda address: address, _as_convolution, _matlab_vectors), "RGB"


@contextmanager
def _torch(file: BinaryIO, size: int) -> Iterator[Found]:
    stored, _ = read_header(file)
    fc6 = stored.get("fc6.weight")
    if fc6 is not None and len(fc6.shape) == 2 and fc6.shape[1] == 7 * 7 * 512:
        stored["fc6.weight"] = fc6.split((fc6.shape[0], 512, 7, 7))  # flattened with channels first

    def name(address: str) -> str:
        return address.replace("/kernel", ".weight").replace("/bias", ".bias")

    def kernels(layer: str) -> tuple[Arrange, ...]:
        if layer == "fc6":  # (H*W*C, F) -> (H, W, C, F) -> (F, C, H, W)
            return (lambda kernel: kernel.reshape(*FC6_INPUT, -1).transpose(3, 2, 0, 1),)
        return (lambda kernel: kernel.T,) if layer in DENSE else (lambda kernel: kernel.transpose(3, 2, 0, 1),)

    yield stored, _places(name, kernels), "RGB"


@contextmanager
def _keras(file: BinaryIO, size: int) -> Iterator[Found]:
    """Names that are ours: keras-vggface. Sixteen layers of whatever names, in order: deepface."""
    with open_tree(file) as tree:
        group = is_legacy(tree)
        if group is None:
            refuse("it has no attribute layer_names, as the published files of VGG-Face do")
        saved = [(layer, paths) for layer, paths in legacy_weights(tree, group) if len(paths) == 2]
        names = [layer for layer, _ in saved]
        if not set(names) & set(LAYERS):
            names = list(LAYERS[: len(saved)])
        if len(saved) not in (len(CONVOLUTIONS), len(LAYERS)) or sorted(names) != sorted(LAYERS[: len(saved)]):
            refuse(explain(f"the layers {LAYERS[0]} to {DENSE[-1]}, or sixteen in a row", ", ".join(names)[:200]))
        paths = {
            f"{name}/{key}": path
            for name, (_, both) in zip(names, saved, strict=True)
            for key, path in zip(("kernel", "bias"), both, strict=True)
        }
        stored = {path: tree.stored(path) for path in paths.values()}
        yield stored, _places(lambda address: paths.get(address, address), _as_convolution), "BGR"


READERS: Mapping[str, Any] = {".mat": _matconvnet, ".safetensors": _torch, ".h5": _keras, ".hdf5": _keras}


def _places(
    name: Callable[[str], str],
    kernels: Callable[[str], tuple[Arrange, ...]],
    biases: tuple[Arrange, ...] = (as_it_is,),
) -> dict[str, Place]:
    """A place for every address: its name in the file, and how its axes may lie there."""
    places = {}
    for layer in LAYERS:
        places[f"{layer}/kernel"] = Place(name(f"{layer}/kernel"), kernels(layer))
        places[f"{layer}/bias"] = Place(name(f"{layer}/bias"), biases)
    return places


def _as_convolution(layer: str) -> tuple[Arrange, ...]:
    """A dense kernel (in, out) as it is, or as a convolution over all of its input: fc6 7x7, the others 1x1."""
    if layer not in DENSE:
        return (as_it_is,)
    window = FC6_INPUT[:2] if layer == "fc6" else (1, 1)
    return as_it_is, lambda kernel: kernel.reshape(*window, -1, kernel.shape[-1])


def _row(array: Array) -> Array:
    return array.reshape(1, -1)


def _column(array: Array) -> Array:
    return array.reshape(-1, 1)


_matlab_vectors: tuple[Arrange, ...] = (_row, _column)  # MATLAB has no arrays of one axis
