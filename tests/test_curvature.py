"""check_gradients: right gradients pass, and each kind of wrong one is named."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import gdjax as gd


@pytest.fixture(scope="module")
def network():
    """A ReLU network with a loss of kinks, and a leaf whose gradient is 0."""
    model = gd.models.mlp([16, 16, 3])
    x = np.random.default_rng(0).normal(size=(64, 5)).astype(np.float32)
    params, _ = jax.jit(model.init)(jax.random.key(0), x)
    loss = gd.training.freeze(gd.training.supervised(model, "cross_entropy"), {})
    full = lambda p, batch: loss(p["net"], batch) + 0 * jnp.sum(p["idle"])
    params = {"net": params, "idle": np.ones(2), "none": None}
    return full, params, (x, np.arange(64) % 3)


def test_a_network_is_right(network):
    errors = gd.check_gradients(*network)
    assert errors.pop("idle") == 0
    assert list(errors)[0] == "net/hidden_0/bias" and len(errors) == 6
    assert max(errors.values()) < 1e-9


def wrong(forward, backward):
    """x -> forward(x), whose reverse mode says `backward(x) * g`."""
    function = jax.custom_vjp(forward)
    function.defvjp(lambda x: (forward(x), x), lambda x, g: (backward(x) * g,))
    return function


@pytest.mark.parametrize(
    "backward",
    [
        lambda x: -jnp.sin(x),
        lambda x: jnp.cos(x) * (1 + 1e-5),
        lambda x: jnp.cos(x).at[3].set(0),
        lambda x: jnp.cos(x)[::-1],
    ],
    ids=["the sign", "one part in 1e5", "one entry", "their order"],
)
def test_a_wrong_custom_vjp_is_named(backward):
    sin = wrong(jnp.sin, backward)
    loss = lambda p, x: jnp.sum(p["a"] ** 2) + jnp.sum(sin(p["b"] * x))
    params = {"a": jnp.ones(3), "b": jnp.linspace(0.1, 1.0, 6), "c": jnp.ones(2)}
    x = jnp.linspace(0.5, 1.0, 6)
    message = "leaf `b` is wrong: .* in reverse mode, .* by central differences"
    with pytest.raises(AssertionError, match=message):
        gd.check_gradients(loss, params, x)
    right = lambda p, x: (
        jnp.sum(p["a"] ** 2) + jnp.sum(wrong(jnp.sin, jnp.cos)(p["b"] * x))
    )
    assert gd.check_gradients(right, params, x)["b"] < 1e-9


def test_a_gradient_that_is_not_finite_is_wrong():
    """That of a norm at 0, where a point nearby would do."""
    loss = lambda p, batch: jnp.sum(p["a"]) + jnp.sqrt(jnp.sum(p["b"] ** 2))
    with pytest.raises(AssertionError, match="leaf `b` is not finite"):
        gd.check_gradients(loss, {"a": jnp.ones(2), "b": jnp.zeros(3)}, None)


def test_a_kink_is_no_fault_and_a_tiny_leaf_no_excuse(network):
    loss, params, (x, labels) = network
    blank = np.where(np.arange(64)[:, None] < 9, 0, x)  # meets biases of 0
    assert gd.check_gradients(loss, params, (blank, labels))["net/hidden_0/bias"] < 1e-8
    wrong_sum = wrong(lambda x: jnp.sum(jnp.sin(x)), lambda x: 1.5 * jnp.cos(x))
    with pytest.raises(AssertionError, match="leaf `w` is wrong"):
        gd.check_gradients(
            lambda p, batch: wrong_sum(p["w"]) + 1.0, {"w": 1e-12 * np.ones(3)}, None
        )


def test_a_wrong_forward_mode_is_named():
    """A jvp that differs from the function, but agrees with its own transpose."""
    sin = jax.custom_jvp(jnp.sin)
    sin.defjvps(lambda t, y, x: t)
    loss = lambda p, batch: jnp.sum(sin(p))
    with pytest.raises(AssertionError, match="by central differences"):
        gd.check_gradients(loss, jnp.ones(3), None)


def test_a_loss_far_larger_than_its_gradient():
    loss = lambda p, batch: 1e6 + jnp.sum(p["big"] ** 3) * 1e-3
    errors = gd.check_gradients(loss, {"big": jnp.full(4, 30.0)}, None)
    assert errors["big"] < 1e-6


@pytest.mark.parametrize(
    ("loss", "params", "message"),
    [
        (lambda p, b: p, jnp.ones(2), r"got float64 of shape \(2,\)"),
        (lambda p, b: jnp.float32(p), jnp.ones([]), "must compute in f64, got float32"),
        (lambda p, b: (p, p), jnp.ones([]), "must return a real scalar, got a tuple"),
        (
            lambda p, b: jnp.log(p),
            jnp.zeros([]),
            "must be finite at `params`, got -inf",
        ),
        (lambda p, b: p, np.int32(3), "must be real or complex floats"),
        (lambda p, b: jnp.abs(p), jnp.ones([], complex), "must be real, leaf"),
    ],
)
def test_what_cannot_be_checked(loss, params, message):
    with pytest.raises((ValueError, TypeError), match=message):
        gd.check_gradients(loss, params, None)
