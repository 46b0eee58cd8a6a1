"""The catalogue of subjects and mistakes: formulas are minicnn's, and the grid tells every two mistakes apart."""

from __future__ import annotations

import itertools

import pytest

from minicnn.checking import SUBJECTS, check_layer
from minicnn.checking.distance import max_error
from minicnn.checking.subject import FILLS, Arguments, Mistake, Results, Subject, UndefinedError
from minicnn.checking.twins import run_twin
from minicnn.errors import MinicnnError, OptionError

every_subject = pytest.mark.parametrize(
    "subject", SUBJECTS.values(), ids=lambda subject: f"{subject.layer}-{subject.direction}"
)


def cases(subject: Subject) -> list[tuple[Arguments, Results]]:
    found = []
    for settings in subject.settings():
        try:
            arguments = subject.make(settings)
            found.append((arguments, subject.formula(arguments)))
        except (MinicnnError, UndefinedError):
            continue
    return found


@every_subject
def test_the_formula_is_what_minicnn_computes(subject: Subject) -> None:
    every = cases(subject)
    assert len(every) >= 12
    for arguments, truth in every:
        ours = run_twin(subject, arguments)
        for name, array in truth.items():
            if name in ours:
                assert max_error(ours[name], array) < 1e-12, (name, arguments)
        assert set(truth) <= set(subject.results)
        assert set(ours) & set(truth)


@pytest.mark.slow
@every_subject
def test_every_mistake_is_found_by_its_name_alone(subject: Subject) -> None:
    """Its own effect is given as a function: only this mistake may then be named, so no two have the same effect."""

    def made(mistake: Mistake):  # type: ignore[no-untyped-def]
        return lambda **arguments: subject.with_mistakes(arguments, mistake)

    assert len({mistake.name for mistake in subject.mistakes}) == len(subject.mistakes)
    for mistake in subject.mistakes:
        report = check_layer(made(mistake), subject.layer, backward=subject.direction == "backward")
        assert {diagnosis.name for diagnosis in report.diagnoses} == {mistake.name}
        assert not report.unexplained


@every_subject
def test_the_grid_is_made_of_choices(subject: Subject) -> None:
    for settings in subject.settings():
        assert all(value in subject.choices[name] for name, value in settings.items())
    sizes = [subject.size(settings) for settings in subject.settings()]
    assert sizes == sorted(sizes)


def test_there_are_many_mistakes_in_all() -> None:
    assert len({mistake.name for subject in SUBJECTS.values() for mistake in subject.mistakes}) >= 100
    assert set(FILLS) == {"counting", "integers", "random"}


@every_subject
def test_what_is_said_about_a_mistake_is_a_sentence(subject: Subject) -> None:
    for mistake in subject.mistakes:
        assert mistake.meaning[0].isupper() or mistake.meaning.split()[0].rstrip(",") in mistake.meaning
        assert mistake.meaning.endswith(".")


def test_an_unknown_layer_is_refused_with_the_names_there_are() -> None:
    with pytest.raises(OptionError, match=r"Conv2D, DepthwiseConv2D.*Did you mean 'Conv2D'"):
        check_layer(lambda x: x, "Conv2d")
    with pytest.raises(OptionError, match="backward"):
        check_layer(lambda x: x, "Adam", backward=True)


def test_mistakes_combine_in_both_orders() -> None:
    subject = SUBJECTS["Conv2D", "forward"]
    arguments = subject.make(subject.settings()[-1])
    for pair in itertools.islice(itertools.permutations(subject.mistakes, 2), 40):
        try:
            assert set(subject.with_mistakes(arguments, *pair)) == {"y"}
        except (UndefinedError, MinicnnError, ValueError):
            continue
