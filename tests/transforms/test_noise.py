"""Noise: whose numbers they are, that sharding leaves them alone, and its heat."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax.sharding import AxisType, NamedSharding
from jax.sharding import PartitionSpec as P

import gdjax as gd

G = {"a": jnp.ones((4, 3)), "b": jnp.zeros(8)}


def run(tx, g, steps=2):
    state, seen = tx.init(g), []
    for _ in range(steps):
        u, state = tx.update(g, state)
        seen.append(u)
    return jax.tree.map(lambda *x: np.stack(x), *seen), state


def test_the_numbers_are_those_of_optax_and_of_its_key():
    ours, state = run(gd.add_noise(0.3, 0.55, 7), G)
    theirs, other = run(optax.add_noise(0.3, 0.55, 7), G)
    for a, b in zip(jax.tree.leaves(ours), jax.tree.leaves(theirs), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-6)
    assert state.rng_key == other.rng_key and state.count == other.count == 2


def test_heat_is_the_same_noise_by_temperature_and_rate():
    """Of a complex number each part has the whole variance, not half of it."""
    zero = {"real": jnp.zeros(4), "complex": jnp.zeros(4) + 0j}
    one, heat = gd.add_noise(1.0, 0.0, 7), gd.langevin(0.3, 0.1, 7)
    one, heat = (tx.update(zero, tx.init(zero))[0] for tx in (one, heat))
    np.testing.assert_allclose(heat["real"], np.sqrt(6) * one["real"], rtol=1e-6)
    np.testing.assert_allclose(heat["complex"], np.sqrt(12) * one["complex"], rtol=1e-6)


def test_bf16_gets_the_noise_of_f32():
    wide, narrow = jnp.zeros(8), jnp.zeros(8, jnp.bfloat16)
    tx = gd.add_noise(1.0, 0.0, 0)
    want, got = tx.update(wide, tx.init(wide))[0], tx.update(narrow, tx.init(wide))[0]
    assert got.dtype == jnp.bfloat16
    assert np.all(got == want.astype(jnp.bfloat16))


def test_absent_gradients_leave_the_noise_of_the_others():
    tx = gd.add_noise(1.0, 0.0, 0)
    whole, _ = tx.update(G, tx.init(G))
    part, _ = tx.update({**G, "a": None}, tx.init(G))
    assert part["a"] is None and np.all(part["b"] == whole["b"])


def test_sharding_leaves_the_numbers_alone():
    tx = gd.langevin(1.0, 0.1, 0)
    update = jax.jit(lambda g: tx.update(g, tx.init(g))[0])
    g = jnp.zeros((8, 3))
    want = update(g)
    for axes in (AxisType.Auto,), (AxisType.Explicit,):
        mesh = jax.make_mesh((4,), ("x",), axis_types=axes)
        sharding = NamedSharding(mesh, P("x"))
        got = update(jax.device_put(g, sharding))
        assert got.sharding.is_equivalent_to(sharding, 2)
        np.testing.assert_array_equal(got, want)


def test_every_kind_of_key():
    typed, raw = jax.random.key(5), jax.random.PRNGKey(5)
    for key in typed, raw, np.asarray(raw), jnp.int32(5), np.int64(5):
        assert gd.add_noise(1.0, 0.0, key).init(G).rng_key == typed
    assert gd.add_noise(1.0, 0.0, seed=5).init(G).rng_key == typed
    tx = gd.add_noise(1.0, 0.0, typed)
    jax.jit(lambda state: state, donate_argnums=0)(tx.init(G))
    assert tx.init(G).rng_key == typed  # a donated state took none of the user's


@pytest.mark.parametrize(
    ("key", "said"),
    [
        (jax.ShapeDtypeStruct((), jnp.uint32), "`key` must be a Python integer"),
        (jnp.ones(2), "`key` must be a seed or a random key"),
        (jnp.zeros((3, 2), jnp.uint32), "`key` must be a seed or a random key"),
        (None, "needs `key`, or `seed`"),
    ],
)
def test_what_is_no_key(key, said):
    with pytest.raises((TypeError, ValueError), match=said):
        gd.add_noise(1.0, 0.0, key)


def test_several_keys_or_key_and_seed():
    with pytest.raises(ValueError, match=r"`key` must be one key, got \(3,\) of them"):
        gd.langevin(1.0, 0.1, jax.random.split(jax.random.key(0), 3))
    with pytest.raises(ValueError, match="needs `key`, or `seed` in its place"):
        gd.add_noise(1.0, 0.0, 1, seed=1)


def test_without_a_rate_there_is_no_heat():
    schedule = lambda count: 0.1 * count
    link = gd.langevin(1.0, schedule, 0)
    tx = gd.chain(link, gd.scale_by_learning_rate(schedule))
    state = tx.init(jnp.zeros(3))
    u, state = tx.update(jnp.ones(3), state)
    assert np.all(u == 0) and state[0].count == 1
    u, state = tx.update(jnp.ones(3), state)
    assert np.all(np.isfinite(u)) and np.all(u != -0.1)


@pytest.mark.long
def test_the_variance_at_rest():
    """Of real and complex chains, at a rate where the discretisation shows."""
    rate, temperature, h = 0.2, 0.5, jnp.array([[1.0], [4.0]])
    tx = gd.chain(gd.langevin(temperature, rate, 0), gd.scale_by_learning_rate(rate))
    start = {"real": jnp.zeros((2, 20_000)), "complex": jnp.zeros((2, 10_000)) + 0j}

    def step(carry, _):
        x, state = carry
        u, state = tx.update(jax.tree.map(lambda x: h * x, x), state)
        return (optax.apply_updates(x, u), state), None

    (x, _), _ = jax.lax.scan(step, (start, tx.init(start)), length=40)
    want = temperature / (h * (1 - rate * h / 2)).ravel()
    parts = x["real"], jnp.concatenate([x["complex"].real, x["complex"].imag], 1)
    for part in parts:
        np.testing.assert_allclose(part.var(1), want, rtol=0.03)
        np.testing.assert_allclose(part.mean(1), 0, atol=0.03)
