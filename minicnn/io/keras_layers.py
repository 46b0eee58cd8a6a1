"""Layers as Keras writes them down, and as minicnn does: the tables that translate one into the other.

Both give a layer a class name and its arguments, and the arguments have the same names. So a layer needs an entry here
only where the two differ: another class, an option of ours alone, an activation inside a layer (which becomes a layer
of its own behind it). What Keras has and minicnn has not must have its neutral value, or the file is refused: a network
that computes something else than Keras would be worse than none. A new layer in ``minicnn.layers.LAYERS`` is read and
written without a line here as long as its arguments are Keras's.
"""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, NamedTuple

from minicnn import initializers
from minicnn.errors import OptionError, explain
from minicnn.io.checks import refuse
from minicnn.layers import LAYERS
from minicnn.layers.activations import ACTIVATIONS as NAMED


class Row(NamedTuple):
    """One layer on paper: its class, and the arguments that make it (its name among them)."""

    class_name: str
    config: dict[str, Any]


#: Keras's activation functions by name, as layers of ours. "linear" is none.
ACTIVATIONS: dict[str, tuple[str, dict[str, Any]] | None] = {
    "linear": None,
    "relu": ("ReLU", {}),
    "leaky_relu": ("LeakyReLU", {"negative_slope": 0.2}),  # the function's slope; the layer's is 0.3
    "elu": ("ELU", {"alpha": 1.0}),
    "sigmoid": ("Sigmoid", {}),
    "tanh": ("Tanh", {}),
    "softmax": ("Softmax", {"axis": -1}),
}

ACTIVATIONS |= {name: ("Activation", {"activation": name}) for name in NAMED if name not in ACTIVATIONS}

#: Options that say how a layer is trained, started or kept, not what it computes. Read and forgotten.
FORGOTTEN = (
    *("dtype", "batch_input_shape", "input_shape", "input_dtype", "seed", "build_config"),
    *("kernel_regularizer", "bias_regularizer", "activity_regularizer", "kernel_constraint", "bias_constraint"),
    *("depthwise_regularizer", "depthwise_constraint", "pointwise_regularizer", "pointwise_constraint"),
    *("beta_regularizer", "gamma_regularizer", "beta_constraint", "gamma_constraint"),
    *("renorm_clipping", "renorm_momentum"),
    "kernel_initializer",  # Keras 2 wrote that of Conv2D for separable convolutions too
)

#: Options that minicnn does not have: the values that mean what it computes.
NEUTRAL: dict[str, tuple[Any, ...]] = {
    "data_format": ("channels_last", None),
    "max_value": (None,),
    "threshold": (0, None),
    "negative_slope": (0, None),
    "noise_shape": (None,),
    "renorm": (False,),
    "synchronized": (False,),
    "fused": (None, True, False),
    "virtual_batch_size": (None,),
    "quantization_config": (None,),
    "lora_rank": (None,),
    "rms_scaling": (False,),
    "output_padding": (None,),
    "groups": (1,),  # Keras 2 wrote it for every convolution
}

#: Our layers that Keras calls otherwise. None: Keras has no such layer.
TO_KERAS: dict[str, tuple[str, dict[str, Any]] | None] = {
    "Sigmoid": ("Activation", {"activation": "sigmoid"}),
    "Tanh": ("Activation", {"activation": "tanh"}),
}

OURS_ALONE = ("algorithm",)  # how to compute; Keras computes the same thing in its own way


def to_keras(row: Row) -> Row:
    """A layer of ours under Keras's names. Raises OptionError for one that Keras does not have."""
    there = TO_KERAS.get(row.class_name, (row.class_name, {}))
    if there is None:
        raise OptionError(explain("layers that Keras has too", repr(row.class_name)))
    options = {key: value for key, value in row.config.items() if key not in OURS_ALONE}
    return Row(there[0], options | there[1])


def our_name(name: str) -> str:
    """Of the layer that Keras calls so: "fc6/relu" is fc6_relu, as "/" stands between layer and weight in addresses."""
    return name.replace("/", "_")


def from_keras(row: Row, name: str) -> list[Row]:
    """The layers of ours, one or two, that compute what a Keras layer does. Raises LoadError where there are none."""
    if row.class_name in ("Lambda", "TFOpLambda", "SlicingOpLambda"):
        refuse(f"the layer '{name}' is a {row.class_name}: it holds a program, which is never run")
    name = our_name(name)
    class_name, options = FROM_KERAS.get(row.class_name, _as_it_is)(row.class_name, dict(row.config))
    function = _activation(options.pop("activation", None), name)
    activation = ACTIVATIONS[function]
    if not class_name:  # an Activation layer is its function
        return [] if activation is None else [Row(activation[0], {**options, "name": name, **activation[1]})]
    if class_name not in LAYERS:
        refuse(explain(f"layers among {', '.join(LAYERS)}", f"'{row.class_name}' as '{name}'"))
    rows = [Row(class_name, {**_known_options(class_name, options, name), "name": name})]
    if activation is not None:
        rows.append(Row(activation[0], {"name": f"{name}_{function}", **activation[1]}))
    return rows


def _known_options(class_name: str, options: dict[str, Any], name: str) -> dict[str, Any]:
    known = _arguments(class_name)
    for key, value in options.items():
        if key.endswith(("_regularizer", "_constraint")) and value is not None:
            warnings.warn(f"'{name}' is loaded without its {key}, which only training would notice.", stacklevel=2)
        if key in known or key in FORGOTTEN:
            continue
        if key not in NEUTRAL or not any(value == neutral for neutral in NEUTRAL[key]):
            refuse(f"the layer '{name}' ({class_name}) has {key}={value!r:.200}, which minicnn does not compute")
    return {
        key: value
        for key, value in options.items()
        if key in known and key not in OURS_ALONE and not (key.endswith("_initializer") and not _initializer(value))
    }


@cache
def _arguments(class_name: str) -> tuple[str, ...]:
    return tuple(inspect.signature(LAYERS[class_name]).parameters)


def _initializer(value: Any) -> bool:
    """Whether we know it. If not, our default takes its place: the weights come from the file anyway."""
    try:
        initializers.get(value)
    except OptionError:
        return False
    return True


def _activation(value: Any, name: str) -> str:
    """The name of a function: "relu", or {"class_name": "function", "config": "relu"}; a layer class means its own."""
    if isinstance(value, Mapping) and value.get("class_name") == "function":
        value = value.get("config")
    value = "linear" if value is None else value
    if not isinstance(value, str) or value not in ACTIVATIONS:
        refuse(explain(f"an activation among {', '.join(ACTIVATIONS)} in '{name}'", f"{value!r:.200}"))
    return value


Translation = Callable[[str, dict[str, Any]], tuple[str, dict[str, Any]]]


def _as_it_is(class_name: str, options: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    return class_name, options


def _activation_layer(class_name: str, options: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    return "", {key: value for key, value in options.items() if key in ("activation", "trainable")}


def _relu(class_name: str, options: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """Keras's ReLU layer can leak, or have a ceiling."""
    if options.get("max_value") == 6 and not options.get("negative_slope") and not options.get("threshold"):
        return _activation_layer(class_name, options | {"activation": "relu6"})
    return ("LeakyReLU" if options.get("negative_slope") else "ReLU"), options


def _leaky_relu(class_name: str, options: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """Keras 2 called the slope alpha."""
    return class_name, {("negative_slope" if key == "alpha" else key): value for key, value in options.items()}


def _batch_normalization(class_name: str, options: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """Keras 2 kept the axis in a list."""
    axis = options.get("axis", -1)
    return class_name, options | {"axis": axis[0] if isinstance(axis, list) and len(axis) == 1 else axis}


FROM_KERAS: dict[str, Translation] = {
    "Activation": _activation_layer,
    "ReLU": _relu,
    "LeakyReLU": _leaky_relu,
    "BatchNormalization": _batch_normalization,
}
