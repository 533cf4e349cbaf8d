"""Gradients that arrive apart: one step for all, run once."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax.sharding import PartitionSpec

import gdjax as gd
from gdjax.parallel import make_mesh

RNG = np.random.default_rng(0)
PARTS = RNG.normal(size=(8, 4, 3))  # eight batches of four
START = np.array([0.5, -1.0, 2.0])


def loss(params, batch):
    return jnp.mean((batch @ params - 1) ** 2)


@pytest.mark.parametrize(("dtype", "tolerance"), [("float32", 1e-6), ("float64", 0)])
def test_four_parts_are_one_batch(dtype, tolerance):
    """Exactly, where the sums are taken in one order."""
    with jax.enable_x64(dtype == "float64"):
        parts, start = jnp.asarray(PARTS, dtype), jnp.asarray(START, dtype)
        inner = gd.chain(gd.clip_by_global_norm(0.5), gd.adamw(0.1))
        tx = gd.accumulate(inner, 4)

        @jax.jit
        def apart(params):
            def step(carry, part):
                params, state = carry
                updates, state = tx.update(jax.grad(loss)(params, part), state, params)
                return (optax.apply_updates(params, updates), state), params

            return jax.lax.scan(step, (params, tx.init(params)), parts)[0][0]

        @jax.jit
        def together(params):
            state = inner.init(params)
            for four in parts.reshape(2, 4, 4, 3):
                a, b, c, d = (jax.grad(loss)(params, part) for part in four)
                updates, state = inner.update((a + b + c + d) / 4, state, params)
                params = optax.apply_updates(params, updates)
            return params

        whole = together(start)
        way = np.abs(whole - start)
        assert (np.abs(apart(start) - whole) <= tolerance * way).all()
        assert way.min() > 0.05


def test_inner_runs_once_for_all_parts_and_sees_their_means():
    seen = []

    def look(updates, state, params=None, *, value, grad):
        jax.debug.callback(lambda *x: seen.append(x), updates[0], value, grad[0])
        return -updates, state

    inner = optax.GradientTransformationExtraArgs(optax.init_empty_state, look)
    for use_mean, scale in (True, 1), (False, 3):
        tx = gd.accumulate(inner, 3, use_mean)
        state, seen[:] = tx.init(jnp.ones(1)), []
        update = jax.jit(lambda g, state: tx.update(g, state, value=10 * g[0], grad=g))
        for size in (1.0, 2.0, 6.0, 1.0, 1.0):
            _, state = update(jnp.array([size]), state)
        jax.effects_barrier()
        np.testing.assert_allclose(seen, [np.array([3.0, 30.0, 3.0]) * scale])
        assert gd.metrics(state) == {"mini_step": 2}


def test_the_dtype_of_the_sums():
    g = jnp.full(2, 1 / 256, jnp.bfloat16)
    ends = []
    for dtype in (None, jnp.bfloat16):
        tx = gd.accumulate(optax.sgd(1.0), 257, accumulator_dtype=dtype)
        state = tx.init(g)
        assert state.summed.dtype == (dtype or jnp.float32)
        step = jax.jit(tx.update)
        _, state = step(jnp.ones_like(g), state)  # beside 1, bf16 does not see 1 / 256
        for _ in range(255):
            _, state = step(g, state)
        ends.append(state.summed[0])
    assert ends[0] == 1 + 255 / 256 and ends[1] == 1


@pytest.mark.parametrize(("p", "g"), [("bfloat16", "float32"), ("float32", "bfloat16")])
@pytest.mark.parametrize("wrap", [lambda tx: gd.accumulate(tx, 2), gd.guard])
def test_gradients_of_another_dtype_than_the_parameters(p, g, wrap):
    """Optax's own state drifts to that of the gradient, a constraint widens updates."""
    positive = gd.projections.projection_non_negative
    for inner in optax.sgd(0.1, momentum=0.9), gd.project(gd.sgd(0.1), positive):
        tx, params = wrap(inner), jnp.ones(2, p)
        state = tx.init(params)
        run = lambda state, _: tx.update(jnp.ones(2, g), state, params)[::-1]
        _, updates = jax.jit(lambda state: jax.lax.scan(run, state, length=4))(state)
        assert np.all(updates[-1] < 0)


def test_a_gradient_that_is_missing_in_the_first_part():
    tx, one = gd.accumulate(optax.sgd(1.0), 2), jnp.ones(1)
    state = tx.init({"w": one})
    for g in one, one, None, one:
        u, state = tx.update({"w": g}, state)
    assert u["w"] == -0.5


@pytest.mark.parametrize("varying", [pytest.param(False, marks=pytest.mark.long), True])
def test_under_shard_map(varying):
    """With gradients that all devices share, and with those of each device."""
    tx, mesh = gd.accumulate(gd.adamw(0.1), 2), make_mesh({"data": 2})
    batches = jnp.asarray(PARTS, jnp.float32).reshape(2, 4, 4, 3)

    def device(params, batches):
        if varying:
            params = jax.lax.pcast(params, "data", to="varying")
        state = tx.init(params)
        for part in batches[0]:
            grads = jax.grad(loss)(params, part)
            updates, state = tx.update(grads, state, params)
            params = optax.apply_updates(params, updates)
        return params[None]

    places = PartitionSpec(), PartitionSpec("data")
    run = jax.shard_map(device, mesh=mesh, in_specs=places, out_specs=places[1])
    ends = jax.jit(run)(jnp.asarray(START, jnp.float32), batches)

    def alone(of):
        params = jnp.asarray(START, jnp.float32)
        state = tx.init(params)
        for part in batches.swapaxes(0, 1):
            grads = [jax.grad(loss)(params, part[i]) for i in of]
            updates, state = tx.update(sum(grads), state, params)
            params = optax.apply_updates(params, updates)
        return params

    wanted = [alone([0]), alone([1])] if varying else [alone([0, 1])] * 2
    np.testing.assert_allclose(ends, wanted, rtol=1e-5)
