"""``check_layer``: the front door."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from minicnn.checking.calling import Function
from minicnn.checking.diagnosis import diagnose
from minicnn.checking.distance import max_error
from minicnn.checking.judging import Judged, first_wrong, in_float32, run, smallest
from minicnn.checking.report import CheckReport, Example, Precision
from minicnn.checking.subject import Arguments, Results, Subject
from minicnn.checking.subjects import find
from minicnn.checking.twins import run_twin
from minicnn.errors import StateError, explain

SECONDS = 60.0
Peer = Callable[[Subject, Arguments], Results]  # what Keras gives: reference_keras.checking.keras_results


def check_layer(
    function: Callable[..., Any],
    layer: str = "Conv2D",
    *,
    backward: bool = False,
    complete: bool = False,
    keras: Peer | None = None,
    seconds: float = SECONDS,
) -> CheckReport:
    """Run your own ``function`` on a grid of cases, and compare it with what Keras's ``layer`` computes.

    ``layer`` is Keras's name of a layer, loss or optimiser (``minicnn.checking.SUBJECTS``); ``backward`` checks the
    gradient instead. The arguments your function may have, and what it returns, are in ``minicnn.checking``. If it is
    wrong, the report has the smallest failing case, the first wrong number with its arithmetic, and the mistake, when
    it is one of those that are known and that give exactly your numbers. Results that it does not return are named,
    and not checked; with ``complete`` they are wrong. ``keras`` is asked for its own values too. At most ``seconds``
    are spent on the grid. Raises OptionError for an unknown layer or arguments nobody can give.

    >>> def dense(x, kernel, bias):
    ...     return x @ kernel
    >>> report = check_layer(dense, "Dense")
    >>> report.ok, report.diagnoses[0].name
    (False, 'bias missing')
    """
    subject = find(layer, backward)
    known = set().union(*(subject.make(settings) for settings in subject.settings()[:1]))
    checked = Function(function, subject, known, complete=complete)
    cases, stopped = run(checked, seconds)
    if not cases:
        raise StateError(explain("a case that this function can take", "none", "Let it take more of the arguments."))
    failing = [case for case in cases if case.kind]
    doubtful = [case for case in cases if case.doubtful and not case.kind]
    diagnoses = diagnose(subject, cases) if failing or doubtful else []
    explained = {name for diagnosis in diagnoses for name in diagnosis.results}
    failing += [case for case in doubtful if explained & set(case.doubtful)]
    unexplained = {name for case in failing for name in case.wrong} - explained
    notes = {note: None for case in cases for note in case.answer.notes}
    if doubtful and not failing:
        notes["It rounds to float32 on the way: float64 in, float32's digits out."] = None
    return CheckReport(
        function=checked.name,
        layer=subject.layer,
        direction=subject.direction,
        cases=len(cases),
        right=len(cases) - len(failing),
        not_taken=tuple(checked.not_taken()),
        stopped=stopped,
        notes=tuple(notes),
        not_returned=_not_returned(subject, cases),
        diagnoses=tuple(diagnoses),
        unexplained=tuple(sorted(unexplained)),
        example=_example(checked, failing, keras) if failing else None,
        precision=None if failing else _precision(checked, cases, keras),
    )


def _not_returned(subject: Subject, cases: Sequence[Judged]) -> tuple[str, ...]:
    """The results that came in no case. Where every call failed, what it would have returned is not known: none."""
    came = [set(case.answer.results) for case in cases if not case.answer.problem]
    return tuple(name for name in subject.results if came and not any(name in names for names in came))


def _example(function: Function, failing: Sequence[Judged], keras: Peer | None) -> Example:
    """The first failing case, made as small as it gets; one with wrong numbers rather than with an exception."""
    case = smallest(function, min(failing, key=lambda case: case.kind not in ("numbers", "shape", "")))
    subject = function.subject
    shown = {name: value for name, value in case.arguments.items() if name in function.takes}
    for single, option in subject.single.items():
        if single in function.takes:
            shown[single] = case.arguments[option] and case.arguments[option][0]
    arrays = {name: value for name, value in shown.items() if isinstance(value, np.ndarray)}
    options = {name: value for name, value in shown.items() if name not in arrays}
    if case.answer.problem:
        return Example(options, arrays, case.answer.problem.text)
    if case.kind == "missing":
        text = f"It does not return {', '.join(case.absent)}; expected all of {', '.join(case.truth)}."
        return Example(options, arrays, text)
    name = (case.wrong or case.doubtful)[0]
    found, truth = case.answer.results[name], case.truth[name]
    if found.shape != truth.shape:
        return Example(options, arrays, "", name, found.shape, truth.shape)
    index = first_wrong(found, truth)
    ours = run_twin(subject, in_float32(function, subject, case.arguments)[0])
    theirs = keras(subject, case.arguments).get(name) if keras else None
    return Example(
        options,
        arrays,
        "",
        name,
        found.shape,
        truth.shape,
        index,
        found=float(found[index]),
        truth=float(truth[index]),
        minicnn=float(ours[name][index]),
        keras=None if theirs is None else float(theirs[index]),
        arithmetic=subject.arithmetic(case.arguments, name, index),
    )


def _precision(function: Function, cases: Sequence[Judged], keras: Peer | None) -> Precision:
    """Every case once more in float32."""
    worst = {"yours": 0.0, "minicnn": 0.0, "keras": 0.0}
    for case in cases:
        arguments, found, truth = in_float32(function, function.subject, case.arguments)
        sides = {"yours": found, "minicnn": run_twin(function.subject, arguments)}
        if keras:
            sides["keras"] = keras(function.subject, arguments)
        for side, results in sides.items():
            errors = [max_error(results[name], truth[name]) for name in found if name in results and name in truth]
            worst[side] = max([worst[side], *errors])
    return Precision(worst["yours"], worst["minicnn"], worst["keras"] if keras else None)
