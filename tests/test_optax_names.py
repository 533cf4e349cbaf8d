"""Names that Optax has too: the same positional signature and state field names."""

import inspect

import jax.numpy as jnp
import optax
import pytest

import gdjax as gd

SHARED = [
    name
    for name in gd.__all__
    if inspect.isfunction(getattr(gd, name)) and callable(getattr(optax, name, None))
]
# {name: {parameter: why its default is not Optax's}}
OTHER_DEFAULTS = {
    "scale_by_learning_rate": {
        "learning_rate": "Optax's None means no scaling: say `identity()`",
    },
}
POSITIONAL = (
    inspect.Parameter.POSITIONAL_ONLY,
    inspect.Parameter.POSITIONAL_OR_KEYWORD,
)


def positional(function):
    parameters = inspect.signature(function).parameters.values()
    return {p.name: p.default for p in parameters if p.kind in POSITIONAL}


def keywords(function):
    parameters = inspect.signature(function).parameters.values()
    return {p.name: p.default for p in parameters if p.kind not in POSITIONAL}


def test_the_names_that_are_shared():
    assert len(SHARED) >= 14
    assert set(OTHER_DEFAULTS) <= set(SHARED)


@pytest.mark.parametrize("name", SHARED)
def test_positional_parameters_are_those_of_optax(name):
    ours, theirs = positional(getattr(gd, name)), positional(getattr(optax, name))
    assert list(ours) == list(theirs)
    differ = {key for key in ours if ours[key] is not theirs[key] != ours[key]}
    assert differ == set(OTHER_DEFAULTS.get(name, {}))


@pytest.mark.parametrize("name", SHARED)
def test_keyword_only_parameters_are_at_least_those_of_optax(name):
    ours, theirs = keywords(getattr(gd, name)), keywords(getattr(optax, name))
    assert {key: ours.get(key, "missing") for key in theirs} == theirs
    needed = [k for k in set(ours) - set(theirs) if ours[k] is inspect.Parameter.empty]
    assert needed == []


ARGUMENTS = {
    "adam": (0.1,),
    "adamw": (0.1,),
    "add_decayed_weights": (0.1,),
    "clip_by_global_norm": (1.0,),
    "identity": (),
    "scale_by_adam": (),
    "scale_by_learning_rate": (lambda count: 0.1,),
    "sgd": (0.1, 0.9),
    "trace": (0.9,),
}


def fields(state):
    """{type: its fields} of every named tuple inside, in order."""
    here = {type(state).__name__: state._fields} if hasattr(state, "_fields") else {}
    children = state if isinstance(state, tuple) else ()
    return here | {k: v for child in children for k, v in fields(child).items()}


@pytest.mark.parametrize("name", ARGUMENTS)
def test_states_have_the_fields_of_optax(name):
    """Ours may have more; those of Optax come first, under the same names."""
    make = lambda module: getattr(module, name)(*ARGUMENTS[name]).init(jnp.ones(2))
    ours, theirs = list(fields(make(gd)).values()), fields(make(optax))
    theirs = [names for names in theirs.values() if names]
    for names in theirs:
        assert any(mine[: len(names)] == names for mine in ours), (names, ours)


def test_every_transformation_that_is_shared_is_compared():
    makes = {
        n for n in SHARED if "Transformation" in str(inspect.signature(getattr(gd, n)))
    }
    assert makes - {"chain", "named_chain", "masked"} <= set(ARGUMENTS)
