"""How much does each algorithm of a 3x3 convolution round, beside Keras? A table per stride, in units of u = 2**-24.

    python -m benchmarks.rounding

He-scaled kernels on the positive part of normal numbers: what a layer in the middle of a network sees. "rms" is the
root mean square error over the root mean square of the result, "E" the largest error over the largest result, both
against the float64 result for the same float32 numbers.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from minicnn.ops.conv2d import conv2d
from reference_keras.tolerance import U, max_error, rms

LAYERS = ((16, 56), (64, 56), (128, 28), (256, 14), (512, 14))  # channels in and out, rows and columns
ALGORITHMS = {  # by stride
    1: ("im2col", "direct", "winograd_2x2", "winograd_complex", "winograd"),
    2: ("im2col", "direct", "winograd_stride_2"),
}


def errors(channels: int, size: int, strides: int) -> dict[str, tuple[float, float]]:
    """(rms, E) of Keras and of every algorithm, for one layer."""
    import keras

    rng = np.random.default_rng(0)
    filters = min(channels, 64)
    x = np.maximum(rng.standard_normal((1, size, size, channels), np.float32), 0)
    kernel = rng.standard_normal((3, 3, channels, filters), np.float32) * np.float32(np.sqrt(2 / 9 / channels))
    options: dict[str, Any] = {"padding": "same", "strides": strides}
    truth, _ = conv2d(x.astype(np.float64), kernel.astype(np.float64), algorithm="im2col", **options)
    found = {"Keras": np.asarray(keras.ops.conv(x, kernel, **options))}
    found |= {name: conv2d(x, kernel, algorithm=name, **options)[0] for name in ALGORITHMS[strides]}
    return {name: (rms(y - truth) / rms(truth) / U, max_error(y, truth) / U) for name, y in found.items()}


def main() -> None:
    for strides in ALGORITHMS:
        print(f"{f'stride {strides}':>20}" + "".join(f"{f'{channels} channels':>18}" for channels, _ in LAYERS))
        rows = [errors(*layer, strides) for layer in LAYERS]
        for name in rows[0]:
            print(f"{name:>20}" + "".join(f"{'rms {:.1f}  E {:.1f}'.format(*row[name]):>18}" for row in rows))


if __name__ == "__main__":
    main()
