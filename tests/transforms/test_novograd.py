"""NovoGrad: one square a leaf, a first one that counts whole, decay in the momentum."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import gdjax as gd


def test_each_leaf_has_a_size_of_its_own():
    """By hand: |g|^2 is 25 and 4; then 0.25 of it stays and (0.75) of 100 and 16."""
    g = {"a": jnp.array([3.0, -4.0]), "b": jnp.array(2.0), "c": None}
    p = jax.tree.map(jnp.ones_like, g)
    tx = gd.scale_by_novograd(0.5, eps=0.0)
    u, state = tx.update(g, tx.init(p), p)
    np.testing.assert_allclose(u["a"], [0.6, -0.8], rtol=1e-6)
    assert u["b"] == 1 and u["c"] is None
    assert state.nu == {"a": 25, "b": 4, "c": None}
    u, state = tx.update(jax.tree.map(lambda x: 2 * x, g), state, p)
    assert state.nu == {"a": 81.25, "b": 13, "c": None}
    np.testing.assert_allclose(u["b"], 0.5 + 4 / np.sqrt(13), rtol=1e-6)


def test_sixteen_bits_are_squared_in_f32():
    g = jnp.full(4, 300.0, jnp.float16)  # 90,000 is inf in f16
    tx = gd.scale_by_novograd()
    u, state = tx.update(g, tx.init(g), g)
    assert state.nu.dtype == jnp.float32 and state.nu == 360_000
    assert u.dtype == jnp.float16 and u.tolist() == [0.5] * 4


def test_decay_may_be_scheduled_and_counts_from_zero():
    p = jnp.array([1.0, -2.0])
    tx = gd.scale_by_novograd(0.0, weight_decay=lambda count: 0.1 / (1 + count))
    state = tx.init(p)
    for t in (1, 2):
        u, state = tx.update(0 * p, state, p)
        np.testing.assert_allclose(u, 0.1 / t * p, rtol=1e-6)
    with pytest.raises(ValueError, match="needs `params`"):
        tx.update(p, state)


def test_a_masked_leaf_keeps_its_state():
    p = {"a": jnp.ones(2), "b": jnp.ones(3)}
    tx = gd.scale_by_novograd(mu_dtype=jnp.bfloat16)
    g = {"a": jnp.ones(2), "b": optax.MaskedNode()}
    u, state = tx.update(g, tx.init(p), p)
    assert isinstance(u["b"], optax.MaskedNode)
    assert state.nu == {"a": 2, "b": 0} and state.mu["b"].tolist() == [0] * 3
    assert state.mu["a"].dtype == jnp.bfloat16 and u["a"].dtype == jnp.float32
