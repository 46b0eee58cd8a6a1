"""Networks as Keras writes them down: its JSON <-> the config of our own classes (``Model.config()``).

Keras writes the same network in four dialects: ``Sequential`` or ``Functional``, each as Keras 2 and Keras 3 did it.

    Sequential    the layers in a row; the first may be an InputLayer
    Functional    each layer with its calls, and what each was given: see ``keras_graph.py``

Both are first read into layers and their calls; from there a network whose layers stand in a row becomes a
``Sequential``, any other a ``Model``.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

from minicnn.errors import OptionError, explain
from minicnn.graph import described
from minicnn.io.checks import refuse
from minicnn.io.keras_graph import INPUT, Called, connections, in_a_row, keras_order, number
from minicnn.io.keras_layers import Row, from_keras, to_keras
from minicnn.io.keras_networks import Network, network_of
from minicnn.io.keras_rows import model_config
from minicnn.shapes import Shape


def config_from_keras(model: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """(class name, config) of our network that computes what a Keras model does. Raises LoadError where none does.

    ``model`` is what Keras keeps as ``config.json`` or ``model_config``. Options that matter only in training
    (regularizers, constraints, the compiled optimiser) are not taken over.
    """
    network, config = network_of(model), model_config(model)
    row = in_a_row(network.found, network.outputs)
    rows = _our_rows([layer for layer in row or network.found if layer.row.class_name != INPUT])
    default = "sequential" if model["class_name"] == "Sequential" else "functional"
    about = {
        "name": config["name"] if isinstance(config.get("name"), str) else default,
        "dtype": _dtype(network.found),
        "seed": 0,
        "layers": [{"class_name": one.class_name, "config": one.config} for own in rows.values() for one in own],
    }
    if row is not None:
        return "Sequential", about | {"input_shape": list(_input_shape(row[0]))}
    return "Model", about | _connected(network, rows)


def config_to_keras(config: Mapping[str, Any], *, legacy: bool = False) -> dict[str, Any]:
    """A ``Model.config()`` as Keras 3 writes it; ``legacy`` is the form within .h5 files. Raises OptionError."""
    dtype, functional = config["dtype"], "nodes" in config
    graph, shapes = described(config)
    input_names = config["input_names"] if functional else ("input_layer",)
    inputs = [
        Row(INPUT, {"batch_shape": [None, *shape], "dtype": dtype, "sparse": False, "ragged": False, "name": name})
        for shape, name in zip(shapes, input_names, strict=False)
    ]
    rows = inputs + [to_keras(Row(type(layer).__name__, layer.config())) for layer in keras_order(graph)]
    layers: list[dict[str, Any]] = [
        {
            "module": "keras.layers",
            "class_name": row.class_name,
            "config": {"dtype": dtype, **row.config},
            "registered_name": None,
        }
        for row in rows
    ]
    inner: dict[str, Any] = {"name": config["name"], "trainable": True, "layers": layers}
    if functional:
        entries, made = connections(graph, input_names, shapes, dtype)
        for layer in layers:
            name = layer["config"]["name"]
            layer |= {"name": name, "inbound_nodes": entries.get(name, [])}
        inner |= {"input_layers": _one_or_all(made[: graph.inputs]), "output_layers": _one_or_all(made[graph.inputs :])}
    else:
        inner |= {"dtype": dtype, "build_input_shape": [None, *shapes[0]]}
    kind, module = ("Functional", "keras.src.models.functional") if functional else ("Sequential", "keras")
    if legacy:
        for row in rows:
            _require_one_axis(row)
        own = ("class_name", "config", "name", "inbound_nodes")
        inner["layers"] = [{key: layer[key] for key in own if key in layer} for layer in layers]
        return {"class_name": kind, "config": inner}
    return {"module": module, "class_name": kind, "config": inner, "registered_name": None}


def _require_one_axis(row: Row) -> None:
    """Keras drops several axes when it loads an .h5 file, and would compute something else without a word."""
    axis = row.config.get("axis")
    if isinstance(axis, list | tuple) and len(axis) > 1:
        received = f"axis={axis} in '{row.config['name']}'"
        raise OptionError(explain("one axis, or Keras would not read it from an .h5 file", received, "Save as .keras."))


def _our_rows(found: Sequence[Called]) -> dict[str, list[Row]]:
    """The layers of ours for each of Keras's. One that is added for an activation gets a name that nobody has."""
    rows = {layer.name: from_keras(layer.row, layer.name) for layer in found}
    firsts = [own[0].config["name"] for own in rows.values() if own]
    if len(set(firsts)) < len(firsts):
        refuse("two layers have one name once '/' has become '_'")
    taken = set(firsts)
    for row in (row for own in rows.values() for row in own[1:]):
        wanted = row.config["name"]
        numbered = (f"{wanted}_{i}" if i else wanted for i in itertools.count())
        row.config["name"] = next(name for name in numbered if name not in taken)
        taken.add(row.config["name"])
    return rows


def _connected(network: Network, rows: Mapping[str, Sequence[Row]]) -> dict[str, Any]:
    """What a ``Model.config()`` has beyond its layers, which keep the order of the file: in it lie their weights."""
    found, inputs = network.found, network.inputs
    by_name = {layer.name: layer for layer in found}
    starts = ({one.name for one in found if not one.calls}, {one.name for one in found if one.row.class_name == INPUT})
    if not inputs or any(set(inputs) != start for start in starts):
        refuse(explain("a network with its inputs listed", f"{inputs!r:.200}"))
    names = {name: [row.config["name"] for row in own] for name, own in rows.items()}
    nodes, ends_at = number(found, names, inputs, network.outputs)
    read = {*ends_at, *(source for _, sources in nodes for source in sources)}
    if unread := [name for place, name in enumerate(inputs) if place not in read]:
        refuse(f"the input '{unread[0]}' leads to no output, and minicnn's networks read all of their inputs")
    return {
        "input_names": inputs,
        "input_shape": _one_or_all([list(_input_shape(by_name[name])) for name in inputs]),
        "nodes": [[name, sources] for name, sources in nodes],
        "outputs": ends_at,
    }


def _one_or_all(items: list[Any]) -> Any:
    return items[0] if len(items) == 1 else items


def _input_shape(first: Called) -> Shape:
    """Without the batch axis. The sizes must be fixed: kernels of dense layers follow from them."""
    places = (first.row.config.get(key) for key in ("batch_shape", "batch_input_shape"))
    shape = next((place for place in places if isinstance(place, list)), None)
    if not shape or not all(type(size) is int for size in shape[1:]):
        refuse(explain("a fixed input shape, such as [null, 200, 200, 1]", f"{shape!r:.200}"))
    return tuple(shape[1:])


def _policy(dtype: Any) -> str:
    """ "float32", or {"class_name": "DTypePolicy", "config": {"name": "float32"}}."""
    config = dtype.get("config") if isinstance(dtype, dict) else None
    return str(config.get("name") if isinstance(config, dict) else dtype)[:50]


def _dtype(found: Sequence[Called]) -> str:
    """The number type of all layers; one type per network."""
    dtypes = (layer.row.config.get("dtype") for layer in found)
    names = {_policy(dtype) for dtype in dtypes if dtype is not None}
    if len(names) > 1 or not names <= {"float32", "float64"}:
        refuse(explain("float32 or float64 for all layers", ", ".join(sorted(map(str, names)))))
    return names.pop() if names else "float32"
