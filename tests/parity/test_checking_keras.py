"""The formulas that ``minicnn.checking`` judges by are Keras's, in every case of every grid."""

from __future__ import annotations

import pytest

from minicnn.checking import SUBJECTS, check_layer
from minicnn.checking.distance import max_error
from minicnn.checking.subject import Subject, UndefinedError
from minicnn.errors import MinicnnError

pytest.importorskip("keras", reason="compares with Keras: pip install 'minicnn[keras]'")

from reference_keras.checking import keras_results
from reference_keras.tolerance import float64_limit


@pytest.mark.slow
@pytest.mark.parametrize("subject", SUBJECTS.values(), ids=lambda subject: f"{subject.layer}-{subject.direction}")
def test_the_formula_is_kerass(subject: Subject) -> None:
    compared = 0
    for settings in subject.settings():
        try:
            arguments = subject.make(settings)
            truth = subject.formula(arguments)
        except (MinicnnError, UndefinedError):
            continue  # no case: the window does not fit
        for name, array in keras_results(subject, arguments).items():
            compared += 1
            assert max_error(array, truth[name]) <= float64_limit(subject.layer), (name, settings)
    if subject.layer == "Dropout":
        assert compared == 0  # Keras draws its own mask
    else:
        assert compared >= 12


def test_kerass_number_stands_in_the_example() -> None:
    report = check_layer(lambda x, kernel, bias: x @ kernel, "Dense", keras=keras_results)
    assert report.example is not None
    assert report.example.keras == pytest.approx(report.example.truth)
    assert "Keras" in str(report)
    right = check_layer(lambda x, kernel, bias: x @ kernel + bias, "Dense", keras=keras_results)
    assert right.precision is not None
    assert right.precision.keras is not None
    assert 0 < right.precision.keras < 1e-6
