"""Adadelta: the rate stays out of the rule, and steps are in the parameters' units."""

import jax.numpy as jnp
import numpy as np

import gdjax as gd


def run(tx, factor=1.0, steps=5):
    """Directions or steps on a fixed stream of gradients, times `factor`."""
    rng = np.random.default_rng(0)
    p, seen = jnp.ones(3), []
    state = tx.init(p)
    for g in factor * rng.normal(size=(steps, 3)):
        u, state = tx.update(jnp.asarray(g, jnp.float32), state, p)
        seen.append(u)
    return np.array(seen)


def test_the_default_is_a_step_at_rate_one():
    """Optax's default rate, None, leaves the sign too, and climbs."""
    np.testing.assert_array_equal(run(gd.adadelta()), -run(gd.scale_by_adadelta()))


def test_the_rate_does_not_enter_the_rule():
    np.testing.assert_allclose(
        run(gd.adadelta(10.0)), 10 * run(gd.adadelta()), rtol=1e-6
    )


def test_gradients_in_other_units_give_the_same_steps():
    one = run(gd.scale_by_adadelta(eps=1e-12))
    np.testing.assert_allclose(run(gd.scale_by_adadelta(eps=1e-12), 1e3), one, 1e-5)
