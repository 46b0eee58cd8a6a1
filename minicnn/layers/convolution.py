"""What the layers that convolve have in common: a window, an algorithm, a bias."""

from __future__ import annotations

from typing import Any, ClassVar

from minicnn import initializers
from minicnn.errors import OptionError, explain
from minicnn.initializers import Initializer
from minicnn.layers.base import Layer, Params, Weight
from minicnn.layers.checks import require_named_padding
from minicnn.layers.windowed import OfWindow
from minicnn.ops.conv2d import ALGORITHMS
from minicnn.options import flag
from minicnn.shapes import Array, IntOrPair, Window


class Convolution(Layer):
    """What all convolutions share: a window, an algorithm, a kernel and a bias."""

    choices: tuple[str, ...] = ("auto",)  # beside the names in ALGORITHMS
    dilated_strides: ClassVar[bool] = False  # whether strides and dilation go together, as in Keras
    kernel_size, strides = OfWindow("size"), OfWindow("strides")
    padding, dilation_rate = OfWindow("padding"), OfWindow("dilation")

    def __init__(
        self,
        kernel_size: IntOrPair,
        strides: IntOrPair,
        padding: str,
        dilation_rate: IntOrPair,
        use_bias: bool,
        bias_initializer: str | Initializer,
        algorithm: str,
        name: str | None,
        trainable: bool,
    ) -> None:
        super().__init__(name=name, trainable=trainable)
        require_named_padding(padding)
        self.window = Window.of(
            kernel_size,
            strides,
            padding,
            dilation_rate,
            size_name="kernel_size",
            dilated_strides=self.dilated_strides,
        )
        names = (*self.choices, *ALGORITHMS)
        if algorithm not in names:
            raise OptionError(explain(f"algorithm to be one of {', '.join(names)}", repr(algorithm)))
        self.use_bias = flag("use_bias", use_bias)
        self.bias_initializer = initializers.get(bias_initializer)
        self.algorithm = algorithm

    def _window_config(self) -> dict[str, Any]:
        config = super().config() | {
            "kernel_size": self.kernel_size,
            "strides": self.strides,
            "padding": self.padding,
            "dilation_rate": self.dilation_rate,
            "use_bias": self.use_bias,
            "bias_initializer": self.bias_initializer.config(),
        }
        return config if self.algorithm == "auto" else config | {"algorithm": self.algorithm}

    def _with_bias(self, kernel: Weight, outputs: int) -> dict[str, Weight]:
        bias = {"bias": Weight((outputs,), self.bias_initializer)} if self.use_bias else {}
        return {"kernel": kernel} | bias

    def _gradients(self, dkernel: Array | None, dbias: Array | None) -> Params:
        gradients = {"kernel": dkernel, "bias": dbias}
        return {key: gradient for key, gradient in gradients.items() if gradient is not None}


def require_equal_strides(window: Window) -> None:
    """What depthwise convolutions need, unless they are dilated. Raises OptionError."""
    if len(set(window.strides)) > 1 and window.dilation == (1, 1):
        fix = "Keras on TensorFlow needs it too, where there is no dilation."
        raise OptionError(explain("equal strides on both axes", f"strides={window.strides}", fix))
