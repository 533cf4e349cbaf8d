"""Momentum on a quadratic against the recurrence of each eigenvalue in f64."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import gdjax as gd

EIGENVALUES = np.array([1e-3, 0.1, 1.0, 3.0, 9.9])
RATE, DECAY, STEPS = 0.1, 0.9, 150


def along_an_eigenvector(x, curvature, nesterov):
    """The coordinate after each step, from x at rest."""
    path, before = [], x
    if not nesterov:  # x_{t+1} = (1 + decay - rate h) x_t - decay x_{t-1}
        for _ in range(STEPS):
            after = (1 + DECAY - RATE * curvature) * x - DECAY * before
            before, x = x, after
            path.append(x)
        return path
    # With y the points before the look ahead: y_{t+1} = (1 - rate h) x_t and
    # x_{t+1} = y_{t+1} + decay (y_{t+1} - y_t).
    for _ in range(STEPS):
        y = (1 - RATE * curvature) * x
        x, before = y + DECAY * (y - before), y
        path.append(x)
    return path


@pytest.mark.parametrize("nesterov", [False, True])
def test_a_quadratic_in_f64(nesterov):
    rng = np.random.default_rng(0)
    basis, _ = np.linalg.qr(rng.normal(size=(5, 5)))
    hessian, start = basis * EIGENVALUES @ basis.T, rng.normal(size=5)
    with jax.enable_x64(True):
        tx = gd.sgd(RATE, DECAY, nesterov)

        def step(carry, _):
            x, state = carry
            updates, state = tx.update(hessian @ x, state, x)
            x = gd.apply_updates(x, updates)
            return (x, state), x

        run = lambda x: jax.lax.scan(step, (x, tx.init(x)), length=STEPS)
        (_, state), path = jax.jit(run)(jnp.asarray(start))
    want = [
        along_an_eigenvector(x, h, nesterov)
        for x, h in zip(basis.T @ start, EIGENVALUES, strict=True)
    ]
    np.testing.assert_allclose(
        np.asarray(path) @ basis, np.transpose(want), rtol=0, atol=1e-13
    )
    assert state[0].trace.dtype == np.float64


def test_a_constant_gradient_grows_to_its_sum():
    tx = gd.trace(0.5)
    state = tx.init(jnp.ones(1))
    seen = []
    for _ in range(4):
        u, state = tx.update(jnp.ones(1), state)
        seen.append(u.item())
    assert seen == [1.0, 1.5, 1.75, 1.875]


def test_bf16_sums_do_not_stall():
    """A sum in bf16 stops where what is left to add is below half a unit."""
    tx, g = gd.trace(1 - 2**-9), jnp.ones(1, jnp.bfloat16)
    step = lambda state, _: tx.update(g, state)[::-1]
    run = lambda g: jax.lax.scan(step, tx.init(g), length=3000)
    state, updates = jax.jit(run)(g)
    want = (1 - (1 - 2**-9) ** 3000) * 2**9
    np.testing.assert_allclose(state.trace, want, rtol=1e-6)
    assert updates.dtype == jnp.bfloat16 and updates[-1].item() == jnp.bfloat16(want)


def test_the_accumulator_has_the_dtype_asked_for():
    g = jnp.ones(2)
    tx = gd.trace(0.9, accumulator_dtype=jnp.bfloat16)
    updates, state = tx.update(g, tx.init(g))
    assert state.trace.dtype == jnp.bfloat16 and updates.dtype == jnp.float32


@pytest.mark.parametrize("dtype", [jnp.int32, bool])
def test_an_accumulator_that_cannot_hold_a_sum_is_refused(dtype):
    """Sums of gradients would be cut to whole numbers."""
    with pytest.raises((TypeError, ValueError), match="accumulator_dtype"):
        gd.trace(0.9, accumulator_dtype=dtype).init(jnp.ones(2))


def test_only_the_learning_rate_flips_the_sign():
    g = jnp.array([1.0, -2.0])
    for flip, sign in ((True, -1), (False, 1)):
        tx = gd.scale_by_learning_rate(0.5, flip_sign=flip)
        updates, state = tx.update(g, tx.init(g), g)
        assert updates.tolist() == [sign * 0.5, sign * -1.0]
        assert state.metrics() == {"learning_rate": 0.5}


def test_a_schedule_sees_zero_first_and_the_state_says_the_last_rate():
    tx = gd.scale_by_learning_rate(lambda count: 1.0 / (1 + count))
    state = tx.init(jnp.ones(1))
    assert state.learning_rate == 1
    for t in range(3):
        u, state = tx.update(jnp.ones(1), state)
        assert u.item() == pytest.approx(-1 / (1 + t), rel=1e-6) == -state.learning_rate
    assert state.count == 3
