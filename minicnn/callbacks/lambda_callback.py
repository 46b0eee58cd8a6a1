"""Functions as a callback, where a class would be too much."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from minicnn.callbacks.base import Callback, hooks
from minicnn.options import function


class LambdaCallback(Callback):
    """A callback made of functions, each under the name of the method it stands for.

        LambdaCallback(on_epoch_end=lambda epoch, logs: print(logs["loss"]))

    They are called with (epoch, logs), (batch, logs) or (logs), as the methods of ``Callback`` are. Raises OptionError
    for what is no function.
    """

    def __init__(
        self,
        on_epoch_begin: Callable[..., Any] | None = None,
        on_epoch_end: Callable[..., Any] | None = None,
        on_train_begin: Callable[..., Any] | None = None,
        on_train_end: Callable[..., Any] | None = None,
        on_train_batch_begin: Callable[..., Any] | None = None,
        on_train_batch_end: Callable[..., Any] | None = None,
        *,
        on_test_begin: Callable[..., Any] | None = None,
        on_test_end: Callable[..., Any] | None = None,
        on_test_batch_begin: Callable[..., Any] | None = None,
        on_test_batch_end: Callable[..., Any] | None = None,
    ) -> None:
        given = {name: value for name, value in locals().items() if name in hooks() and value is not None}
        self.names = tuple(given)
        for name, value in given.items():
            setattr(self, name, function(name, value))

    def __repr__(self) -> str:
        return f"LambdaCallback({', '.join(f'{name}=...' for name in self.names)})"
