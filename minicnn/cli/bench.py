"""``minicnn bench``: minicnn against every installed framework, each in a process of its own, turn by turn."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.text import Text

from minicnn.cli import console
from minicnn.errors import MissingDependencyError, OptionError, explain

if TYPE_CHECKING:
    from benchmarks.peers.suite import Run


def bench(
    context: typer.Context,
    suite: Annotated[
        str, typer.Argument(metavar="SUITE", help="must-show, networks, layers, roofline, or all of them.")
    ] = "must-show",
    only: Annotated[list[str] | None, typer.Option(help="Only what has this in its name; may be repeated.")] = None,
    peers: Annotated[
        str, typer.Option(help="Which frameworks, with commas: keras,torch; without it all installed ones.")
    ] = "",
    layer: Annotated[
        str, typer.Option(help="One layer instead of a suite: conv, pool, relu... A wrong name lists them.")
    ] = "",
    input: Annotated[str, typer.Option(help="Its input: 56,56,256 (rows,columns,channels); dense: 4096.")] = "",
    filters: Annotated[int, typer.Option(help="Its filters, or units (dense).", min=1)] = 64,
    kernel: Annotated[int, typer.Option(help="Its window.", min=1)] = 3,
    strides: Annotated[int, typer.Option(help="Its strides; up-sampling: its factor, 2 for 1.", min=1)] = 1,
    padding: Annotated[str, typer.Option(help="same or valid.")] = "same",
    batch: Annotated[int, typer.Option(help="Its batch.", min=1)] = 8,
    algorithms: Annotated[bool, typer.Option("--algorithms", help="Only minicnn's algorithms for it.")] = False,
    threads: Annotated[int | None, typer.Option(help="Threads, one per core; without it all cores.")] = None,
    quick: Annotated[bool, typer.Option("--quick", help="Few rounds: a first impression.")] = False,
    seconds: Annotated[float | None, typer.Option(help="Time for the rounds of each work.", min=0)] = None,
    list_names: Annotated[bool, typer.Option("--list", help="Only print the names.")] = False,
    json: console.Json = False,
    markdown: Annotated[Path | None, typer.Option(help="Write a page, for RESULTS.md.", metavar="FILE")] = None,
    plot: Annotated[Path | None, typer.Option(help="Draw the layers' roofline: .svg, .png.", metavar="FILE")] = None,
) -> None:
    """Time minicnn against Keras, PyTorch, ONNX Runtime, OpenVINO, ncnn and MNN: same weights, same input, float32.

    Results are compared before anything is timed. Ratios are their time by ours: above 1, minicnn is faster.

    Example:  minicnn bench --quick --layer conv --input 56,56,256 --filters 256 --batch 8
    """
    _require_harness()
    from dataclasses import replace

    from benchmarks.peers import cases, catalogue
    from benchmarks.peers import suite as suites
    from benchmarks.peers.rounds import QUICK, Pace
    from benchmarks.peers.work import BACKWARD, FORWARD

    _require_meaning(context, layer, algorithms, peers)
    works = []
    if layer:
        shape = _sizes(input)
        options: dict[str, Any] = {"filters": filters, "kernel": kernel, "strides": strides, "padding": padding}
        works = [cases.layer_work(layer, shape, direction=d, batch=batch, **options) for d in (FORWARD, BACKWARD)]
    if algorithms and layer != "conv":
        raise OptionError(explain("--algorithms with --layer conv", f"--layer {layer}" if layer else "no --layer"))
    plan = suites.plan(suite, tuple(only or ()), works)
    if plot is not None and not any(len(work.rows) == 1 and work.flops() for work in plan.works):
        raise OptionError(explain("--plot of single layers with a kernel", "none of them", "Try `bench roofline`."))
    plan.roofline = plan.roofline or plot is not None
    if list_names:
        names = list(dict.fromkeys([*(w.name for w in plan.works), *plan.fresh, *(c.name for c in plan.claims)]))
        if json:
            console.print_json(names)
        else:
            console.show("\n".join(names), fold=False)
        return
    _require_writable(markdown, plot)
    chosen = [name.strip() for name in peers.split(",") if name.strip()] if peers else None
    entries, missing = catalogue.choose(chosen)
    cores = suites.cores_to_use(threads)
    missing = [] if algorithms else missing  # there, nobody is asked but minicnn
    run = suites.Run(console.command_line(sys.argv), len(cores), cores, entries, missing)
    pace = QUICK if quick else Pace()
    pace = pace if seconds is None else replace(pace, seconds=seconds)

    for entry in missing:
        console.note(f"{entry.title} is not installed ({', '.join(entry.absent)}): {entry.install}")
    with console.steps(still=True) as say:  # what moves on the screen would take time from what is measured
        if algorithms:
            suites.compare_algorithms(works[0], run, pace, say)
        else:
            suites.carry_out(plan, run, pace, say, lambda result: None if json else _show(run, result))
    if json:
        console.print_json(run.to_json())
    elif algorithms:
        _show_algorithms(run, works[0].name)
    else:
        _show_verdicts(run)
    _write(run, markdown, plot)
    if run.interrupted:
        console.fail("Interrupted. What was measured until then is printed; no process was left behind.")
    if not run.sound():
        raise typer.Exit(console.FAILED)


def _require_harness() -> None:
    """The harness is a package beside minicnn; another package of that name may stand in its way."""
    try:
        there = importlib.util.find_spec("benchmarks.peers") is not None
    except ModuleNotFoundError:
        there = False
    if not there:
        raise MissingDependencyError(
            "minicnn bench needs the package 'benchmarks.peers', which comes with minicnn and was not found. "
            "Install minicnn again (in a checkout: pip install -e .), or start in a folder without other 'benchmarks'."
        )


OF_A_LAYER = ("input", "filters", "kernel", "strides", "padding", "batch")  # options that say nothing without one
OF_MEASURING = ("peers", "algorithms", "threads", "quick", "seconds", "markdown", "plot")  # ... where nothing is timed


def _require_meaning(context: typer.Context, layer: str, algorithms: bool, peers: str) -> None:
    """An option that would be passed over is a misunderstanding, and an hour of measuring something else."""
    from benchmarks.peers.cases import LAYERS, means_nothing_to

    def given(*names: str) -> str:
        sources = {name: context.get_parameter_source(name) for name in names}
        return ", ".join(f"--{name}" for name, source in sources.items() if source and source.name == "COMMANDLINE")

    if not layer and (alone := given(*OF_A_LAYER)):
        raise OptionError(explain("--layer beside what says how it is", alone))
    if layer and (given("suite") or given("only")):
        raise OptionError(explain("a SUITE, and --only of it, or one --layer", f"both, with --layer {layer}"))
    if layer in LAYERS and (lost := given(*sorted(means_nothing_to(layer)))):
        raise OptionError(explain(f"options that --layer {layer} has", lost))
    if algorithms and (lost := given("peers", "plot")):
        raise OptionError(explain("--algorithms without --peers and --plot: it is about minicnn alone", lost))
    if given("list_names") and (lost := given(*OF_MEASURING)):
        raise OptionError(explain("--list without what is about measuring", lost))
    if given("peers") and not peers.strip(" ,"):
        raise OptionError(explain("--peers with names, such as keras,torch", repr(peers)))


def _sizes(text: str) -> tuple[int, ...]:
    parts = text.replace("x", ",").split(",") if text else []  # none: the layer says what it wants
    if not all(part.strip().isdecimal() for part in parts):
        raise OptionError(explain("--input with sizes, such as 56,56,256", repr(text)))
    return tuple(int(part) for part in parts)


def _require_writable(markdown: Path | None, plot: Path | None) -> None:
    """Better now than after an hour of measuring."""
    for file in (markdown, plot):
        if file is not None:
            console.output_folder(file.parent)
            if file.is_dir():
                raise OptionError(explain("a file to write", f"the folder '{file}'"))
    if plot is not None:
        if plot.suffix.lower() not in (".svg", ".png", ".pdf"):
            raise OptionError(explain("--plot with a file ending in .svg, .png or .pdf", str(plot)))
        if importlib.util.find_spec("matplotlib") is None:
            from minicnn.errors import missing

            raise missing("matplotlib", "report", "Drawing the roofline")


def _show(run: Run, result: Any) -> None:
    from benchmarks.peers.tables import case_rows, roof

    columns = [
        console.Column("Peer"),
        console.Column("Median", "right"),
        console.Column("Ratio [quartiles]", "right"),
        console.Column("GFLOP/s", "right", least_width=72),
        console.Column("Error"),
    ]
    console.table(f"\n{result.name}: {result.direction}{roof(run, result)}", columns, case_rows(result))


def _show_algorithms(run: Run, name: str) -> None:
    from benchmarks.peers.tables import ALGORITHM_COLUMNS, LIMIT, algorithm_rows, header

    columns = [console.Column(title, "left" if i in (0, 5) else "right") for i, title in enumerate(ALGORITHM_COLUMNS)]
    console.table(name, columns, algorithm_rows(run.algorithms))
    console.show("\n".join([LIMIT, "", *run.reasons, "", *header(run)]))


def _show_verdicts(run: Run) -> None:
    from benchmarks.peers.tables import claim_rows, header

    if run.verdicts:
        styles = {"aim": "green", "bar": "cyan", "missed": "bold red", "no number": "yellow"}
        rows = [
            (*cells[:4], Text(cells[4], styles[verdict.status]))
            for cells, verdict in zip(claim_rows(run.verdicts), run.verdicts, strict=True)
        ]
        columns = [
            console.Column("What"),
            console.Column("Ratio", "right"),
            console.Column("Bar", "right"),
            console.Column("Aim", "right", least_width=72),
            console.Column("Verdict"),
        ]
        console.table("\nWhat was promised", columns, rows)
    console.show("\n" + "\n".join(header(run)))


def _write(run: Run, markdown: Path | None, plot: Path | None) -> None:
    from minicnn.io.atomic import atomic_write, write_text

    if markdown is not None:
        from benchmarks.peers import tables

        write_text(markdown, tables.markdown(run))
    if plot is not None and run.limits is not None:
        from benchmarks.peers.plot import roofline_plot

        picture = roofline_plot(run, run.limits, plot.suffix.lower())
        with atomic_write(plot) as file:
            file.write(picture)
