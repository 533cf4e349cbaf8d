"""SAM: the gradient at p + e, exactly, and what it needs."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import gdjax as gd


def grad_fn(p):
    """Of a sum of fourth powers."""
    return jax.tree.map(lambda x: 4 * x**3, p)


@pytest.mark.parametrize("adaptive", [False, True])
def test_the_step_is_that_of_the_gradient_at_p_plus_e(adaptive):
    tx = gd.sam(gd.sgd(0.5), 0.3, adaptive)
    with jax.enable_x64(True):
        p = {"a": jnp.array([0.5, -1.0, 2.0]), "b": jnp.array([0.0, -3.0])}
        g = grad_fn(p)
        size = jax.tree.map(lambda p: abs(p) + 0.01 if adaptive else 1.0 + 0 * p, p)
        whole = np.sqrt(sum(np.sum((size[k] * g[k]) ** 2) for k in p))
        e = {k: 0.3 * size[k] ** 2 * g[k] / whole for k in p}
        assert np.isclose(np.sqrt(sum(np.sum((e[k] / size[k]) ** 2) for k in p)), 0.3)
        want = grad_fn({k: p[k] + e[k] for k in p})
        u, _ = tx.update(g, tx.init(p), p, grad_fn=grad_fn)
        for k in p:
            np.testing.assert_allclose(u[k], -0.5 * want[k], rtol=1e-14)


@pytest.mark.parametrize("adaptive", [False, True])
def test_no_gradient_and_no_parameter_give_no_nan(adaptive):
    zero = jnp.zeros(2)
    tx = gd.sam(gd.sgd(0.5), 0.3, adaptive, eta=0.0)
    u, _ = tx.update(zero, tx.init(zero), zero, grad_fn=lambda p: p + 1)
    np.testing.assert_array_equal(u, [-0.5, -0.5])


@pytest.mark.parametrize("size", [1e-30, 1.0, 1e30])
def test_e_has_norm_rho_at_any_size_of_the_gradient(size):
    p, g = jnp.zeros(2), size * jnp.array([3.0, 4.0])
    tx = gd.sam(gd.sgd(1.0), 0.5)
    u, _ = tx.update(g, tx.init(p), p, grad_fn=lambda p: p)
    np.testing.assert_allclose(u, [-0.3, -0.4], rtol=1e-6)


def test_bf16_parameters_are_rounded_as_the_loss_will_see_them():
    p = jnp.ones(4, jnp.bfloat16)
    seen = []

    def grad_fn(there):
        seen.append(there)
        return there

    tx = gd.sam(gd.sgd(0.5), 0.02)  # e = 0.01, between two values of bf16
    u, _ = tx.update(p, tx.init(p), p, grad_fn=grad_fn)
    want = jnp.float32(1.01).astype(jnp.bfloat16)
    assert seen[0].dtype == jnp.bfloat16 and (seen[0] == want).all()
    assert u.dtype == jnp.bfloat16


def test_a_gradient_that_is_missing_stays_so():
    g = {"a": jnp.array([3.0, 4.0]), "b": None}
    p = {"a": jnp.zeros(2), "b": jnp.ones(1)}
    tx = gd.sam(gd.sgd(0.1), 0.5)
    u, _ = tx.update(g, tx.init(p), p, grad_fn=lambda p: p)
    assert u["b"] is None
    np.testing.assert_allclose(u["a"], [-0.03, -0.04], rtol=1e-6)


@pytest.mark.long
def test_the_train_step_hands_it_what_it_needs():
    model = gd.models.mlp([2])
    loss_fn = gd.supervised(model, "mse")
    batch = jnp.ones((4, 3)), jnp.zeros((4, 2))
    tx = gd.sam(gd.sgd(0.1), 0.5)
    state = gd.init_state(model, tx, jax.random.key(0), batch[0])
    grad_fn = jax.grad(lambda p: loss_fn(p, state.model_state, batch, None)[0])
    g = grad_fn(state.params)
    scale = 0.5 / gd.tree.global_norm(g)
    there = jax.tree.map(lambda p, g: p + scale * g, state.params, g)
    want = jax.tree.map(lambda p, g: p - 0.1 * g, state.params, grad_fn(there))
    new, _ = gd.make_train_step(loss_fn, tx)(state, batch)
    same = lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)
    jax.tree.map(same, new.params, want)


def test_refusals():
    p, wrong = jnp.ones(2), {"a": jnp.ones(3)}
    tx = gd.sam(gd.sgd(0.1), 0.05)
    with pytest.raises(ValueError, match="`sam` needs `grad_fn` in `update`"):
        tx.update(p, tx.init(p), p, value=1.0)
    with pytest.raises(ValueError, match="`sam` needs `params` in `update`"):
        tx.update(p, tx.init(p), grad_fn=lambda p: p)
    with pytest.raises(ValueError, match=r"leaf `a`: .*\(2,\), .*grad_fn.*\(3,\)"):
        tx.update({"a": p}, tx.init({"a": p}), {"a": p}, grad_fn=lambda _: wrong)
    with pytest.raises(ValueError, match="`sam` wraps a step, and `inner` is a direct"):
        gd.sam(gd.scale_by_sign(), 0.05)
    with pytest.raises(TypeError, match="`inner` of `sam` must be a gradient transf"):
        gd.sam(optax.sgd, 0.05)
