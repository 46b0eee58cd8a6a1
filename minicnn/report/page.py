"""Pages: a template, the numbers of one run, and the plots made of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from minicnn import __version__
from minicnn.errors import missing
from minicnn.report import plots, text
from minicnn.report.pictures import Picture, picture
from minicnn.shapes import Array

TEMPLATES = Path(__file__).with_name("templates")
CROP_HEIGHT = 160  # pixels: sharp at the size they are shown


@dataclass(frozen=True)
class Mistake:
    """A face that was named wrongly, somebody it was taken for (None when it was not even found), and what happened."""

    face: Picture
    taken_for: Picture | None
    text: str


@dataclass(frozen=True)
class DemoPictures:
    """What the demo's page shows: photographs with boxes, crops, rows of a crop and its variants, mistakes."""

    photos: Sequence[Picture]
    crops: Sequence[Picture]
    augmented: Sequence[Sequence[Picture]]
    mistakes: Sequence[Mistake]
    more_mistakes: int = 0  # that are not shown


def compare_page(found: Mapping[str, Any], crops: Iterable[Array]) -> str:
    """The page of ``minicnn compare``: ``found`` is what its --json prints, ``crops`` uint8 are the faces compared."""
    timed = bool(found["layers"][0]["times"])
    which = "step" if found["backward"] else "forward"
    totals = {
        engine: sum(layer["times"][f"{engine}_{which}"] for layer in found["layers"]) if timed else None
        for engine in ("ours", "keras")
    }
    named = zip(crops, found["names"], strict=True)
    faces = [picture(crop, f"face from {name}", name, height=CROP_HEIGHT) for crop, name in named]
    return render(
        "compare.html.j2",
        title=f"{found['model']} in minicnn and in Keras",
        data=found,
        faces=faces,
        failures=found["failures"],
        timed=timed,
        totals=totals,
        plots=_layer_plots(found),
    )


def demo_page(data: Mapping[str, Any], pictures: DemoPictures) -> str:
    """The page of ``minicnn demo``; ``data`` is what stands in metrics.json."""
    epochs = data["training"]["epochs"]
    curves: dict[str, list[float]] = {}
    for engine in ("ours", "keras"):
        curves[engine] = [sum(epoch[engine]["losses"]) / len(epoch[engine]["losses"]) for epoch in epochs]
        curves[f"{engine}_accuracy"] = [epoch[engine]["accuracy"] for epoch in epochs]
        curves[f"{engine}_seconds"] = [epoch[engine]["seconds"] for epoch in epochs]
    pairs = [pair for epoch in epochs for pair in zip(epoch["ours"]["losses"], epoch["keras"]["losses"], strict=True)]
    drawn = {
        "loss": plots.loss_curves(curves["ours"], curves["keras"]),
        "accuracy": plots.accuracy_curves(curves["ours_accuracy"], curves["keras_accuracy"]),
        "difference": plots.difference_curve([abs(a - b) for a, b in pairs], data["settings"]["steps"]),
        "epochs": plots.epoch_times(curves["ours_seconds"], curves["keras_seconds"]),
        "confusion": plots.confusion(data["test"]["persons"], data["test"]["ours"], data["settings"]["people"]),
    }
    return render(
        "demo.html.j2",
        title=f"One network, two engines, {data['settings']['people']} people",
        data=data,
        curves=curves,
        pictures=pictures,
        failures=data["failures"],
        plots=_markup(drawn) | _layer_plots(data["parity"]),
    )


def require_libraries() -> None:
    """Raise MissingDependencyError now rather than after minutes of measuring."""
    plots.require_matplotlib()
    _require_jinja()


def render(template: str, **data: Any) -> str:
    """A template filled in. Whatever is put into it is escaped: the name of a file may contain ``<script>``."""
    jinja = _require_jinja()
    environment = jinja.Environment(
        loader=jinja.FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=jinja.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "count": text.count,
        "duration": text.duration,
        "error": text.error,
        "percent": text.percent,
        "ratio": text.ratio,
        "shape": text.shape,
        "worst": plots.worst_array,
    }
    style = _markup({"style": (TEMPLATES / "style.css").read_text(encoding="utf-8")})
    page: str = environment.get_template(template).render(version=__version__, **style, **data)
    return page


def _layer_plots(parity: Mapping[str, Any]) -> dict[str, Any]:
    layers = parity["layers"]
    drawn = {"errors": plots.layer_errors(layers)}
    if layers[0]["times"]:
        drawn["forward"] = plots.layer_times(layers, "forward")
        drawn["step"] = plots.layer_times(layers, "step") if parity["backward"] else ""
    return _markup(drawn)


def _markup(texts: Mapping[str, str]) -> dict[str, Any]:
    """Texts that are HTML already and must not be escaped: only our own style, and what Matplotlib drew."""
    from markupsafe import Markup  # Jinja cannot be without it

    return {name: Markup(html) for name, html in texts.items()}


def _require_jinja() -> Any:
    try:
        import jinja2
    except ImportError:
        raise missing("jinja2", "report", "Writing a report") from None
    return jinja2
