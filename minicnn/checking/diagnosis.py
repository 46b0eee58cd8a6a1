"""From wrong numbers to the mistake behind them, by experiment.

Each known mistake is a hypothesis: it says what every case would give. It is confirmed when that is what the function
did give, in **every** case of the grid that it can speak of, right ones included, and in at least one where the truth
is something else. Nothing is concluded from a similarity. Where no single mistake fits, pairs are tried; where no pair
fits, the answer is that none of the known mistakes is it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import permutations

from minicnn.checking.distance import max_error
from minicnn.checking.judging import EXACT, SINGLE, Judged
from minicnn.checking.subject import Mistake, Results, Subject, UndefinedError
from minicnn.errors import MinicnnError

CLOSER = 1e-2  # where the function rounds to float32, a hypothesis must be this much closer than the truth


@dataclass(frozen=True)
class Diagnosis:
    """Which mistakes (one, or two together) give exactly these results, and in how many cases that was seen."""

    results: tuple[str, ...]  # the results they explain: "dx"
    mistakes: tuple[Mistake, ...]
    confirmed: int  # cases in which they give something wrong, and the function gave the same

    @property
    def name(self) -> str:
        return " and ".join(mistake.name for mistake in self.mistakes)


def diagnose(subject: Subject, cases: Sequence[Judged]) -> list[Diagnosis]:
    """The confirmed explanation of each result that is wrong somewhere; results with the same one share it."""
    found: dict[tuple[Mistake, ...], Diagnosis] = {}
    trials = _Trials(subject)
    for result in subject.results:
        if not any(result in case.doubtful for case in cases):
            continue
        for level in (1, 2):
            best = _best(trials, permutations(subject.mistakes, level), cases, result)
            if best:
                before = found.get(best.mistakes, Diagnosis((), best.mistakes, 0))
                results, confirmed = (*before.results, result), before.confirmed + best.confirmed
                found[best.mistakes] = Diagnosis(results, best.mistakes, confirmed)
                break
    return list(found.values())


def _best(
    trials: _Trials, hypotheses: Iterable[tuple[Mistake, ...]], cases: Sequence[Judged], result: str
) -> Diagnosis | None:
    """The confirmed hypothesis that explains most cases; of equals, the one that foresees fewest of the exceptions as
    numbers, then the first.
    """
    best, best_score = None, (0, 0)
    for mistakes in hypotheses:
        confirmed, unforeseen = _confirmed(trials, mistakes, cases, result)
        if confirmed and (best is None or (confirmed, -unforeseen) > best_score):
            best, best_score = Diagnosis((result,), mistakes, confirmed), (confirmed, -unforeseen)
    return best


class _Trials:
    """What each hypothesis gives in each case, computed once."""

    def __init__(self, subject: Subject) -> None:
        self.subject = subject
        self.known: dict[tuple[tuple[str, ...], int], Results | None] = {}

    def __call__(self, mistakes: tuple[Mistake, ...], number: int, case: Judged) -> Results | None:
        """None where the mistakes cannot be made."""
        key = tuple(mistake.name for mistake in mistakes), number
        if key not in self.known:
            try:
                self.known[key] = self.subject.with_mistakes(case.arguments, *mistakes)
            except (UndefinedError, MinicnnError):
                self.known[key] = None
        return self.known[key]


def _confirmed(trials: _Trials, mistakes: tuple[Mistake, ...], cases: Sequence[Judged], result: str) -> tuple[int, int]:
    """In how many cases the hypothesis gives what the function gave, and not the truth; in how many it gives something
    and the function gave nothing. (0, 0) if any case speaks against it.
    """
    count = unforeseen = 0
    for number, case in sorted(enumerate(cases), key=lambda pair: result not in pair[1].doubtful):
        if result not in case.truth:
            continue
        expected = trials(mistakes, number, case)
        if expected is None or result not in expected:
            continue
        if result not in case.answer.results:
            unforeseen += 1  # an exception speaks neither for nor against
            continue
        error, own = max_error(case.answer.results[result], expected[result]), case.errors[result]
        if not (error <= EXACT or (error <= SINGLE and error <= CLOSER * own)):
            if not (own <= SINGLE and max_error(expected[result], case.truth[result]) <= SINGLE):
                return 0, 0
            continue  # rounding to float32, and no way to tell the two apart here
        count += own > EXACT
    return count, unforeseen
