"""Networks as Keras writes them down: its JSON <-> the config of our own classes (``Sequential.config()``).

Keras writes the same network in four dialects: ``Sequential`` or ``Functional``, each as Keras 2 and Keras 3 did it.

    Sequential    the layers in a row; the first may be an InputLayer
    Functional    each layer with the names of the layers it takes its input from

Both are first read into *nodes*, a layer and the names of its inputs; from there a network whose nodes stand in a row
becomes a ``Sequential``, any other a ``Model``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from minicnn.errors import explain
from minicnn.io.checks import refuse
from minicnn.io.keras_layers import Row, from_keras, to_keras
from minicnn.shapes import Shape

INPUT = "InputLayer"


class Node(NamedTuple):
    """A Keras layer, its name, and the names of the layers whose outputs it takes; none for an input."""

    name: str
    row: Row
    inputs: tuple[str, ...]


def config_from_keras(model: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """(class name, config) of our network that computes what a Keras model does. Raises LoadError where none does.

    ``model`` is what Keras keeps as ``config.json`` or ``model_config``. Options that matter only in training
    (regularizers, constraints, the compiled optimiser) are not taken over.
    """
    found = nodes(model)
    row = _in_a_row(found)
    if row is None:
        return "Model", _graph(model, found)
    shape = _input_shape(model, row)
    layers = [layer for node in row if node.row.class_name != INPUT for layer in from_keras(node.row, node.name)]
    config = {
        "name": _config(model)["name"] if isinstance(_config(model).get("name"), str) else "sequential",
        "dtype": _dtype(row),
        "seed": 0,
        "input_shape": list(shape),
        "layers": [{"class_name": layer.class_name, "config": layer.config} for layer in layers],
    }
    return "Sequential", config


def nodes(model: Mapping[str, Any]) -> list[Node]:
    """The layers of a Keras model with the names of their inputs, in the order of the file. Raises LoadError."""
    kind, config = model.get("class_name"), _config(model)
    rows = config.get("layers")
    if kind not in ("Sequential", "Functional", "Model") or not isinstance(rows, list):
        refuse(explain("a Keras Sequential or Functional model", f"{kind!r:.200}"))
    found: list[Node] = []
    for raw in rows:
        row, name = _row(raw)
        if kind == "Sequential":
            inputs: tuple[str, ...] = (found[-1].name,) if found else ()
        else:
            inputs = _inputs(raw, name)
        found.append(Node(name, row, inputs))
    if len({node.name for node in found}) != len(found):
        refuse("two layers have one name")
    return found


def config_to_keras(config: Mapping[str, Any], *, legacy: bool = False) -> dict[str, Any]:
    """A ``Sequential.config()`` as Keras 3 writes it; ``legacy`` is the form within .h5 files. Raises OptionError."""
    dtype, shape = config["dtype"], [None, *config["input_shape"]]
    first = Row(INPUT, {"batch_shape": shape, "dtype": dtype, "sparse": False, "ragged": False, "name": "input_layer"})
    rows = [first] + [to_keras(Row(row["class_name"], dict(row["config"]))) for row in config["layers"]]
    layers = [
        {
            "module": "keras.layers",
            "class_name": row.class_name,
            "config": {"dtype": dtype, **row.config},
            "registered_name": None,
        }
        for row in rows
    ]
    if legacy:
        layers = [{key: layer[key] for key in ("class_name", "config")} for layer in layers]
    inner = {"name": config["name"], "trainable": True, "dtype": dtype, "layers": layers, "build_input_shape": shape}
    whole = {"module": "keras", "class_name": "Sequential", "config": inner, "registered_name": None}
    return {key: whole[key] for key in ("class_name", "config")} if legacy else whole


def _config(model: Mapping[str, Any]) -> dict[str, Any]:
    """Keras before 2.2.3 wrote a Sequential's layers as a bare list."""
    config = model.get("config")
    if isinstance(config, list):
        config = {"layers": config}
    if not isinstance(config, dict):
        refuse("it describes no model")
    return config


def _row(raw: Any) -> tuple[Row, str]:
    if not isinstance(raw, dict) or not isinstance(raw.get("config"), dict):
        refuse("one of its layers is not {class_name, config}")
    class_name, config = raw.get("class_name"), raw["config"]
    name = raw.get("name", config.get("name"))
    if not isinstance(class_name, str) or not isinstance(name, str):
        refuse("one of its layers has no class or no name")
    if raw.get("registered_name") not in (None, class_name):
        refuse(f"the layer '{name}' is {raw['registered_name']!r:.200}: only Keras's own layers are read")
    return Row(class_name, config), name


def _inputs(raw: Mapping[str, Any], name: str) -> tuple[str, ...]:
    """The sources of a layer in a Functional model. A layer that stands in several places has several entries."""
    entries = raw.get("inbound_nodes", [])
    if not isinstance(entries, list) or len(entries) > 1:
        refuse(f"the layer '{name}' stands in several places")
    return tuple(_sources(entries, 0))


def _sources(value: Any, depth: int) -> Iterator[str]:
    """Keras 3 says {..., "config": {..., "keras_history": [name, 0, 0]}}, Keras 2 [name, 0, 0, {}]; both in lists."""
    if depth > 12:
        refuse("its layers are connected in a way that is not understood")
    if isinstance(value, list) and len(value) >= 3 and isinstance(value[0], str) and value[1:3] == [0, 0]:
        yield value[0]
    elif isinstance(value, dict | list):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from _sources(inner, depth + 1)


def _in_a_row(found: list[Node]) -> list[Node] | None:
    """The nodes in the order of data, if each one's output goes to exactly one other; None if not."""
    after: dict[str, list[Node]] = {}
    for node in found:
        for source in node.inputs:
            after.setdefault(source, []).append(node)
    starts = [node for node in found if not node.inputs]
    row = starts[:1]
    while row and len(row) <= len(found):
        following = after.get(row[-1].name, [])
        if not following:
            break
        row += following[:1]
    if not row or len(row) != len(found) or any(len(node.inputs) > 1 for node in found):
        return None
    return row


def _graph(model: Mapping[str, Any], found: list[Node]) -> dict[str, Any]:
    """A ``Model.config()``: values are numbered, inputs first, then what each node makes (see ``minicnn.graph``).

    Layers keep the order of the file, in which their weights lie; nodes stand in an order that can be computed.
    """
    config = _config(model)
    by_name = {node.name: node for node in found}
    inputs = [name for name in _ends(config, "input_layers") if name in by_name]
    outputs = _ends(config, "output_layers")
    if not inputs or set(inputs) != {node.name for node in found if node.row.class_name == INPUT}:
        refuse(explain("a network with its inputs listed", f"{inputs!r:.200}"))
    rows = {node.name: from_keras(node.row, node.name) for node in found if node.row.class_name != INPUT}
    values = {name: number for number, name in enumerate(inputs)}
    uses: list[tuple[str, list[int]]] = []
    waiting = [node for node in found if node.name not in values]
    while waiting:
        ready = [node for node in waiting if node.inputs and all(name in values for name in node.inputs)]
        if not ready:
            refuse(f"the layer '{waiting[0].name}' reads what no layer makes")
        for node in ready:
            sources = [values[name] for name in node.inputs]
            for layer in rows[node.name]:
                uses.append((layer.config["name"], sources))
                sources = [len(inputs) + len(uses) - 1]
            values[node.name] = sources[0]
        waiting = [node for node in waiting if node.name not in values]
    if not outputs or not all(name in values for name in outputs):
        refuse(explain("a network with its outputs listed", f"{outputs!r:.200}"))
    shapes = [list(_input_shape({}, [by_name[name]])) for name in inputs]
    return {
        "name": config["name"] if isinstance(config.get("name"), str) else "functional",
        "dtype": _dtype(found),
        "seed": 0,
        "input_names": inputs,
        "input_shape": shapes[0] if len(shapes) == 1 else shapes,
        "layers": [{"class_name": layer.class_name, "config": layer.config} for name in rows for layer in rows[name]],
        "nodes": [[name, sources] for name, sources in uses],
        "outputs": [values[name] for name in outputs],
    }


def _ends(config: Mapping[str, Any], key: str) -> list[str]:
    """The layers in ``input_layers`` or ``output_layers``: [name, 0, 0], or a list of such."""
    return list(_sources(config.get(key), 0))


def _input_shape(model: Mapping[str, Any], row: list[Node]) -> Shape:
    """Without the batch axis. The sizes must be fixed: kernels of dense layers follow from them."""
    first = row[0].row.config
    build = model.get("build_config")
    places = [
        *(first.get(key) for key in ("batch_shape", "batch_input_shape")),
        _config(model).get("build_input_shape") if model else None,
        build.get("input_shape") if isinstance(build, dict) else None,
    ]
    shape = next((place for place in places if isinstance(place, list)), None)
    if not shape or not all(type(size) is int for size in shape[1:]):
        refuse(explain("a fixed input shape, such as [null, 200, 200, 1]", f"{shape!r:.200}"))
    return tuple(shape[1:])


def _policy(dtype: Any) -> str:
    """ "float32", or {"class_name": "DTypePolicy", "config": {"name": "float32"}}."""
    config = dtype.get("config") if isinstance(dtype, dict) else None
    return str(config.get("name") if isinstance(config, dict) else dtype)[:50]


def _dtype(row: list[Node]) -> str:
    """The number type of all layers; one type per network."""
    names = {_policy(node.row.config["dtype"]) for node in row if node.row.config.get("dtype") is not None}
    if len(names) > 1 or not names <= {"float32", "float64"}:
        refuse(explain("float32 or float64 for all layers", ", ".join(sorted(map(str, names)))))
    return names.pop() if names else "float32"
