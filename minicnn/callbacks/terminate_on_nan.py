"""An end to training that has failed."""

from __future__ import annotations

import math

from minicnn.callbacks.base import Callback, Logs, say


class TerminateOnNaN(Callback):
    """Stop after the first batch that makes the loss NaN or infinite: no step leads back from there."""

    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        if not math.isfinite((logs or {}).get("loss", 0.0)):
            say(f"Batch {batch}: the loss is no longer finite, training ends. A smaller learning rate may help.")
            self.model.stop_training = True
