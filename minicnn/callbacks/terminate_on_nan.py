"""An end to training that has failed."""

from __future__ import annotations

import math

from minicnn.callbacks.base import Callback, Logs, say
from minicnn.options import flag


class TerminateOnNaN(Callback):
    """Stop after the first batch that makes the loss NaN or infinite: no step leads back from there.

    With ``raise_error`` by a RuntimeError, and no callback hears of an end.
    """

    def __init__(self, raise_error: bool = False) -> None:
        self.raise_error = flag("raise_error", raise_error)

    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        if not math.isfinite((logs or {}).get("loss", 0.0)):
            if self.raise_error:
                loss = (logs or {})["loss"]
                raise RuntimeError(f"Batch {batch}: the loss is {loss}. A smaller learning rate may help.")
            say(f"Batch {batch}: the loss is no longer finite, training ends. A smaller learning rate may help.")
            self.model.stop_training = True
