"""Schedule-Free against Optax's, its own equations, and the path of its z."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from averaging.recorded import run, scan, wide
from oracles import averages as oracles
from quick import QUICK

import gdjax as gd

RNG = np.random.default_rng(0)
START, GRADS = RNG.normal(size=6), RNG.normal(size=(100, 6))
START32, GRADS32 = START.astype(np.float32), GRADS.astype(np.float32)
eval_params = optax.contrib.schedule_free_eval_params


def up(count):
    """What `warmup_steps=20` means at 0.1, in f64: Optax's schedules are f32."""
    return 0.1 * jnp.minimum(jnp.asarray(count, float) / 20, 1)


def up_and_down(count):
    return up(count) / (1 + 0.05 * jnp.maximum(jnp.asarray(count, float) - 30, 0))


def by_hand(module):
    """Around an optimizer with a state, under a rate that rises and falls."""
    fast = optax.rmsprop(up_and_down)
    return module.schedule_free(fast, up_and_down, 0.7, 1.5)


def warmed_up(name, *options):
    def make(module):
        rate = (0.1, 20) if module is gd else (up, None)
        return getattr(module, name)(*rate, *options)

    return make


BOTH = {
    "sgd": lambda m: m.schedule_free_sgd(0.1),
    "sgd, options": warmed_up("schedule_free_sgd", 0.8, 0.05, 3.0),
    "adamw": lambda m: m.schedule_free_adamw(0.1),
    "adamw, options": warmed_up("schedule_free_adamw", 0.8, 0.95, 1e-2, 0.05, 1.0),
    "by hand": by_hand,
}


def test_it_is_that_of_optax():
    """100 steps in f64 to 1e-12, iterates, averages and states, one program for all."""

    def both(name):
        ours, theirs = (BOTH[name](m) for m in (gd, optax.contrib))
        for tx in ours, theirs:
            state, y, ys = scan(tx, jnp.asarray(START), jnp.asarray(GRADS))
            x = eval_params(state, y) if tx is theirs else gd.averaged_params(state, y)
            yield ys, x, [state.z, state.weight_sum, state.max_lr, state.step_count]

    with jax.enable_x64(True):
        all_of_them = lambda: {name: list(both(name)) for name in BOTH}
        pairs = jax.jit(all_of_them, compiler_options=QUICK)()
        for name, (ours, theirs) in pairs.items():
            for got, want in zip(*map(jax.tree.leaves, (ours, theirs)), strict=True):
                off = np.abs(got - want).max() / np.abs(want).max()
                assert off < 1e-12, (name, off)


def test_of_bf16_parameters_x_is_the_mean_of_where_the_optimizer_led():
    """To f32's rounding: y, which is bf16, does not tell x. Optax's x is off by bf16's.

    The steps that z makes are the gradients, so that its path is known.
    """
    y, grads = jnp.asarray(START, jnp.bfloat16), jnp.asarray(GRADS, jnp.bfloat16)
    path = wide(y) - 2.0**-7 * np.cumsum(wide(grads), axis=0)
    ours, y, _ = run(gd.schedule_free(gd.sgd(2.0**-7), 1.0), y, grads)
    assert ours.z.dtype == ours.x.dtype == jnp.float32 and y.dtype == jnp.bfloat16
    np.testing.assert_allclose(ours.z, path[-1], rtol=0, atol=1e-6)
    x = gd.averaged_params(ours, jnp.zeros(6))
    np.testing.assert_allclose(x, path.mean(0), rtol=0, atol=1e-6)
    np.testing.assert_array_equal(
        wide(gd.averaged_params(ours, y)), wide(x.astype(jnp.bfloat16))
    )
    # y, which is rounded, is where it belongs
    where = 0.9 * path.mean(0) + 0.1 * path[-1]
    np.testing.assert_allclose(wide(y), where, rtol=2.0**-7, atol=2.0**-10)

    start = jnp.asarray(START, jnp.bfloat16)
    theirs = optax.contrib.schedule_free(optax.sgd(2.0**-7), 1.0)
    state, y, _ = run(theirs, start, grads)
    assert np.abs(wide(eval_params(state, y)) - path.mean(0)).max() > 0.01


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_a_narrow_z_that_does_not_move_does_not_move_x(dtype):
    """Steps of 1e-3 at 1.5, which bf16 does not see: x is the mean of what z was."""
    tx = gd.schedule_free(gd.sgd(1e-3), 1e-3, state_dtype="bfloat16")
    y = jnp.full(2, 1.5, dtype)
    state, y, _ = run(tx, y, jnp.ones((300, 2), dtype))
    assert state.z.dtype == jnp.bfloat16 and state.z.tolist() == [1.5, 1.5]
    assert gd.averaged_params(state, y).tolist() == y.tolist() == [1.5, 1.5]


@pytest.mark.long
def test_b1_may_change():
    """By `inject_hyperparams`: x in a y is that of the b1 with which y was made."""
    b1s = jnp.linspace(0.95, 0.3, 100)
    make = lambda b1: gd.schedule_free(gd.sgd(0.1), 0.1, b1)
    with jax.enable_x64(True):
        tx = gd.inject_hyperparams(make)(b1=lambda count: b1s[count].astype(float))
        state, y, ys = run(tx, jnp.asarray(START), jnp.asarray(GRADS))
        x = gd.averaged_params(state, y)
    p, kept = START, {}
    for t, g in enumerate(GRADS):
        p = p + oracles.free(-0.1 * g, p, kept, float(b1s[t]), 1.0)
        np.testing.assert_allclose(ys[t], p, rtol=0, atol=1e-12)
    np.testing.assert_allclose(x, kept["_x"], rtol=0, atol=1e-12)


def test_a_scalar_is_an_array_of_one():
    start = {"scalar": jnp.float32(0.5), "array": jnp.full(1, 0.5)}
    grads = {"scalar": GRADS32[:, 0], "array": GRADS32[:, :1]}
    tx = gd.schedule_free(gd.sgd(0.1), lambda count: 0.1 * (count > 1))
    assert gd.averaged_params(tx.init(start), start) == start
    state, y, _ = run(tx, start, grads)
    for values in y, gd.averaged_params(state, y):
        np.testing.assert_allclose(values["scalar"], values["array"][0], rtol=1e-5)


def test_with_b1_of_one_gradients_are_taken_at_the_average():
    """Primal averaging: y is x."""
    state, y, _ = run(gd.schedule_free(gd.sgd(0.1), 0.1, 1.0), START32, GRADS32)
    np.testing.assert_array_equal(gd.averaged_params(state, y), y)
    want = START - 0.1 * np.cumsum(GRADS, axis=0)
    np.testing.assert_allclose(y, want.mean(0), atol=1e-5)


def test_steps_at_a_rate_of_zero_do_not_count():
    rate = lambda count: jnp.where(count < 50, 0.0, 0.1)
    state, y, _ = run(gd.schedule_free(gd.sgd(0.1), rate), START32, GRADS32)
    path = START - 0.1 * np.cumsum(GRADS, axis=0)  # count is t + 1: from 49 on
    x = gd.averaged_params(state, y)
    np.testing.assert_allclose(x, path[49:].mean(0), rtol=0, atol=1e-5)
    start = jnp.asarray(START32)
    state, y, _ = run(gd.schedule_free_sgd(0.0), start, GRADS32)
    np.testing.assert_array_equal(y, start)
    np.testing.assert_allclose(gd.averaged_params(state, y), start, rtol=1e-6)


@pytest.mark.long
def test_what_a_mask_leaves_out_does_not_decay():
    mask = {"a": True, "b": False}
    params = {"a": jnp.ones(2), "b": jnp.ones(2)}
    for make in gd.schedule_free_sgd, gd.schedule_free_adamw:
        tx = make(0.1, weight_decay=0.5, mask=mask)
        state = tx.init(params)
        u, state = tx.update(jax.tree.map(jnp.zeros_like, params), state, params)
        np.testing.assert_allclose(u["a"], [-0.05, -0.05], rtol=1e-6)
        assert u["b"].tolist() == [0, 0]


def test_what_is_refused():
    rate = lambda count: 0.1
    for make in gd.schedule_free_sgd, gd.schedule_free_adamw:
        with pytest.raises(
            ValueError, match="`learning_rate` must be a number with `w"
        ):
            make(rate, 10)
    tx, y = gd.schedule_free_sgd(), jnp.ones(2)
    with pytest.raises(ValueError, match="`schedule_free` needs `params` in `update`"):
        tx.update(y, tx.init(y))
