"""Conv2D: the operation of ``minicnn.ops.conv2d`` with a kernel and a bias that learn."""

from __future__ import annotations

from typing import Any

from minicnn import initializers
from minicnn.initializers import Initializer
from minicnn.layers.base import INFERENCE, Context, Params, Ready, Weight
from minicnn.layers.checks import require_rank
from minicnn.layers.convolution import Convolution
from minicnn.layers.written import as_written
from minicnn.ops.conv2d import (
    MEASURED,
    Conv2DCache,
    check_groups,
    conv2d_backward,
    convolve,
    ready,
    resolve,
)
from minicnn.ops.conv2d.prepared import Prepared
from minicnn.ops.finishing import PLAIN, Finish
from minicnn.shapes import Array, IntOrPair, Shape, Window, whole


class Conv2D(Convolution):
    """2-D convolution with ``filters`` kernels of ``kernel_size``: see ``minicnn.ops.conv2d`` for the formula.

    (N, H, W, C) -> (N, OH, OW, filters); ``kernel`` (KH, KW, C/groups, filters), ``bias`` (filters,). Arguments,
    defaults and results are Keras's. ``algorithm`` is minicnn's own: how to compute it, "auto", "measured" (the fastest
    here for this shape, see ``ops/conv2d/measured.py``) or a name from ``ops.conv2d.ALGORITHMS``.
    """

    takes_relu = True
    choices = ("auto", MEASURED)

    def __init__(
        self,
        filters: int,
        kernel_size: IntOrPair,
        strides: IntOrPair = (1, 1),
        padding: str = "valid",
        dilation_rate: IntOrPair = (1, 1),
        groups: int = 1,
        use_bias: bool = True,
        kernel_initializer: str | Initializer = "glorot_uniform",
        bias_initializer: str | Initializer = "zeros",
        algorithm: str = "auto",
        *,
        name: str | None = None,
        trainable: bool = True,
    ) -> None:
        super().__init__(
            kernel_size, strides, padding, dilation_rate, use_bias, bias_initializer, algorithm, name, trainable
        )
        self.filters = whole(filters, "filters")
        self.groups = whole(groups, "groups")
        self.kernel_initializer = initializers.get(kernel_initializer)
        self._prepared = Prepared()

    def output_shape(self, input_shape: Shape) -> Shape:
        require_rank(input_shape, "(H, W, C)", self, "Pictures need a channel axis at the end: x[..., None].")
        check_groups(input_shape[2], self.filters, self.groups)
        return *self.window.output_size(*input_shape[:2]), self.filters

    def algorithm_used(self) -> str:
        """The algorithm that runs for the shape this layer was built for."""
        self.require_built()
        assert self.input_shape is not None
        kernel = self.params["kernel"]
        x = ((1, *self.input_shape), kernel.dtype) if self.algorithm == "auto" else None  # "measured" stays what it is
        return resolve(self.algorithm, kernel.shape, self.window, self.groups, x)

    def parameter_specs(self, input_shape: Shape) -> dict[str, Weight]:
        kernel_shape = (*self.window.size, input_shape[2] // self.groups, self.filters)
        resolve(self.algorithm, kernel_shape, self.window, self.groups)  # an algorithm that cannot do it: say so now
        return self._with_bias(Weight(kernel_shape, self.kernel_initializer), self.filters)

    def forward(self, x: Array, context: Context = INFERENCE, *, relu: bool = False) -> tuple[Array, Conv2DCache]:
        """``relu`` cuts off at 0 in the same pass: see ``minicnn.fusion``."""
        learns = context.training and self.trainable  # the next step changes the kernel; a frozen one stays prepared
        if learns:
            self._prepared.clear()
        self.require_built()
        return convolve(
            x,
            self.params["kernel"],
            self.params.get("bias"),
            self.window,
            groups=self.groups,
            algorithm=self.algorithm,
            finish=Finish(relu=relu),
            prepared=None if learns else self._prepared,
        )

    def infer(self, x: Array, finish: Finish = PLAIN) -> Array:
        """``finish``: what else is done in this pass; only with a Conv2D itself, for a subclass may have a ``forward``
        of its own."""
        if type(self) is not Conv2D or not as_written(self):
            return super().infer(x)
        self.require_built()
        return ready(x, *self._given(), finish, self._prepared).call(x)

    def ready(self, x: Array, finish: Finish = PLAIN) -> Ready | None:
        kept = ready(x, *self._given(), finish, self._prepared)
        return None if kept.words is None else Ready(kept.call, kept)

    def _given(self) -> tuple[Array, Array | None, Window, int, str]:
        """What a prediction follows from, beside x."""
        return self.params["kernel"], self.params.get("bias"), self.window, self.groups, self.algorithm

    def backward(
        self, dy: Array, cache: Conv2DCache, *, input_gradient: bool = True, through_relu: bool = False
    ) -> tuple[Array | None, Params]:
        """``through_relu``: dx is the gradient of what the ReLU read that made x: see ``minicnn.fusion``."""
        dx, dkernel, dbias = conv2d_backward(
            dy,
            cache,
            input_gradient=input_gradient,
            parameter_gradients=self.trainable,
            through_relu=through_relu,
        )
        return dx, self._gradients(dkernel, dbias)

    def config(self) -> dict[str, Any]:
        return self._window_config() | {
            "filters": self.filters,
            "groups": self.groups,
            "kernel_initializer": self.kernel_initializer.config(),
        }
