"""How much does each algorithm of a convolution round, beside Keras? A table per kernel and stride, in units of
u = 2**-24; and a table of whole networks.

    python -m benchmarks.rounding

He-scaled kernels on the positive part of normal numbers: what a layer in the middle of a network sees. "rms" is the
root mean square error over the root mean square of the result, "E" the largest error over the largest result, both
against the float64 result for the same float32 numbers. A network is judged by its scores, before the softmax, with
weights as they are initialised.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np

from minicnn.layers import Conv2D
from minicnn.models import face_cnn, residual_cnn, vgg_face
from minicnn.ops.conv2d import conv2d
from reference_keras.tolerance import U, max_error, rms

LAYERS = ((16, 56), (64, 56), (128, 28), (256, 14), (512, 14))  # channels in and out, rows and columns
ALGORITHMS = {  # by kernel and stride
    (3, 1): ("im2col", "direct", "winograd_2x2", "winograd_complex", "winograd_6x6", "winograd"),
    (5, 1): ("im2col", "direct", "winograd_5x5", "winograd_5x5_4x4"),
    (3, 2): ("im2col", "direct", "winograd_stride_2"),
}
NETWORKS = (  # with shape, pictures and seed
    *((vgg_face, (size, size, 3), 1, seed) for size in (64, 96, 112, 224) for seed in (0, 1)),
    *((vgg_face, (200, 200, 1), 2, seed) for seed in (0, 1)),
    *((face_cnn, (200, 200, 1), 8, seed) for seed in (0, 1, 2)),
    *((residual_cnn, (100, 100, 1), 4, seed) for seed in (0, 1)),
)


def errors(channels: int, size: int, taps: int, strides: int) -> dict[str, tuple[float, float]]:
    """(rms, E) of Keras and of every algorithm, for one layer."""
    import keras

    rng = np.random.default_rng(0)
    filters = min(channels, 64)
    x = np.maximum(rng.standard_normal((1, size, size, channels), np.float32), 0)
    scale = np.float32(np.sqrt(2 / taps**2 / channels))
    kernel = rng.standard_normal((taps, taps, channels, filters), np.float32) * scale
    options: dict[str, Any] = {"padding": "same", "strides": strides}
    truth, _ = conv2d(x.astype(np.float64), kernel.astype(np.float64), algorithm="im2col", **options)
    found = {"Keras": np.asarray(keras.ops.conv(x, kernel, **options))}
    found |= {name: conv2d(x, kernel, algorithm=name, **options)[0] for name in ALGORITHMS[taps, strides]}
    return {name: (rms(y - truth) / rms(truth) / U, max_error(y, truth) / U) for name, y in found.items()}


def network_errors(network: Any, shape: tuple[int, int, int], pictures: int, seed: int) -> tuple[str, float, float]:
    """A network's convolutions, counted by algorithm, and the rms error of Keras's scores and of ours, by that of the
    scores."""
    from reference_keras.twins import keras_twin

    options = {"classes": 40, "softmax": False, "dropout": 0.0}
    ours, referee = network(shape, seed=seed, **options), network(shape, dtype="float64", **options)
    referee.set_weights({address: array.astype(np.float64) for address, array in ours.weights.items()})
    x = np.random.default_rng(seed).random((pictures, *shape), np.float32)
    truth = referee(x.astype(np.float64))
    algorithms = Counter(layer.algorithm_used() for layer in ours.layers if isinstance(layer, Conv2D))
    both = (rms(np.asarray(scores) - truth) / rms(truth) for scores in (keras_twin(ours)(x), ours(x)))
    return ", ".join(f"{count} {name}" for name, count in algorithms.most_common()), *both


def main() -> None:
    for taps, strides in ALGORITHMS:
        head = f"{taps}x{taps}, stride {strides}"
        print(f"{head:>20}" + "".join(f"{f'{channels} channels':>18}" for channels, _ in LAYERS))
        rows = [errors(*layer, taps, strides) for layer in LAYERS]
        for name in rows[0]:
            print(f"{name:>20}" + "".join(f"{'rms {:.1f}  E {:.1f}'.format(*row[name]):>18}" for row in rows))
    print("\nnetwork (pictures, seed)               Keras     minicnn   ratio")
    for network, shape, pictures, seed in NETWORKS:
        algorithms, keras, ours = network_errors(network, shape, pictures, seed)
        name = f"{network.__name__} {'x'.join(map(str, shape))} ({pictures}, {seed})"
        print(f"{name:36} {keras:.2e}  {ours:.2e}   {ours / keras:.2f}   {algorithms}")


if __name__ == "__main__":
    main()
