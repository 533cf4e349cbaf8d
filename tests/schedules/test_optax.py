"""Optax's own tests of its schedules, run on ours."""

import unittest

import pytest
from optax.schedules import _join_test, _schedule_test

import gdjax as gd

CONSTANT = "a number outside its range is an error here, not a constant schedule"
EXCEPTIONS = {
    "PolynomialTest.test_zero_steps_schedule": CONSTANT,
    "ExponentialTest.test_nonvalid_transition_steps": CONSTANT,
    "ExponentialTest.test_nonvalid_decay_rate": CONSTANT,
    "CosineDecayTest.test_with_giant_int_steps": "no int32 step comes near its end",
    "WarmupCosineDecayTest.test_zero_peak_value": "Optax forgets the end value there",
}
OTHERS = "ScheduleAsLearningRateTest."  # of Optax's optimizers
SLOW = {  # not compiled, but operation by operation
    "PiecewiseInterpolateTest.test_zero_interval_size",
    "WarmupCosineDecayTest.test_monotonicity_and_exponent_ordering",
}


def found_in(module):
    for suite in unittest.defaultTestLoader.loadTestsFromModule(module):
        for test in suite:
            name = f"{type(test).__name__}.{test._testMethodName}"
            if not name.startswith(OTHERS):
                yield name, test


TESTS = {n: t for m in (_schedule_test, _join_test) for n, t in found_in(m)}


@pytest.fixture(autouse=True)
def swapped(monkeypatch):
    monkeypatch.setattr(_schedule_test, "_schedule", gd)
    monkeypatch.setattr(_join_test, "_schedule", gd)
    monkeypatch.setattr(_join_test, "_join", gd)


def test_they_are_there():
    assert len(TESTS) >= 48
    for exception in EXCEPTIONS:
        assert any(name.startswith(exception) for name in TESTS)


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=[pytest.mark.long] * (n in SLOW)) for n in TESTS]
)
def test_of_optax(name):
    result = unittest.TestResult()
    TESTS[name].run(result)
    why = [reason for start, reason in EXCEPTIONS.items() if name.startswith(start)]
    assert result.testsRun == 1 and not result.skipped
    said = [text for _, text in result.failures + result.errors]
    assert bool(said) == bool(why), said
