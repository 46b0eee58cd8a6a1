"""What a comparison found: frozen numbers, with a verdict each, ready for a table or a JSON file."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

from minicnn.shapes import Shape
from reference_keras.ulps import EXACT, UlpReport


@dataclass(frozen=True)
class ArrayReport:
    """One array of one layer: its output, a gradient, or a moving statistic. Errors are relative to max|referee|."""

    name: str  # "y", "dx", "dkernel", "moving_mean"
    shape: Shape
    ours: float  # error of minicnn in float32 against the float64 referee
    keras: float  # error of Keras in float32 against the same referee
    limit: float  # what the rule allows ours to be
    float64: float  # difference of the two sides when both compute in float64
    float64_limit: float  # and what that may be
    ulps: UlpReport | None = None  # element by element, if that was asked for

    @property
    def right(self) -> bool:
        """Both sides compute the same thing: in float64 nothing but rounding separates them."""
        return self.float64 <= self.float64_limit

    @property
    def precise(self) -> bool:
        """In float32, minicnn rounds no worse than the rule allows."""
        return self.ours <= self.limit

    @property
    def ok(self) -> bool:
        return self.right and self.precise

    def to_dict(self) -> dict[str, Any]:
        ulps = self.ulps.to_dict() if self.ulps else None
        return asdict(self) | {"right": self.right, "precise": self.precise, "ok": self.ok, "ulps": ulps}


@dataclass(frozen=True)
class LayerTimes:
    """Medians in seconds. A step is forward and backward together; without backward it is None."""

    ours_forward: float
    keras_forward: float
    ours_step: float | None = None
    keras_step: float | None = None


@dataclass(frozen=True)
class LayerReport:
    """One layer on both sides: same weights, same input, same upstream gradient."""

    name: str
    kind: str
    input_shape: Shape  # without the batch axis
    output_shape: Shape
    parameters: int
    algorithm: str | None  # how minicnn computed it, for layers that can choose
    arrays: tuple[ArrayReport, ...]
    times: LayerTimes | None = None

    @property
    def ok(self) -> bool:
        return all(array.ok for array in self.arrays)

    @property
    def worst(self) -> ArrayReport:
        """The array nearest to its limit, or furthest beyond it; a wrong one before an imprecise one."""
        return max(self.arrays, key=lambda array: (not array.right, array.ours / array.limit))

    @property
    def closer(self) -> str:
        """Who is closer to the truth in the layer as a whole, one of ``ulps.SIDES``; "" if not asked for.

        Each array counts alike: by the ratio of the two sides' rms errors.
        """
        ulps = [array.ulps for array in self.arrays if array.ulps]
        if not ulps:
            return ""
        tiny = 2.0**-26  # a quarter of a rounding: below it, one exact array must not outweigh all the others
        balance = sum(math.log((u.ours_rms + tiny) / (u.keras_rms + tiny)) for u in ulps)
        if all(u.closer == EXACT for u in ulps):
            return EXACT
        return "equal" if all(u.closer in ("equal", EXACT) for u in ulps) else "minicnn" if balance < 0 else "Keras"

    def failures(self) -> Iterator[str]:
        """A sentence for every array that breaks the rule."""
        for array in self.arrays:
            what = f"{self.kind} '{self.name}' {array.name}"
            if not array.right:
                found, most = array.float64, array.float64_limit
                yield f"{what}: wrong, the float64 results differ by {found:.2g} (at most {most:.2g})"
            elif not array.precise:
                found, most = array.ours, array.limit
                yield f"{what}: imprecise, error {found:.2g} (at most {most:.2g}, Keras's own {array.keras:.2g})"

    def to_dict(self) -> dict[str, Any]:
        arrays = [array.to_dict() for array in self.arrays]
        return asdict(self) | {"arrays": arrays, "ok": self.ok, "closer": self.closer}


@dataclass(frozen=True)
class NetworkReport:
    """The scores of the whole network (before a final Softmax), each side having walked all the way in float32."""

    ours_rms: float
    keras_rms: float
    limit: float
    decided: int  # samples whose two largest outputs lie further apart than ten times Keras's error
    agreeing: int  # of those, where minicnn's largest output is Keras's

    @property
    def ok(self) -> bool:
        return self.ours_rms <= self.limit and self.agreeing == self.decided

    def to_dict(self) -> dict[str, Any]:
        return asdict(self) | {"ok": self.ok}


@dataclass(frozen=True)
class ParityReport:
    """Every layer of a network, and the network itself."""

    model: str
    batch: int
    input_shape: Shape
    backward: bool
    training: bool
    threads: dict[str, int]
    layers: tuple[LayerReport, ...]
    network: NetworkReport

    @property
    def ok(self) -> bool:
        return self.network.ok and all(layer.ok for layer in self.layers)

    @property
    def first_divergence(self) -> str | None:
        """The name of the first layer that is not within the rule; None when all are."""
        return next((layer.name for layer in self.layers if not layer.ok), None)

    def failures(self) -> list[str]:
        """A sentence for everything that breaks the rule; empty when ``ok``."""
        found = [failure for layer in self.layers for failure in layer.failures()]
        if self.network.ours_rms > self.network.limit:
            found.append(f"whole network: rms error {self.network.ours_rms:.2g}, at most {self.network.limit:.2g}")
        if self.network.agreeing < self.network.decided:
            found.append(f"whole network: another class for {self.network.decided - self.network.agreeing} inputs")
        return found

    def to_dict(self) -> dict[str, Any]:
        layers = [layer.to_dict() for layer in self.layers]
        more = {"network": self.network.to_dict(), "ok": self.ok, "first_divergence": self.first_divergence}
        return asdict(self) | {"layers": layers} | more


@dataclass(frozen=True)
class StepDrift:
    """After one step of training on both sides: the two losses, and the address whose weights differ most."""

    step: int
    ours: float  # the loss before this step's update
    keras: float
    drift: float  # max|ours - keras| over all weights after the update
    relative: float  # the same divided by the largest weight of its array: the worst of all arrays
    address: str  # the array where that is

    @property
    def loss_difference(self) -> float:
        """|ours - keras|, absolute."""
        return abs(self.ours - self.keras)


@dataclass(frozen=True)
class TrainingReport:
    """How two trainings from the same weights, on the same batches, move apart."""

    dtype: str
    steps: tuple[StepDrift, ...]

    @property
    def loss_difference(self) -> float:
        """The largest of all steps."""
        return max(step.loss_difference for step in self.steps)

    @property
    def drift(self) -> float:
        """The largest of all steps."""
        return max(step.drift for step in self.steps)

    @property
    def relative(self) -> float:
        """The largest relative drift of all steps."""
        return max(step.relative for step in self.steps)

    def to_dict(self) -> dict[str, Any]:
        more = {"loss_difference": self.loss_difference, "drift": self.drift, "relative": self.relative}
        return asdict(self) | more
