"""Train and evaluation steps against arithmetic by hand, and what they refuse."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import gdjax as gd
from gdjax.models import Model
from gdjax.training import TrainState, make_eval_step, make_train_step, supervised

MODEL = Model(
    lambda key, inputs: ({"w": jnp.zeros((3, 1))}, {}),
    lambda params, state, inputs, *, train=False, key=None: (
        inputs @ params["w"],
        state,
    ),
)
MSE = supervised(MODEL, "mse")
RNG = np.random.default_rng(0)
X = RNG.normal(size=(6, 8, 3)).astype(np.float32)  # six batches of eight
Y = (X @ np.array([[1.0], [-2.0], [0.5]])).astype(np.float32)


def fresh(tx, params=None, **fields):
    params = {"w": jnp.zeros((3, 1))} if params is None else params
    state = TrainState(
        jnp.zeros([], jnp.int32), params, {}, tx.init(params), jax.random.key(0)
    )
    return state._replace(**fields)


def test_a_step_is_gradient_descent():
    tx = gd.sgd(0.1)
    step, state, w = make_train_step(MSE, tx), fresh(tx), np.zeros((3, 1))
    for x, y in zip(X, Y, strict=True):
        error = x @ w - y
        grad = 2 * x.T @ error / len(x)
        state, metrics = step(state, (x, y))
        assert metrics["loss"] == pytest.approx(np.mean(error**2), rel=1e-5)
        assert metrics["grad_norm"] == pytest.approx(np.linalg.norm(grad), rel=1e-5)
        assert metrics["learning_rate"] == pytest.approx(0.1)
        w = w - 0.1 * grad
        np.testing.assert_allclose(state.params["w"], w, rtol=1e-5)
    assert state.step == 6
    np.testing.assert_array_equal(
        jax.random.key_data(state.key), jax.random.key_data(jax.random.key(0))
    )
    assert sorted(make_eval_step(MSE)(state, (X[0], Y[0]))) == ["loss"]


def test_steps_of_one_call_are_steps():
    tx = gd.adam(0.1)
    step, state, losses = make_train_step(MSE, tx), fresh(tx), []
    for batch in zip(X, Y, strict=True):
        state, metrics = step(state, batch)
        losses.append(metrics["loss"])
    many = make_train_step(MSE, tx, steps_per_call=4)
    assert (step.steps_per_call, many.steps_per_call) == (1, 4)
    other, first = many(fresh(tx), (X[:4], Y[:4]))
    other, rest = many(other, (X[4:], Y[4:]))  # fewer than four: a remainder
    np.testing.assert_allclose(other.params["w"], state.params["w"], rtol=1e-6)
    np.testing.assert_allclose([*first["loss"], *rest["loss"]], losses, rtol=1e-6)
    for batch in [(X, Y), (X[:0], Y[:0]), (X[:2], Y[:3])]:
        with pytest.raises(ValueError, match="must stack 1 to 4 batches"):
            many(fresh(tx), batch)


def test_randomness_is_a_function_of_the_state():
    def noisy(params, model_state, batch, key):
        return jnp.sum(params["w"]) * 0, ({}, {"noise": jax.random.uniform(key)})

    tx = gd.sgd(0.1)
    step = make_train_step(noisy, tx)
    state, one = step(fresh(tx), ())
    _, two = step(state, ())
    _, again = step(fresh(tx, step=jnp.int32(1)), ())
    assert one["noise"] != two["noise"] == again["noise"]


class Said(NamedTuple):
    """A state that repeats what its transformation was told."""

    value: jax.Array
    value_here: jax.Array
    value_at_zero: jax.Array
    grad_error: jax.Array

    def metrics(self):
        return self._asdict()


def repeat():
    def update(grads, state, params=None, *, value, grad, value_fn, grad_fn):
        error = jnp.max(jnp.abs(grad["w"] - grad_fn(params)["w"]))
        at_zero = value_fn(jax.tree.map(jnp.zeros_like, params))
        return grads, Said(value, value_fn(params), at_zero, error)

    init = lambda params: Said(*(jnp.zeros([]) for _ in Said._fields))
    return optax.GradientTransformationExtraArgs(init, update)


def test_the_transformation_gets_what_line_searches_need():
    tx = optax.chain(repeat(), gd.sgd(0.1))
    step, params = make_train_step(MSE, tx), {"w": jnp.ones((3, 1))}
    _, metrics = step(fresh(tx, params), (X[0], Y[0]))
    assert metrics["value"] == metrics["value_here"] == metrics["loss"] > 1
    assert metrics["value_at_zero"] == pytest.approx(np.mean(Y[0] ** 2), rel=1e-5)
    assert metrics["grad_error"] < 1e-6


def with_metrics(**metrics):
    def loss_fn(params, model_state, batch, key):
        return jnp.sum(params["w"] ** 2), (model_state, metrics)

    return loss_fn


def test_a_loss_function_that_says_nothing_still_has_its_loss():
    tx = gd.sgd(0.1)
    state = fresh(tx, {"w": jnp.full((3, 1), 2.0)})
    assert make_eval_step(with_metrics())(state, ())["loss"] == 12
    _, metrics = make_train_step(with_metrics(), tx)(state, ())
    assert metrics["loss"] == 12


@pytest.mark.parametrize(
    "name, sources",
    [
        ("learning_rate", "from the loss function and from the optimizer"),
        ("grad_norm", "from the loss function and from the train step"),
    ],
)
def test_two_metrics_of_one_name_are_an_error(name, sources):
    tx = gd.sgd(0.1)
    with pytest.raises(ValueError, match=f"`{name}` comes {sources}"):
        make_train_step(with_metrics(**{name: 1.0}), tx)(fresh(tx), ())


def test_a_metric_is_a_scalar():
    tx = gd.sgd(0.1)
    with pytest.raises(ValueError, match=r"`many` .* scalar, got shape \(2,\)"):
        make_train_step(with_metrics(many=jnp.ones(2)), tx)(fresh(tx), ())


def test_a_state_that_changes_its_dtype_is_caught_when_traced():
    tx = optax.GradientTransformation(
        lambda params: jnp.zeros([], jnp.bfloat16),
        lambda updates, state, params=None: (updates, state.astype(jnp.float32)),
    )
    with pytest.raises(AssertionError, match="opt_state"):
        make_train_step(MSE, tx)(fresh(tx), (X[0], Y[0]))


@pytest.mark.parametrize("steps", [0, -1, 1.5, True])
def test_steps_per_call_is_a_positive_integer(steps):
    with pytest.raises((ValueError, TypeError), match="`steps_per_call`"):
        make_train_step(MSE, gd.sgd(0.1), steps_per_call=steps)
