"""Callbacks: what listens to training without being part of it.

``fit`` calls every callback before and after training, each epoch, each batch and each validation. A callback
looks at ``logs`` ({"loss": ..., "val_accuracy": ...}) and at ``self.model``, and may act: stop, save, write down, draw.

    class Stopwatch(Callback):
        def on_epoch_begin(self, epoch, logs=None):
            self.start = time.perf_counter()
        def on_epoch_end(self, epoch, logs=None):
            print(f"epoch {epoch + 1}: {time.perf_counter() - self.start:.1f} s")

Names and meaning are Keras's. Epochs count from 0, as in Keras; what people read counts from 1.
"""

from minicnn.callbacks.base import Callback, History, Logs, Trained, listening
from minicnn.callbacks.csv_logger import CSVLogger
from minicnn.callbacks.lambda_callback import LambdaCallback
from minicnn.callbacks.learning_rate import LearningRateScheduler, ReduceLROnPlateau
from minicnn.callbacks.monitors import EarlyStopping, ModelCheckpoint
from minicnn.callbacks.progress import ProgressBar, announced, told
from minicnn.callbacks.terminate_on_nan import TerminateOnNaN

__all__ = [
    "CSVLogger",
    "Callback",
    "EarlyStopping",
    "History",
    "LambdaCallback",
    "LearningRateScheduler",
    "Logs",
    "ModelCheckpoint",
    "ProgressBar",
    "ReduceLROnPlateau",
    "TerminateOnNaN",
    "Trained",
    "announced",
    "listening",
    "told",
]
