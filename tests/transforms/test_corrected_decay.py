"""AdamC's decay: plain at a constant rate, quadratic along a schedule."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import gdjax as gd

P = {"kernel": jnp.array([2.0, -4.0]), "bias": jnp.array([1.0])}
ZERO = jax.tree.map(jnp.zeros_like, P)


def shrinks(tx, steps):
    """By which factor the kernel shrinks in each step without a gradient."""
    state, seen = tx.init(P), []
    for _ in range(steps):
        u, state = tx.update(ZERO, state, P)
        seen.append(-u["kernel"] / P["kernel"])
        assert not np.any(u["bias"])
    return np.array(seen)[:, 0]


RATES = [0.0, 0.1, 0.4, 0.2, 0.1]
SCHEDULE = lambda step: jnp.array(RATES)[step]


def test_the_rate_squared_over_the_largest_so_far():
    tx = gd.adamc(SCHEDULE, weight_decay=0.5, mask=gd.decay_mask)
    largest = np.maximum.accumulate(RATES)
    want = 0.5 * np.square(RATES) / np.where(largest > 0, largest, 1)
    np.testing.assert_allclose(shrinks(tx, 5), want, rtol=1e-6)


def test_the_rate_squared_over_a_peak_that_is_known():
    tx = gd.adamc(SCHEDULE, weight_decay=0.5, mask=gd.decay_mask, max_learning_rate=0.4)
    want = 0.5 * np.square(RATES) / 0.4
    np.testing.assert_allclose(shrinks(tx, 5), want, rtol=1e-6)


def test_at_a_constant_rate_it_is_adamw():
    g = jax.tree.map(lambda p: 0.3 * p, P)
    one, two = (make(0.1, weight_decay=0.5) for make in (gd.adamc, gd.adamw))
    u, _ = one.update(g, one.init(P), P)
    v, _ = two.update(g, two.init(P), P)
    assert jax.tree.all(jax.tree.map(lambda a, b: bool(jnp.all(a == b)), u, v))


def test_parameters_are_needed():
    tx = gd.corrected_weight_decay(0.1, 0.1)
    with pytest.raises(ValueError, match="`corrected_weight_decay` needs `params`"):
        tx.update(ZERO, tx.init(P))
