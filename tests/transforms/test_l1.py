"""L1: the zeros of a sparse regression are found, exactly by the proximal step."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import gdjax as gd

RNG = np.random.default_rng(0)
X = RNG.normal(size=(200, 20))
TRUE = np.zeros(20)
TRUE[[2, 5, 11, 17]] = [2.0, -1.0, 0.5, -3.0]
Y = X @ TRUE + 0.1 * RNG.normal(size=200)
STRENGTH, RATE = 0.1, 0.1


def gradient(w, rows):
    x, y = jnp.asarray(X, w.dtype)[rows], jnp.asarray(Y, w.dtype)[rows]
    return x.T @ (x @ w - y) / len(rows)


@pytest.fixture(scope="module")
def found():
    """Where 2,000 steps end: of Adam on batches, of the others on all rows."""
    adam = gd.adam(0.01, b1=0.99)
    txs = {
        "ista": gd.proximal_l1(gd.sgd(RATE), STRENGTH, RATE),
        "subgradient": gd.chain(gd.add_l1_subgradient(STRENGTH), gd.sgd(RATE / 10)),
        "adam": gd.proximal_l1(adam, 0.3, 0.01),
        "adam alone": adam,
    }

    def step(carry, rows):
        ends = {}
        for name, tx in txs.items():
            w, state = carry[name]
            g = gradient(w, rows if "adam" in name else np.arange(200))
            u, state = tx.update(g, state, w)
            ends[name] = optax.apply_updates(w, u), state
        return ends, None

    w = jnp.full(20, 0.3)
    start = {name: (w, tx.init(w)) for name, tx in txs.items()}
    batches = np.random.default_rng(1).integers(200, size=(2_000, 8))
    ends = jax.jit(lambda start: jax.lax.scan(step, start, batches)[0])(start)
    return {name: np.asarray(w) for name, (w, _) in ends.items()}


def test_ista_ends_at_the_lasso(found):
    """Zeros are exact and the true ones; the conditions of the optimum hold."""
    w = found["ista"]
    assert np.array_equal(w != 0, TRUE != 0)
    slope, on = X.T @ (X @ w - Y) / 200, w != 0
    np.testing.assert_allclose(slope[on], -STRENGTH * np.sign(w[on]), atol=1e-5)
    assert np.all(np.abs(slope[~on]) < STRENGTH)


def test_the_subgradient_comes_near_them(found):
    w = found["subgradient"]
    assert np.abs(w[TRUE == 0]).max() <= STRENGTH * RATE / 10
    np.testing.assert_allclose(w, found["ista"], atol=2e-3)


def test_around_adam_zeros_are_exact_too(found):
    """On batches, whose noise makes the directions of the other entries small."""
    assert np.array_equal(found["adam"] != 0, TRUE != 0)
    assert not np.any(found["adam alone"] == 0)


@pytest.mark.parametrize(
    "kinds", [("f4", "f4"), ("bfloat16", "f4"), ("f4", "bfloat16")]
)
def test_zeros_are_exact_in_every_dtype(kinds):
    """Also where gradients are narrower than parameters."""
    p = jnp.asarray([0.1, -0.3, 1e-20, 3.0, 0.0], kinds[0])
    tx = gd.proximal_l1(optax.sgd(1.0), 1.0, 1.0)
    u, _ = tx.update(jnp.zeros(5, kinds[1]), tx.init(p), p)
    after = optax.apply_updates(p, u)
    assert np.array_equal(after, jnp.asarray([0, 0, 0, 2, 0], kinds[0]))


def test_complex_entries_keep_their_angle():
    p = jnp.array([3 + 4j, 0.3 - 0.4j])
    tx = gd.proximal_l1(optax.sgd(1.0), 2.5, 1.0)
    after = p + tx.update(jnp.zeros_like(p), tx.init(p), p)[0]
    np.testing.assert_allclose(after, [1.5 + 2j, 0], rtol=1e-6)


def test_a_mask_and_a_schedule():
    """Bias untouched to the bit; thresholds 1, then 1 / 2."""
    p = {"w": jnp.full(2, 3.0), "b": jnp.full(2, 0.3)}
    g = {"w": jnp.zeros(2), "b": jnp.full(2, 0.1)}
    mask = {"w": True, "b": False}
    tx = gd.proximal_l1(optax.sgd(0.5), 1.0, lambda t: 1.0 / (1 + t), mask=mask)
    state = tx.init(p)
    for threshold in 1.0, 0.5:
        u, state = tx.update(g, state, p)
        assert np.all(u["w"] == -threshold) and np.array_equal(u["b"], -0.5 * g["b"])
    assert state.count == 2
    link = gd.add_l1_subgradient(0.5, mask)
    u, _ = link.update(g, link.init(p), p)
    assert np.all(u["w"] == 0.5) and np.array_equal(u["b"], g["b"])


def test_strength_is_no_schedule_and_inner_no_direction():
    with pytest.raises(TypeError, match="`strength` must be a number"):
        gd.proximal_l1(gd.sgd(0.1), lambda t: 0.1, 0.1)
    with pytest.raises(ValueError, match="`proximal_l1` wraps a step"):
        gd.proximal_l1(gd.scale_by_adam(), 0.1, 0.1)
    tx = gd.proximal_l1(gd.sgd(0.1), 0.1, 0.1)
    with pytest.raises(ValueError, match="`proximal_l1` needs `params`"):
        tx.update(jnp.ones(2), tx.init(jnp.ones(2)))


def test_nan_is_no_zero():
    tx, p = gd.proximal_l1(gd.sgd(0.1), 0.1, 0.1), jnp.array([2.0, 3.0])
    u, _ = tx.update(jnp.array([jnp.nan, 0.0]), tx.init(p), p)
    np.testing.assert_allclose(p + u, [np.nan, 2.99], rtol=1e-6)
