"""Dense: the operation of ``minicnn.ops.dense`` with a kernel and a bias that learn."""

from __future__ import annotations

from typing import Any

import numpy as np

from minicnn import initializers
from minicnn.errors import ShapeError, explain
from minicnn.initializers import Initializer
from minicnn.layers.base import INFERENCE, Context, Gradients, Layer, Ready, Weight
from minicnn.ops.calls import how_it_lies
from minicnn.ops.dense import DenseCache, dense, dense_backward
from minicnn.ops.dense_loops import FEW
from minicnn.ops.dense_products import for_few, forward
from minicnn.ops.finishing import PLAIN, Finish
from minicnn.options import flag
from minicnn.shapes import Array, Shape, whole


class Dense(Layer):
    """x @ kernel + bias. (N, ..., I) -> (N, ..., units); ``kernel`` (I, units), ``bias`` (units,).

    Usually x is (N, I). With more axes, each position is transformed for itself, by the same kernel.
    """

    takes_relu = True

    def __init__(
        self,
        units: int,
        use_bias: bool = True,
        kernel_initializer: str | Initializer = "glorot_uniform",
        bias_initializer: str | Initializer = "zeros",
        *,
        name: str | None = None,
        trainable: bool = True,
    ) -> None:
        super().__init__(name=name, trainable=trainable)
        self.units = whole(units, "units")
        self.use_bias = flag("use_bias", use_bias)
        self.kernel_initializer = initializers.get(kernel_initializer)
        self.bias_initializer = initializers.get(bias_initializer)

    def output_shape(self, input_shape: Shape) -> Shape:
        if min(input_shape, default=0) < 1:
            raise ShapeError(explain("inputs (..., I) with at least one number each", f"shape {tuple(input_shape)}"))
        return *input_shape[:-1], self.units

    def parameter_specs(self, input_shape: Shape) -> dict[str, Weight]:
        kernel = {"kernel": Weight((input_shape[-1], self.units), self.kernel_initializer)}
        return kernel | ({"bias": Weight((self.units,), self.bias_initializer)} if self.use_bias else {})

    def forward(self, x: Array, context: Context = INFERENCE, *, relu: bool = False) -> tuple[Array, DenseCache]:
        """``relu`` cuts off at 0 in the same pass: see ``minicnn.fusion``."""
        self.require_built()
        return dense(x, self.params["kernel"], self.params.get("bias"), relu=relu, factored=context.factored)

    def ready(self, x: Array, finish: Finish = PLAIN) -> Ready | None:
        if x.ndim != 2 or not all(map(_lies_as_it_is, self._given())):
            return None
        lie = list(map(how_it_lies, self._given()))

        def weights() -> tuple[Array, Array | None]:  # asked each time, so that an old kernel may go
            given = self._given()
            now = list(map(how_it_lies, given))
            if now != lie:
                fix = "Another thread exchanged them in the middle of a prediction."
                raise ShapeError(explain(f"kernel and bias that lie in memory as before, {lie}", f"{now}", fix))
            return given[0], given[1] if len(given) > 1 else None

        if len(x) > FEW:
            return Ready(lambda x: forward(x, *weights(), finish.relu))
        return Ready(for_few(x.shape, self.params["kernel"].shape[1], x.dtype, weights, finish.relu))

    def _given(self) -> list[Array]:
        """Kernel and bias, if there is one."""
        bias = self.params.get("bias")
        return [self.params["kernel"]] if bias is None else [self.params["kernel"], bias]

    def backward(self, dy: Array, cache: DenseCache, *, input_gradient: bool = True) -> tuple[Array | None, Gradients]:
        dx, dkernel, dbias = dense_backward(
            dy, cache, input_gradient=input_gradient, parameter_gradients=self.trainable
        )
        gradients = {"kernel": dkernel, "bias": dbias}
        return dx, {key: gradient for key, gradient in gradients.items() if gradient is not None}

    def config(self) -> dict[str, Any]:
        return super().config() | {
            "units": self.units,
            "use_bias": self.use_bias,
            "kernel_initializer": self.kernel_initializer.config(),
            "bias_initializer": self.bias_initializer.config(),
        }


def _lies_as_it_is(array: Any) -> bool:
    """Whether it is an array whose numbers lie in memory in reading order."""
    return type(array) is np.ndarray and array.flags.c_contiguous
