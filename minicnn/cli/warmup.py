"""``minicnn warmup``: compile everything now, so that nothing has to wait for it later."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from minicnn.cli import console
from minicnn.report import text

if TYPE_CHECKING:
    from minicnn.warmup import Warmed


class Dtype(StrEnum):
    """What numbers to compile for."""

    float32 = "float32"
    float64 = "float64"


def warmup(
    dtype: Annotated[Dtype, typer.Option(help="Compile for these numbers.")] = Dtype.float32,
    check: Annotated[
        bool, typer.Option("--check", help="Compile nothing; exit code 1 if anything is missing.")
    ] = False,
    clear: Annotated[bool, typer.Option("--clear", help="Remove all compiled code, and do nothing else.")] = False,
    json: console.Json = False,
) -> None:
    """Compile everything that the networks and layers need, or find it on disk.

    Compiled code is kept, so this takes minutes once and seconds ever after. Without it, the first run of everything
    takes longer. In an image or a shared installation, run it once as a user who may write there.

    Example:  minicnn warmup --dtype float64
    """
    if clear:
        _clear(json)
        return
    from minicnn import environment
    from minicnn import warmup as warming
    from minicnn.ops import jit_cache

    with warnings.catch_warnings():  # what cannot be kept is said below
        warnings.simplefilter("ignore", RuntimeWarning)
        with _progress(len(warming.steps(dtype.value))) as show:
            done = []
            for step in warming.warm_up(dtype.value, only_ask=check):
                done.append(step)
                show(step)
    cache, missing, failure = environment.jit_cache(), [s for s in done if s.missing], jit_cache.failure()
    if json:
        steps = [step._asdict() for step in done]
        console.print_json(
            {"warm": not missing and not failure, "failure": failure, "steps": steps, "jit_cache": cache}
        )
    else:
        _table(done, cache, check)
    if failure:
        console.fail(f"Compiled code could not be kept ({failure}). Set NUMBA_CACHE_DIR to a folder of yours.")
    if missing:
        console.fail(
            f"{len(missing)} of {text.counted(len(done), 'step')} would have to compile. minicnn warmup does it."
        )


def _table(done: list[Warmed], cache: dict[str, Any], check: bool) -> None:
    titles = "Loaded", "Missing" if check else "Compiled", "Time"
    columns = [console.Column("Step"), *(console.Column(title, "right") for title in titles)]
    rows = [(s.title, s.loaded, (s.missing or "") if check else s.compiled, text.duration(s.seconds)) for s in done]
    compiled = "" if check else sum(s.compiled for s in done)
    total = sum(s.loaded for s in done), compiled, text.duration(sum(s.seconds for s in done))
    console.table("minicnn warmup" + (" --check" if check else ""), columns, [*rows, ("total", *total)])
    kept = f"{cache['functions']} compiled functions, {cache['bytes'] / 1e6:.1f} MB, in {cache['folder']}"
    console.show(kept, fold=False)


def _clear(json: bool) -> None:
    from minicnn.ops import jit_files

    size = sum(map(jit_files.size_of, jit_files.files()))
    removed = [str(path) for path in jit_files.clear()]
    left = jit_files.files()
    if json:
        console.print_json({"removed": removed, "bytes": size, "left": left})
    else:
        console.show(f"{text.counted(len(removed), 'file')} removed, {size / 1e6:.1f} MB.")
    if left:
        console.fail(f"{text.counted(len(left), 'file')} could not be removed, such as {left[0]}.")


@contextmanager
def _progress(steps: int) -> Iterator[Callable[[Warmed], None]]:
    """A bar on stderr; a line per step where there is no terminal."""
    err = console.err()
    if not err.is_terminal:
        yield lambda step: err.print(f"{step.title}: {text.duration(step.seconds)}", markup=False, soft_wrap=True)
        return
    parts = (TextColumn("{task.description}"), BarColumn(bar_width=24), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*parts, console=err, transient=True) as progress:
        task = progress.add_task("warming up", total=steps)
        yield lambda step: progress.update(task, advance=1, description=step.title)
