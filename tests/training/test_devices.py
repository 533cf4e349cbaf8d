"""The main job is the same curve on 1, 2 and 4 devices, under jit and under pmap."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import gdjax as gd
from gdjax.models import Model
from gdjax.parallel import make_mesh, replicated
from gdjax.training import (
    TrainState,
    init_state,
    make_pmap_train_step,
    make_train_step,
    supervised,
)

PER_CALL = 25
TRAIN = gd.data.load("digits").train


def jit_on(devices):
    plan = replicated(make_mesh({"data": devices}))
    return functools.partial(make_train_step, sharding=plan)


def pmap_on(devices):
    return functools.partial(make_pmap_train_step, devices=jax.devices()[:devices])


def assert_the_same_curve(tx, dtype, tolerance, *others):
    """Parameters after 50 steps, relative to the way that they made; state; losses."""
    model = gd.models.mlp([16, 16, 10], param_dtype=dtype)
    loss_fn = supervised(model, "cross_entropy")
    inputs = TRAIN.inputs.astype(dtype)
    source = gd.data.source((inputs, TRAIN.targets), 64, seed=0)
    batches = [source.batch(step) for step in range(2 * PER_CALL)]
    stacks = [
        jax.tree.map(lambda *x: np.stack(x), *batches[:PER_CALL]),
        jax.tree.map(lambda *x: np.stack(x), *batches[PER_CALL:]),
    ]
    start = init_state(model, tx, jax.random.key(0), inputs[:1])

    def curve(make_step):
        step = make_step(loss_fn, tx, steps_per_call=PER_CALL)
        state, losses = jax.tree.map(jnp.copy, start), []
        for stack in stacks:
            state, metrics = step(state, stack)
            losses += metrics["loss"].tolist()  # waits, as every loop must
        return jax.device_get(state[:4]), losses

    one, losses = curve(make_train_step)
    way = gd.tree.global_norm(difference(one[1], start.params))
    assert way > 0.5 and losses[0] - losses[-1] > 0.5
    for make_step in others:
        other, other_losses = curve(make_step)
        assert other[0] == 50
        assert gd.tree.global_norm(difference(one[1], other[1])) <= tolerance * way
        np.testing.assert_allclose(other_losses, losses, rtol=0, atol=tolerance)
        for a, b in zip(*map(jax.tree.leaves, (one[3], other[3])), strict=True):
            atol = 10 * tolerance * np.abs(a).max()
            np.testing.assert_allclose(b, a, rtol=0, atol=atol)


def difference(one, two):
    return jax.tree.map(lambda a, b: a - b, one, two)


def test_sgd_with_momentum():
    tx = gd.sgd(0.05, momentum=0.9)
    assert_the_same_curve(tx, np.float32, 1e-5, jit_on(2), pmap_on(4))


@pytest.mark.long
def test_adamw_clipped_and_averaged_in_f64():
    rate = gd.warmup_cosine_decay_schedule(0.0, 5e-3, 5, 50, 1e-3)
    tx = gd.chain(gd.clip_by_global_norm(1.0), gd.adamw(rate, weight_decay=1.0))
    with jax.enable_x64(True):
        tx = gd.swa(tx, 30)
        assert_the_same_curve(tx, np.float64, 1e-12, jit_on(4), pmap_on(2))


def noisy_model():
    """One weight; counts its calls, and keeps a mean and a random number of them."""

    def apply(params, state, inputs, *, train=False, key=None):
        if train:
            noise = jax.random.uniform(key)
            mean = jnp.mean(inputs)
            state = {"calls": state["calls"] + 1, "mean": mean, "noise": noise}
        return inputs * params["w"], state

    zero = jnp.zeros([])
    state = {"calls": jnp.zeros([], jnp.int32), "mean": zero, "noise": zero}
    return Model(lambda key, inputs: ({"w": jnp.ones([])}, state), apply)


def test_pmap_averages_what_devices_see_apart():
    """Gradients, metrics, the model's state; and a line search sees the whole batch."""
    model = noisy_model()

    def update(grads, state, params=None, *, grad_fn, value_fn, value, grad):
        again = jax.value_and_grad(value_fn)(params)
        return grads, {"grad": grad_fn(params), "again": again, "value": value}

    def init(params):
        again = (jnp.zeros([]), params)
        return {"grad": params, "again": again, "value": jnp.zeros([])}

    tx = optax.GradientTransformationExtraArgs(init, update)
    x = np.arange(8.0, dtype=np.float32)
    batch = (x, np.zeros(8, np.float32))
    step = make_pmap_train_step(supervised(model, "mse"), tx)
    state, metrics = step(init_state(model, tx, jax.random.key(0), x), batch)
    mean_square = np.mean(x**2)
    assert metrics["loss"] == pytest.approx(mean_square)
    assert metrics["grad_norm"] == pytest.approx(2 * mean_square)
    assert state.params["w"] == pytest.approx(1 + 2 * mean_square)
    value, grad = state.opt_state["again"]
    assert value == state.opt_state["value"] == pytest.approx(mean_square)
    assert grad["w"] == state.opt_state["grad"]["w"] == pytest.approx(2 * mean_square)
    assert state.model_state["calls"] == 1
    assert state.model_state["calls"].dtype == jnp.int32
    assert state.model_state["mean"] == 3.5
    # The mean of four different numbers, and the same on all devices.
    keys = [jax.random.fold_in(jax.random.fold_in(state.key, 0), i) for i in range(4)]
    drawn = [float(jax.random.uniform(key)) for key in keys]
    assert state.model_state["noise"] == pytest.approx(np.mean(drawn))
    assert state.model_state["noise"].is_fully_replicated


def test_a_state_from_other_devices_is_accepted_and_compiled_for_once():
    model, tx = noisy_model(), gd.sgd(0.1)
    batch = (np.ones(8, np.float32), np.zeros(8, np.float32))
    two = replicated(make_mesh({"data": 2}))
    loss_fn, traces = supervised(model, "mse"), []

    def counted(*args):
        traces.append(args)
        return loss_fn(*args)

    for make_step in (
        lambda: make_train_step(counted, tx, sharding=replicated(make_mesh({"d": 4}))),
        lambda: make_pmap_train_step(counted, tx),
    ):
        step = make_step()
        for plan in (None, two):
            state = init_state(model, tx, jax.random.key(0), batch[0], sharding=plan)
            for _ in range(2):
                state, metrics = step(state, batch)
            assert metrics["loss"] == pytest.approx(0.64)
            assert isinstance(state, TrainState) and len(state.step.devices()) == 4
    # value_and_grad and, for the transformation, nothing else: once for each step.
    assert len(traces) == 2


def test_pmap_says_what_it_cannot_split():
    model, tx = noisy_model(), gd.sgd(0.1)
    step = make_pmap_train_step(supervised(model, "mse"), tx)
    batch = (np.ones(6, np.float32), np.zeros(6, np.float32))
    state = init_state(model, tx, jax.random.key(0), batch[0])
    with pytest.raises(ValueError, match="got 6 with 4 devices"):
        step(state, batch)
