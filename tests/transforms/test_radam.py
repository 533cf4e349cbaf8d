"""RAdam: momentum alone before the threshold, and r_t without a loss of digits."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from oracles.signs import length

import gdjax as gd


def updates_of(tx, steps, g=2.0):
    """A constant gradient: its mean and its root mean square are g."""
    step = lambda state, _: tx.update(jnp.full(1, g), state)[::-1]
    scan = lambda state: jax.lax.scan(step, state, length=steps)[1]
    return np.asarray(jax.jit(scan)(tx.init(jnp.ones(1))))[:, 0]


def factor(t, b2):
    """r_t of the paper, in 40 digits up to its last operations."""
    rho, longest = length(b2, t)
    above = (rho - 4) * (rho - 2) * longest
    return np.sqrt(above / ((longest - 4) * (longest - 2) * rho))


@pytest.mark.parametrize(("threshold", "first"), [(5.0, 6), (4.0, 5), (7.5, 8)])
def test_the_switch_is_at_the_threshold(threshold, first):
    """rho_t is 4.996 at t = 5, 5.994 at 6, 6.992 at 7 and 7.989 at 8."""
    got = updates_of(gd.scale_by_radam(eps=0.0, threshold=threshold), 12)
    np.testing.assert_allclose(got[: first - 1], 2, rtol=1e-6)
    want = [factor(t, 0.999) for t in range(first, 13)]
    np.testing.assert_allclose(got[first - 1 :], want, rtol=1e-5)
    assert length(0.999, first)[0] >= threshold > length(0.999, first - 1)[0]


def test_no_square_is_trusted_where_few_are_remembered():
    """At b2 = 0.6 rho_inf is 4, where r_t would be 0 / 0."""
    assert updates_of(gd.scale_by_radam(b2=0.6), 30).tolist() == pytest.approx([2] * 30)


def test_a_long_memory_in_f32():
    """Optax takes the difference of two numbers around 20,000."""
    want = [factor(t, 0.9999) for t in range(6, 21)]
    ours = updates_of(gd.scale_by_radam(b2=0.9999), 20)
    np.testing.assert_allclose(ours[5:], want, rtol=1e-4)
    theirs = updates_of(optax.scale_by_radam(b2=0.9999), 20)
    assert np.abs(theirs[5:] / want - 1).max() > 0.5


def test_a_memory_that_changes_has_the_mean_age_of_its_squares():
    b2s = [0.9, 0.5, 0.99, 0.8, 0.999]
    step = jax.jit(lambda b2, s: gd.scale_by_radam(b2=b2).update(jnp.ones(1), s)[1])
    state, weights = gd.scale_by_radam().init(jnp.ones(1)), np.zeros(0)
    for b2 in b2s:
        state = step(b2, state)
        weights = np.append(b2 * weights, 1 - b2)
    ages = np.arange(len(b2s))[::-1]
    np.testing.assert_allclose(state.nu_age, weights @ ages, rtol=1e-6)
    np.testing.assert_allclose(state.nu_weight, weights.sum(), rtol=1e-6)
