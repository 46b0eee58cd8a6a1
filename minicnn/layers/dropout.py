"""Dropout: the operation of ``minicnn.ops.dropout``, awake only in training."""

from __future__ import annotations

from typing import Any, ClassVar

from minicnn.layers.base import INFERENCE, Context, Layer, Params, Ready
from minicnn.ops.dropout import DropoutCache, check_rate, dropout, dropout_backward
from minicnn.ops.finishing import PLAIN, Finish
from minicnn.shapes import Array, Shape


class Dropout(Layer):
    """Silence numbers with probability ``rate`` in training; the others grow by 1 / (1 - rate). (N, ...) -> (N, ...).

    In inference, and at rate 0, x passes as it is. Which numbers are dropped follows from the context's seed and step
    and from the layer's name; in two places of a network, one layer drops other numbers in each, as in Keras.
    ``trainable=False`` does not switch it off: there is nothing to train here, as in Keras too.
    """

    acts_differently_in_training: ClassVar[bool] = True

    def __init__(self, rate: float, *, name: str | None = None, trainable: bool = True) -> None:
        super().__init__(name=name, trainable=trainable)
        self.rate = check_rate(rate)

    def output_shape(self, input_shape: Shape) -> Shape:
        return input_shape

    def forward(self, x: Array, context: Context = INFERENCE) -> tuple[Array, DropoutCache | None]:
        if not context.training or self.rate == 0:
            return x, None
        return dropout(x, self.rate, context.rng(self.name))

    def ready(self, x: Array, finish: Finish = PLAIN) -> Ready:
        return Ready(lambda x: x, is_view=True)

    def backward(
        self, dy: Array, cache: DropoutCache | None, *, input_gradient: bool = True
    ) -> tuple[Array | None, Params]:
        if not input_gradient:
            return None, {}
        return (dy if cache is None else dropout_backward(dy, cache)), {}

    def config(self) -> dict[str, Any]:
        return super().config() | {"rate": self.rate}
