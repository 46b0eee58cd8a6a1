"""From a Keras object's options to minicnn's, or the reason why not."""

from __future__ import annotations

import inspect
from typing import Any

from minicnn.errors import MinicnnError
from reference_keras.replay.record import RECORD

#: options that do not enter the arithmetic of a call: who fills the weights, what is added to a loss, names
BESIDE = {
    *("name", "dtype", "trainable", "reduction", "seed", "fn", "build_config"),
    *("kernel_initializer", "bias_initializer", "depthwise_initializer", "gamma_initializer", "beta_initializer"),
    *("moving_mean_initializer", "moving_variance_initializer", "synchronized", "activation"),
}
ENDINGS = ("_regularizer", "_constraint")


def ours(kind: type[Any], keras_object: Any, keras_class: type[Any]) -> Any:
    """minicnn's object with the options of a Keras one. Raises NotApplicableError for an option it does not have."""
    config = keras_class.get_config(keras_object)
    known = inspect.signature(kind).parameters
    defaults = {p.name: p.default for p in inspect.signature(keras_class.__init__).parameters.values()}
    for name, value in config.items():
        beside = name in known or name in BESIDE or name.endswith(ENDINGS)
        if not beside and not _usual(name, value, defaults.get(name)):
            raise RECORD.refuse(f"minicnn has no option {name}={value!r} for {keras_class.__name__}")
    options = {name: value for name, value in config.items() if name in known and not name.endswith("_initializer")}
    options.pop("name", None)
    if "activation" in options:  # written down as a function where a test gives a function
        options["activation"] = getattr(keras_object.activation, "__name__", options["activation"])
    if isinstance(options.get("learning_rate"), dict):  # a schedule: the optimiser is told the rate at each step
        del options["learning_rate"]
    if options.get("trainable"):
        options.pop("trainable")
    try:
        return kind(**{name: _plain(value) for name, value in options.items()})
    except (MinicnnError, TypeError) as error:
        raise RECORD.refuse(f"minicnn refuses the options: {error}") from error


def _usual(name: str, value: Any, default: Any) -> bool:
    """Whether an option that minicnn does not know says nothing: Keras's default, or what minicnn always does."""
    always = {
        "data_format": "channels_last",
        "max_value": None,
        "threshold": 0.0,
        "axis": -1,
        "use_ema": False,
        "rms_scaling": False,
    }
    return value is None or value == default or value == always.get(name, object())


def _plain(value: Any) -> Any:
    """Lists, which Keras's files hold, as tuples; NumPy's numbers as Python's."""
    if isinstance(value, list):
        return tuple(map(_plain, value))
    return value.item() if hasattr(value, "item") and getattr(value, "ndim", 0) == 0 else value
