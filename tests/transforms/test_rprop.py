"""Rprop's step sizes against a table computed by hand."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import gdjax as gd

# The gradient, the step size after it, and the update: from 0.1, times 2 and 1/4,
# between 0.02 and 0.3. After a change of sign one step is left out, and the next one
# has no sign to compare with.
TABLE = [
    (7.0, 0.1, 0.1),
    (1e-30, 0.2, 0.2),
    (1e30, 0.3, 0.3),  # 0.4 is too much
    (-1.0, 0.075, 0.0),
    (-1.0, 0.075, -0.075),
    (-2.0, 0.15, -0.15),
    (0.0, 0.15, 0.0),
    (-3.0, 0.15, -0.15),
    (3.0, 0.0375, 0.0),
    (3.0, 0.0375, 0.0375),
    (-3.0, 0.02, 0.0),  # 0.009 is too little
]


def run(tx, gs):
    def step(state, g):
        u, state = tx.update(g, state)
        return state, (u, state)

    scan = lambda gs: jax.lax.scan(step, tx.init(gs[0]), gs)[1]
    return jax.jit(scan)(gs)


def test_the_table():
    gs, sizes, updates = np.transpose(TABLE)
    tx = gd.scale_by_rprop(0.1, 0.25, 2.0, 0.02, 0.3)
    got, state = run(tx, jnp.asarray(gs, jnp.float32))
    np.testing.assert_allclose(state.step_sizes, sizes, rtol=1e-6)
    np.testing.assert_allclose(got, updates, rtol=1e-6)
    np.testing.assert_allclose(state.prev_updates, updates, rtol=1e-6)
    step, _ = run(gd.rprop(0.1, 0.25, 2.0, 0.02, 0.3), jnp.asarray(gs, jnp.float32))
    np.testing.assert_allclose(step, -updates, rtol=1e-6)


def test_optax_is_a_step_late():
    """Its step sizes agree; its update is the last one, unless the sign has changed."""
    gs = jnp.asarray([g for g, _, _ in TABLE], jnp.float32).at[1].set(1e-3)
    ours, held = run(gd.scale_by_rprop(0.1), gs)
    theirs, state = run(optax.scale_by_rprop(0.1), gs)
    np.testing.assert_allclose(held.step_sizes, state.step_sizes, rtol=1e-6)
    late = np.append(0, ours[:-1]) * (np.append(0, ours[:-1]) * gs >= 0)
    np.testing.assert_allclose(theirs, late, rtol=1e-6)
    assert theirs[0] == 0 != ours[0]


def test_a_complex_number_is_two():
    rng = np.random.default_rng(0)
    re, im = rng.normal(size=(2, 30, 3)).astype(np.float32)
    tx = gd.scale_by_rprop(0.1)
    got, state = run(tx, jnp.asarray(re + 1j * im))
    assert state.step_sizes.dtype == jnp.complex64
    np.testing.assert_array_equal(got.real, run(tx, jnp.asarray(re))[0])
    np.testing.assert_array_equal(got.imag, run(tx, jnp.asarray(im))[0])


def test_a_schedule_is_refused():
    with pytest.raises(TypeError, match="`learning_rate` must be a number"):
        gd.rprop(lambda count: 0.1)
