"""`debug=True` names the leaf, the kind of value and the step, and changes nothing."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import gdjax as gd
from gdjax.parallel import make_mesh, replicated
from gdjax.training import TrainState, make_train_step

PARAMS = {"hidden_0": {"bias": jnp.ones(2), "kernel": jnp.ones((2, 2))}}


def loss_fn(params, model_state, batch, key):
    hidden = params["hidden_0"]
    # A kernel's gradient of sqrt at 0 is infinite, the loss itself is finite.
    loss = jnp.sum(jnp.sqrt(batch * hidden["kernel"])) + jnp.sum(hidden["bias"] ** 2)
    return loss, ({}, {})


def fresh(tx):
    params = jax.tree.map(jnp.copy, PARAMS)
    step = jnp.full([], 10, jnp.int32)
    return TrainState(step, params, {}, tx.init(params), jax.random.key(0))


GOOD, BAD = np.ones((2, 2), np.float32), np.zeros((2, 2), np.float32)


def test_a_healthy_run_is_the_same_run():
    tx = gd.adamw(0.1)
    one, one_says = make_train_step(loss_fn, tx)(fresh(tx), GOOD)
    two, two_says = make_train_step(loss_fn, tx, debug=True)(fresh(tx), GOOD)
    jax.tree.map(np.testing.assert_array_equal, one[:4], two[:4])
    assert one_says == two_says


@pytest.mark.parametrize("plan", [None, replicated(make_mesh({"data": 2}))])
def test_a_gradient_that_is_not_finite_is_named_with_its_step(plan):
    tx = gd.sgd(0.1)
    step = make_train_step(loss_fn, tx, debug=True, sharding=plan, steps_per_call=4)
    state, _ = step(fresh(tx), np.stack([GOOD, GOOD]))
    with pytest.raises(
        FloatingPointError,
        match="^gradients: `hidden_0/kernel` is not finite at step 15.$",
    ):
        step(state, np.stack([GOOD, GOOD, BAD, GOOD]))


class State(NamedTuple):
    nu: optax.Params
    other: jax.Array


def broken(update=1.0, nu=1.0, other=1.0):
    def init(params):
        return State(jax.tree.map(jnp.ones_like, params), jnp.ones([]))

    def spoil(tree, factor):
        bias = factor * tree["hidden_0"]["bias"]
        return {"hidden_0": {**tree["hidden_0"], "bias": bias}}

    def apply(updates, state, params=None):
        new = State(spoil(state.nu, nu), other * state.other)
        return spoil(updates, update), new

    return optax.chain(gd.identity(), optax.GradientTransformation(init, apply))


@pytest.mark.parametrize(
    "fault, message",
    [
        ({"update": np.inf}, "updates: `hidden_0/bias` is not finite"),
        ({"nu": -1.0}, "state: `opt_state/1/nu/hidden_0/bias` is negative"),
        ({"nu": np.nan}, "state: `opt_state/1/nu/hidden_0/bias` is not finite"),
        ({"other": np.inf}, "state: `opt_state/1/other` is not finite"),
    ],
)
def test_what_else_can_go_wrong(fault, message):
    tx = broken(**fault)
    step = make_train_step(loss_fn, tx, debug=True)
    with pytest.raises(FloatingPointError, match=f"^{message} at step 11.$"):
        step(fresh(tx), GOOD)
