"""Files as VGG-Face was published, made of any weights: {"conv1_1/kernel": (3, 3, I, F), ..., "fc8/bias": (F,)}."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import scipy.io

from minicnn.io.vgg_face import CONVOLUTIONS, DENSE, LAYERS
from minicnn.shapes import Array

Weights = dict[str, Array]


def tiny_weights(rng: np.random.Generator) -> Weights:
    """Sixteen layers with few channels, but for fc6, whose 7x7x512 inputs are fixed."""
    shapes: dict[str, tuple[int, ...]] = {name: (3, 3, 2 + i % 2, 3 - i % 2) for i, name in enumerate(CONVOLUTIONS)}
    shapes |= {"fc6": (7 * 7 * 512, 3), "fc7": (3, 4), "fc8": (4, 5)}
    kernels = {f"{name}/kernel": shape for name, shape in shapes.items()}
    biases = {f"{name}/bias": shape[-1:] for name, shape in shapes.items()}
    return {
        f"{name}/{key}": rng.standard_normal((kernels | biases)[f"{name}/{key}"], np.float32)
        for name in LAYERS
        for key in ("kernel", "bias")
    }


def as_convolution(name: str, kernel: Array) -> Array:
    """A dense kernel as MatConvNet and deepface keep it."""
    if name not in DENSE:
        return kernel
    return kernel.reshape(*((7, 7) if name == "fc6" else (1, 1)), -1, kernel.shape[-1])


def write_mat(path: Path, weights: Weights, *, nested: bool = False, old: bool = False, packed: bool = True) -> None:
    """MatConvNet. ``nested``: all within ``net``; ``old``: fields filters and biases instead of weights."""
    layers = np.empty((1, len(LAYERS) + 2), object)
    for i, name in enumerate(LAYERS):
        kernel, bias = as_convolution(name, weights[f"{name}/kernel"]), weights[f"{name}/bias"].reshape(1, -1)
        both = np.empty((1, 2), object)
        both[0, 0], both[0, 1] = kernel, bias
        fields: dict[str, Any] = {"filters": kernel, "biases": bias} if old else {"weights": both}
        layers[0, i] = {"name": name, "type": "conv", "stride": [1, 1], "pad": 1, **fields}
    layers[0, -2] = {"name": "relu1_1", "type": "relu"}
    layers[0, -1] = {"name": "prob", "type": "softmax"}
    meta = {"normalization": {"averageImage": np.array([129.1863, 104.7624, 93.594]), "imageSize": [224, 224, 3, 10]}}
    content = {"net": {"layers": layers, **meta}} if nested else {"layers": layers, "meta": meta}
    scipy.io.savemat(path, content, do_compression=packed)


def write_keras_vggface(path: Path, weights: Weights, *, chunked: bool = False) -> None:
    """Keras 2's weights by our names; the group fc6/relu lies inside the group fc6."""
    with h5py.File(path, "w") as root:
        names = [*CONVOLUTIONS, "pool5", "flatten", "fc6", "fc6/relu", "fc7", "fc7/relu", "fc8", "fc8/softmax"]
        root.attrs["layer_names"] = [name.encode() for name in names]
        root.attrs["backend"], root.attrs["keras_version"] = b"tensorflow", b"2.0.6"
        for name in names:
            group = root.require_group(name)
            own = [f"{name}/{key}:0" for key in ("kernel", "bias")] if name in LAYERS else []
            group.attrs["weight_names"] = [weight.encode() for weight in own]
            for weight in own:
                options = {"chunks": True, "compression": "gzip", "shuffle": True} if chunked else {}
                group.create_dataset(weight, data=weights[weight.removesuffix(":0")], **options)


def write_deepface(path: Path, weights: Weights) -> None:
    """Keras 2's weights under running numbers, dense layers as convolutions."""
    with h5py.File(path, "w") as root:
        names = [f"conv2d_{i}" for i in range(1, 17)]
        root.attrs["layer_names"] = [b"zero_padding2d_1", *(name.encode() for name in names), b"flatten_1"]
        for name in ("zero_padding2d_1", "flatten_1"):
            root.create_group(name).attrs["weight_names"] = np.array([], "S1")
        for name, ours in zip(names, LAYERS, strict=True):
            group = root.create_group(name)
            group.attrs["weight_names"] = [f"{name}/kernel:0".encode(), f"{name}/bias:0".encode()]
            group.create_dataset(f"{name}/kernel:0", data=as_convolution(ours, weights[f"{ours}/kernel"]))
            group.create_dataset(f"{name}/bias:0", data=weights[f"{ours}/bias"])


def write_torch(path: Path, weights: Weights) -> None:
    """The state dict of vgg_face_dag: kernels OIHW, dense (out, in), fc6's inputs with channels first."""
    from safetensors.numpy import save_file

    state: Weights = {}
    for name in LAYERS:
        kernel = weights[f"{name}/kernel"]
        if name == "fc6":
            kernel = kernel.reshape(7, 7, 512, -1).transpose(3, 2, 0, 1).reshape(kernel.shape[-1], -1)
        else:
            kernel = kernel.transpose(3, 2, 0, 1) if kernel.ndim == 4 else kernel.T
        state |= {f"{name}.weight": np.ascontiguousarray(kernel), f"{name}.bias": weights[f"{name}/bias"]}
    save_file(state, str(path))
