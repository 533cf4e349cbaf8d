"""The laws bite: each planted fault breaks at least the law that it is planted for."""

import jax
import jax.numpy as jnp
import optax
import pytest
from oracles import averages
from oracles import links as oracles
from registry.links import PLATEAU, plateau, two_groups
from registry.values import ADAM, BAD_ADAM, NAN, RATE, UNIT

import gdjax as gd
from gdjax import tree
from gdjax.testing import check

Transform = optax.GradientTransformationExtraArgs


def trace_with(rule=None, init=None):
    """`gd.trace` with each update passed through `rule`, its first state by `init`."""

    def factory(decay):
        good = gd.trace(decay)

        def update(g, s, params=None, **extra):
            u, new = good.update(g, s, params, **extra)
            return (jax.tree.map(rule, u) if rule else u), new

        return Transform((lambda p: init(good.init(p))) if init else good.init, update)

    return factory


def frozen_number(decay):
    return gd.trace(float(decay))


def number_without_effect(decay):
    return gd.trace(0.8)


def swallows(decay):
    good = gd.trace(decay)
    return optax.GradientTransformation(
        good.init, lambda g, s, p=None: good.update(g, s, p)
    )


def accepts_one(b1=0.9, b2=0.999, eps=1e-8, eps_root=0.0):
    b1 = min(b1, 0.99) if isinstance(b1, float) else b1
    return gd.scale_by_adam(b1, b2, eps, eps_root)


def eps_inside(b1=0.9, b2=0.999, eps=1e-8, eps_root=0.0):
    return gd.scale_by_adam(b1, b2, 0.0, eps_root + eps)


def swa_with(rule):
    """An average of `gd.sgd`'s iterates from the third on, weighted by `rule`."""

    def factory(learning_rate):
        inner = gd.sgd(learning_rate)

        def init(p):
            zero = jnp.zeros([], jnp.int32)
            return gd.averaging.SwaState(
                inner.init(p), zero, jnp.zeros([], jnp.int32), tree.zeros_like(p)
            )

        def update(g, s, params=None, **extra):
            u, inner_state = inner.update(g, s.inner_state, params, **extra)
            due = (s.count >= 3) & ((s.count - 3) % 2 == 0)
            n, x = s.num_averaged + due, tree.next_params(params, u)
            average = tree.map_rule(
                lambda a, x: rule(a, x, due, n), s.average, read=(x,)
            )
            return u, gd.averaging.SwaState(inner_state, s.count + 1, n, average)

        return Transform(init, update)

    return factory


def follows_between_samples(a, x, due, n):
    return jnp.where(due, a + (x - a) / n, x)


def weights_the_last_too_much(a, x, due, n):
    return jnp.where(due, a + (x - a) / jnp.maximum(n - 1, 1), a)


def nan_from_large_squares(decay):
    return trace_with(lambda u: u * jnp.square(u) / jnp.square(u))(decay)


def plateau_with(rule):
    """The plateau of the registry with each new state passed through `rule`."""

    def factory(factor, rtol, atol, min_scale, stop_below):
        good = plateau(factor, rtol, atol, min_scale, stop_below)

        def update(g, s, params=None, **extra):
            u, new = good.update(g, s, params, **extra)
            return u, rule(s, new)

        return Transform(good.init, update)

    return factory


def no_cooldown(old, new):
    return new._replace(cooldown_count=jnp.zeros_like(new.cooldown_count))


def follows_what_is_worse(old, new):
    return new._replace(best_value=jnp.where(new.cooldown_count > 0, 0, new.best_value))


def optax_partition(groups):
    (_, heavy), (_, light) = groups
    label = lambda x: {key: jax.tree.map(lambda _: key, x[key]) for key in x}
    return optax.partition({"heavy": heavy, "light": light}, label)


def groups_exchanged(decay, weight_decay):
    exchange = lambda groups: gd.partition_by_path(
        [("^light", groups[0][1]), groups[1]]
    )
    return two_groups(decay, weight_decay, exchange)


def integers_pass(decay):
    good = gd.trace(decay)

    def init(p):
        return good.init(
            jax.tree.map(lambda x: x.astype(jnp.promote_types(x, float)), p)
        )

    return Transform(init, good.update)


TRACE = dict(numbers=dict(decay=0.8), oracle=oracles.trace, bad=dict(decay=UNIT))
ADAMS = dict(numbers=ADAM, oracle=oracles.adam, bad=BAD_ADAM)
SWA = dict(numbers=dict(learning_rate=0.1), oracle=averages.swa_of_sgd, sign=-1)
STAYS = dict(numbers=PLATEAU, oracle=oracles.plateau)
GROUPS = dict(
    numbers=dict(decay=0.8, weight_decay=0.1), oracle=oracles.two_groups, decays=True
)
unshard = lambda s: jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), s)
share = lambda s: (s, s)
rescale = lambda u: u * (1 if isinstance(u, jax.core.Tracer) else 1.01)
FAULTS = {
    "the dtype of the state drifts": (1, optax.trace, TRACE),
    "two leaves of the state share a buffer": (
        1,
        lambda decay: Transform(
            lambda p: share(gd.trace(decay).init(p)),
            lambda g, s, p=None, **_: (g, s),
        ),
        TRACE,
    ),
    "a number is not live": (2, frozen_number, TRACE),
    "a number has no effect": (2, number_without_effect, TRACE),
    "jit differs from eager": (3, trace_with(rescale), TRACE),
    "the state is unsharded at init": (3, trace_with(init=unshard), TRACE),
    "an integer parameter is accepted": (4, integers_pass, TRACE),
    "the update has another dtype": (
        4,
        trace_with(lambda u: u.astype(jnp.promote_types(u.dtype, jnp.float32))),
        TRACE,
    ),
    "NaN at a zero gradient in f16": (5, optax.scale_by_adam, ADAMS),
    "NaN from large squares": (5, nan_from_large_squares, TRACE),
    "moves at a zero gradient": (5, trace_with(lambda u: u + 1), TRACE),
    "b1 = 1 is accepted": (6, accepts_one, ADAMS),
    "a wrong shape is broadcast": (
        6,
        optax.sgd,
        dict(numbers=dict(learning_rate=0.1), sign=-1),
    ),
    "a NaN rate is accepted": (
        6,
        optax.sgd,
        dict(numbers=dict(learning_rate=0.1), bad=dict(learning_rate=RATE), sign=-1),
    ),
    "extra arguments are refused": (7, swallows, TRACE),
    "eps in the wrong place": (8, eps_inside, ADAMS),
    "last bits": (8, trace_with(lambda u: u * (1 + 1e-9)), TRACE),
    "an average follows between samples": (8, swa_with(follows_between_samples), SWA),
    "an average has wrong weights": (8, swa_with(weights_the_last_too_much), SWA),
    "a plateau without its cooldown": (8, plateau_with(no_cooldown), STAYS),
    "a plateau forgets the best": (8, plateau_with(follows_what_is_worse), STAYS),
    "a group gets the other's parameters": (8, groups_exchanged, GROUPS),
    "groups that refuse a `None` gradient": (
        4,
        lambda decay, weight_decay: two_groups(decay, weight_decay, optax_partition),
        GROUPS,
    ),
    "flipped sign": (9, trace_with(jnp.negative), TRACE),
}


def reproduces(code, make) -> bool:
    try:
        exec(code, {"make": make, "tx": make})
    except Exception:
        return True
    finally:
        jax.config.update("jax_enable_x64", False)
    return False


SLOW = {
    "NaN at a zero gradient in f16",
    "a group gets the other's parameters",
    "a plateau without its cooldown",
    "an average follows between samples",
    "an average has wrong weights",
}


@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # somebody's NaN
@pytest.mark.parametrize(
    "fault",
    [pytest.param(x, marks=pytest.mark.long) if x in SLOW else x for x in FAULTS],
)
def test_a_planted_fault_breaks_its_law_and_is_shown_in_five_lines(fault):
    law, make, call = FAULTS[fault]
    report = check(make, **call)
    assert law in report.broken, str(report)
    with pytest.raises(AssertionError, match=f"law {law} in five lines"):
        report.raise_if_broken()
    code = report.outcomes[law].reproducer
    assert len(code.splitlines()) <= 5
    assert reproduces(code, make), code


def test_a_built_transformation_is_checked_as_far_as_it_goes():
    report = check(gd.trace(0.8))
    assert report.broken == []
    open_laws = {k for k, o in report.outcomes.items() if o.verdict == "not checked"}
    assert open_laws == {2, 6, 8}


def test_misuse_is_refused():
    with pytest.raises(ValueError, match="`numbers` needs a factory"):
        check(gd.trace(0.8), numbers=dict(decay=0.8))
    with pytest.raises(ValueError, match="`bad` needs a factory"):
        check(gd.trace(0.8), bad=dict(decay=(NAN,)))
    with pytest.raises(ValueError, match="`sign` must be 1"):
        check(gd.trace, numbers=dict(decay=0.8), sign=0)
