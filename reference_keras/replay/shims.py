"""Keras losses, metrics, optimisers, schedules, initialisers and activations whose arithmetic is minicnn's."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any

import numpy as np

from minicnn import initializers, losses, metrics, optimizers, schedules
from minicnn.errors import MinicnnError
from minicnn.ops import activations
from minicnn.ops.curves import CURVES, curve
from reference_keras.backend import load_keras, load_tensorflow
from reference_keras.replay.options import ours
from reference_keras.replay.record import RECORD


def class_shims() -> dict[type[Any], type[Any]]:
    """A subclass for every Keras class, other than layers, that minicnn has too."""
    keras = load_keras()
    homes: list[tuple[dict[str, Any], Any, Callable[[type[Any], type[Any]], type[Any]]]] = [
        (dict(losses.LOSSES), keras.losses, _loss),
        (dict(metrics.METRICS), keras.metrics, _metric),
        ({"mean": metrics.Mean}, keras.metrics, _mean),
        (dict(optimizers.OPTIMIZERS), keras.optimizers, _optimizer),
        (dict(schedules.SCHEDULES), keras.optimizers.schedules, _schedule),
    ]
    found: dict[type[Any], type[Any]] = {}
    for table, home, make in homes:
        for kind in dict.fromkeys(table.values()):
            cls = getattr(home, kind.__name__, None)
            if cls is not None:
                found[cls] = make(cls, kind)
    return found


def _subclass(cls: type[Any], **methods: Any) -> type[Any]:
    return type(cls.__name__, (cls,), {**methods, "__module__": cls.__module__, "__doc__": cls.__doc__})


def _refusing(compute: Callable[..., Any]) -> Callable[..., Any]:
    """What minicnn refuses to compute is no case for it."""

    def guarded(*arguments: Any, **keywords: Any) -> Any:
        try:
            result = compute(*arguments, **keywords)
        except MinicnnError as error:
            raise RECORD.refuse(f"minicnn refuses the input: {error}") from error
        RECORD.computed += 1
        return result

    return guarded


def _array(value: Any) -> np.ndarray:
    return np.asarray(value)


def _floats(value: Any) -> np.ndarray:
    array = _array(value)
    return array if array.dtype in (np.float32, np.float64) else array.astype(np.float32)


def _loss(cls: type[Any], kind: type[Any]) -> type[Any]:
    def call(self: Any, y_true: Any, y_pred: Any) -> Any:
        per_sample = _refusing(ours(kind, self, cls).per_sample)
        return load_tensorflow().convert_to_tensor(per_sample(_array(y_true), _floats(y_pred)))

    return _subclass(cls, call=call)


def _metric(cls: type[Any], kind: type[Any]) -> type[Any]:
    def metric(self: Any) -> Any:
        if "_minicnn" not in self.__dict__:
            self.__dict__["_minicnn"] = ours(kind, self, cls)
        return self.__dict__["_minicnn"]

    def update_state(self: Any, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        weights = None if sample_weight is None else _array(sample_weight)
        _refusing(metric(self).update)(_array(y_true), _floats(y_pred), weights)

    return _subclass(
        cls,
        update_state=update_state,
        result=lambda self: np.float32(metric(self).result()),
        reset_state=lambda self: metric(self).reset(),
    )


def _mean(cls: type[Any], kind: type[Any]) -> type[Any]:
    def mean(self: Any) -> Any:
        if "_minicnn" not in self.__dict__:
            self.__dict__["_minicnn"] = kind(self.name)
        return self.__dict__["_minicnn"]

    def update_state(self: Any, values: Any, sample_weight: Any = None) -> None:
        _refusing(mean(self).update)(_array(values), None if sample_weight is None else _array(sample_weight))

    return _subclass(
        cls,
        update_state=update_state,
        result=lambda self: np.float32(mean(self).result()),
        reset_state=lambda self: mean(self).reset(),
    )


def _optimizer(cls: type[Any], kind: type[Any]) -> type[Any]:
    def apply(self: Any, grads: Any, trainable_variables: Any = None) -> None:
        """minicnn's step, on copies of the variables; Keras's counter and learning rate stay in charge."""
        variables = list(trainable_variables if trainable_variables is not None else self._trainable_variables)
        if not self.built:
            self.build(variables)
        if any(hasattr(gradient, "indices") for gradient in grads):
            raise RECORD.refuse("minicnn has no sparse gradients")
        if self.weight_decay and not all(map(self._use_weight_decay, variables)):
            raise RECORD.refuse("minicnn decays every weight: it has no exclude_from_weight_decay")
        if any(getattr(v, "constraint", None) or getattr(v, "overwrite_with_gradient", False) for v in variables):
            raise RECORD.refuse("minicnn has no constraints, and no variables that take a gradient as their value")
        grads, variables = self._filter_empty_gradients(list(grads), variables)
        step = self.__dict__.setdefault("_minicnn", ours(kind, self, cls))
        step._rate = float(np.asarray(self.learning_rate))
        step.iterations = int(np.asarray(self.iterations))
        arrays = {str(number): np.array(variable) for number, variable in enumerate(variables)}
        given = {str(number): np.asarray(g).astype(arrays[str(number)].dtype) for number, g in enumerate(grads)}
        _refusing(step.apply)(arrays, given)
        for number, variable in enumerate(variables):
            variable.assign(arrays[str(number)])
        self._iterations.assign_add(1)

    def clip(self: Any, grads: Any) -> Any:
        """What a plain step of length 1 takes away from 0."""
        options = {name: getattr(self, name) for name in ("clipnorm", "clipvalue", "global_clipnorm")}
        step = optimizers.SGD(1.0, **options)
        given = {str(number): np.asarray(g) for number, g in enumerate(grads)}
        arrays = {name: np.zeros_like(g) for name, g in given.items()}
        _refusing(step.apply)(arrays, given)
        return [load_tensorflow().convert_to_tensor(-array) for array in arrays.values()]

    return _subclass(cls, apply=apply, _clip_gradients=clip)


def _schedule(cls: type[Any], kind: type[Any]) -> type[Any]:
    def call(self: Any, step: Any) -> Any:
        return np.float32(_refusing(ours(kind, self, cls))(int(np.asarray(step))))

    return _subclass(cls, __call__=call)


def initializer_calls() -> dict[type[Any], Callable[..., Any]]:
    """For every Keras initialiser that minicnn has too, a ``__call__`` that draws minicnn's numbers."""
    home = load_keras().initializers
    kinds = dict.fromkeys(initializers.INITIALIZERS.values())
    return {cls: _initializer(cls, kind) for kind in kinds if (cls := getattr(home, kind.__name__, None))}


def _initializer(cls: type[Any], kind: type[Any]) -> Callable[..., Any]:
    def call(self: Any, shape: Any, dtype: Any = None, **more: Any) -> Any:
        config = cls.get_config(self)
        if any(value is not None for value in more.values()):
            raise RECORD.refuse(f"minicnn has no {', '.join(more)} for {cls.__name__}")
        known = inspect.signature(kind).parameters
        seed = config.pop("seed", None)
        unknown = [name for name, value in config.items() if name not in known and value is not None]
        if unknown:
            raise RECORD.refuse(f"minicnn has no {', '.join(unknown)} for {cls.__name__}")
        if not isinstance(seed, int | None):
            raise RECORD.refuse("a seed that is no number belongs to Keras's generator")
        try:
            made = kind(**{name: value for name, value in config.items() if name in known})
        except (MinicnnError, TypeError) as error:
            raise RECORD.refuse(f"minicnn refuses the options: {error}") from error
        rng = np.random.default_rng(self._random_seed if seed is None and hasattr(self, "_random_seed") else seed)
        return load_keras().ops.convert_to_tensor(_refusing(made)(tuple(shape), rng, np.float32), dtype)

    return call


def activation_shims() -> dict[str, Callable[..., Any]]:
    """minicnn's activations, for the functions of ``keras.activations``."""

    def shim(compute: Callable[..., Any], name: str) -> Callable[..., Any]:
        own = inspect.signature(compute).parameters

        def activation(x: Any, *values: Any, **options: Any) -> Any:
            theirs = getattr(load_keras().activations, name)
            if getattr(getattr(x, "dtype", None), "name", "") in ("float16", "bfloat16"):
                return theirs(x, *values, **options)
            signature = inspect.signature(theirs)
            bound = signature.bind(x, *values, **options).arguments
            given = {key: value for key, value in bound.items() if key != "x"}
            unknown = [
                key for key, value in given.items() if key not in own and value != signature.parameters[key].default
            ]
            if unknown:
                raise RECORD.refuse(f"minicnn's {name} has no {', '.join(unknown)}")
            result, _ = _refusing(compute)(_floats(x), **{key: value for key, value in given.items() if key in own})
            return load_tensorflow().convert_to_tensor(result)

        activation.__name__ = name
        return activation

    def leaky(x: Any, negative_slope: float = 0.2) -> Any:  # the function's default; the layer's is 0.3
        return activations.leaky_relu(x, negative_slope)

    table: dict[str, Callable[..., Any]] = {
        **{name: getattr(activations, name) for name in ("linear", "relu", "elu", "sigmoid", "tanh", "softmax")},
        "leaky_relu": leaky,
        **{name: functools.partial(curve, name=name) for name in CURVES},
    }
    known = vars(load_keras().activations)
    return {name: shim(compute, name) for name, compute in table.items() if name in known}
