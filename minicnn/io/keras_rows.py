"""The layers of one Keras model as its JSON lists them: each with its name and with what its calls are given.

    Sequential    a list; each layer is given what the one before it makes
    Functional    each layer has its calls, and says what they were given: see ``keras_graph.py``

A layer can be a model, whose own list is read when it is unfolded (``keras_networks.py``).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from minicnn.errors import explain
from minicnn.io.checks import refuse
from minicnn.io.keras_graph import INPUT, Source, calls, ends
from minicnn.io.keras_layers import Row
from minicnn.layers import MOST_LAYERS

MODELS = ("Sequential", "Functional", "Model")

#: Where Keras 3 says a layer is from. ``x + y`` is written down like the layer Add, but is from among the functions.
MODULES = ("keras.layers", "keras.src.layers")
FUNCTIONS = ("Add", "Multiply")


class Read(NamedTuple):
    """A layer or model as it stands in the list: its name, what it is, what each of its calls is given."""

    name: str
    row: Row
    given: tuple[tuple[Source, ...], ...]
    raw: Mapping[str, Any]


class Listed(NamedTuple):
    """The list of a model's layers, the names of its inputs, and what its outputs are."""

    layers: list[Read]
    inputs: list[str]
    outputs: list[Source]


def listed(model: Mapping[str, Any]) -> Listed:
    """What stands in a model's JSON. Raises LoadError where something is no layer, or not Keras's own."""
    rows, config = _rows(model), model_config(model)
    if model["class_name"] == "Sequential":
        layers = list(_sequential(rows, model))
        require_unlike(layer.name for layer in layers)
        return Listed(layers, [layers[0].name], [(layers[-1].name, 0)])
    layers = list(_functional(rows))
    require_unlike(layer.name for layer in layers)
    inputs = [name for name, _ in ends(config.get("input_layers"))]
    if len(set(inputs)) < len(inputs):  # of models within models, lists of them would grow with every level
        refuse("one of its inputs is listed twice")
    return _from_zero(Listed(layers, inputs, list(ends(config.get("output_layers")))))


def _from_zero(model: Listed) -> Listed:
    """With all calls of models within it counted from 0.

    In Keras 3 (calls are dicts), what a layer reads is counted so already, and in ``output_layers`` a Functional's
    first call is 1. In Keras 2 (calls are lists) it is 1 everywhere, a Sequential's too; in files that begin with 0,
    nothing reads a call of that number.
    """
    inner = {layer.name: layer for layer in model.layers if layer.row.class_name in MODELS}
    calls_are_dicts = any(
        isinstance(entry, dict) for layer in model.layers for entry in layer.raw.get("inbound_nodes", ())
    )
    if calls_are_dicts:
        first = {name: int(layer.row.class_name != "Sequential") for name, layer in inner.items()}
        return model._replace(outputs=[(name, call - first.get(name, 0)) for name, call in model.outputs])
    read = {*model.outputs, *(source for layer in model.layers for given in layer.given for source in given)}
    first = {name: int((name, len(layer.given)) in read) for name, layer in inner.items()}

    def moved(sources: Iterable[Source]) -> tuple[Source, ...]:
        return tuple((name, call - first.get(name, 0)) for name, call in sources)

    layers = [layer._replace(given=tuple(map(moved, layer.given))) for layer in model.layers]
    return model._replace(layers=layers, outputs=list(moved(model.outputs)))


def require_unlike(names: Iterable[str]) -> None:
    """Raise LoadError if two are the same."""
    if any(count > 1 for count in Counter(names).values()):
        refuse("two layers have one name")


def _rows(model: Mapping[str, Any]) -> list[Any]:
    rows = model_config(model).get("layers")
    if model.get("class_name") not in MODELS or not isinstance(rows, list) or not rows:
        refuse(explain("a Keras Sequential or Functional model", f"{model.get('class_name')!r:.200}"))
    if len(rows) > MOST_LAYERS:
        refuse(explain(f"at most {MOST_LAYERS} layers", f"{len(rows)}"))
    return rows


def _functional(rows: Sequence[Any]) -> Iterator[Read]:
    for raw in rows:
        row, name = _row(raw)
        entries = raw.get("inbound_nodes", [])
        given = calls(entries, name)
        if row.class_name in FUNCTIONS and "trainable" not in row.config and len(_ranks(entries)) > 1:
            refuse(f"'{name}' adds or multiplies arrays with different numbers of axes, which the layer does otherwise")
        yield Read(name, row, given, raw)


def _ranks(value: Any, depth: int = 6) -> set[int]:
    """The numbers of axes of all tensors in a layer's calls, which do not lie deeper than that."""
    if isinstance(value, dict) and isinstance(shape := value.get("shape"), list):
        return {len(shape)}
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return {rank for one in inner for rank in _ranks(one, depth - 1)} if depth else set()


def _sequential(rows: Sequence[Any], model: Mapping[str, Any]) -> Iterator[Read]:
    """Each layer is given what the one before it makes. Without an InputLayer, one is put before the first: what it
    stands for, another model may say."""
    before: str | None = None
    for raw in rows:
        row, name = _row(raw)
        if before is None and row.class_name not in (INPUT, *MODELS):
            before = f"{name}_input"
            yield Read(before, Row(INPUT, {"batch_shape": _batch_shape(row, model)}), (), {})
        yield Read(name, row, () if before is None else (((before, 0),),), raw)
        before = name


def _batch_shape(first: Row, model: Mapping[str, Any]) -> Any:
    """Of a Sequential's input, wherever it stands; None if nowhere."""
    build = model.get("build_config")
    places = [
        *(first.config.get(key) for key in ("batch_shape", "batch_input_shape")),
        model_config(model).get("build_input_shape"),
        build.get("input_shape") if isinstance(build, dict) else None,
    ]
    return next((place for place in places if isinstance(place, list)), None)


def model_config(model: Mapping[str, Any]) -> dict[str, Any]:
    """Keras before 2.2.3 wrote a Sequential's layers as a bare list."""
    config = model.get("config")
    if isinstance(config, list):
        config = {"layers": config}
    if not isinstance(config, dict):
        refuse("it describes no model")
    return config


def _row(raw: Any) -> tuple[Row, str]:
    if not isinstance(raw, dict):
        refuse("one of its layers is not {class_name, config}")
    class_name, config = raw.get("class_name"), raw.get("config")
    if class_name in MODELS:
        config = model_config(raw)
    if not isinstance(config, dict):
        refuse("one of its layers is not {class_name, config}")
    name = raw.get("name", config.get("name"))
    if not isinstance(class_name, str) or not isinstance(name, str):
        refuse("one of its layers has no class or no name")
    if raw.get("registered_name") not in (None, class_name):
        refuse(f"the layer '{name}' is {raw['registered_name']!r:.200}: only Keras's own layers are read")
    module = str(raw.get("module") or MODULES[0])
    known = module.partition(".")[0] == "keras" if class_name in MODELS else module.startswith(MODULES)
    if not known and class_name not in FUNCTIONS:
        where = f"'{name}' is {class_name!r:.200} from {raw['module']!r:.200}"
        refuse(f"{where}: of Keras's functions, only sums and products are read")
    return Row(class_name, config), name
