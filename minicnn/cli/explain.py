"""``minicnn explain``: the arithmetic of one number of a network that looks at a photograph."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from minicnn.cli import console
from minicnn.cli.options import RunDetector, RunLandmarks, Upsample
from minicnn.errors import OptionError
from minicnn.errors import explain as sentence

if TYPE_CHECKING:
    from minicnn.study import Explanation, Terms


def explain(
    photo: Annotated[Path, typer.Argument(metavar="PHOTO", help="A photograph; its largest face is looked at.")],
    layer: Annotated[str, typer.Option(help="The layer's name: conv3_2. `minicnn summary` lists them.")],
    at: Annotated[
        str, typer.Option(metavar="PLACE", help="Row, column, channel: 10,12,5; of a dense layer one number.")
    ],
    model: Annotated[
        str, typer.Option(help="face-cnn, residual-cnn, vgg-face, the folder of a run, or a file (.npz, .keras, .h5).")
    ] = "face-cnn",
    weights: Annotated[
        Path | None, typer.Option(metavar="FILE", help="With vgg-face: its published weights, in any format.")
    ] = None,
    backward: Annotated[
        bool, typer.Option("--backward", help="Explain the number's gradient instead, or with --of a weight's.")
    ] = False,
    of: Annotated[
        str | None,
        typer.Option(metavar="WEIGHT", help="With --backward: kernel, bias, gamma, ...; PLACE counts its axes."),
    ] = None,
    target: Annotated[
        int | None, typer.Option(min=0, help="With --backward: the class to ask about; without it, the winner.")
    ] = None,
    terms: Annotated[int, typer.Option(min=1, help="How many terms to print, the largest.")] = 12,
    detector: RunDetector = None,
    upsample: Upsample = 0,
    landmarks: RunLandmarks = None,
    json: console.Json = False,
) -> None:
    """Show where one number of a layer comes from: every input, what it was multiplied with, and what they add up to.

    With --backward, which gradients flow into it and with what weight. They start from a class: from its score, or
    for a network that ends in a softmax from the cross-entropy, were that class right. --json has all terms.

    Example:  minicnn explain photo.jpg --model face-cnn --layer conv3 --at 10,12,5 --backward
    """
    from minicnn.cli.explore_steps import prepare_looking
    from minicnn.explorer.scene import Scene, require_explorable
    from minicnn.study import activation_after, explain_gradient_in, explain_in, receptive_field

    place = parse_place(at)
    if backward is False and (of is not None or target is not None):
        raise OptionError(sentence("--of and --target together with --backward", "without it"))
    with console.working(f"Looking at {photo}"):
        looking = prepare_looking(model, weights, detector, upsample, landmarks)
        network = looking.subject.model
        require_explorable(network)
        field = None if of else receptive_field(network, layer, place)  # says what is wrong before a face is looked for
        scene = Scene(network, looking.first(photo))
        after = None
        if backward:
            found = explain_gradient_in(scene.backward(target), layer, place, of=of or "output")
        else:
            found = explain_in(scene.forward, layer, place)
            following = activation_after(scene.forward, layer)
            after = explain_in(scene.forward, following, place) if following else None
    if looking.subject.note:
        console.note(looking.subject.note)
    if json:
        extra = {"photo": str(photo), "model": network.name, "receptive_field": field.box if field else None}
        console.print_json(found.as_json() | extra | {"activation": after.as_json() if after else None})
        return
    _show(found, terms)
    lines = [f"then {after.name}, {after.steps[-1].text} = {after.value:.6g}"] if after else []
    if field:
        lines.append(_seen(field.box, network.shapes[0]))
    console.show("\n".join(lines))


def parse_place(text: str) -> tuple[int, ...]:
    """ "10,12,5" -> (10, 12, 5). Raises OptionError for anything but whole numbers with commas between them."""
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError:
        fix = "Row, column and channel of a feature map: 10,12,5; the number of a unit: 7."
        raise OptionError(sentence("--at as whole numbers with commas between them", repr(text), fix)) from None


def _show(found: Explanation, most: int) -> None:
    console.show(f"{found.name}[{', '.join(map(str, found.index))}] = {found.value:.6g}   ({found.kind})")
    console.show(found.formula)
    for group in found.groups:
        _show_terms(group, most)
    channels = found.per_channel()
    if 1 < len(channels) < sum(map(len, found.groups)):
        shown = sorted(sorted(channels, key=lambda channel: -abs(channels[channel]))[:most])
        title = f"sums of {_most(len(shown), len(channels))} channels"
        columns = [console.Column("channel", "right"), console.Column("sum", "right")]
        console.table(title, columns, [(channel, f"{channels[channel]:.6g}") for channel in shown])
    terms = sum(map(len, found.groups))
    steps = [(step.text, step.value) for step in found.steps]
    if terms > 1:
        steps.insert(0, ("sum of the terms", found.sum))
    if steps:
        columns = [console.Column("step"), console.Column("result", "right")]
        rows = [(text, f"{value:.6g}") for text, value in steps]
        console.table("added up" if terms > 1 else "and then", columns, rows)
    console.show(f"explained {found.total:.9g}, network {found.value:.9g}")


def _show_terms(group: Terms, most: int) -> None:
    """A table of the largest terms: for each factor the place it was read from and its value, then the term itself."""
    shown, others = group.largest(most)
    columns: list[console.Column] = []
    for factor in group.factors:
        if factor.of:  # a place, and the value that was found there
            columns.append(console.Column(factor.name if factor.of == factor.name else f"{factor.name}\n{factor.of}"))
        columns.append(console.Column("" if factor.of else factor.name, "right"))
    rows = []
    for term in shown:
        cells: list[str] = []
        for number in term.factors:
            if number.of:
                cells.append(",".join(map(str, number.position)))
            cells.append(_short(number.value))
        rows.append((*cells, _short(term.product)))
    if len(group) > len(shown):
        rows.append((f"{len(group) - len(shown):,} others", *[""] * (len(columns) - 1), _short(others)))
    title = f"{_most(len(shown), len(group))} term{'s' * (len(group) != 1)}"
    console.table(title, [*columns, console.Column("term", "right")], rows)


def _short(value: float) -> str:
    return f"{value + 0.0:.5g}"  # adding 0 turns -0 into 0


def _most(shown: int, there: int) -> str:
    return f"{there:,}" if shown == there else f"the {shown} largest of {there:,}"


def _seen(box: tuple[tuple[int, int], ...], shape: tuple[int, ...]) -> str:
    (top, bottom), (left, right), *_ = box
    rows, columns = f"rows {top} to {bottom - 1}", f"columns {left} to {right - 1}"
    return f"It sees {rows} and {columns} of the face's {shape[0]}x{shape[1]} pixels."
