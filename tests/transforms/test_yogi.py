"""Yogi's square falls by what is new, and its start."""

import jax.numpy as jnp
import numpy as np
import optax

import gdjax as gd


def test_after_a_large_gradient_small_ones_count_little():
    """From 0 by hand, b2 = 0.75: up by a quarter of 16, then down by a quarter of 1."""
    tx = gd.scale_by_yogi(b2=0.75, initial_accumulator_value=0.0)
    state, squares = tx.init(jnp.ones(1)), []
    for g in (4.0, 1.0, 0.0, 2.0):
        _, state = tx.update(jnp.array([g]), state)
        squares.append(state.nu.item())
    assert squares == [4.0, 3.75, 3.75, 4.75]


def test_a_start_that_is_not_zero_moves_without_a_gradient():
    """m is 9e-6 and v 1e-3 once corrected, as in Optax; from 0 nothing moves."""
    zero = jnp.zeros(1)
    for module in (gd, optax):
        tx = module.scale_by_yogi()
        u, _ = tx.update(zero, tx.init(zero))
        np.testing.assert_allclose(u, 9e-6 / (np.sqrt(1e-3) + 1e-3), rtol=1e-4)
    tx = gd.scale_by_yogi(eps=0.0, initial_accumulator_value=0.0)
    assert tx.update(zero, tx.init(zero))[0] == 0


def test_a_square_that_has_overflown_is_no_nan():
    g = jnp.array([1e30])
    tx = gd.scale_by_yogi()
    state = tx.init(g)
    for _ in range(3):
        u, state = tx.update(g, state)
    assert state.nu == jnp.inf and u == 0
