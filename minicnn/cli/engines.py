"""Where "minicnn" or "keras" on a command line becomes an engine. Keras is imported only by who asks for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from minicnn.errors import OptionError, explain

if TYPE_CHECKING:
    from minicnn.model import Model
    from minicnn.recognition.engine import RunEngine
    from minicnn.recognition.recipe import Recipe
    from minicnn.recognition.run import Run
    from minicnn.recognition.trainer import Trainer


def check_backend(name: str) -> None:
    """Raise OptionError for an engine there is not, MissingDependencyError for Keras where it is not installed."""
    from minicnn.recognition.run import BACKENDS

    if name not in BACKENDS:
        raise OptionError(explain(f"--backend as one of {', '.join(BACKENDS)}", repr(name)))
    if name == "keras":
        from reference_keras.backend import require_tensorflow

        require_tensorflow()


def make_trainer(backend: str, model: Model, recipe: Recipe, steps: int) -> Trainer:
    """The engine that trains, ``steps`` steps per epoch. Raises what ``check_backend`` raises."""
    check_backend(backend)
    if backend == "keras":
        from reference_keras.trainer import KerasTrainer

        return KerasTrainer(model, recipe, steps)
    from minicnn.recognition.trainer import MinicnnTrainer

    return MinicnnTrainer(model, recipe, steps)


def make_engine(run: Run, backend: str) -> RunEngine:
    """The engine that predicts with the network of a run. Raises what ``check_backend`` raises."""
    check_backend(backend)
    if backend == "keras":
        from reference_keras.engine import KerasEngine

        return KerasEngine(run)
    from minicnn.recognition.engine import MinicnnEngine

    return MinicnnEngine(run)
