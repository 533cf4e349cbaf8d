"""A batch in parts: the numbers of the whole, in less memory."""

import functools
import re

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax.sharding import NamedSharding, PartitionSpec

import gdjax as gd
from gdjax.parallel import make_mesh, replicated
from gdjax.training import TrainState, make_pmap_train_step, make_train_step
from gdjax.training._update import make_update

RNG = np.random.default_rng(0)
X = RNG.normal(size=(3, 16, 5)).astype(np.float32)  # three batches of sixteen
START = jnp.linspace(-1, 1, 5)


def loss_fn(params, model_state, batch, key):
    """Fourth powers; the model's state is a moving mean of the inputs."""
    model_state = {"mean": 0.5 * model_state["mean"] + jnp.mean(batch)}
    loss = jnp.mean((batch @ params - 1) ** 4)
    return loss, (model_state, {"largest": jnp.max(batch)})


def started(tx, params):
    model_state, key = {"mean": jnp.zeros([])}, jax.random.key(0)
    state = TrainState(jnp.int32(0), params, model_state, tx.init(params), key)
    return jax.tree.map(jnp.copy, state)


def trained(make_step, tx, batches, loss_fn=loss_fn, params=START, **options):
    return make_step(loss_fn, tx, **options)(started(tx, params), batches)


def look(updates, state, params, *, value, grad, value_fn, grad_fn):
    """A step that shows whether all that it is given is of the whole batch."""
    moved = 0.9 * params
    return -1e-3 * (grad + 0.1 * value_fn(moved) * grad_fn(moved) + value), state


LOOK = optax.GradientTransformationExtraArgs(optax.init_empty_state, look)
PLANNED = functools.partial(
    make_train_step, sharding=replicated(make_mesh({"data": 2}))
)
MAPPED = functools.partial(make_pmap_train_step, devices=jax.devices()[:2])


@pytest.mark.parametrize("make_step", [make_train_step, PLANNED, MAPPED])
def test_parts_are_as_good_as_the_whole_batch(make_step):
    many = {"steps_per_call": 3}
    whole, told = trained(make_train_step, LOOK, X, **many)
    parts, said = trained(make_step, LOOK, X, microbatches=4, **many)
    way = np.abs(whole.params - START).max()
    assert way > 1e-2
    np.testing.assert_allclose(parts.params, whole.params, rtol=0, atol=1e-6 * way)
    for name in ("loss", "grad_norm"):
        np.testing.assert_allclose(said[name], told[name], rtol=1e-6)


def test_each_part_is_seen_once_in_turn_with_a_key_of_its_own():
    def with_key(params, model_state, batch, key):
        loss, (model_state, metrics) = loss_fn(params, model_state, batch, key)
        return loss, (model_state, metrics | {"drawn": jax.random.uniform(key)})

    state, metrics = trained(
        make_train_step, gd.sgd(0.1), X[0], with_key, microbatches=4
    )
    parts, mean = X[0].reshape(4, 4, 5), 0.0
    for part in parts:
        mean = 0.5 * mean + part.mean()
    assert state.model_state["mean"] == pytest.approx(mean, rel=1e-5)
    assert metrics["largest"] == pytest.approx(parts.max((1, 2)).mean())
    keys = [jax.random.fold_in(jax.random.key(0), 0)]
    keys = [jax.random.fold_in(keys[0], i) for i in range(4)]
    drawn = np.mean([jax.random.uniform(key) for key in keys])
    assert metrics["drawn"] == pytest.approx(drawn, rel=1e-6)


def test_no_example_moves_between_devices():
    mesh = make_mesh({"data": 2})
    update = make_update(loss_fn, gd.sgd(0.1), microbatches=4, num_devices=2)
    places = [NamedSharding(mesh, PartitionSpec(*axis)) for axis in ((), ("data",))]
    jitted = jax.jit(update, in_shardings=tuple(places), out_shardings=places[0])
    text = jitted.lower(started(gd.sgd(0.1), START), X[0]).compile().as_text()
    assert "all-reduce" in text
    assert not re.search("all-to-all|all-gather|collective-permute", text)


def test_sums_of_small_gradients_are_f32():
    """bf16 loses 1/256 beside 1: a sum in bf16 would not see 255 of 256 parts."""

    def linear(params, model_state, batch, key):
        return jnp.mean(batch @ params), (model_state, {})

    batch = jnp.full((256, 1), 1 / 256, jnp.bfloat16).at[0].set(1)
    params = jnp.zeros(1, jnp.bfloat16)
    state, _ = trained(
        make_train_step, gd.sgd(256.0), batch, linear, params, microbatches=256
    )
    assert state.params[0] == -2


@pytest.mark.parametrize("k", [3, 5])
def test_a_batch_that_cannot_be_split_is_refused(k):
    with pytest.raises(ValueError, match=f"multiple of `microbatches`, got 16 for {k}"):
        trained(make_train_step, gd.sgd(0.1), X[0], microbatches=k)
    with pytest.raises(ValueError, match=rf"16 for {k} microbatches on 2 devices"):
        trained(PLANNED, gd.sgd(0.1), X[0], microbatches=k)


@pytest.mark.parametrize("k", [0, 2.0, True])
def test_microbatches_is_a_positive_integer(k):
    for make_step in (make_train_step, make_pmap_train_step):
        with pytest.raises((ValueError, TypeError), match="`microbatches`"):
            make_step(loss_fn, gd.sgd(0.1), microbatches=k)
