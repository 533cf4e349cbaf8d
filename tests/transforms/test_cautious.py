"""Caution and its decay: what the laws cannot see."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import gdjax as gd


def test_the_share_is_of_each_leaf_and_the_metric_of_all():
    """Memory 1 everywhere: of `a` one of four agrees, of `b` both."""
    g = {"a": jnp.array([1.0, -1.0, -1.0, 0.0]), "b": jnp.ones(2)}
    ones = jax.tree.map(jnp.ones_like, g)
    memory = optax.stateless(lambda g, p: ones)
    tx = gd.cautious(memory)
    u, state = tx.update(g, tx.init(g))
    assert u["a"].tolist() == [4, 0, 0, 0] and u["b"].tolist() == [1, 1]
    assert gd.metrics(state) == {"kept_share": np.float32(0.5)}


def test_small_numbers_have_a_sign():
    """The product of update and gradient, or parameter, would vanish."""
    g = jnp.array([1e-30, -1e-30, 1e30])
    tx = gd.cautious(optax.trace(0.0))
    np.testing.assert_array_equal(tx.update(g, tx.init(g))[0], g)
    tx = gd.cautious_weight_decay(0.5)
    u, _ = tx.update(-g, tx.init(g), g)
    np.testing.assert_array_equal(u, -g)


def test_what_is_not_finite_stays_visible():
    g = jnp.ones(3)
    bad = optax.stateless(lambda g, p: jnp.array([jnp.nan, jnp.inf, 1.0]))
    u, _ = gd.cautious(bad).update(g, gd.cautious(bad).init(g))
    assert np.isnan(u[0]) and np.isinf(u[1]) and np.isfinite(u[2])


def test_the_count_is_a_pass_over_the_direction_alone():
    """Each leaf: one loop more than AdamW that reads, none that writes the mask."""
    p = {"w": jnp.ones((64, 64))}
    links = gd.add_decayed_weights(0.1), gd.scale_by_learning_rate(0.1)
    tx = gd.chain(gd.cautious(gd.scale_by_adam()), *links)

    def step(p, state, g):
        u, state = tx.update(g, state, p)
        return optax.apply_updates(p, u), state

    compiled = jax.jit(step, donate_argnums=(0, 1)).lower(p, tx.init(p), p).compile()
    entry = compiled.as_text().partition("ENTRY")[2]
    written = [x for x in entry.splitlines() if "[64,64]" in x.split(" fusion(")[0]]
    written = [x for x in written if " fusion(" in x]
    assert len(written) == 4, written  # mu, nu, the direction, parameters


def test_a_step_is_refused():
    with pytest.raises(ValueError, match="`cautious` wraps a direction"):
        gd.cautious(gd.adam(0.1))


def test_decay_that_no_rate_multiplies():
    """With a schedule and a mask of its own; at a rate of 0 it goes on."""
    p = {"w": jnp.full(2, 2.0), "b": jnp.full(2, 2.0)}
    g = jax.tree.map(jnp.zeros_like, p)
    tx = gd.independent_decay(
        gd.sgd(0.0), lambda t: 0.5 / (1 + t), mask={"w": True, "b": False}
    )
    state = tx.init(p)
    for wanted in -1.0, -0.5:
        u, state = tx.update(g, state, p)
        assert np.all(u["w"] == wanted) and not np.any(u["b"])
    assert state.count == 2
    with pytest.raises(ValueError, match="`independent_decay` needs `params`"):
        tx.update(g, state)


def test_cautious_decay_with_a_schedule_and_a_mask():
    """Where an update is 0 there is decay, where a parameter is there is none."""
    p = {"w": jnp.array([1.0, -1.0, 0.0]), "b": jnp.ones(1)}
    u = {"w": jnp.array([0.0, 1.0, 1.0]), "b": jnp.ones(1)}
    tx = gd.cautious_weight_decay(lambda t: 0.5 * t, mask={"w": True, "b": False})
    state, seen = tx.init(p), []
    for _ in range(2):
        new, state = tx.update(u, state, p)
        seen.append((new["w"].tolist(), new["b"].item()))
    assert seen == [([0, 1, 1], 1), ([0.5, 1, 1], 1)]
