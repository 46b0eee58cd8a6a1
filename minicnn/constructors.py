"""Calls with arguments that do not exist: what there is instead, and where Keras's own arguments have their place here.

    Dense(10, activation="relu")
    ArgumentError: Expected arguments of Dense (units, use_bias, ...). Received: activation='relu'. An activation is a
    layer of its own: put Activation('relu') behind this one.

Python's own TypeError says only that the argument is unexpected. A call that goes well costs nothing more: signatures
are looked at only after Python refused.
"""

from __future__ import annotations

import difflib
import functools
import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, ParamSpec, Self, TypeVar

from minicnn.errors import ArgumentError, explain

P = ParamSpec("P")
R = TypeVar("R")

#: Arguments that Keras has and minicnn has elsewhere: where. ``{value}`` is what was given.
ELSEWHERE = {
    "activation": "An activation is a layer of its own: put Activation({value}) behind this one.",
    "input_shape": "The network takes it: Sequential(layers, input_shape={value}), or Input({value}) in front.",
    "dtype": "A whole network has one number type: Sequential(layers, dtype={value}).",
    "data_format": "Pictures are always (N, H, W, C), Keras's 'channels_last'.",
    "custom_objects": "No code is run because a file asks for it: build the network, then call load_weights(path).",
    "compile": "What can go on training is compiled already; model.compile() chooses anew.",
    "overwrite": "A file that is there is replaced, once the new one is complete.",
    "batch_shape": "Networks take any number of samples: Input(shape), without the batch.",
    "return_dict": "The numbers always come by name: evaluate(x, y)['loss'].",
    "steps": "All batches are taken.",
    "steps_per_epoch": "An epoch is all of the data, in batches of batch_size.",
    "validation_steps": "All validation data are measured.",
    "validation_freq": "Validation data are measured after each epoch.",
    "validation_batch_size": "Batches(x, y, batch_size={value}) as validation_data have a size of their own.",
    "weighted_metrics": "Metrics count every sample alike.",
    "ignore_class": "Leave such samples out; for pixels, give them a class and weight 0 (they count in the divisor).",
    "class_weight": "Here each sample has its weight: sample_weight=[weights[label] for label in y].",
    "initial_value_threshold": "Set it when the callback is made: checkpoint.best = {value}.",
    "include_optimizer": "A .npz keeps how training went, the other formats do not.",
    "callbacks": "Callbacks listen to fit, and to its validation, alone.",
    "loss_weights": "A network is trained on one output, so there is one loss.",
    "save_weights_only": "A file holds the whole network; model.load_weights(file) takes the weights alone from it. "
    "One that ends in .weights.h5 holds nothing else.",
    "save_freq": "A checkpoint is made after each epoch: in between, save in an on_train_batch_end of your own.",
    "separator": "Columns are separated by commas.",
    "seed": "Chance follows from the network's seed: Sequential(layers, seed={value}), or Model(..., seed={value}).",
    "max_value": "Activation('relu6') cuts off at 6.",
    "negative_slope": "LeakyReLU(negative_slope={value}) is the layer that has one.",
    "decay": "The learning rate can follow a schedule: "
    "learning_rate=InverseTimeDecay(0.01, decay_steps=1, decay_rate={value}), from minicnn.schedules, with your rate.",
    "reduction": "A loss is always averaged, as Keras's 'sum_over_batch_size'; its method per_sample does not average.",
}
ELSEWHERE |= dict.fromkeys(
    ("kernel_regularizer", "bias_regularizer", "activity_regularizer"),
    "The optimizer can decay weights: Adam(weight_decay=1e-4).",
)
ELSEWHERE |= dict.fromkeys(
    ("kernel_constraint", "bias_constraint", "gamma_constraint", "beta_constraint", "depthwise_constraint"),
    "Nothing is constrained; a callback's on_train_batch_end may change the arrays of model.weights.",
)
ELSEWHERE |= dict.fromkeys(
    ("workers", "use_multiprocessing", "max_queue_size"), "Data are arrays: nothing is fetched while training."
)
ELSEWHERE |= dict.fromkeys(("run_eagerly", "jit_compile"), "Loops are always compiled, and layers called one by one.")
ELSEWHERE |= dict.fromkeys(
    ("by_name", "skip_mismatch"),
    "All weights must fit; single ones are copied: model.weights['conv1/kernel'][...] = other.weights['conv1/kernel'].",
)
ELSEWHERE |= dict.fromkeys(
    ("on_predict_begin", "on_predict_end", "on_predict_batch_begin", "on_predict_batch_end"),
    "Callbacks listen to fit alone: predict calls none.",
)
#: Older names of arguments, and names in other classes, for what is called otherwise here
ALSO_CALLED = {
    "lr": "learning_rate",
    "alpha": "negative_slope",
    "path": "filename",
    "on_batch_begin": "on_train_batch_begin",
    "on_batch_end": "on_train_batch_end",
}


def explained(function: Callable[P, R]) -> Callable[P, R]:
    """The same function, with an ArgumentError, which is a TypeError, for a call that does not fit its signature."""

    @functools.wraps(function)
    def called(*arguments: P.args, **keywords: P.kwargs) -> R:
        try:
            return function(*arguments, **keywords)
        except TypeError:
            problem = mismatch(function, arguments, keywords)
            if problem is None:  # it was called as it should be; the error is from further inside
                raise
        raise ArgumentError(problem)

    return called


class ConstructorSignature:
    """``inspect.signature`` of a class with a ``__new__`` would be that of the latter. Objects have none of this."""

    def __get__(self, thing: object, owner: type) -> inspect.Signature:
        if thing is not None:
            raise AttributeError("__signature__")
        _, *parameters = inspect.signature(getattr(owner, "__init__")).parameters.values()  # noqa: B009  (of whatever class)
        return inspect.Signature(parameters)


class Explained:
    """A base class: the constructors of all subclasses are ``explained``, and keep their signatures.

    A class that lacks a method it must have cannot be made an object of, in words that say which and what for.
    """

    #: methods that a class written for Keras has instead: what does their work here
    written_for_keras: ClassVar[Mapping[str, str]] = {}
    __signature__ = ConstructorSignature()

    def __new__(cls, *arguments: Any, **keywords: Any) -> Self:
        missing: frozenset[str] = getattr(cls, "__abstractmethods__", frozenset())
        if missing:
            raise ArgumentError(_incomplete(cls, missing))
        return super().__new__(cls)

    @explained
    def __init__(self) -> None:
        pass

    def __init_subclass__(cls, **keywords: Any) -> None:
        super().__init_subclass__(**keywords)
        if "__init__" in cls.__dict__:
            setattr(cls, "__init__", explained(cls.__dict__["__init__"]))  # noqa: B010  (mypy forbids the assignment)


def _incomplete(cls: type[Explained], missing: frozenset[str]) -> str:
    """The message of those who make an object of a class without these methods."""
    classes = cls.__mro__
    in_order = list(dict.fromkeys(name for kind in classes for name in vars(kind) if name in missing))
    base = next(kind for kind in classes if in_order[0] in vars(kind))
    what = f"{'methods' if len(missing) > 1 else 'the method'} {', '.join(in_order)}"
    if cls is base:
        return explain(f"a subclass of {cls.__name__} with {what}", f"{cls.__name__} itself")
    instead = {name: fix for name, fix in cls.written_for_keras.items() if any(name in vars(kind) for kind in classes)}
    received = f"a class with {', '.join(instead)} and without {in_order[0]}" if instead else f"none of {in_order}"
    return explain(f"{what} in {cls.__name__}, as every {base.__name__} has", received, " ".join(instead.values()))


def mismatch(
    function: Callable[..., Any], arguments: Sequence[Any], keywords: Mapping[str, Any], name: str = ""
) -> str | None:
    """Why ``function(*arguments, **keywords)`` cannot be called, as a message; None if it can.

    ``name`` is what the message calls it; without it, a constructor goes by the class of its object.
    """
    signature = inspect.signature(function)
    try:
        signature.bind(*arguments, **keywords)
    except TypeError as error:
        known = [key for key in signature.parameters if key != "self"]
        unknown = {key: value for key, value in keywords.items() if key not in known}
        name = name or _name(function, arguments)
        if unknown:
            received = ", ".join(f"{key}={value!r:.60}" for key, value in unknown.items())
            fix = " ".join(filter(None, (_advice(key, value, known) for key, value in unknown.items())))
        else:
            own = signature.parameters.values()
            named = [key.name for key in own if key.kind is key.KEYWORD_ONLY and key.name not in keywords]
            received = f"a call that Python refuses: {error}"
            fix = f"By name alone: {', '.join(named)}." if "too many positional" in str(error) and named else ""
        return explain(f"arguments of {name} ({', '.join(known)})", received, fix)
    return None


def _name(function: Callable[..., Any], arguments: Sequence[Any]) -> str:
    """The function's own name; that of the class for its constructor, which the class may have inherited."""
    if function.__name__ != "__init__":
        return function.__name__
    constructor = getattr(type(arguments[0]).__init__, "__wrapped__", None)
    return type(arguments[0]).__name__ if constructor is function else function.__qualname__.removesuffix(".__init__")


def _advice(key: str, value: object, known: Sequence[str]) -> str:
    """What to do instead with one unknown argument; "" where there is nothing to say."""
    if ALSO_CALLED.get(key) in known:
        return f"'{key}' is called {ALSO_CALLED[key]}."
    if key in ELSEWHERE:
        return ELSEWHERE[key].format(value=f"{value!r:.60}")
    near = difflib.get_close_matches(key, known, 1)
    return f"Is '{key}' {near[0]}?" if near else ""
