"""Projections: feasible after every step, for each of Optax's sets."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import gdjax as gd

RNG = np.random.default_rng(0)
P = {"a": jnp.array([0.3, 0.1, 0.2]), "b": jnp.array([[0.25, 0.15]])}
A = {"a": jnp.array([1.0, -2.0, 0.5]), "b": jnp.array([[3.0, 1.0]])}
fill = lambda x: jax.tree.map(lambda p: jnp.full_like(p, x), P)
flat = lambda p: np.concatenate([np.ravel(x) for x in jax.tree.leaves(p)])


def bound(name, *args, **more):
    function = getattr(gd.projections, f"projection_{name}")
    return functools.partial(function, *args, **more)


def above(x):
    """The plane, in units of the terms whose sum is rounded."""
    return (x @ flat(A) - 0.5) / (1 + np.abs(x * flat(A)).sum())


plane = dict(a=A, b=0.5)
# {set: (projection, its violation)}
SETS = {
    "box": (
        bound("box", lower=fill(-0.1), upper=fill(0.2)),
        lambda x: max(x.max() - 0.2, -0.1 - x.min()),
    ),
    "unit box": (
        bound("box", lower=fill(0.0), upper=fill(0.5)),
        lambda x: max(x.max() - 0.5, -x.min()),
    ),
    "l1_ball": (bound("l1_ball", scale=0.7), lambda x: np.abs(x).sum() - 0.7),
    "l1_sphere": (
        bound("l1_sphere", scale=0.7),
        lambda x: abs(np.abs(x).sum() - 0.7),
    ),
    "l2_ball": (bound("l2_ball", scale=0.4), lambda x: np.linalg.norm(x) - 0.4),
    "l2_sphere": (
        bound("l2_sphere", scale=0.4),
        lambda x: abs(np.linalg.norm(x) - 0.4),
    ),
    "linf_ball": (bound("linf_ball", scale=0.2), lambda x: np.abs(x).max() - 0.2),
    "non_negative": (bound("non_negative"), lambda x: -x.min()),
    "simplex": (bound("simplex"), lambda x: max(abs(x.sum() - 1), -x.min())),
    "hyperplane": (bound("hyperplane", **plane), lambda x: abs(above(x))),
    "halfspace": (bound("halfspace", **plane), above),
}


@pytest.fixture(scope="module")
def paths():
    """Ten steps of momentum in one program, into every set."""
    g = jnp.asarray(RNG.normal(size=(10, 5)), jnp.float32)

    @jax.jit
    def run(params):
        paths = {}
        for name, (projection, _) in SETS.items():
            tx = gd.project(gd.sgd(0.3, momentum=0.9), projection)

            def step(carry, row, tx=tx):
                p, state = carry
                g = {"a": row[:3], "b": row[3:].reshape(1, 2)}
                u, state = tx.update(g, state, p)
                p = optax.apply_updates(p, u)
                return (p, state), p

            paths[name] = jax.lax.scan(step, (params, tx.init(params)), g)[1]
        return paths

    return run(P)


@pytest.mark.parametrize("name", SETS)
def test_feasible_after_every_step(paths, name):
    seen = [flat(jax.tree.map(lambda x: x[t], paths[name])) for t in range(10)]
    worst = max(SETS[name][1](x.astype(float)) for x in seen)
    assert worst <= 0 if name == "non_negative" else worst <= 5e-7
    assert len({tuple(x) for x in seen}) > 3  # and it moves


def test_bounds_hold_in_bf16():
    """Exactly where they are bf16 and the gradient is f32, and 0 always."""
    p = jnp.asarray(RNG.uniform(size=500), jnp.bfloat16)
    g = jnp.asarray(RNG.normal(size=500), jnp.float32)
    tx = gd.project(optax.sgd(1.0), lambda x: jnp.clip(x, 0, 0.75))
    for gradient in g, g.astype(jnp.bfloat16):
        u, _ = tx.update(gradient, tx.init(p), p)
        after = optax.apply_updates(p, u)
        assert after.min() == 0
        top = 0.75 if gradient.dtype == jnp.float32 else 0.75 * (1 + 2**-8)
        assert after.max() <= top


def test_a_feasible_step_is_unchanged_to_the_bit():
    p, g = jnp.full(100, 0.5), jnp.asarray(RNG.normal(size=100), jnp.float32)
    tx = gd.project(optax.sgd(0.1), lambda x: jnp.clip(x, 0, 1))
    u, _ = tx.update(g, tx.init(p), p)
    assert np.array_equal(u, -0.1 * g)


def test_a_parameter_without_a_gradient_is_seen_and_stays():
    p = {"still": jnp.full(1, 3.0), "free": jnp.full(1, 1.0)}
    seen = []

    def ball(x):
        seen.append(x)
        return gd.projections.projection_l2_ball(x, 5.0)

    tx = gd.project(gd.sgd(1.0), ball)
    u, _ = tx.update({"still": None, "free": jnp.full(1, -7.0)}, tx.init(p), p)
    assert u["still"] is None and seen[0] == {"still": 3.0, "free": 8.0}
    np.testing.assert_allclose(p["free"] + u["free"], 8 * 5 / np.sqrt(73), rtol=1e-6)


def test_what_is_refused():
    with pytest.raises(TypeError, match="`projection` must be a function"):
        gd.project(gd.sgd(0.1), 1.0)
    with pytest.raises(ValueError, match="`project` wraps a step"):
        gd.project(gd.trace(0.9), gd.projections.projection_non_negative)
    tx = gd.project(gd.sgd(0.1), lambda x: {"w": x["w"][:1]})
    p = {"w": jnp.ones(2)}
    with pytest.raises(ValueError, match=r"`projected` has shape \(1,\)"):
        tx.update(p, tx.init(p), p)
    with pytest.raises(ValueError, match="`project` needs `params`"):
        tx.update(p, tx.init(p))
    with pytest.raises(ValueError, match=r"Write `swa\(project\(optimizer\)\)`"):
        gd.project(gd.swa(gd.sgd(0.1), 0), lambda x: x).init(p)
