"""What the lab found: a row per class and choice of options."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from reference_keras.ulps import EDGES, SIDES


@dataclass(frozen=True)
class Row:
    """One class with one choice of options, on both sides.

    ``float64`` is how far they are apart when both compute in float64; ``ours`` and ``keras`` are errors in float32
    against minicnn's float64, None where there is no such thing.
    """

    family: str  # "layers", "losses", "optimizers", ...
    kind: str  # "Conv2D"
    options: dict[str, Any]
    ok: bool
    problem: str = ""  # a sentence, when not ok
    float64: float | None = None
    ours: float | None = None
    keras: float | None = None
    closer: str = ""  # one of ulps.SIDES; "" where float32 is not compared
    ours_ulps: tuple[int, ...] = ()  # elements in each bin of ulps.EDGES
    keras_ulps: tuple[int, ...] = ()
    worst: str = ""  # "dkernel[0, 1, 2, 3]: minicnn ..., Keras ..., float64 ..."

    @property
    def name(self) -> str:
        """ "Conv2D(kernel_size=3, padding='same')"."""
        return f"{self.kind}({', '.join(f'{key}={value!r}' for key, value in self.options.items())})"


@dataclass(frozen=True)
class LabReport:
    """All rows, and the versions they were measured with."""

    versions: dict[str, str]
    rows: tuple[Row, ...]
    left_out: dict[str, str] = field(default_factory=dict)  # a class, and why it has no row
    edges: tuple[float, ...] = EDGES

    @property
    def ok(self) -> bool:
        return all(row.ok for row in self.rows)

    def failures(self) -> list[str]:
        """A sentence for every row that is not ok."""
        return [f"{row.family}: {row.name}: {row.problem}" for row in self.rows if not row.ok]

    def closer(self, kinds: Sequence[Row] | None = None) -> dict[str, int]:
        """In how many rows each side is closer to float64, of those that compare float32."""
        rows = self.rows if kinds is None else kinds
        return {who: sum(row.closer == who for row in rows) for who in SIDES}

    def kinds(self) -> list[dict[str, Any]]:
        """One line per family and class: how many rows, how many ok, the worst numbers, who is closer how often."""
        lines: list[dict[str, Any]] = []
        for key in dict.fromkeys((row.family, row.kind) for row in self.rows):
            rows = [row for row in self.rows if (row.family, row.kind) == key]
            line: dict[str, Any] = {"family": key[0], "kind": key[1], "rows": len(rows)}
            line["ok"] = sum(row.ok for row in rows)
            for name in ("float64", "ours", "keras"):
                values = [value for row in rows if (value := getattr(row, name)) is not None]
                line[name] = max(values, default=None)
            lines.append(line | {"closer": self.closer(rows)})
        return lines

    def ulps(self) -> dict[str, list[int]]:
        """The histograms of all rows added up."""
        bins = len(self.edges) + 1
        return {
            side: [
                sum(getattr(row, f"{side}_ulps")[i] for row in self.rows if getattr(row, f"{side}_ulps"))
                for i in range(bins)
            ]
            for side in ("ours", "keras")
        }

    def to_dict(self) -> dict[str, Any]:
        return {
            "versions": self.versions,
            "ok": self.ok,
            "failures": self.failures(),
            "closer": self.closer(),
            "kinds": self.kinds(),
            "edges": list(self.edges),
            "ulps": self.ulps(),
            "left_out": self.left_out,
            "rows": [asdict(row) | {"name": row.name} for row in self.rows],
        }
