"""Every example in a docstring runs, and every public function has one."""

import doctest
import importlib
import inspect
import pkgutil

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import gdjax as gd

# Not the examples of Optax's own functions, which are lifted with their docstrings.
NAMES = [
    m.name
    for m in pkgutil.walk_packages(gd.__path__, "gdjax.")
    if not m.name.endswith("._lifted")
]
GLOBALS = {"jax": jax, "jnp": jnp, "np": np, "optax": optax, "gd": gd}


@pytest.mark.parametrize("name", NAMES)
def test_examples(name):
    module = importlib.import_module(name)
    options = doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS
    failed, _ = doctest.testmod(module, extraglobs=GLOBALS, optionflags=options)
    assert failed == 0


def test_every_function_of_the_top_level_has_an_example():
    owned = [
        name
        for name in gd.__all__
        if inspect.isfunction(f := getattr(gd, name))
        and inspect.unwrap(f).__module__.startswith("gdjax")
    ]
    assert len(owned) > 100
    assert [
        name for name in owned if ">>>" not in inspect.getdoc(getattr(gd, name))
    ] == []
