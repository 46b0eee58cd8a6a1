"""What a gradient check found: one row per array, the worst entry with both of its values, and what was left out."""

from __future__ import annotations

from dataclasses import dataclass

Index = tuple[int, ...]


@dataclass(frozen=True)
class Entry:
    """One compared number: where it stands, what ``backward`` says, what was measured, and their relative error."""

    name: str
    index: Index
    analytic: float
    numeric: float
    error: float

    def __str__(self) -> str:
        where = f"{self.name}[{', '.join(map(str, self.index))}]"
        return f"{where}: analytic {self.analytic:.9g}, numeric {self.numeric:.9g}, relative error {self.error:.1e}"


@dataclass(frozen=True)
class ArrayCheck:
    """The result for one array: entries compared, entries left out because of a kink, and the worst of the compared."""

    name: str
    shape: Index
    checked: int
    kinks: tuple[Index, ...]
    worst: Entry | None  # None when every sampled entry sat on a kink

    @property
    def max_relative_error(self) -> float:
        return self.worst.error if self.worst else float("nan")


@dataclass(frozen=True)
class GradientReport:
    """What a check found. ``print(report)`` shows a row per array and the worst entry with both of its values."""

    arrays: tuple[ArrayCheck, ...]
    scale: float
    without_gradient: tuple[str, ...] = ()  # parameters backward returned nothing for: frozen layers

    @property
    def checked(self) -> int:
        """Entries compared, over all arrays."""
        return sum(array.checked for array in self.arrays)

    @property
    def kinks(self) -> int:
        """Entries left out because the function has no derivative there."""
        return sum(len(array.kinks) for array in self.arrays)

    @property
    def worst(self) -> Entry | None:
        """The entry with the largest relative error; None when nothing could be compared."""
        entries = [array.worst for array in self.arrays if array.worst]
        return max(entries, key=lambda entry: entry.error, default=None)

    @property
    def max_relative_error(self) -> float:
        """The largest relative error; NaN when nothing could be compared."""
        return self.worst.error if self.worst else float("nan")

    def passed(self, tolerance: float = 1e-6) -> bool:
        """True when every array had entries to compare and none is off by more than ``tolerance``."""
        return bool(self.arrays) and all(array.max_relative_error <= tolerance for array in self.arrays)

    def __str__(self) -> str:
        width = max(len(name) for name in ("array", *(a.name for a in self.arrays), *self.without_gradient))
        lines = [f"{'array':<{width}}  {'shape':<18} {'checked':>8} {'kinks':>6} {'max relative error':>19}"]
        for a in self.arrays:
            numbers = f"{a.checked:>8} {len(a.kinks):>6} {a.max_relative_error:>19.1e}"
            lines.append(f"{a.name:<{width}}  {a.shape!s:<18} {numbers}")
        lines += [f"{name:<{width}}  no gradient (frozen)" for name in self.without_gradient]
        lines.append(f"worst: {self.worst}" if self.worst else "nothing was compared")
        return "\n".join(lines)
