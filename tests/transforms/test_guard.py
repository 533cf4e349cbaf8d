"""`guard`: what is skipped, what stays as it was, and what it says of it."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax.sharding import PartitionSpec as P
from quick import QUICK

import gdjax as gd

NAN = float("nan")
PARAMS = {"a": jnp.array([0.5, -1.0]), "b": jnp.ones(3)}
GRADS = jnp.array([0.1, 0.3, 1e20, -0.2, NAN, 0.4])


def run(tx, grads, params=PARAMS):
    """(parameters, state) after a scan over gradients of equal numbers."""

    def step(carry, g):
        params, state = carry
        updates, state = tx.update(
            jax.tree.map(lambda p: jnp.full_like(p, g), params), state, params, value=g
        )
        return (optax.apply_updates(params, updates), state), None

    scan = lambda grads: jax.lax.scan(step, (params, tx.init(params)), grads)[0]
    return jax.jit(scan, compiler_options=QUICK)(grads)


def with_a_matrix_product(u, params=None):
    return jax.tree.map(lambda g: jnp.eye(g.size) @ g, u)


INNER = {
    "adamw": gd.adamw(0.1),
    "adamw of Optax": optax.adamw(0.1),
    "with what is computed once": gd.chain(
        gd.stateless(with_a_matrix_product), gd.adamw(0.1)
    ),
    "swa": gd.swa(gd.sgd(0.1, momentum=0.9), 0),
    "plateau": gd.chain(gd.sgd(0.1), gd.reduce_on_plateau(patience=1)),
}


@pytest.mark.parametrize("name", INNER)
def test_a_bad_step_is_as_none(name):
    """Bit for bit: counts, averages and infinities of a start included."""
    got, state = run(gd.guard(INNER[name]), GRADS)
    usual = jnp.abs(GRADS) < 1
    want, without = run(gd.guard(INNER[name]), GRADS[usual])
    jax.tree.map(np.testing.assert_array_equal, got, want)
    jax.tree.map(np.testing.assert_array_equal, state.inner_state, without.inner_state)
    assert (state.num_skipped, state.num_consecutive) == (2, 0)
    assert without.num_skipped == 0
    assert abs(got["a"][0] - 0.5) > 0.01


def test_cheap_rules_run_twice_and_dear_ones_once():
    def count(tx, primitive):
        traced = jax.make_jaxpr(tx.update)(PARAMS, tx.init(PARAMS), PARAMS)
        return str(traced).count(f"{primitive}[") + str(traced).count(f" {primitive} ")

    dear = INNER["with what is computed once"]
    assert count(gd.guard(dear), "dot_general") == count(dear, "dot_general") == 2
    cheap = gd.stateless(lambda u, p: jax.tree.map(jnp.cbrt, u))
    cheap = gd.chain(cheap, gd.sgd(0.1))
    assert (count(cheap, "cbrt"), count(gd.guard(cheap), "cbrt")) == (2, 4)


class Mixed(NamedTuple):
    number: jax.Array
    whole: jax.Array
    flag: jax.Array
    key: jax.Array


def changing(number):
    """A step of -g whose state changes in every kind of leaf."""

    def init(params):
        key = jax.random.key(0)
        return Mixed(jnp.float32(1), jnp.int32(0), jnp.array(False), key)

    def update(updates, state, params=None):
        key = jax.random.split(state.key)[0]
        new = Mixed(number * state.number, state.whole + 1, ~state.flag, key)
        return jax.tree.map(jnp.negative, updates), new

    return optax.GradientTransformation(init, update)


@pytest.mark.parametrize("compiled", [False, True])
def test_a_state_that_would_break_is_kept_in_every_kind_of_leaf(compiled):
    tx = gd.guard(changing(jnp.inf), max_consecutive=1)
    update = jax.jit(tx.update) if compiled else tx.update
    start = state = tx.init(PARAMS)
    for skipped in (1, 2):
        updates, state = update(PARAMS, state, PARAMS)
        assert not any(np.any(u) for u in jax.tree.leaves(updates))
        for new, old in zip(state.inner_state, start.inner_state, strict=True):
            assert new.dtype == old.dtype and jnp.all(new == old)
        said = gd.metrics(state)
        assert said["num_skipped"] == said["num_consecutive"] == skipped
        assert said["guard_gave_up"] == (skipped > 1)
    assert state.first_bad(PARAMS) == "inner_state/number"
    assert start.first_bad(PARAMS) is None
    fine = gd.guard(changing(2.0)).update(PARAMS, start._replace(gave_up=()), PARAMS)
    assert fine[1].inner_state.whole == 1 and fine[0]["b"][0] == -1


@pytest.mark.parametrize(
    ("dtype", "p", "g", "skips"),
    [
        ("float16", 6e4, -100.0, False),
        ("float16", 6e4, -1e4, True),
        ("bfloat16", 3e38, -1e38, True),
        ("float32", np.inf, 1.0, False),
        ("float32", np.nan, 1.0, False),
        ("float32", np.inf, np.inf, True),
    ],
)
def test_parameters_that_would_overflow_in_their_own_dtype(dtype, p, g, skips):
    """The gradient is f32 and small: its step is a million times as long."""
    tx, params = gd.guard(optax.sgd(1e20)), jnp.full(2, p, dtype)
    for update in (tx.update, jax.jit(tx.update)):
        _, state = update(jnp.full(2, np.float32(g) / 1e20), tx.init(params), params)
        assert bool(state.num_skipped) == skips


def test_without_parameters_the_updates_are_judged():
    tx = gd.guard(optax.sgd(1e30))
    state = tx.init(PARAMS)
    small, large = ({"a": jnp.ones(2), "b": jnp.full(3, x)} for x in (1.0, 1e10))
    assert tx.update(small, state)[1].num_skipped == 0
    updates, state = tx.update(large, state)
    assert state.num_skipped == 1 and state.first_bad(PARAMS) == "params/b"
    assert not np.any(updates["a"])


def test_each_device_of_a_shard_map_decides_by_what_it_has():
    mesh = jax.make_mesh((4,), ("x",), (jax.sharding.AxisType.Auto,))
    tx, p = gd.guard(gd.adam(0.1)), jnp.ones(1)

    def update(g, state):
        updates, state = tx.update(g, state, p)
        return updates, state.num_skipped[None]

    split = P("x")
    both = jax.shard_map(update, mesh=mesh, in_specs=(split, P()), out_specs=split)
    updates, skipped = jax.jit(both)(jnp.array([1.0, NAN, -2.0, 1e20]), tx.init(p))
    np.testing.assert_allclose(updates, [-0.1, 0, 0.1, 0], rtol=1e-5)
    assert skipped.tolist() == [0, 1, 0, 1]
