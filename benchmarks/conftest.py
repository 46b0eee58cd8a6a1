"""What every benchmark relies on: pinned threads, the fixture that measures, and a report that says where it ran."""

from __future__ import annotations

from benchmarks import threads  # first: it must run before NumPy loads

THREADS = threads.pin()

from collections.abc import Callable  # noqa: E402
from typing import Any  # noqa: E402

import pytest  # noqa: E402

from benchmarks.crops import faces  # noqa: E402
from benchmarks.ratios import Timing, ratios, table  # noqa: E402
from minicnn import environment  # noqa: E402

TIMINGS = pytest.StashKey[list[Timing]]()
POOLS = pytest.StashKey[dict[str, int]]()
COLUMNS = ["median", "iqr", "min", "rounds", "iterations"]
VERSIONS = ("numpy", "numba", "keras", "tensorflow", "dlib-bin", "pytest-benchmark")


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("minicnn benchmarks")
    group.addoption("--long", action="store_true", help="also every row of tests/cases.py, and VGG-Face at batch 8")


@pytest.hookimpl(tryfirst=True)  # pytest-benchmark reads its options when it is configured
def pytest_configure(config: pytest.Config) -> None:
    config.stash[TIMINGS] = []
    given = [str(argument) for argument in config.invocation_params.args]
    if not any(argument.startswith("--benchmark-columns") for argument in given):
        config.option.benchmark_columns = COLUMNS
    if not any(argument.startswith("--benchmark-sort") for argument in given):
        config.option.benchmark_sort = "median"


def pytest_report_header() -> list[str]:
    """Where, with what, on how many threads: without these a time says nothing."""
    machine = environment.machine()
    found = ", ".join(f"{name} {environment.version_of(name) or 'missing'}" for name in VERSIONS)
    return [
        f"machine: {machine['processor']}, {machine['cores']} cores, {machine['system']}, Python {machine['python']}",
        f"versions: {found}",
        f"threads: {THREADS} in every pool (asked of the libraries before the first measurement); not bound to cores",
    ]


def pytest_benchmark_update_machine_info(machine_info: dict[str, Any]) -> None:
    """The same in the files that --benchmark-json and --benchmark-autosave write."""
    machine_info["minicnn"] = {
        "machine": environment.machine(),
        "threads": THREADS,
        "versions": environment.versions(),
        "environment": environment.threads()["environment"],
    }


@pytest.fixture(scope="session")
def engines(pytestconfig: pytest.Config) -> None:
    """Both engines loaded and the crops cut, so that every pool exists; then none may have another size than told."""
    threads.pin_tensorflow(THREADS)
    faces()
    pytestconfig.stash[POOLS] = threads.require_pinned(THREADS)


@pytest.fixture
def measure(benchmark: Any, engines: None, pytestconfig: pytest.Config) -> Callable[..., Any]:
    """``measure(call, group, engine)`` times a call that was checked and warmed before; returns what it returned."""

    def run(call: Callable[[], Any], group: str, engine: str) -> Any:
        benchmark.group = group
        benchmark.name = engine  # what stands in the rows of the group's table
        benchmark.extra_info.update(engine=engine, threads=THREADS, pictures=faces().source)
        result = benchmark(call)
        if benchmark.stats is not None:  # None with --benchmark-disable
            pytestconfig.stash[TIMINGS].append(Timing(group, engine, benchmark.stats.stats.median))
        return result

    return run


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """Keras's median by minicnn's, for every case that was timed with both."""
    found = ratios(config.stash[TIMINGS])
    if not found:
        return
    pools = ", ".join(f"{pool} {size}" for pool, size in config.stash[POOLS].items())
    terminalreporter.section("Keras / minicnn: ratios of medians, above 1 minicnn is faster")
    for line in (f"pictures: {faces().source}", f"threads: {pools}", "", *table(found)):
        terminalreporter.line(line)
