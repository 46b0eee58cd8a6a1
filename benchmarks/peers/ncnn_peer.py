"""ncnn in float32, Winograd on: the model written by hand, since its text format is as simple as a table.

Written as its tool ``ncnnoptimize`` leaves a model for inference: what follows a convolution is part of it, a
normalisation in its numbers, a ReLU as its activation. ncnn computes one picture at a time (its arrays have no batch
axis here), so a batch is a loop; that is how it is used. Memory is used again, as in ncnn's own benchmark.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.peers.channels_first import CONVOLUTIONS, Step, fused, steps, to_channels_first, to_channels_last
from benchmarks.peers.interface import Timed
from benchmarks.peers.work import Data, Work

FLOAT32 = np.zeros(1, np.uint32)  # the tag in front of a kernel: what follows is raw float32
LOWER_PRECISIONS = ("fp16_packed", "fp16_storage", "fp16_arithmetic", "bf16_packed", "bf16_storage", "int8_inference")


class Peer:
    """One net per work, one extractor per picture, as ncnn's own examples have it."""

    def __init__(self, threads: int) -> None:
        import ncnn

        ncnn.set_omp_num_threads(threads)
        self._library, self._threads = ncnn, threads

    def describe(self) -> dict[str, Any]:
        options = self._library.Net().opt  # get_omp_num_threads answers 1 outside a parallel loop, as OpenMP says
        options.num_threads = self._threads
        return {"threads": options.num_threads, "lower_precisions": "off", "winograd": "on", "memory": "pooled"}

    def ways(self, work: Work) -> tuple[str, ...]:
        return ("extractor",)

    def build(self, work: Work, data: Data, way: str) -> Timed:
        net = self._library.Net()
        net.opt.num_threads = self._threads
        net.opt.use_vulkan_compute = False
        net.opt.use_winograd_convolution = True
        # as in ncnn's own benchmark; of this work alone, and alive as long as what lies there, which ncnn leaves to us
        memory = self._library.UnlockedPoolAllocator(), self._library.PoolAllocator()
        net.opt.blob_allocator, net.opt.workspace_allocator = memory
        for name in LOWER_PRECISIONS:
            setattr(net.opt, f"use_{name}", False)
        translated = fused(steps(work, data.weights))
        with tempfile.TemporaryDirectory() as folder:
            text, binary = Path(folder) / "net.param", Path(folder) / "net.bin"
            text.write_text(_param(translated))
            with binary.open("wb") as file:
                for step in translated:
                    for array in _weights(step):
                        array.tofile(file)
            if net.load_param(str(text)) or net.load_model(str(binary)):
                raise RuntimeError(f"ncnn did not take the model of {work.name}")
        pictures = [self._library.Mat(picture).clone() for picture in to_channels_first(data.x)]

        def call() -> list[Any]:
            assert memory, "held as long as this function is"
            found = []
            for picture in pictures:
                extractor = net.create_extractor()
                extractor.input("x", picture)
                code, y = extractor.extract("y")
                if code:
                    raise RuntimeError(f"ncnn stopped with code {code}")
                found.append(y)
            return found

        return Timed(call, lambda found: {"y": to_channels_last(np.stack([np.array(y) for y in found]))})

    def clear(self) -> None:
        pass


def _param(translated: list[Step]) -> str:
    """The text file: a magic number, the counts, one line per layer: kind, name, inputs, outputs, key=value."""
    lines = ["Input x 0 1 x"]
    name = "x"
    for step in translated:
        output = "y" if step is translated[-1] else f"{step.name}_y"
        kind, settings = _layer(step)
        lines.append(f"{kind} {step.name} 1 1 {name} {output} " + " ".join(f"{k}={v}" for k, v in settings.items()))
        name = output
    return "\n".join(["7767517", f"{len(lines)} {len(lines)}", *lines, ""])


def _layer(step: Step) -> tuple[str, dict[int, Any]]:
    top, left, bottom, right = step.pads
    (rows, columns), (down, across) = step.kernel, step.strides
    if step.kind in CONVOLUTIONS:
        kernel = step.weights["kernel"]
        settings = {0: len(kernel), 1: columns, 11: rows, 3: across, 13: down, 4: left, 14: top, 15: right, 16: bottom}
        settings |= {5: int("bias" in step.weights), 6: kernel.size, 9: int(step.relu)}
        if step.groups == 1:
            return "Convolution", settings
        return "ConvolutionDepthWise", settings | {7: step.groups}
    if step.kind == "MaxPooling2D":
        # 5=1: the pads below are all there is; 5=0 would round the output's size up
        window = {0: 0, 1: columns, 11: rows, 2: across, 12: down, 3: left, 13: top, 14: right, 15: bottom, 5: 1}
        return "Pooling", window
    if step.kind == "Dense":
        kernel = step.weights["kernel"]
        return "InnerProduct", {0: len(kernel), 1: int("bias" in step.weights), 2: kernel.size, 9: int(step.relu)}
    if step.kind == "BatchNormalization":
        return "BatchNorm", {0: step.input_shape[-1], 1: step.options["epsilon"]}
    return {"ReLU": ("ReLU", {}), "Flatten": ("Flatten", {}), "Softmax": ("Softmax", {0: 0, 1: 1})}[step.kind]


def _weights(step: Step) -> list[Any]:
    weights = step.weights
    if step.kind == "BatchNormalization":
        channels = step.input_shape[-1]
        slope = weights.get("gamma", np.ones(channels, np.float32))
        offset = weights.get("beta", np.zeros(channels, np.float32))
        return [slope, weights["moving_mean"], weights["moving_variance"], offset]
    if "kernel" not in weights:
        return []
    return [FLOAT32, weights["kernel"], *([weights["bias"]] if "bias" in weights else [])]
