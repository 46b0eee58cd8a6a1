"""One number, taken apart: the products it is the sum of, and what happened to the sum.

    y[0, 10, 12, 5] = bias[5] + sum of  x[0, h, w, c] * kernel[kh, kw, c, 5]

An ``Explanation`` holds every product of that line with the places its factors were read from, the steps that followed,
and the number that the network itself computed. So anybody can check that nothing was left out: ``total``, added up
here with ``math.fsum`` (which rounds once, at the end), must be ``value`` but for rounding.

Terms are kept in columns, an array for each factor, because there may be very many: a number of VGG-Face's fc6 has
25,088 terms, an entry of the gradient of conv1_1's kernel 50,176.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Self

import numpy as np

from minicnn.shapes import Array

Index = tuple[int, ...]

MOST_TERMS = 12  # that ``lines`` shows
PICTURE = 4  # axes of (N, H, W, C)


class Number(NamedTuple):
    """One factor of one term. ``of`` is the array it was read from, at ``position``; "" for what was worked out."""

    name: str
    value: float
    of: str = ""
    position: Index = ()

    def __str__(self) -> str:
        return f"{self.name}[{', '.join(map(str, self.position))}]" if self.of else self.name


class Term(NamedTuple):
    """One product."""

    factors: tuple[Number, ...]
    product: float


class Step(NamedTuple):
    """What happened to the sum: in words, and the number afterwards."""

    text: str
    value: float


@dataclass(frozen=True, eq=False)
class Factor:
    """The same factor of T terms: ``values`` (T,) float64, read from the array ``of`` at ``positions`` (T, R).

    ``name`` is how formulas call it: "x", "kernel", "dy". Positions count all axes of the array, the batch included.
    ``of`` says which array that is: the name of a value of the network ("conv1_1"), the address of a weight
    ("conv1_1/kernel"), or the gradient of either ("d conv1_1"); "" if the factor was worked out on the way, and then
    it has no positions.
    """

    name: str
    values: Array
    of: str = ""
    positions: Array | None = None

    def number(self, term: int) -> Number:
        place = () if self.positions is None else tuple(int(i) for i in self.positions[term])
        return Number(self.name, float(self.values[term]), self.of, place)

    def taken(self, terms: Array) -> Factor:
        """The same factor of some terms alone, given by their numbers."""
        return Factor(self.name, self.values[terms], self.of, None if self.positions is None else self.positions[terms])

    def as_json(self) -> dict[str, Any]:
        positions = None if self.positions is None else self.positions.tolist()
        return {"name": self.name, "of": self.of, "positions": positions, "values": self.values.tolist()}


@dataclass(frozen=True, eq=False)
class Terms:
    """T terms with the same kinds of factors, and their ``products`` (T,)."""

    factors: tuple[Factor, ...]
    products: Array

    @classmethod
    def of(cls, *factors: Factor) -> Self:
        """Each term the product of its factors."""
        return cls(factors, np.prod([factor.values for factor in factors], axis=0))

    @classmethod
    def chosen(cls, factor: Factor, shares: Factor) -> Self:
        """Each term ``factor`` times its share, where a share of 0 means "does not count", were it infinity or NaN."""
        with np.errstate(invalid="ignore"):
            products = np.where(shares.values == 0, 0.0, factor.values * shares.values)
        return cls((factor, shares), products)

    def __len__(self) -> int:
        return len(self.products)

    def __iter__(self) -> Iterator[Term]:
        return (self.term(place) for place in range(len(self)))

    def largest(self, most: int) -> tuple[Self, float]:
        """The ``most`` terms with the largest products, in the order of the sum, and what all others add up to."""
        order = np.argsort(-np.abs(self.products), kind="stable")
        kept, others = np.sort(order[:most]), order[most:]
        factors = tuple(factor.taken(kept) for factor in self.factors)
        return type(self)(factors, self.products[kept]), _sum(self.products[others])

    def term(self, place: int) -> Term:
        return Term(tuple(factor.number(place) for factor in self.factors), float(self.products[place]))

    def as_json(self) -> dict[str, Any]:
        return {"factors": [factor.as_json() for factor in self.factors], "products": self.products.tolist()}


class Worked(NamedTuple):
    """A number as a rule works it out: the formula, the terms that are added up, and what happens to the sum."""

    formula: str
    groups: tuple[Terms, ...] = ()
    steps: tuple[Step, ...] = ()


@dataclass(frozen=True, eq=False)
class Explanation:
    """One number of a network and how it came about.

    ``name`` and ``index`` say which (all axes, the batch included): "conv1_1" [0, 10, 12, 5] forward,
    "d conv1_1/kernel" [0, 0, 2, 5] backward. ``value`` is what the network computed. ``groups`` hold the terms of the
    sum, one group for each way that leads there; ``steps`` what the sum went through afterwards, if anything.
    """

    name: str
    index: Index
    kind: str
    value: float
    formula: str
    groups: tuple[Terms, ...]
    steps: tuple[Step, ...]

    @property
    def terms(self) -> list[Term]:
        """Every term, one object each. For many terms, ``groups`` are the faster form."""
        return [term for group in self.groups for term in group]

    @property
    def sum(self) -> float:
        """All products added up, rounded once."""
        return total_of(self.groups)

    @property
    def total(self) -> float:
        """What the explanation comes to: the last step's number, or the sum if there is no step."""
        return self.steps[-1].value if self.steps else self.sum

    def per_channel(self) -> dict[int, float]:
        """The sum for each channel of what was read first: of a convolution, of each input channel.

        Empty where that is no picture (N, H, W, C).
        """
        parts = [
            (group.factors[0].positions[:, -1], group.products)
            for group in self.groups
            if group.factors[0].positions is not None and group.factors[0].positions.shape[1] == PICTURE
        ]
        if not parts:
            return {}
        channels, products = (np.concatenate(columns) for columns in zip(*parts, strict=True))
        return {int(channel): _sum(products[channels == channel]) for channel in np.unique(channels)}

    def lines(self, most: int = MOST_TERMS) -> list[str]:
        """The explanation as text: the formula, the ``most`` largest terms of each group, and the steps."""
        lines = [f"{self.name}{list(self.index)} = {self.value:.6g}   ({self.kind})", self.formula]
        for group in self.groups:
            shown, rest = group.largest(most)
            lines += [f"  {' * '.join(map(_factor_text, term.factors))} = {term.product:.6g}" for term in shown]
            if len(group) > len(shown):
                lines.append(f"  {len(group) - len(shown):,} smaller terms, together {rest:.6g}")
        terms = sum(map(len, self.groups))
        if terms != 1:
            lines.append(f"sum of {terms:,} terms = {self.sum:.6g}")
        lines += [f"{step.text} = {step.value:.6g}" for step in self.steps]
        return [*lines, f"explained {self.total:.9g}, network {self.value:.9g}"]

    def __str__(self) -> str:
        return "\n".join(self.lines())

    def as_json(self) -> dict[str, Any]:
        """Everything as dicts, lists, words and numbers; terms in columns, as ``groups`` keep them."""
        return {
            "name": self.name,
            "index": list(self.index),
            "kind": self.kind,
            "formula": self.formula,
            "value": self.value,
            "total": self.total,
            "sum": self.sum,
            "per_channel": self.per_channel(),
            "groups": [group.as_json() for group in self.groups],
            "steps": [{"text": step.text, "value": step.value} for step in self.steps],
        }


def total_of(groups: Sequence[Terms]) -> float:
    """All products of all groups, added up and rounded once. Infinities of both signs give NaN."""
    return _sum(np.concatenate([group.products for group in groups])) if groups else 0.0


def _sum(products: Array) -> float:
    if not np.isfinite(products).all():  # fsum refuses to add inf and -inf
        with np.errstate(invalid="ignore"):
            return float(products.sum())
    return math.fsum(products.tolist())


def _factor_text(number: Number) -> str:
    return f"{number} {number.value:.4g}"
