"""Every public transform keeps every law."""

import inspect
import re
from pathlib import Path

import jax
import jax.numpy as jnp
import optax
import pytest
from registry import CHECKS, LONG

import gdjax as gd

LAWS_MD = Path(__file__).parents[1] / "docs" / "laws.md"
ROW = re.compile(r"^\| `(.+?)` \| (\d) \| \S.* \|$", re.M)
BROKEN, UNCHECKED = map(
    ROW.findall, LAWS_MD.read_text().split("## Exceptions")[1].split("## Not checked")
)


# f16, complex and empty arrays are tried in the long form alone.
FEW = {
    "w": jnp.array([[0.5, -1.0, 2.0], [1.5, 0.25, -0.75]]),
    "scalar": jnp.float32(0.5),
    "brain": jnp.array([0.5, -1.0, 2.0, 4.0], jnp.bfloat16),
    "none": None,
    "masked": optax.MaskedNode(),
}


@pytest.mark.parametrize("name", [name for name in CHECKS if name not in LONG])
def test_laws_in_f32_and_bf16(name):
    report = gd.testing.check(**CHECKS[name], params=FEW)
    assert set(report.broken) <= laws(BROKEN, name), str(report)
    assert unchecked(report) == laws(UNCHECKED, name), str(report)


@pytest.mark.long
@pytest.mark.parametrize("name", CHECKS)
def test_laws_in_every_dtype(name):
    report = gd.testing.check(**CHECKS[name])
    assert set(report.broken) == laws(BROKEN, name), str(report)
    assert unchecked(report) == laws(UNCHECKED, name), str(report)


def laws(rows, name):
    return {int(law) for known, law in rows if known == name}


def unchecked(report):
    """Without the part of law 3 that takes a second device, where there is none."""
    found = {k for k, o in report.outcomes.items() if o.verdict == "not checked"}
    return found - {3} if jax.device_count() == 1 else found


FACTORIES = {
    name: f
    for package in (gd.transforms, gd.averaging, gd.optimizers)
    for name in package.__all__
    if inspect.isfunction(f := getattr(package, name))
    and f.__module__.startswith("gdjax")
    and "Transformation" in str(inspect.signature(f).return_annotation)
}


def test_no_public_transform_is_missing():
    """A factory joins by one line in the registry."""
    assert len(FACTORIES) >= 90
    assert set(FACTORIES) - {name.partition(",")[0] for name in CHECKS} == set()


NO_NUMBERS = {"key", "seed", "step_size_fn"}


def test_every_number_of_every_factory_has_values_that_are_refused():
    """The registry is the table of bad numbers: the sixth law goes through it."""
    table = {name: {} for name in FACTORIES}
    for name, check in CHECKS.items():
        table.setdefault(name.partition(",")[0], {}).update(check["bad"])
    assert sum(len(bad) for row in table.values() for bad in row.values()) >= 150
    words = re.compile(r"ArrayLike|Scalar|float|\bint\b")
    for name, factory in FACTORIES.items():
        for key, parameter in inspect.signature(factory).parameters.items():
            is_number = isinstance(parameter.default, (int, float))
            is_number |= bool(words.search(str(parameter.annotation)))
            if type(parameter.default) is bool or key in NO_NUMBERS or "mask" in key:
                continue
            if is_number:
                assert len(table[name].get(key, ())) >= 2, (name, key)
