"""The state at step 0: fit for donation, its leaves where they should be."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import gdjax as gd
from gdjax.models import Model
from gdjax.parallel import make_mesh, replicated
from gdjax.training import init_state, make_train_step, supervised


def init(key, inputs):
    w = jax.random.normal(key, (inputs.shape[1], 1))
    return {"w": w, "b": jnp.zeros(1), "c": jnp.zeros(1)}, {"seen": jnp.zeros(1)}


def apply(params, model_state, inputs, *, train=False, key=None):
    return inputs @ params["w"] + params["b"] + params["c"], model_state


MODEL = Model(init, apply)
TX = gd.swa(gd.adamw(0.1), 0)
INPUTS = np.ones((4, 3), np.float32)


@pytest.mark.parametrize("key", [jax.random.key(0), jax.random.PRNGKey(0)])
def test_no_two_leaves_share_a_buffer_and_the_key_stays_the_callers(key):
    state = init_state(MODEL, TX, key, INPUTS)
    assert state.key.dtype == key.dtype and state.key.shape == key.shape
    arrays = [
        jax.random.key_data(x) if jnp.issubdtype(x.dtype, jax.dtypes.prng_key) else x
        for x in jax.tree.leaves(state)
    ]
    pointers = {array.unsafe_buffer_pointer() for array in arrays}
    assert len(pointers) == len(arrays) > 12
    step = make_train_step(supervised(MODEL, "mse"), TX)
    new, _ = step(state, (INPUTS, np.ones((4, 1), np.float32)))
    assert all(leaf.is_deleted() for leaf in jax.tree.leaves(state.params))
    assert not key.is_deleted() and new.step == 1


def test_it_is_a_function_of_the_key_and_starts_at_step_0():
    one, same, other = (
        init_state(MODEL, TX, jax.random.key(seed), INPUTS) for seed in (0, 0, 1)
    )
    assert one.step == 0 and one.step.dtype == jnp.int32
    np.testing.assert_array_equal(one.params["w"], same.params["w"])
    assert not np.array_equal(one.params["w"], other.params["w"])
    # The run's key is not the one that drew the parameters.
    keys = [jax.random.key_data(k).tolist() for k in (one.key, jax.random.key(0))]
    assert keys[0] != keys[1]


def test_a_plan_places_every_leaf():
    plan = replicated(make_mesh({"data": 4}))
    state = init_state(MODEL, TX, jax.random.key(0), INPUTS, sharding=plan)
    assert all(len(leaf.devices()) == 4 for leaf in jax.tree.leaves(state))
