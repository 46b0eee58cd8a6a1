"""VGG-Face as its authors trained it, from any of the files in which it travels (``minicnn.io.vgg_face``).

    model, preprocess_input = load_vgg_face("vgg-face.mat")
    scores = model.predict(preprocess_input(photographs))            # (N, 224, 224, 3) RGB, 0..255

The network must be given what it was trained on: the mean colour of the training faces taken away, and the colours in
the file's order. ``preprocess_input`` does both, and always takes RGB.

**Grey pictures.** A grey picture g is the colour picture (g, g, g), so its three kernels can be added up once and for
all. With k_c the kernel of conv1_1 for colour c, m_c the mean of that colour, and m the mean of the three:

    sum_c k_c * (g - m_c)  =  K * (g - m) + sum_c k_c * (m - m_c),        K = sum_c k_c

The last term is a constant, and becomes part of the bias. That is exact for every pixel but the outermost ring, where
the kernel reaches into the padding: there the constant would be a smaller sum. The mean is kept because of this ring:
zeros around g - m stand for an average face, as they do in colour.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from minicnn.errors import ShapeError, explain
from minicnn.io.stored import read_stored
from minicnn.io.vgg_face import FC6_INPUT, open_vgg_face
from minicnn.model import Model
from minicnn.models.outline import outline
from minicnn.models.vgg_face import vgg_face_table
from minicnn.shapes import Array, Shape

MEAN_RGB = (129.1863, 104.7624, 93.5940)  # of the training faces, 0..255
FC6 = "fc6/kernel"


@dataclass(frozen=True)
class Preprocessing:
    """What a pretrained VGG-Face wants: ``order`` "RGB", "BGR" or "grey"; ``mean`` of each of these channels."""

    order: str
    mean: tuple[float, ...]

    def __call__(self, x: Array) -> Array:
        """(N, H, W, 3) RGB 0..255 -> float32 in ``order``, less the mean; grey pictures are (N, H, W, 1).

        Raises ShapeError for another number of channels. ``x`` is not changed.
        """
        x = np.asarray(x)
        if x.ndim != 4 or x.shape[3] != len(self.mean):
            fix = "Load the weights for (H, W, 1) to give grey pictures." if x.shape[-1:] == (1,) else ""
            raise ShapeError(explain(f"pictures (N, H, W, {len(self.mean)})", f"shape {x.shape}", fix))
        y = x[..., ::-1] if self.order == "BGR" else x
        return np.subtract(y, np.asarray(self.mean, np.float32), dtype=np.float32)


class Pretrained(NamedTuple):
    """A network, and what turns photographs into what it was trained on."""

    model: Model
    preprocess_input: Preprocessing


def load_vgg_face(
    path: str | Path, input_shape: Shape = (224, 224, 3), *, include_top: bool = True, softmax: bool = True
) -> Pretrained:
    """VGG-Face with published weights: MatConvNet's .mat, keras-vggface's, deepface's .h5, vgg_face_dag .safetensors.

    ``input_shape`` (H, W, 3), or (H, W, 1) for grey pictures. With its dense layers the network takes 224x224 only;
    ``include_top=False`` ends at pool5 and takes any size from 32x32. No array is held twice: the peak is little more
    than the weights, 580 MB. Raises LoadError, naming the file and the reason, ShapeError for a shape that fits no
    weights, OptionError for an ending that no reader knows.
    """
    network = outline(vgg_face_table(input_shape, include_top=include_top, softmax=softmax))
    shapes = {address: array.shape for address, array in network.weights.items()}
    _check_size(input_shape, shapes)
    grey = input_shape[2] == 1
    shapes["conv1_1/kernel"] = (3, 3, 3, 64)
    with open_vgg_face(path) as (stored, places, order):
        expected = {address: (shape, np.float32) for address, shape in shapes.items()}
        weights = read_stored(
            stored, expected, {address: places[address] for address in shapes}, optional=lambda name: not include_top
        )
    mean: tuple[float, ...] = MEAN_RGB if order == "RGB" else MEAN_RGB[::-1]
    if grey:
        order, mean = "grey", _to_grey(weights, mean)
    network.build(input_shape, weights)
    return Pretrained(network, Preprocessing(order, mean))


def _to_grey(weights: dict[str, Array], mean: tuple[float, ...]) -> tuple[float]:
    """Replace conv1_1 by its grey form (see above) and return the mean of grey."""
    kernel = weights["conv1_1/kernel"].astype(np.float64)
    grey = sum(mean) / len(mean)
    constant = np.einsum("hwcf,c->f", kernel, grey - np.array(mean))
    weights["conv1_1/kernel"] = kernel.sum(axis=2, keepdims=True).astype(np.float32)
    weights["conv1_1/bias"] = (weights["conv1_1/bias"] + constant).astype(np.float32)
    return (grey,)


def _check_size(input_shape: Shape, shapes: dict[str, Shape]) -> None:
    """The published fc6 has 7x7x512 inputs. Raises ShapeError before a file is opened."""
    H, W, C = input_shape
    if C not in (1, 3):
        raise ShapeError(explain("pictures of 3 channels, or 1", f"input_shape {tuple(input_shape)}"))
    rows, columns, channels = FC6_INPUT
    if FC6 in shapes and shapes[FC6][0] != rows * columns * channels:
        here = f"{H // 32}x{W // 32}x{channels} = {shapes[FC6][0]} at {H}x{W}"
        fix = "Resize the pictures to 224x224, or load with include_top=False and train dense layers of your own."
        trained = f"{rows}x{columns}x{channels} = {rows * columns * channels}"
        raise ShapeError(explain(f"the {trained} inputs that fc6 was trained on", here, fix))
