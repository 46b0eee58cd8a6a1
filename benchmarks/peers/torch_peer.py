"""PyTorch: contiguous (channels first) and channels_last, inference mode; gradients and SGD for training.

float32 means float32: ``set_float32_matmul_precision("highest")`` keeps oneDNN from using bfloat16 inside.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks.peers.channels_first import Step, steps, to_channels_first, to_channels_last, turned_back
from benchmarks.peers.interface import Timed
from benchmarks.peers.torch_layers import OTHERS, learnt, modules
from benchmarks.peers.work import BACKWARD, FORWARD, LEARNING_RATE, Arrays, Data, Work


class Peer:
    """The layers as ``torch.nn`` modules in a row: see ``torch_layers``."""

    def __init__(self, threads: int) -> None:
        import torch

        torch.set_num_threads(threads)
        torch.set_num_interop_threads(1)
        torch.set_float32_matmul_precision("highest")
        self._torch = torch

    def describe(self) -> dict[str, Any]:
        torch = self._torch
        return {"threads": torch.get_num_threads(), "matmul_precision": torch.get_float32_matmul_precision()}

    def ways(self, work: Work) -> tuple[str, ...]:
        return ("contiguous", "channels_last") if len(work.input_shape) == 3 else ("contiguous",)

    def build(self, work: Work, data: Data, way: str) -> Timed:
        torch = self._torch
        translated = list(steps(work, data.weights, OTHERS))
        model = torch.nn.Sequential(*(module for step in translated for module in modules(torch, step)))
        memory = torch.channels_last if way == "channels_last" else torch.contiguous_format
        x = torch.from_numpy(to_channels_first(data.x))
        if data.x.ndim == 4:
            x, model = x.contiguous(memory_format=memory), model.to(memory_format=memory)
        if work.direction == FORWARD:
            model.eval()

            def infer() -> Any:
                with torch.inference_mode():
                    return model(x)

            return Timed(infer, lambda y: {"y": to_channels_last(y.numpy())})
        model.train()
        if work.direction == BACKWARD:
            dy = torch.from_numpy(to_channels_first(data.y))
            return self._backward(model, x, dy.contiguous(memory_format=memory) if dy.ndim == 4 else dy, translated[0])
        return self._training(model, x, torch.from_numpy(data.y), translated)

    def clear(self) -> None:
        pass

    def _backward(self, model: Any, x: Any, dy: Any, step: Step) -> Timed:
        x.requires_grad_(True)
        parameters = dict(_named(model, [step]))

        def call() -> tuple[Any, Any]:
            y = model(x)
            return y, self._torch.autograd.grad(y, [x, *parameters.values()], dy)

        def result(found: tuple[Any, Any]) -> Arrays:
            y, (dx, *gradients) = found
            own = {
                f"d{key}": turned_back(step, key, gradient.numpy())
                for (_, key), gradient in zip(parameters, gradients, strict=True)
            }
            return {"y": to_channels_last(y.detach().numpy()), "dx": to_channels_last(dx.numpy())} | own

        return Timed(call, result)

    def _training(self, model: Any, x: Any, labels: Any, translated: list[Step]) -> Timed:
        torch = self._torch
        optimizer = torch.optim.SGD(model.parameters(), lr=LEARNING_RATE)

        def call() -> Any:
            optimizer.zero_grad(set_to_none=True)
            loss = torch.nn.functional.cross_entropy(model(x), labels)
            loss.backward()
            optimizer.step()
            return loss

        def weights() -> Arrays:
            by_name = {step.name: step for step in translated}
            return {
                f"{name}/{key}": turned_back(by_name[name], key, parameter.detach().numpy())
                for (name, key), parameter in _named(model, translated)
            }

        return Timed(call, lambda loss: {"loss": np.asarray(loss.item())}, weights)


def _named(model: Any, translated: list[Step]) -> list[tuple[tuple[str, str], Any]]:
    """((layer, minicnn's name of the parameter), parameter) in the order of the layers."""
    names = [(step.name, key) for step in translated for key in learnt(step)]
    return list(zip(names, model.parameters(), strict=True))
