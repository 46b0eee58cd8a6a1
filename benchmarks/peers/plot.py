"""The roofline as a picture: one point per layer, minicnn's and the fastest peer's, below what the machine can do."""

from __future__ import annotations

import io

from benchmarks.peers.statistics import spread
from benchmarks.peers.suite import Run
from benchmarks.peers.work import MATMUL
from minicnn.roofline import Limits

Point = tuple[str, float, float, float | None, str]  # work, flops per byte, our GFLOP/s, theirs, whose


def points(run: Run) -> list[Point]:
    """Every single layer that minicnn was timed on."""
    found: list[Point] = []
    for name, result in run.results.items():
        work, ours = run.works.get(name), result.ours()
        if work is None or ours is None or len(work.rows) != 1 or work.direction == MATMUL or not result.flops:
            continue
        other = result.fastest()
        theirs = result.flops / spread(other.rounds).median / 1e9 if other else None
        rate = result.flops / spread(ours.rounds).median / 1e9
        found.append((name, work.intensity(), rate, theirs, other.peer if other else ""))
    return found


def labels(names: list[str]) -> list[str]:
    """The names without the run ("-forward-b8") that all of them have.

    >>> labels(["fc6-forward-b8", "fc7-forward-b8"]), labels(["fc6-forward-b8", "fc6-step-b8"])
    (['fc6', 'fc7'], ['fc6-forward-b8', 'fc6-step-b8'])
    """
    runs = {name.partition("-")[2] for name in names}
    return [name.partition("-")[0] for name in names] if len(runs) == 1 else names


def roofline_plot(run: Run, limits: Limits, suffix: str) -> bytes:
    """The picture in the format of ``suffix`` (".svg", ".png", ".pdf"). Needs Matplotlib (extra 'report')."""
    from matplotlib.figure import Figure

    found = points(run)
    figure = Figure(figsize=(9, 6), layout="constrained")
    axes = figure.add_subplot()
    right = 2 * max([point[1] for point in found] + [limits.peak_gflops / limits.bandwidth_gbytes])
    left = min([point[1] for point in found] + [1.0]) / 2
    knee = limits.peak_gflops / limits.bandwidth_gbytes
    roof = [limits.attainable(x) for x in (left, knee, right)]
    axes.plot([left, knee, right], roof, color="0.3", label=f"limit of direct algorithms ({run.threads} threads)")
    axes.annotate(f"{limits.bandwidth_gbytes:.1f} GB/s", (left * 1.1, limits.attainable(left * 1.1)), color="0.3")
    axes.annotate(f"{limits.peak_gflops:.0f} GFLOP/s", (knee * 1.1, limits.peak_gflops * 1.05), color="0.3")
    for _, x, ours, theirs, _ in found:
        if theirs is not None:
            axes.plot([x, x], [ours, theirs], color="0.8", linewidth=1, zorder=1)
    axes.scatter([p[1] for p in found], [p[2] for p in found], marker="o", label="minicnn", zorder=3)
    for peer in sorted({p[4] for p in found if p[3] is not None}):
        own = [p for p in found if p[4] == peer]
        label = f"{peer}, where it is the fastest peer"
        axes.scatter([p[1] for p in own], [p[3] for p in own], marker="x", label=label, zorder=2)  # type: ignore[misc]
    for label, (_, x, ours, _, _) in zip(labels([point[0] for point in found]), found, strict=True):
        axes.annotate(label, (x, ours), textcoords="offset points", xytext=(5, 4), fontsize=7)
    axes.set(xscale="log", yscale="log", xlabel="flops of the direct algorithm per byte moved at least")
    axes.set_ylabel("GFLOP/s of the direct algorithm")
    axes.set_title("Above the roof: Winograd needs fewer multiplications than are counted")
    axes.legend(loc="lower right")
    axes.grid(visible=True, which="both", linewidth=0.3)
    file = io.BytesIO()
    figure.savefig(file, format=suffix.lstrip("."), dpi=150)
    return file.getvalue()
