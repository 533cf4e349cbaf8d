"""Every public transform keeps every law."""

import inspect

import pytest
from registry import CHECKS

import gdjax as gd


@pytest.mark.parametrize("name", CHECKS)
def test_laws(name):
    report = gd.testing.check(**CHECKS[name])
    report.raise_if_broken()
    assert all(o.verdict == "holds" for o in report.outcomes.values()), str(report)


def test_no_public_transform_is_missing():
    """A factory joins by one line in the registry."""
    packages = (gd.transforms, gd.averaging, gd.optimizers)
    factories = {
        name
        for package in packages
        for name in package.__all__
        if inspect.isfunction(f := getattr(package, name))
        and f.__module__.startswith("gdjax")
        and "Transformation" in str(inspect.signature(f).return_annotation)
    }
    assert len(factories) >= 10
    assert factories - {name.partition(",")[0] for name in CHECKS} == set()
