"""What ``compile`` chose, the optimiser, the loss and the metrics, and how a file remembers it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

from minicnn import losses, metrics, optimizers
from minicnn.errors import OptionError, explain
from minicnn.io.models import TrainingState
from minicnn.layers import Dense, Layer, Sigmoid, Softmax
from minicnn.layers.base import Params
from minicnn.losses import Loss
from minicnn.metrics import Metric
from minicnn.optimizers import Optimizer
from minicnn.optimizers.base import MOST_STEPS
from minicnn.shapes import whole

#: What files call a metric, where that is not its class: "Accuracy" chose by shape before Keras's class of that name
#: was here, and still does in every file.
IN_FILES: dict[type, str] = {metrics.ChosenAccuracy: "Accuracy", metrics.Accuracy: "exact_accuracy"}


@dataclass
class Compiled:
    """How a model is trained. ``of`` takes Keras's names or instances, in any mixture."""

    optimizer: Optimizer
    loss: Loss
    metrics: list[Metric] = field(default_factory=list)

    @classmethod
    def of(cls, optimizer: Any, loss: Any, chosen: Sequence[Any] = ()) -> Self:
        """Raises OptionError, listing the names there are, for an unknown one, and for metrics that are no list."""
        if not isinstance(chosen, (list, tuple)):
            raise OptionError(explain("metrics as a list", repr(chosen), "A single one is a list too: ['accuracy']."))
        found = [metrics.get(metric) for metric in chosen]
        names = ["loss", *(metric.name for metric in found)]
        twice = [name for name in names if names.count(name) > 1]
        if twice:
            fix = "Numbers are reported under these names: give one with name=..."
            raise OptionError(explain("metrics with different names, none of them 'loss'", f"'{twice[0]}' twice", fix))
        return cls(optimizers.get(optimizer), losses.get(loss), found)

    def doubts(self, last: Layer) -> str | None:
        """What is odd about this loss behind that last layer, or None: probabilities taken for logits, or logits for
        probabilities. Either trains to something, and badly."""
        from_logits = getattr(self.loss, "from_logits", None)
        name = type(self.loss).__name__
        squeezes = type(last) in (Softmax, Sigmoid) or getattr(last, "activation", None) in ("softmax", "sigmoid")
        if from_logits and squeezes:
            return f"{name}(from_logits=True) expects scores, but '{last.name}' makes probabilities: leave one out."
        if from_logits is False and type(last) is Dense:
            fix = f"put an activation behind it, or take {name}(from_logits=True)."
            return f"{name}() expects probabilities, but '{last.name}' makes scores: {fix}"
        return None

    def state(self) -> TrainingState:
        """All that ``resume`` needs, as a file can hold it."""
        config = {
            "optimizer": _described(self.optimizer),
            "loss": _described(self.loss),
            "metrics": [_described(metric) for metric in self.metrics],
        }
        return TrainingState(config, self.optimizer.iterations, self.optimizer.slots)

    @classmethod
    def resume(cls, training: Mapping[str, Any], slots: Params) -> Self:
        """What ``state`` wrote down, the optimiser where it was. Raises OptionError or KeyError for anything else."""
        compiled = cls.of(training["optimizer"], training["loss"], _as_files_mean(training["metrics"]))
        iterations = whole(training["iterations"], "iterations", least=0)
        if iterations > MOST_STEPS:
            received = f"an integer of {iterations.bit_length()} bits"
            raise OptionError(explain(f"iterations up to {MOST_STEPS}", received))
        compiled.optimizer.iterations = iterations
        compiled.optimizer.slots.update(slots)
        return compiled


def _described(thing: Optimizer | Loss | Metric) -> dict[str, Any]:
    """What the ``get`` of its module, or ``_as_files_mean``, makes the same thing from again."""
    return {"class_name": IN_FILES.get(type(thing), type(thing).__name__), "config": thing.config()}


def _as_files_mean(rows: Any) -> Any:
    """A file's metrics as ``metrics.get`` takes them; what is no list of such is left to it."""

    def meant(row: Any) -> Any:
        chooses = isinstance(row, dict) and row.get("class_name") == "Accuracy"
        return {**row, "class_name": "accuracy"} if chooses else row

    return [meant(row) for row in rows] if isinstance(rows, list) else rows
