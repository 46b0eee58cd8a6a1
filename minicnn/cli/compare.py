"""``minicnn compare``: both engines on the same faces, layer by layer."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Annotated, Any

import typer

from minicnn.cli import console
from minicnn.cli.faces import face_batch
from minicnn.cli.networks import architecture
from minicnn.cli.options import DetectorName, Upsample, detector_maker
from minicnn.report import text


def compare(
    place: Annotated[Path | None, typer.Argument(metavar="PHOTO|FOLDER", help="Without it: AT&T/ORL faces.")] = None,
    model: Annotated[str, typer.Option(help="face-cnn, residual-cnn or vgg-face.")] = "face-cnn",
    batch: Annotated[int, typer.Option(min=1, max=1024, help="Faces at once; fewer if there are fewer.")] = 8,
    backward: Annotated[bool, typer.Option("--backward/--no-backward", help="Compare gradients too.")] = True,
    timing: Annotated[bool, typer.Option("--time/--no-time", help="Time both engines.")] = True,
    input: Annotated[
        str | None, typer.Option(help="Input shape, 224x224x3 or 200x200x1; without it the network's own.")
    ] = None,
    classes: Annotated[int | None, typer.Option(min=1, help="Number of classes; without it the network's own.")] = None,
    top: Annotated[bool, typer.Option("--top/--no-top", help="With or without the dense layers (vgg-face).")] = True,
    detector: DetectorName = "dlib-hog",
    upsample: Upsample = 0,
    seed: Annotated[int, typer.Option(min=0, help="For weights and upstream gradients.")] = 0,
    report: Annotated[Path | None, typer.Option(metavar="FILE", help="Write an HTML page with plots.")] = None,
    json: console.Json = False,
) -> None:
    """Crop faces, run minicnn and Keras on them with the same weights, and compare every layer.

    Each array (output, input gradient, parameter gradients) of both is compared with a float64 computation; minicnn
    may not be further from it than the rule in docs/architecture.md allows. Exit code 0 only if every layer is within
    the rule.

    Example:  minicnn compare --model vgg-face --batch 2

    Example:  minicnn compare party.jpg --report out.html
    """
    from detection.crop import as_input
    from minicnn.environment import describe
    from minicnn.io.atomic import write_text
    from minicnn.models import build
    from reference_keras.parity import compare_layers

    start = time.perf_counter()
    console.require_html("--report", report)
    if report:
        console.output_folder(report.parent)
        from minicnn.report.page import compare_page, require_libraries

        require_libraries()
    table = architecture(model, input, classes, top=top)
    faces = face_batch(place, detector_maker(detector, upsample)(), table.input_shape, batch)
    if len(faces.names) < batch:
        console.note(
            f"{text.counted(len(faces.names), 'face')} found; the batch is as large as that, instead of {batch}."
        )
    with console.working(f"Comparing {table.name} on {faces.source}"):
        network = build(table, seed=seed)
        parity = compare_layers(network, as_input(faces.crops), backward=backward, timing=timing, seed=seed)
    found = parity.to_dict() | {
        "source": faces.source,
        "names": faces.names,
        "problems": faces.problems,
        "seed": seed,
        "seconds": time.perf_counter() - start,
        "command": console.command_line(sys.argv),
        "environment": describe(),
        "failures": parity.failures(),
    }
    if report:
        write_text(report, compare_page(found, faces.crops))
        console.say(f"Report: {report}")
    if json:
        console.print_json(found)
    else:
        show_layers(found)
    if not parity.ok:
        console.fail("\n".join(["Not within the rule:", *parity.failures()]))


def show_layers(found: dict[str, Any]) -> None:
    """The tables of a comparison: errors, times, totals."""
    layers = found["layers"]
    title = f"{found['model']}, batch {found['batch']}: error against float64"
    columns = [
        console.Column("layer"),
        console.Column("output"),
        console.Column("params", "right"),
        console.Column("minicnn", "right"),
        console.Column("Keras", "right"),
        console.Column("ratio", "right"),
        console.Column("rule"),
        console.Column("worst array", least_width=80),
        console.Column("algorithm", least_width=90),
    ]
    rows = []
    for layer in layers:
        worst = max(layer["arrays"], key=lambda array: (not array["right"], array["ours"] / array["limit"]))
        numbers = (text.error(worst["ours"]), text.error(worst["keras"]), text.ratio(worst["ours"], worst["keras"]))
        shown = (layer["name"], text.shape(layer["output_shape"]), text.count(layer["parameters"]), *numbers)
        rows.append((*shown, console.verdict(layer["ok"]), worst["name"], layer["algorithm"] or ""))
    console.table(title, columns, rows)
    if layers[0]["times"]:
        _show_times(found)
    network, within = found["network"], sum(layer["ok"] for layer in layers)
    console.show(
        f"Network output, rms error: minicnn {network['ours_rms']:.2g}, Keras {network['keras_rms']:.2g}; "
        f"same class for {network['agreeing']} of {text.counted(network['decided'], 'decided input')}.\n"
        f"{within} of {text.counted(len(layers), 'layer')} within the rule; {text.duration(found['seconds'])} in all."
    )


def _show_times(found: dict[str, Any]) -> None:
    pairs = [("ours_forward", "keras_forward")] + [("ours_step", "keras_step")] * found["backward"]
    rows = []
    for layer in found["layers"]:
        cells = [layer["name"]]
        for ours, keras in pairs:
            a, b = layer["times"][ours], layer["times"][keras]
            cells += [text.duration(a), text.duration(b), text.ratio(a, b)]
        rows.append(tuple(cells))
    total: list[str] = ["total"]
    for ours, keras in pairs:
        a, b = (sum(layer["times"][key] for layer in found["layers"]) for key in (ours, keras))
        total += [text.duration(a), text.duration(b), text.ratio(a, b)]
    columns = [console.Column("layer")]
    for name in ("forward", "step")[: len(pairs)]:
        columns += [console.Column(f"{name}\nminicnn", "right"), console.Column("\nKeras", "right")]
        columns += [console.Column("\nratio", "right")]
    threads = found["threads"]
    title = f"Median times; threads: minicnn {threads['minicnn']}, TensorFlow {threads['tensorflow']}"
    console.table(title, columns, [*rows, tuple(total)])
