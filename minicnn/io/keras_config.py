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
from minicnn.io.keras_graph import INPUT, Called, Source, calls, connections, ends, in_a_row, keras_order, number
from minicnn.io.keras_layers import Row, from_keras, to_keras
from minicnn.layers import MOST_LAYERS
from minicnn.shapes import Shape

#: Where Keras 3 says a layer is from. ``x + y`` is written down like the layer Add, but is from among the functions.
MODULES = ("keras.layers", "keras.src.layers")
FUNCTIONS = ("Add", "Multiply")


def config_from_keras(model: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """(class name, config) of our network that computes what a Keras model does. Raises LoadError where none does.

    ``model`` is what Keras keeps as ``config.json`` or ``model_config``. Options that matter only in training
    (regularizers, constraints, the compiled optimiser) are not taken over.
    """
    found = layers_of(model)
    config = _config(model)
    functional = model["class_name"] != "Sequential"
    outputs = list(ends(config.get("output_layers"))) if functional else [(found[-1].name, 0)]
    row = in_a_row(found, outputs)
    rows = _our_rows([layer for layer in row or found if layer.row.class_name != INPUT])
    about = {
        "name": config["name"] if isinstance(config.get("name"), str) else "functional" if functional else "sequential",
        "dtype": _dtype(found),
        "seed": 0,
        "layers": [{"class_name": one.class_name, "config": one.config} for own in rows.values() for one in own],
    }
    if row is not None:
        return "Sequential", about | {"input_shape": list(_input_shape(model, row[0]))}
    return "Model", about | _connected(config, found, rows, outputs)


def layers_of(model: Mapping[str, Any]) -> list[Called]:
    """The layers of a Keras model with their calls, in the order of the file. Raises LoadError."""
    kind, config = model.get("class_name"), _config(model)
    rows = config.get("layers")
    if kind not in ("Sequential", "Functional", "Model") or not isinstance(rows, list) or not rows:
        refuse(explain("a Keras Sequential or Functional model", f"{kind!r:.200}"))
    if len(rows) > MOST_LAYERS:
        refuse(explain(f"at most {MOST_LAYERS} layers", f"{len(rows)}"))
    found: list[Called] = []
    for raw in rows:
        row, name = _row(raw)
        if kind != "Sequential":
            found.append(Called(name, row, calls(raw.get("inbound_nodes", []), name)))
        else:
            found.append(Called(name, row, (((found[-1].name, 0),),) if found else ()))
    if len({layer.name for layer in found}) != len(found):
        refuse("two layers have one name")
    return found


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
    module = raw.get("module")
    if not (module is None or str(module).startswith(MODULES) or class_name in FUNCTIONS):
        where = f"'{name}' is {class_name!r:.200} from {module!r:.200}"
        refuse(f"{where}: of Keras's functions, only sums and products are read")
    return Row(class_name, config), name


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


def _connected(
    config: Mapping[str, Any], found: Sequence[Called], rows: Mapping[str, Sequence[Row]], outputs: Sequence[Source]
) -> dict[str, Any]:
    """What a ``Model.config()`` has beyond its layers, which keep the order of the file: in it lie their weights."""
    by_name = {layer.name: layer for layer in found}
    inputs = [name for name, _ in ends(config.get("input_layers")) if name in by_name]
    starts = ({one.name for one in found if not one.calls}, {one.name for one in found if one.row.class_name == INPUT})
    if not inputs or any(set(inputs) != start for start in starts):
        refuse(explain("a network with its inputs listed", f"{inputs!r:.200}"))
    names = {name: [row.config["name"] for row in own] for name, own in rows.items()}
    nodes, ends_at = number(found, names, inputs, outputs)
    return {
        "input_names": inputs,
        "input_shape": _one_or_all([list(_input_shape({}, by_name[name])) for name in inputs]),
        "nodes": [[name, sources] for name, sources in nodes],
        "outputs": ends_at,
    }


def _one_or_all(items: list[Any]) -> Any:
    return items[0] if len(items) == 1 else items


def _input_shape(model: Mapping[str, Any], first: Called) -> Shape:
    """Without the batch axis. The sizes must be fixed: kernels of dense layers follow from them."""
    own = first.row.config
    build = model.get("build_config")
    places = [
        *(own.get(key) for key in ("batch_shape", "batch_input_shape")),
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


def _dtype(found: Sequence[Called]) -> str:
    """The number type of all layers; one type per network."""
    dtypes = (layer.row.config.get("dtype") for layer in found)
    names = {_policy(dtype) for dtype in dtypes if dtype is not None}
    if len(names) > 1 or not names <= {"float32", "float64"}:
        refuse(explain("float32 or float64 for all layers", ", ".join(sorted(map(str, names)))))
    return names.pop() if names else "float32"
