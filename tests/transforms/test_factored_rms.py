"""Factored squares: matrices against the oracle, where factors are exact, memory."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from oracles import modern as oracles

import gdjax as gd

# {shape: the largest axis, the second}; of equal ones the last counts as larger.
AXES = {(3, 5): (1, 0), (4, 2, 3): (0, 2), (3, 3): (1, 0)}


def test_matrices_follow_the_oracle():
    rng = np.random.default_rng(0)
    stream = {str(shape): rng.normal(size=(40, *shape)) for shape in AXES}
    numbers = dict(decay_rate=0.6, epsilon=1e-2)
    with jax.enable_x64(True):
        tx = gd.scale_by_factored_rms(min_dim_size_to_factor=3, **numbers)
        step = lambda state, g: tx.update(g, state, g)[::-1]
        start = tx.init({k: jnp.asarray(v[0]) for k, v in stream.items()})
        state, got = jax.jit(lambda x: jax.lax.scan(step, start, x))(stream)
    for shape, axes in AXES.items():
        kept, name = {}, str(shape)
        for t, g in enumerate(stream[name]):
            want = oracles.factored_rms(g, kept, t + 1, axes, **numbers)
            np.testing.assert_allclose(got[name][t], want, rtol=1e-12)
        for field, axis in zip(("row", "col"), axes, strict=True):
            held = getattr(state, f"v_{field}")[name]
            np.testing.assert_allclose(held, kept[field].squeeze(axis), rtol=1e-12)
        assert state.v[name].shape == (1,)


def test_the_factors_of_a_rank_one_square_are_exact():
    """Also where it is a mean of several: of (k a b)^2 for k = 1, 2, 0.5."""
    rng = np.random.default_rng(1)
    a, b = rng.normal(size=(2, 6)) * 10 ** rng.uniform(-3, 3, (2, 6))
    g, sizes = np.outer(a, b), np.array([1.0, 2.0, 0.5])
    with jax.enable_x64(True):
        tx = gd.scale_by_factored_rms(min_dim_size_to_factor=2, epsilon=0.0)
        step = lambda state, k: tx.update(k * g, state, g)[::-1]
        _, got = jax.jit(lambda x: jax.lax.scan(step, tx.init(g), x))(sizes)
    square = 0.0
    for t, (k, u) in enumerate(zip(sizes, got, strict=True), 1):
        square += t**-0.8 * (k**2 - square)
        np.testing.assert_allclose(u, k * np.sign(g) / np.sqrt(square), rtol=1e-12)


def test_a_large_matrix_neither_overflows_nor_loses_its_scale():
    g = np.full((300, 400), 1e18, np.float32)
    g[0, 0] = -1e18
    tx = gd.scale_by_factored_rms()
    first = jax.jit(lambda g: tx.update(g, tx.init(g), g))
    np.testing.assert_allclose(first(g)[0], np.sign(g), rtol=1e-5)
    beyond, state = first(1e12 * g)
    assert not np.any(beyond) and np.all(np.isinf(state.v_row))


def test_memory_is_that_of_a_row_and_a_column():
    p = {"w": jnp.zeros((256, 512), jnp.bfloat16), "b": jnp.zeros(512, jnp.bfloat16)}
    state = jax.eval_shape(gd.adafactor(1e-2).init, p)[0]
    sizes = {
        name: (x["w"].shape, x["b"].shape)
        for name, x in list(state._asdict().items())[1:]
    }
    assert sizes == {
        "v_row": ((256,), (1,)),
        "v_col": ((512,), (1,)),
        "v": ((1,), (512,)),
    }
    assert {x.dtype.name for x in jax.tree.leaves(state[1:])} == {"float32"}


def test_steps_before_the_offset_count_as_the_first():
    """Where Optax takes the power of a negative number, which is NaN."""
    g = jnp.array([2.0, -1.0])
    tx, plain = gd.scale_by_factored_rms(step_offset=2), gd.scale_by_factored_rms()
    state, seen = tx.init(g), []
    for k in (1.0, 2.0, 3.0, 4.0):
        u, state = tx.update(k * g, state, g)
        seen.append(u)
    np.testing.assert_allclose(seen[:3], [[1, -1]] * 3, rtol=1e-6)
    _, after = plain.update(3 * g, plain.init(g), g)
    np.testing.assert_allclose(seen[3], plain.update(4 * g, after, g)[0], rtol=1e-6)


def test_a_decay_of_ones_own():
    g = jnp.array([2.0, -1.0])
    tx = gd.scale_by_factored_rms(
        decay_rate=0.5, decay_rate_fn=lambda step, rate: jnp.where(step > 0, rate, 0.0)
    )
    _, state = tx.update(g, tx.init(g), g)
    u, _ = tx.update(3 * g, state, g)
    np.testing.assert_allclose(
        u, np.sign(g) * 3 / np.sqrt(0.5 * 1 + 0.5 * 9), rtol=1e-6
    )


def test_a_step_of_adafactor_without_a_rate():
    """It is one all the same: downhill, as long as its parameter at most."""
    g, p = jnp.array([2.0, -1.0]), jnp.array([3.0, 3.0])
    for rate in (None, 1.0):
        tx = gd.adafactor(rate)
        u, _ = tx.update(g, tx.init(p), p)
        np.testing.assert_allclose(u, [-3, 3], rtol=1e-6)


def test_a_wrong_shape_is_named_also_by_the_link():
    tx, p = gd.scale_by_factored_rms(min_dim_size_to_factor=2), {"w": jnp.ones((3, 4))}
    with pytest.raises(ValueError, match=r"leaf `w`: .*\(4, 3\), .*\(3, 4\)"):
        tx.update({"w": jnp.ones((4, 3))}, tx.init(p), p)
    with pytest.raises(ValueError, match="`scale_by_factored_rms` needs `params`"):
        tx.update(p, tx.init(p))
