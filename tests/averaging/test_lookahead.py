"""Lookahead on the noisy quadratic, against Optax's, and what its options do."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from averaging.recorded import run

import gdjax as gd

CHAINS, K, ALPHA = 20_000, 5, 0.5
CURVATURES, VARIANCES = np.array([1.0, 0.6, 0.25]), np.array([1.0, 0.1, 4.0])


def theory(rate):
    """Zhang et al. (2019), proposition 2: the variances of SGD and of its slow weights.

    c in the paper is the variance of the noise in place, over h^2 that of ours in the
    gradient: rate^2 h^2 c = rate^2 var.
    """
    r = 1 - rate * CURVATURES
    sgd = rate**2 * VARIANCES / (1 - r**2)
    above = ALPHA**2 * (1 - r ** (2 * K))
    return sgd, above / (above + 2 * ALPHA * (1 - ALPHA) * (1 - r**K)) * sgd


def test_the_proposition_is_the_fixed_point_of_its_recursion():
    """s' = (1 - a + a r^k) s + a (the noise of k steps): V is that of s."""
    rate = 0.5
    r = 1 - rate * CURVATURES
    noise = rate**2 * VARIANCES * sum(r ** (2 * i) for i in range(K))
    variance = 0 * r
    for _ in range(200):
        variance = (1 - ALPHA + ALPHA * r**K) ** 2 * variance + ALPHA**2 * noise
    np.testing.assert_allclose(theory(rate)[1], variance, rtol=1e-12)


@pytest.mark.long
def test_the_variance_of_the_slow_weights_on_a_noisy_quadratic():
    """Within 4 % of theory over 20,000 chains, one compiled program."""
    problem = gd.problems.noisy_quadratic(CURVATURES, VARIANCES)
    slow = lambda rate: gd.lookahead(gd.sgd(rate), K, ALPHA)
    rate, num_steps = 0.5, 12 * K

    def chain(key):
        tx = slow(rate)

        def step(carry, key):
            x, state = carry
            u, state = tx.update(jax.grad(problem.fun)(x, key), state, x)
            return (gd.apply_updates(x, u), state), None

        start = problem.init, tx.init(problem.init)
        (x, state), _ = jax.lax.scan(step, start, jax.random.split(key, num_steps))
        return x, gd.averaged_params(state, x)

    keys = jax.random.split(jax.random.key(0), CHAINS)
    x, averages = jax.jit(jax.vmap(chain))(keys)
    np.testing.assert_array_equal(x, averages)  # the last step was a k-th
    sgd, wanted = theory(rate)
    got = np.asarray(averages).astype(np.float64).var(0)
    np.testing.assert_allclose(got, wanted, rtol=0.04)
    assert (got < 0.75 * sgd).all()  # which is what it is for


PARAMS = {"a": jnp.array([1.0, -2.0]), "b": jnp.array([[3.0]])}
RNG = np.random.default_rng(0)
GRADS = {
    "a": jnp.asarray(RNG.normal(size=(20, 2))),
    "b": jnp.asarray(RNG.normal(size=(20, 1, 1))),
}


@pytest.mark.parametrize("reset", [pytest.param(False, marks=pytest.mark.long), True])
def test_it_is_that_of_optax_on_plain_parameters(reset):
    """Optax's takes a pair of fast and slow ones, and gives a pair of updates."""
    with jax.enable_x64(True):
        params, grads = jax.tree.map(lambda x: x.astype(float), (PARAMS, GRADS))
        fast = optax.adam(0.1)
        theirs = optax.lookahead(fast, 4, 0.3, reset)
        state, mine, _ = run(gd.lookahead(fast, 4, 0.3, reset), params, grads)

        def step(carry, g):
            pair, state = carry
            u, state = theirs.update(g, state, pair)
            return (optax.apply_updates(pair, u), state), None

        pair = optax.LookaheadParams.init_synced(params)
        start = (pair, theirs.init(pair))
        (pair, _), _ = jax.jit(lambda c, g: jax.lax.scan(step, c, g))(start, grads)
        close = lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-12)
        jax.tree.map(close, mine, pair.fast)
        jax.tree.map(close, gd.averaged_params(state, mine), pair.slow)


def path(steps, sync_period, slow_step_size, dtype="float32", **more):
    """Where SGD of rate 1 under it leads from 3, for the gradient 1 at every step."""
    tx = gd.lookahead(gd.sgd(1.0), sync_period, slow_step_size, **more)
    state, params, iterates = run(tx, jnp.full((), 3, dtype), jnp.ones(steps, dtype))
    return iterates.tolist(), gd.averaged_params(state, params).tolist()


@pytest.mark.parametrize(
    ("sync_period", "slow_step_size", "iterates", "slow"),
    [
        (3, 1 / 3, [2, 1, 2, 1, 0, 1], 1),
        (1, 0.5, [2.5, 2, 1.5, 1, 0.5, 0], 0),
        (1, 0.0, [3] * 6, 3),
        (2, 0.0, [2, 3, 2, 3, 2, 3], 3),
        (4, 1.0, [2, 1, 0, -1, -2, -3], -1),
        (9, 0.5, [2, 1, 0, -1, -2, -3], 3),
    ],
)
def test_the_path_of_constant_steps(sync_period, slow_step_size, iterates, slow):
    for dtype in "float32", "float16":
        got = path(6, sync_period, slow_step_size, dtype)
        np.testing.assert_allclose(got[0], iterates, atol=2e-3)
        np.testing.assert_allclose(got[1], slow, atol=2e-3)


def test_of_bf16_parameters_the_slow_weights_are_in_f32():
    """Each round leads the slow weights 2^-10 away, which bf16 at 1 does not see."""
    tx, x = gd.lookahead(gd.sgd(1.0), 1, 2.0**-3), jnp.ones(2, jnp.bfloat16)
    state, params, _ = run(tx, x, jnp.full((4, 2), -(2.0**-7), jnp.bfloat16))
    assert state.slow.dtype == jnp.float32
    assert state.slow[0] > 1.003 and params.tolist() == [1, 1]


def test_an_optimizer_that_starts_anew_starts_at_the_slow_weights():
    """One that keeps where it started."""
    descend = lambda g, start, p: (jax.tree.map(jnp.negative, g), start)
    fast = optax.GradientTransformation(lambda p: {"start": 1 * p}, descend)
    state, x, _ = run(
        gd.lookahead(fast, 2, 0.25, reset_state=True), jnp.zeros(2), jnp.ones((3, 2))
    )
    assert x.tolist() == [-1.5, -1.5] and state.slow.tolist() == [-0.5, -0.5]
    assert state.fast_state["start"].tolist() == [-0.5, -0.5]


@pytest.mark.long
def test_random_keys_inside_start_anew_too():
    noisy = gd.chain(gd.add_noise(0.1, 0.5, jax.random.key(0)), gd.sgd(0.1))
    tx = gd.lookahead(noisy, 2, 0.5, reset_state=True)
    state, _, iterates = run(tx, jnp.zeros(2), jnp.zeros((4, 2)))
    steps = np.diff(np.concatenate([np.zeros((1, 2)), iterates]), axis=0)
    np.testing.assert_allclose(steps[2], steps[0], rtol=1e-5)  # the same noise again
    assert np.abs(steps[0]).min() > 0


def test_extra_arguments_reach_the_optimizer_and_params_are_needed():
    seen = []

    def update(g, state, params=None, *, value, **extra):
        seen.append(value)
        return -g, state

    fast = optax.GradientTransformationExtraArgs(lambda p: (), update)
    tx = gd.lookahead(fast, 2, 0.5)
    tx.update(jnp.ones(2), tx.init(jnp.ones(2)), jnp.ones(2), value=3)
    assert seen[-1] == 3
    with pytest.raises(ValueError, match="`lookahead` needs `params` in `update`"):
        tx.update(jnp.ones(2), tx.init(jnp.ones(2)), value=3)
