"""Adan's first two steps by hand, as the paper has them."""

import jax.numpy as jnp
import numpy as np
import optax

import gdjax as gd


def two_steps(tx):
    u1, state = tx.update(jnp.array([2.0]), tx.init(jnp.ones(1)))
    u2, _ = tx.update(jnp.array([3.0]), state)
    return u1.item(), u2.item()


def test_two_steps_by_hand():
    """beta_1, 2, 3 = 0.5, 0.25, 0.5, that is b1, b2, b3 = 0.5, 0.75, 0.5."""
    # g = 2: no change yet. m = 1, v = 0, n = 2; corrected 2, 0, 4: u = 2 / 2.
    # g = 3: m = 2, v = 1/4, n = 1 + (3 + 3/4)^2 / 2; corrected 8/3, 4/7, n / (3/4).
    first = 1.0
    second = (8 / 3 + 0.75 * 4 / 7) / np.sqrt((1 + 3.75**2 / 2) / 0.75)
    got = two_steps(gd.scale_by_adan(0.5, 0.75, 0.5, eps=0.0))
    np.testing.assert_allclose(got, [first, second], rtol=1e-6)


def test_optax_weighs_the_change_by_one_minus_b2():
    theirs = two_steps(optax.scale_by_adan(0.5, 0.75, 0.5, eps=0.0))
    second = (8 / 3 + 0.25 * 4 / 7) / np.sqrt((1 + 3.25**2 / 2) / 0.75)
    np.testing.assert_allclose(theirs, [1.0, second], rtol=1e-6)
    ours = two_steps(gd.scale_by_adan(b2=0.5))
    np.testing.assert_allclose(ours, two_steps(optax.scale_by_adan(b2=0.5)), rtol=1e-5)
