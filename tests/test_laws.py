"""Every public transform keeps every law."""

import inspect
import re
from pathlib import Path

import pytest
from registry import CHECKS

import gdjax as gd

LAWS_MD = Path(__file__).parents[1] / "docs" / "laws.md"
ROWS = re.findall(
    r"^\| `(.+?)` \| (\d) \| \S.* \|$",
    LAWS_MD.read_text().split("## Exceptions")[1],
    re.M,
)


@pytest.mark.parametrize("name", CHECKS)
def test_laws(name):
    report = gd.testing.check(**CHECKS[name])
    exceptions = [int(law) for known, law in ROWS if known == name]
    assert report.broken == exceptions, str(report)
    unchecked = [o for o in report.outcomes.values() if o.verdict == "not checked"]
    assert unchecked == [], str(report)


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
