"""RMSprop: a deviation that rounding cannot make negative, numbers that change."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import gdjax as gd


def last_direction(tx, g, steps):
    step = lambda state, g: tx.update(g, state)[::-1]
    run = lambda g: jax.lax.scan(step, tx.init(g), jnp.tile(g, (steps, 1)))[1][-1]
    return np.asarray(jax.jit(run)(jnp.asarray(g, jnp.float32)))


def test_a_gradient_that_never_changes_has_the_deviation_of_its_start():
    """n - m^2 of a constant from zero is d^t (1 - d^t) g^2, down to 1e-9 of g^2."""
    g, steps = np.array([0.1, 0.3, 1.7, 3e5], np.float32), 200
    weight = 1 - 0.9**steps
    want = 1 / np.sqrt(weight * (1 - weight) + 1e-12 / g.astype(float) ** 2)
    ours = last_direction(gd.scale_by_stddev(eps=1e-12), g, steps)
    np.testing.assert_allclose(ours, want, rtol=1e-3)
    theirs = last_direction(optax.scale_by_stddev(eps=1e-12), g, steps)
    assert not np.any(np.abs(theirs / want - 1) < 0.5)  # off by far, or NaN


def test_one_gradient_has_no_deviation():
    g = jnp.array([2.0, -1e-3, 0.0])
    tx = gd.scale_by_stddev(eps=1e-4, bias_correction=True)
    updates, state = tx.update(g, tx.init(g))
    np.testing.assert_allclose(updates, 100 * g, rtol=1e-6)
    assert state.nu.tolist() == [0, 0, 0]


def test_corrected_is_adam_without_a_mean():
    rng = np.random.default_rng(0)
    rms = gd.scale_by_rms(0.99, 1e-3, eps_in_sqrt=False, bias_correction=True)
    adam = gd.scale_by_adam(0.0, 0.99, 1e-3)
    one, two = rms.init(jnp.ones(4)), adam.init(jnp.ones(4))
    for g in jnp.asarray(rng.normal(size=(5, 4))):
        got, one = rms.update(g, one)
        want, two = adam.update(g, two)
        np.testing.assert_allclose(got, want, rtol=1e-6)


@pytest.mark.parametrize("corrected", [False, True])
def test_a_decay_that_changes_follows_the_definition(corrected):
    """Each gradient weighs 1 - d times the decays after it; the start has the rest."""
    rng = np.random.default_rng(3)
    gs, decays = rng.normal(size=(9, 3)), rng.uniform(0, 0.99, 9)
    after = np.append(np.cumprod(decays[:0:-1])[::-1], 1.0)
    weights = (1 - decays) * after
    total = weights.sum() if corrected else 1.0
    mean, square = weights @ gs / total, weights @ gs**2 / total
    with jax.enable_x64(True):
        make = lambda d: gd.scale_by_stddev(d, 1e-3, bias_correction=corrected)
        state = make(0.5).init(jnp.zeros(3))
        for g, decay in zip(jnp.asarray(gs), decays, strict=True):
            u, state = make(decay).update(g, state)
    want = gs[-1] / np.sqrt(square - mean**2 + 1e-3)
    np.testing.assert_allclose(u, want, rtol=1e-12)
