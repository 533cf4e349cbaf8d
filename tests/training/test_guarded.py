"""A guard in a run: one bad batch costs a step, bad ones without end the run."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import gdjax as gd
from gdjax.models import Model
from gdjax.training import TrainState, fit, make_train_step, supervised


def apply(params, state, inputs, *, train=False, key=None):
    mean = state["mean"] + jnp.mean(inputs) if train else state["mean"]
    return inputs * params["scale"] + params["shift"], {"mean": mean}


MODEL = Model(
    lambda key, x: (
        {"scale": jnp.ones([]), "shift": jnp.zeros([])},
        {"mean": jnp.zeros([])},
    ),
    apply,
)
TX = gd.chain(gd.scale(1.0), gd.guard(gd.adam(0.1), max_consecutive=3))


class Batches:
    def __init__(self, bad, value):
        self.bad, self.value = bad, value

    def batch(self, step):
        x = np.full(4, self.value if step in self.bad else 1.0, np.float32)
        return x, np.full(4, 2.0, np.float32)


@functools.cache
def step(per_call):
    return make_train_step(supervised(MODEL, "mse"), TX, steps_per_call=per_call)


def run(per_call, bad, value, **options):
    params, model_state = MODEL.init(jax.random.key(0), None)
    state = TrainState(
        jnp.int32(0), params, model_state, TX.init(params), jax.random.key(0)
    )
    options = {"progress": False, "num_steps": 12, "log_every": 12, **options}
    return fit(step(per_call), state, Batches(bad, value), **options)


@pytest.mark.parametrize("per_call", [1, 4])
@pytest.mark.parametrize("value", [np.nan, 1e20])
def test_one_bad_batch_costs_one_step(per_call, value):
    result = run(per_call, {5}, value)
    assert result.stopped == "num_steps"
    assert result.history["num_skipped"][-1] == 1
    others = run(per_call, (), value, num_steps=11).state
    assert result.state.model_state["mean"] == others.model_state["mean"] == 11
    for name, p in result.state.params.items():
        np.testing.assert_allclose(p, others.params[name], rtol=1e-6)


@pytest.mark.parametrize(("per_call", "until"), [(1, 100), (4, 100), (1, 8)])
def test_the_run_ends_where_the_guard_gives_up_and_names_the_leaf(per_call, until):
    """Also where later steps, already on their way, are good again."""
    # Squares of 1e10 are finite: only the gradient of the scale is too large.
    result = run(per_call, set(range(4, until)), 1e10)
    assert not result.complete
    assert result.stopped.startswith("non-finite updates up to step 8, all skipped; ")
    assert "is `params/scale`; the last good checkpoint: none" in result.stopped
    assert result.history["step"] == [8]
    assert np.isfinite(result.history["loss"][-1])
    assert float(result.state.params["scale"]) < 2


def test_statistics_that_a_guard_cannot_see_stay_finite():
    """Inputs of 3e38 whose gradient vanishes: their sum in the mean is inf."""
    zero = lambda params, state, x, **_: (
        0 * params["scale"] * jnp.ones(4),
        {"s": 9 * x[0]},
    )
    model = Model(MODEL.init, zero)
    step = make_train_step(supervised(model, "mse"), TX)
    params = {"scale": jnp.ones([])}
    state = TrainState(
        jnp.int32(0), params, {"s": jnp.ones([])}, TX.init(params), jax.random.key(0)
    )
    state, metrics = step(state, (np.full(4, 3e38, np.float32), np.ones(4, np.float32)))
    assert state.model_state["s"] == 1 and metrics["num_skipped"] == 0
