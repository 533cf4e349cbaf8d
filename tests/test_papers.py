"""What the papers claim of their rules, each as a small deterministic experiment."""

import functools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import gdjax as gd


def descend(tx, grad, x, num_steps, project=lambda x: x):
    """The iterates in float64, x_0 first; `grad(x, t)` with t from 1."""
    with jax.enable_x64(True):
        x = jnp.asarray(x, jnp.float64)

        def step(carry, t):
            x, state = carry
            updates, state = tx.update(grad(x, t), state, x)
            x = project(gd.apply_updates(x, updates))
            return (x, state), x

        steps = jnp.arange(1, num_steps + 1)
        _, xs = jax.jit(lambda x: jax.lax.scan(step, (x, tx.init(x)), steps))(x)
        return np.concatenate([[x], xs])


# A quadratic of condition number 1e4, turned so that no eigenvector is an axis.
CURVATURES = np.array([1e-4, 1e-2, 0.3, 1.0])
AXES = np.linalg.qr(np.random.default_rng(0).normal(size=(4, 4)))[0]
START = np.array([1.0, -2.0, 0.5, 3.0])


def heavy_ball(e, rate, decay):
    """Polyak: x_{t+1} = x_t - rate f'(x_t) + decay (x_t - x_{t-1})."""
    before, now = e, e
    for _ in range(200):
        yield now
        slope = CURVATURES * now
        before, now = now, now - rate * slope + decay * (now - before)


def nesterov(e, rate, decay):
    """y_{t+1} = x_t - rate f'(x_t), x_{t+1} = y_{t+1} + decay (y_{t+1} - y_t)."""
    y, now = e, e
    for _ in range(200):
        yield now
        new = now - rate * CURVATURES * now
        y, now = new, new + decay * (new - y)


@pytest.mark.parametrize("recurrence", [heavy_ball, nesterov])
def test_momentum_follows_its_recurrence_along_every_eigenvector(recurrence):
    """Polyak (1964), Nesterov (1983)."""
    rate, decay = 1.0, 0.97
    hessian = AXES @ np.diag(CURVATURES) @ AXES.T
    tx = gd.sgd(rate, decay, nesterov=recurrence is nesterov)
    xs = descend(tx, lambda x, t: hessian @ x, START, 199)
    along = xs @ AXES
    want = np.array(list(recurrence(START @ AXES, rate, decay)))
    assert np.abs(along - want).max() <= 1e-13 * np.abs(want).max()
    # And momentum is worth it: gradient descent keeps the flat direction.
    assert abs(along[-1, 0]) < 0.7 * abs(along[0, 0]) * (1 - 1e-4) ** 200


def test_adagrad_moves_a_rare_feature_as_far_as_its_count_says():
    """Duchi et al. (2011): its n-th occurrence moves a feature by rate / sqrt(n)."""
    rare = lambda t: jnp.where(t % 100 == 0, 1.0, 0.0)
    tx = gd.adagrad(0.5, initial_accumulator_value=0.0, eps=0.0)
    xs = descend(tx, lambda x, t: jnp.stack([1.0, rare(t)]), np.zeros(2), 400)
    moved = xs[:-1] - xs[1:]
    n = np.arange(1, 401)
    np.testing.assert_allclose(moved[:, 0], 0.5 / np.sqrt(n), rtol=1e-13)
    seen = moved[99::100]  # steps 100, 200, 300, 400
    np.testing.assert_allclose(seen[:, 1] / seen[:, 0], 10.0, rtol=1e-13)
    assert np.count_nonzero(moved[:, 1]) == 4


@pytest.mark.parametrize("rule, end", [("adam", 1.0), ("amsgrad", -1.0)])
def test_amsgrad_converges_where_adam_does_not(rule, end):
    """Reddi et al. (2018), theorem 1: the slope is C every third step, else -1."""
    c = 3.0
    tx = getattr(gd, rule)(
        lambda count: 0.5 / jnp.sqrt(1.0 + count), b1=0.0, b2=1 / (1 + c**2)
    )
    slope = lambda x, t: jnp.where(t % 3 == 1, c, -1.0)
    xs = descend(tx, slope, 0.0, 3000, project=lambda x: jnp.clip(x, -1.0, 1.0))
    assert abs(xs[-300:].mean() - end) < 0.05  # the minimum is at -1


def test_lion_and_sign_descent_move_every_number_by_the_rate():
    """Chen et al. (2023): the update is a sign."""
    noise = jnp.asarray(np.random.default_rng(1).normal(size=(50, 4)))
    for tx in (gd.lion(0.25, weight_decay=0.0), gd.sign_sgd(0.25), gd.signum(0.25)):
        xs = descend(tx, lambda x, t: noise[t - 1], np.zeros(4), 50)
        assert np.all(np.abs(np.diff(xs, axis=0)) == 0.25)


@pytest.mark.parametrize("size", [1e-6, 1.0, 1e6])
def test_the_first_step_of_adam_is_the_rate_times_the_sign(size):
    """Kingma and Ba (2014): bias correction makes it so at any scale."""
    slope = size * np.array([3.0, -0.1, 1e-3])
    tx = gd.adam(0.25, eps=0.0)
    xs = descend(tx, lambda x, t: jnp.asarray(slope), np.zeros(3), 1)
    np.testing.assert_allclose(xs[1], -0.25 * np.sign(slope), rtol=1e-13)


def adam_of_the_source(grad, w, num_steps, rate=1e-3, b1=0.9, b2=0.999, eps=1e-8):
    """Claim 16 of docs/claims.md, number by number, in plain Python floats."""
    m, v = [0.0] * len(w), [0.0] * len(w)
    yield list(w)
    for t in range(num_steps):
        g = grad(w)
        for i in range(len(w)):
            m[i] = b1 * m[i] + (1 - b1) * g[i]
            v[i] = b2 * v[i] + (1 - b2) * g[i] ** 2
            m_hat, v_hat = m[i] / (1 - b1 ** (t + 1)), v[i] / (1 - b2 ** (t + 1))
            w[i] -= rate * m_hat / (math.sqrt(v_hat) + eps)
        yield list(w)


def test_adam_is_that_of_the_source():
    """Claim 16, on Rosenbrock's function."""

    def grad(x, t=None, pack=lambda *g: g):
        slope = 200 * (x[1] - x[0] ** 2)
        return pack(-2 * (1 - x[0]) - 2 * x[0] * slope, slope)

    start = [-1.2, 1.0]
    want = np.array(list(adam_of_the_source(grad, list(start), 300)))
    stacked = functools.partial(grad, pack=lambda *g: jnp.stack(g))
    got = descend(gd.adam(1e-3), stacked, start, 300)
    assert np.abs(got - want).max() <= 1e-15 * np.abs(want).max()
