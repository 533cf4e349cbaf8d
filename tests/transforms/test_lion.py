"""Lion's modes, and signs of complex numbers of any size."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import gdjax as gd

SHAPES = {
    "hard": np.sign,
    "smooth": lambda c: np.tanh(3 * c),
    "refined": lambda c: np.where(np.abs(c) < 1, c, np.sign(c)),
}


@pytest.mark.parametrize("mode", SHAPES)
def test_the_mode_shapes_what_is_ahead_of_the_mean(mode):
    g = np.array([3.0, -0.4, 0.0, -1e30, 1e-30])
    tx = gd.scale_by_lion(0.5, 0.75, mode=mode, smooth_beta=3.0)
    u1, state = tx.update(jnp.asarray(g), tx.init(g))
    u2, state = tx.update(jnp.asarray(-g), state)
    np.testing.assert_allclose(u1, SHAPES[mode](g / 2), rtol=1e-6)
    np.testing.assert_allclose(u2, SHAPES[mode]((g / 4 - g) / 2), rtol=1e-6)
    np.testing.assert_allclose(state.mu, 0.75 * g / 4 - g / 4, rtol=1e-6)


def test_the_optimizer_has_the_modes_too():
    p = jnp.array([0.5, -4.0])
    tx = gd.lion(1.0, weight_decay=0.0, mode="smooth", smooth_beta=2.0)
    np.testing.assert_allclose(
        tx.update(p, tx.init(p), p)[0], -np.tanh(0.2 * p), rtol=1e-6
    )


@pytest.mark.parametrize("size", [1e-30, 1.0, 1e30])
def test_the_sign_of_a_complex_number_has_length_one(size):
    g = jnp.array([3 + 4j, -5j, 0], jnp.complex64) * size
    want = [0.6 + 0.8j, -1j, 0]
    for tx in (gd.scale_by_sign(), gd.scale_by_lion()):
        np.testing.assert_allclose(tx.update(g, tx.init(g))[0], want, atol=1e-6)


def test_the_dtype_of_the_mean_can_be_chosen():
    g = {"w": jnp.ones(2), "z": jnp.ones(2, jnp.bfloat16)}
    tx = gd.scale_by_lion(mu_dtype=jnp.bfloat16)
    u, state = tx.update(g, tx.init(g))
    assert {x.dtype.name for x in jax.tree.leaves(state.mu)} == {"bfloat16"}
    assert u["w"].dtype == jnp.float32
