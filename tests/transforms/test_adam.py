"""Adam against the formula of the paper, at its first step, and with b1 alive."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import gdjax as gd


def test_claim_16():
    """The update rule as the claim writes it, t = 0, 1, ..., reproduced in f64."""
    rate, b1, b2, eps = 1e-2, 0.9, 0.999, 1e-8
    steps, rng = 300, np.random.default_rng(0)
    start, stream = rng.normal(size=6), rng.normal(size=(steps, 6))
    w, m, v = start.copy(), np.zeros(6), np.zeros(6)
    want = []
    for t in range(steps):
        g = w + stream[t]
        m = b1 * m + (1 - b1) * g
        v = b2 * v + (1 - b2) * g**2
        m_hat, v_hat = m / (1 - b1 ** (t + 1)), v / (1 - b2 ** (t + 1))
        w = w - rate * m_hat / (np.sqrt(v_hat) + eps)
        want.append(w)
    with jax.enable_x64(True):
        tx = gd.adam(rate, b1, b2, eps)

        def step(carry, noise):
            w, state = carry
            updates, state = tx.update(w + noise, state, w)
            w = gd.apply_updates(w, updates)
            return (w, state), w

        run = lambda w, stream: jax.lax.scan(step, (w, tx.init(w)), stream)
        _, got = jax.jit(run)(jnp.asarray(start), jnp.asarray(stream))
    off = np.abs(np.asarray(got) - want).max()
    assert off <= 1e-15 * np.abs(want).max()


@pytest.mark.parametrize("nesterov", [False, True])
def test_the_first_step_is_the_rate_times_the_sign(nesterov):
    g = np.array([1e-15, -1e-3, 0.1, -7.0, 1e3, -1e15, 0.0], np.float32)
    tx = gd.adam(0.01, eps=0.0, nesterov=nesterov)
    updates, _ = jax.jit(tx.update)(g, tx.init(g))
    # NAdam looks ahead: b1 (1 - b1) / (1 - b1^2) + 1 of the gradient.
    factor = 0.9 * 0.1 / (1 - 0.9**2) + 1 if nesterov else 1
    np.testing.assert_allclose(updates, -0.01 * factor * np.sign(g), rtol=1e-6)
    usual, _ = jax.jit(gd.adam(0.01, nesterov=nesterov).update)(g, tx.init(g))
    np.testing.assert_allclose(usual[2:6], updates[2:6], rtol=1e-6)


def test_numbers_that_change_average_right():
    """A constant gradient has the mean 1 and the mean square 1 under any b1 and b2."""
    g = jnp.full(2, 3.0)

    @jax.jit
    def step(numbers, state):
        return gd.scale_by_adam(*numbers, eps=0.0).update(g, state)

    state, told = gd.scale_by_adam().init(g), []
    for b1, b2 in [(0.5, 0.9)] * 3 + [(0.99, 0.999)] * 3 + [(0.0, 0.5), (0.9, 0.99)]:
        u, state = step((b1, b2), state)
        told.append(u)
    np.testing.assert_allclose(told, 1, rtol=1e-6)
    weight = 0.9 * (0.0 * 1 + 1.0) + 0.1  # after b1 = 0 everything before is forgotten
    np.testing.assert_allclose(state.mu_weight, weight, rtol=1e-6)
    assert step._cache_size() == 1


def test_a_mean_and_a_square_that_change_follow_their_definition():
    """Weights of past gradients, products of (1 - b) and later b's, add up to one."""
    rng = np.random.default_rng(2)
    gs, b1s = rng.normal(size=(12, 3)), rng.uniform(0, 0.999, 12)
    b2s = rng.uniform(0.5, 0.9999, 12)

    def mean(values, bs):
        total, weight = 0.0, 0.0
        for x, b in zip(values, bs, strict=True):
            total, weight = b * total + (1 - b) * x, b * weight + (1 - b)
        return total / weight

    with jax.enable_x64(True):
        state = gd.scale_by_adam().init(jnp.zeros(3))
        update = lambda g, s, b1, b2: gd.scale_by_adam(b1, b2).update(g, s)
        scan = lambda s, x: update(x[0], s, *x[1:])[::-1]
        _, updates = jax.jit(lambda *x: jax.lax.scan(scan, state, x))(gs, b1s, b2s)
    want = mean(gs, b1s) / (np.sqrt(mean(gs**2, b2s)) + 1e-8)
    np.testing.assert_allclose(updates[-1], want, rtol=1e-13)


@pytest.mark.parametrize("value", [jnp.nan, jnp.inf])
def test_a_gradient_that_is_not_finite_is_not_hidden(value):
    """An update of zero beside a state of NaN would freeze a parameter unseen."""
    g = jnp.array([value, 1.0])
    for tx in (gd.scale_by_adam(), gd.scale_by_adam(eps=0.0, nesterov=True)):
        first, state = tx.update(g, tx.init(g))
        later, _ = tx.update(jnp.ones(2), state)
        assert np.isnan(first[0]) and np.isnan(later[0]) and np.isfinite(first[1])


@pytest.mark.parametrize("eps", [1e-8, 0.0])
@pytest.mark.parametrize("dtype", [jnp.float16, jnp.float32])
def test_a_zero_gradient_gives_zero(eps, dtype):
    g = jnp.zeros(2, dtype)
    tx = gd.scale_by_adam(eps=eps)
    updates, _ = tx.update(g, tx.init(g))
    assert updates.dtype == dtype and updates.tolist() == [0, 0]


def test_the_dtype_of_the_mean_can_be_chosen():
    g = {"w": jnp.ones(2), "z": jnp.ones(2, jnp.bfloat16)}
    tx = gd.scale_by_adam(mu_dtype=jnp.bfloat16)
    _, state = tx.update(g, tx.init(g))
    assert {x.dtype.name for x in jax.tree.leaves(state.mu)} == {"bfloat16"}
    assert {x.dtype.name for x in jax.tree.leaves(state.nu)} == {"float32"}


@pytest.mark.parametrize("dtype", [jnp.int32, bool])
def test_a_mean_of_whole_numbers_is_refused(dtype):
    with pytest.raises((TypeError, ValueError), match="mu_dtype"):
        gd.scale_by_adam(mu_dtype=dtype).init(jnp.ones(2))


def test_bf16_squares_reach_their_mean():
    """nu in bf16 would stop at 0.5 where 0.95 is right (3000 steps, b2 = 0.999)."""
    tx, g = gd.scale_by_adam(), jnp.ones(1, jnp.bfloat16)
    step = lambda state, _: tx.update(g, state)[::-1]
    state, _ = jax.jit(lambda g: jax.lax.scan(step, tx.init(g), length=3000))(g)
    np.testing.assert_allclose(state.nu, 1 - 0.999**3000, rtol=2e-5)
    np.testing.assert_allclose(state.nu / state.nu_weight, 1, rtol=1e-6)
