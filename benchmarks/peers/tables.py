"""Results in words and columns: for a terminal of 80 columns, and for a page of Markdown. Pure functions."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

from benchmarks.peers.algorithms import Algorithm
from benchmarks.peers.claims import Verdict
from benchmarks.peers.statistics import Result, Row, Spread, spread
from benchmarks.peers.suite import Run
from minicnn import __version__

REASON = 120  # characters; all of it is in the JSON
ALGORITHM_COLUMNS = ("Algorithm", "Time", "Mult.", "GFLOP/s", "Scratch", "Error (limit)")
LIMIT = "Limit: what the rule in docs/architecture.md allows, whatever Keras's error is."
STATUS = {"aim": "aim met", "bar": "bar met", "missed": "MISSED", "no number": "no number"}


def quantity(value: float, unit: str) -> str:
    """ "12.3 ms", "1.25 s", "2.1 GiB"."""
    if math.isnan(value):
        return "-"
    if unit == "bytes":
        return f"{value / 2**30:.2f} GiB"
    return f"{value:.2f} s" if value >= 1 else f"{1e3 * value:.3g} ms" if value >= 1e-3 else f"{1e6 * value:.3g} µs"


def ratio_text(ratio: Spread | None) -> str:
    """ "2.31 [2.28, 2.35]": the median and its quartiles."""
    return f"{ratio.median:.2f} [{ratio.low:.2f}, {ratio.high:.2f}]" if ratio else "-"


def case_rows(result: Result) -> list[tuple[str, str, str, str, str]]:
    """(peer and way, time, ratio to minicnn, GFLOP/s, error or what went wrong), the fastest first."""
    ordered = sorted(result.rows, key=lambda row: (not row.ok, spread(row.rounds).median if row.rounds else math.inf))
    return [_case_row(result, row) for row in ordered]


def _case_row(result: Result, row: Row) -> tuple[str, str, str, str, str]:
    name = row.peer if row.peer == row.way else f"{row.peer} {row.way}"
    if not row.ok or not row.rounds:
        reason = " ".join(row.reason.split())
        short = reason if len(reason) <= REASON else f"{reason[:REASON]}..."
        return name, "-", "-", "-", f"{row.status if not row.ok else 'no round'}: {short}".rstrip(": ")
    median = spread(row.rounds).median
    rate = f"{result.flops / median / 1e9:.0f}" if result.flops and result.unit == "s" else "-"
    return (
        name,
        quantity(median, result.unit),
        ratio_text(result.ratio(row)),
        rate,
        f"{row.worst:.1e}" if row.errors else "",
    )


def algorithm_rows(found: Iterable[Algorithm]) -> list[tuple[str, str, str, str, str, str]]:
    """(name, time, multiplications, GFLOP/s of those, scratch, error and its limit, or why there is no number)."""
    rows = []
    for one in found:
        if one.seconds is None:
            rows.append((one.name, "-", "-", "-", "-", one.problem))
            continue
        scratch = "-" if math.isnan(one.scratch) else f"{one.scratch / 2**20:.1f} MiB"
        error = f"{one.error:.1e} ({'<=' if one.error <= one.limit else '>'} {one.limit:.1e})"
        median = quantity(one.seconds.median, "s")
        rows.append((one.name, median, f"{one.multiplications / 1e6:.4g} M", f"{one.rate:.0f}", scratch, error))
    return rows


def claim_rows(verdicts: Iterable[Verdict]) -> list[tuple[str, str, str, str, str]]:
    """(what, ratio, bar, aim, verdict with the work that decided)."""
    rows = []
    for v in verdicts:
        sign = "<=" if v.claim.less else ">="
        where = f"{v.worst} ({v.opponent})" if v.opponent else v.worst
        ratio = ratio_text(v.ratio)
        rows.append(
            (v.claim.text, ratio, f"{sign} {v.claim.bar:g}", f"{v.claim.aim:g}", f"{STATUS[v.status]}: {where}")
        )
    return rows


def header(run: Run) -> list[str]:
    """Where, with what, on how many threads."""
    data = run.to_json()
    machine, simd = data["machine"], data["simd"]
    named = {"minicnn": __version__, "NumPy": data["versions"]["numpy"], "Numba": data["versions"]["numba"]}
    named |= {e.title: data["versions"][e.packages[0]] for e in run.entries if e.title not in ("minicnn", "OpenBLAS")}
    versions = ", ".join(f"{title} {version}" for title, version in named.items())
    lines = [
        f"{machine['processor']}, {simd['width']}-bit vectors ({simd['cpu']}), {machine['system']}, "
        f"Python {machine['python']}",
        f"{run.threads} threads in every pool, all processes bound to cores {', '.join(map(str, run.cores))}; float32",
        versions,
    ]
    if run.limits:
        peak, bandwidth = run.limits.peak_gflops, run.limits.bandwidth_gbytes
        lines.append(f"measured limits: {peak:.0f} GFLOP/s, {bandwidth:.1f} GB/s")
    lines += [f"not installed: {entry.title}; {entry.install}" for entry in run.missing]
    return lines


def markdown(run: Run) -> str:
    """The page: machine, command, claims, and a table per work."""
    lines = ["# Results", "", "```", run.command, "```", "", *(f"- {line}" for line in header(run)), ""]
    if run.algorithms:
        lines += [*_grid(ALGORITHM_COLUMNS, algorithm_rows(run.algorithms)), LIMIT, "", *run.reasons, ""]
    if run.verdicts:
        lines += ["## What was promised", "", "Medians of ratios within a round, with their quartiles.", ""]
        lines += _grid(("work: against", "ratio", "bar", "aim", "verdict: what decided"), claim_rows(run.verdicts))
    if run.results:
        lines += ["## Every work", "", "Ratio: their time by minicnn's; above 1, minicnn is faster.", ""]
    for result in run.results.values():
        referee = f" (errors against {result.referee})" if result.referee else ""
        lines += [f"### {result.name}", "", f"{result.direction}{referee}{roof(run, result)}", ""]
        columns = ("peer", "median", "ratio [quartiles]", "GFLOP/s (direct)", "error")
        lines += _grid(columns, case_rows(result))
    return "\n".join(lines).rstrip() + "\n"


def roof(run: Run, result: Result) -> str:
    """What stands beside a layer's name where the limits are known: how far a direct algorithm could go."""
    found = run.roof(result.name)
    if found is None or found["attainable_gflops"] is None:
        return ""
    attainable = f"a direct algorithm reaches {found['attainable_gflops']:.0f} GFLOP/s at most"
    return f"; {found['intensity']:.3g} flops per byte: {attainable}"


def _grid(columns: tuple[str, ...], rows: list[Any]) -> list[str]:
    cells = [[str(cell).replace("|", "\\|").replace("\n", " ") for cell in row] for row in rows]
    return [
        f"| {' | '.join(columns)} |",
        f"|{'|'.join(['---'] * len(columns))}|",
        *(f"| {' | '.join(row)} |" for row in cells),
        "",
    ]
