"""``minicnn convert``: a network from one kind of file into another."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from minicnn.cli import console
from minicnn.errors import OptionError, explain
from minicnn.report.text import counted

MATCONVNET = ".mat"  # always holds published weights, never a network of minicnn's


def convert(
    source: Annotated[Path, typer.Argument(metavar="IN", help="A .npz, .keras, .h5, .safetensors or .mat file.")],
    target: Annotated[
        Path, typer.Argument(metavar="OUT", help="A .npz, .keras, .h5, .weights.h5, .safetensors or .onnx file.")
    ],
    vgg_face: Annotated[
        bool, typer.Option("--vgg-face", help="IN holds published weights of VGG-Face (a .mat always does).")
    ] = False,
    input: Annotated[
        str | None,
        typer.Option(help="VGG-Face: input shape ROWSxCOLUMNSxCHANNELS, 224x224x3 if not given; one channel for grey."),
    ] = None,
    top: Annotated[bool, typer.Option("--top/--no-top", help="VGG-Face: with or without the dense layers.")] = True,
    allow_nan: Annotated[bool, typer.Option("--allow-nan", help="Take weights that are NaN or infinite.")] = False,
    json: console.Json = False,
) -> None:
    """Read a network from one file and write it to another; the endings of the names say the formats.

    Of VGG-Face, the published files are read: MatConvNet's, keras-vggface's, deepface's, and vgg_face_dag's.

    Example:  minicnn convert model.keras model.onnx
    """
    from minicnn.cli.networks import parse_shape
    from minicnn.io.models import READABLE, WRITERS, suffix
    from minicnn.model import Model
    from minicnn.models import load_vgg_face
    from minicnn.recognition.run import CHECKPOINT, MODEL
    from minicnn.saving import load_model

    suffix(target, tuple(WRITERS))  # a name that cannot be written: say so before minutes of reading
    wants: dict[str, object] = {}
    model: Model
    if suffix(source, (*READABLE, MATCONVNET)) == MATCONVNET or vgg_face:
        model, preprocessing = load_vgg_face(source, parse_shape(input or "224x224x3"), include_top=top)
        wants = {"order": preprocessing.order, "mean": preprocessing.mean}
    elif input or not top:
        fix = "The file says it; the options are for published weights of VGG-Face (--vgg-face)."
        raise OptionError(explain("a file without further options", "--input or --no-top", fix))
    else:
        model = load_model(source, allow_nan=allow_nan)
        if source.name == CHECKPOINT and (source.parent / MODEL).exists():
            kept = source.parent / MODEL
            console.note(f"These are the weights of the last epoch; those that the run keeps are in {kept}.")
    model.save(target)
    about = {"network": model.name, "layers": len(model.layers), "parameters": model.count_params()}
    if json:
        console.print_json({"in": str(source), "out": str(target), **about, "preprocessing": wants or None})
        return
    console.show(
        f"{target}: {model.name}, {counted(len(model.layers), 'layer')}, {model.count_params():,} parameters",
        fold=False,
    )
    if wants:
        console.note(f"Give it pictures in the order {wants['order']}, 0 to 255, less the mean {wants['mean']}.")
