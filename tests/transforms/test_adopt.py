"""ADOPT: a first step that only measures, then bounded ones."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from oracles import modern as oracles

import gdjax as gd

BARE = functools.partial(gd.scale_by_adopt, use_clipping=False)


@pytest.mark.parametrize("make", [gd.scale_by_adopt, BARE])
@pytest.mark.parametrize("eps", [1e-6, 1e-30, 0.0])
def test_the_first_step_only_measures(make, eps):
    g = jnp.array([1e10, -3.0, 0.0, 1e-10])
    tx = make(eps=eps)
    u, state = tx.update(g, tx.init(g))
    assert not np.any(u) and not np.any(state.mu)
    np.testing.assert_allclose(state.nu, g**2, rtol=1e-6)
    u, _ = tx.update(g, state)
    want = 0.1 * np.sign(g) * ([1, 1, 0, 1e-4] if eps == 1e-6 else [1, 1, 0, 1])
    np.testing.assert_allclose(u, want, rtol=1e-6)


def test_no_gradient_counts_for_more_than_the_fourth_root_of_its_step():
    """A parameter whose first gradient was 0, where 1 / eps would be the step."""
    tx, g = gd.scale_by_adopt(b1=0.0), jnp.array([5.0, -5.0])
    _, state = tx.update(0 * g, tx.init(g))
    for t in range(1, 4):
        u, after = tx.update(g, state._replace(count=jnp.int32(t)))
        np.testing.assert_allclose(u, np.sign(g) * t**0.25, rtol=1e-6)
    assert np.all(after.nu > 0)
    u, _ = gd.scale_by_adopt(b1=0.0, clip_value_fn=lambda t: 0.3).update(g, state)
    np.testing.assert_allclose(u, 0.3 * np.sign(g), rtol=1e-6)
    u, _ = BARE(b1=0.0).update(g, state)
    np.testing.assert_allclose(u, 1e6 * g, rtol=1e-6)


def test_nesterov_without_clipping_follows_the_oracle():
    stream, kept = np.random.default_rng(0).normal(size=(30, 4)), {}
    with jax.enable_x64(True):
        tx = BARE(0.8, 0.95, 0.3, nesterov=True)
        step = lambda state, g: tx.update(g, state)[::-1]
        start = tx.init(jnp.zeros(4))
        _, got = jax.jit(lambda x: jax.lax.scan(step, start, x))(stream)
    want = [
        oracles.adopt(g, None, kept, t, 0.8, 0.95, 0.3, nesterov=True, clips=False)
        for t, g in enumerate(stream, 1)
    ]
    np.testing.assert_allclose(got, want, rtol=1e-12)
