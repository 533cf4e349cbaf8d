"""Prodigy: the distance it finds, and its start."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import gdjax as gd

DISTANCES = np.array([1e-3, 1.0, 7.0, 1e3], np.float32)


def test_the_distance_is_found_within_a_factor_of_two():
    """On |x - x*| from x = 0, over six decades, with the same first estimate 1e-6."""
    tx = gd.prodigy()

    def run(distance):
        def step(carry, _):
            x, state = carry
            u, state = tx.update(jnp.sign(x - distance), state, x)
            return (x + u, state), None

        start = (jnp.zeros(3), tx.init(jnp.zeros(3)))
        (x, state), _ = jax.lax.scan(step, start, length=300)
        return x, gd.metrics(state)["estim_lr"]

    x, found = jax.jit(jax.vmap(run))(DISTANCES)
    assert np.all(found > DISTANCES / 2) and np.all(found < 2 * DISTANCES)
    np.testing.assert_allclose(x / DISTANCES[:, None], 1, atol=0.2)


def test_zero_gradients_before_the_first():
    """Where Optax divides 0 by 0, and is NaN for ever."""
    x, zero, g = jnp.ones(2), jnp.zeros(2), jnp.array([1.0, -2.0])
    ours, theirs = gd.prodigy(), optax.contrib.prodigy()
    u, state = ours.update(zero, ours.init(x), x)
    assert not np.any(u) and gd.metrics(state)["estim_lr"] == np.float32(1e-6)
    after, _ = ours.update(g, state, x)
    assert np.all(after * g < 0)
    nothing, lost = theirs.update(zero, theirs.init(x), x)
    assert np.isnan(lost.estim_lr) and np.all(np.isnan(nothing))


def test_an_absent_leaf_still_counts_in_the_estimate():
    """Its share of r without its share of |s| would make the distance too large."""
    x = {"a": jnp.zeros(2), "b": jnp.zeros(2)}
    g = jax.tree.map(jnp.ones_like, x)
    moved = jax.tree.map(lambda x: x - 1.0, x)
    tx = gd.scale_by_prodigy(estim_lr0=0.1, beta3=0.5)
    _, state = tx.update(g, tx.init(x), moved)
    small = {"a": jax.tree.map(lambda x: 1e-6 * x, g["a"]), "b": None}
    u, state = tx.update(small, state, moved)
    assert u["b"] is None
    np.testing.assert_allclose(state.estim_lr, 1.0, rtol=1e-5)


def test_the_estimate_forgets_with_the_root_of_b2():
    x, g = jnp.ones(2), jnp.array([2.0, -1.0])
    tx = gd.scale_by_prodigy(betas=(0.9, 0.25), estim_lr0=1.0, bias_correction=False)
    _, state = tx.update(g, tx.init(x), x)
    _, state = tx.update(g, state, x)
    assert state.grad_sum.tolist() == [3, -1.5]


def test_the_start_is_a_copy_and_parameters_are_needed():
    x = jnp.ones(2, jnp.bfloat16)
    tx = gd.scale_by_prodigy()
    state = tx.init(x)
    assert state.params0.dtype == jnp.bfloat16
    assert state.params0.unsafe_buffer_pointer() != x.unsafe_buffer_pointer()
    with pytest.raises(ValueError, match="`scale_by_prodigy` needs `params`"):
        tx.update(x, state)
