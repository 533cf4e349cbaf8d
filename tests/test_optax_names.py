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
    "adadelta": {"learning_rate": "Optax's None leaves the sign too: it climbs"},
    "scale_by_factored_rms": {"decay_rate_fn": "the same power, in f64 under x64"},
    "scale_by_learning_rate": {
        "learning_rate": "Optax's None means no scaling: say `identity()`",
    },
}
# {name: keywords of Optax that ours has not}
LEFT_OUT = {"nadam": {"nesterov"}, "nadamw": {"nesterov"}}  # Adam's, always True
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


OF_CONTRIB = [
    "ademamix",
    "adopt",
    "prodigy",
    "scale_by_ademamix",
    "scale_by_adopt",
    "schedule_free",
    "schedule_free_adamw",
    "schedule_free_sgd",
]


@pytest.mark.parametrize("name", OF_CONTRIB)
def test_positional_parameters_of_own_names_are_those_of_contrib(name):
    assert positional(getattr(gd, name)) == positional(getattr(optax.contrib, name))


@pytest.mark.parametrize("name", SHARED)
def test_keyword_only_parameters_are_at_least_those_of_optax(name):
    ours, theirs = keywords(getattr(gd, name)), keywords(getattr(optax, name))
    theirs = {k: v for k, v in theirs.items() if k not in LEFT_OUT.get(name, ())}
    assert {key: ours.get(key, "missing") for key in theirs} == theirs
    needed = [k for k in set(ours) - set(theirs) if ours[k] is inspect.Parameter.empty]
    assert needed == []


ARGUMENTS = {
    "adabelief": (0.1,),
    "adafactor": (0.1,),
    "adadelta": (0.1,),
    "adagrad": (0.1,),
    "adam": (0.1,),
    "adamax": (0.1,),
    "adamaxw": (0.1,),
    "adamw": (0.1,),
    "adan": (0.1,),
    "add_decayed_weights": (0.1,),
    "add_noise": (0.1, 0.55, 0),
    "amsgrad": (0.1,),
    "adaptive_grad_clip": (0.1,),
    "centralize": (),
    "clip": (1.0,),
    "clip_by_block_rms": (1.0,),
    "clip_by_global_norm": (1.0,),
    "ema": (0.9,),
    "identity": (),
    "lamb": (0.1,),
    "lars": (0.1,),
    "lion": (0.1,),
    "lookahead": (optax.sgd(0.1), 5, 0.5),
    "monitor": ({"norm": gd.tree.global_norm},),
    "nadam": (0.1,),
    "nadamw": (0.1,),
    "novograd": (0.1,),
    "radam": (0.1,),
    "rmsprop": (0.1,),
    "rprop": (0.1,),
    "scale_by_adadelta": (),
    "scale_by_adam": (),
    "scale_by_adamax": (),
    "scale_by_adan": (),
    "scale_by_amsgrad": (),
    "scale_by_belief": (),
    "scale_by_factored_rms": (),
    "scale": (0.1,),
    "scale_by_schedule": (lambda count: 0.1,),
    "scale_by_learning_rate": (lambda count: 0.1,),
    "scale_by_lion": (),
    "scale_by_novograd": (),
    "scale_by_radam": (),
    "scale_by_rms": (0.9, 1e-8, 0.0, True, True),
    "scale_by_rprop": (0.1,),
    "scale_by_rss": (),
    "scale_by_sign": (),
    "scale_by_stddev": (0.9, 1e-8, 0.0, True, True),
    "scale_by_trust_ratio": (),
    "scale_by_yogi": (),
    "schedule_free": (optax.sgd(0.1), 0.1),
    "schedule_free_adamw": (),
    "schedule_free_sgd": (),
    "sgd": (0.1, 0.9),
    "sign_sgd": (0.1,),
    "signum": (0.1,),
    "trace": (0.9,),
    "yogi": (0.1,),
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
    package = optax.contrib if name in OF_CONTRIB else optax
    ours, theirs = list(fields(make(gd)).values()), fields(make(package))
    theirs.pop("MaskedState", None)  # a mask here is no state
    theirs = [names for names in theirs.values() if names]
    for names in theirs:
        assert any(mine[: len(names)] == names for mine in ours), (names, ours)


def test_every_transformation_that_is_shared_is_compared():
    """Those that are Optax's own, as they are or by `lawful`, have its states."""
    own = [n for n in SHARED if inspect.unwrap(getattr(gd, n)) is not getattr(optax, n)]
    returned = {n: str(inspect.signature(getattr(gd, n))) for n in own}
    makes = {n for n, text in returned.items() if "Transformation" in text}
    factories = {"inject_hyperparams", "inject_stateful_hyperparams"}  # of factories
    assert makes - factories <= set(ARGUMENTS)


def test_no_transformation_of_optax_is_missing():
    named = {**vars(optax.transforms), **vars(optax)}
    makes = {
        name
        for name, f in named.items()
        if inspect.isfunction(f) and not name.startswith("_")
        if "Transformation" in str(inspect.signature(f).return_annotation)
    }
    helpers = {"with_extra_args_support"}
    assert len(makes) >= 90
    missing = {name for name in makes | {"MultiSteps"} if not hasattr(gd, name)}
    assert missing == helpers
