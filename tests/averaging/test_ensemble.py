"""Predictions of several sets of parameters against their mean in numpy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import gdjax as gd
from gdjax import ensemble_predict

RNG = np.random.default_rng(0)
STACKED = {"w": jnp.asarray(RNG.normal(size=(5, 3, 4)), jnp.float32), "none": None}
X = jnp.asarray(RNG.normal(size=(7, 3)), jnp.float32)


def probabilities(params, x):
    return {"p": jax.nn.softmax(x @ params["w"]), "logits": x @ params["w"]}


def test_the_mean_of_what_each_predicts():
    w, x = (np.asarray(v).astype(np.float64) for v in (STACKED["w"], X))
    logits = x @ w
    e = np.exp(logits)
    want = {"p": (e / e.sum(-1, keepdims=True)).mean(0), "logits": logits.mean(0)}
    got = ensemble_predict(probabilities, STACKED, X)
    for name in want:
        np.testing.assert_allclose(got[name], want[name], rtol=0, atol=2e-6)


def test_of_bf16_outputs_the_mean_is_in_f32():
    stacked = jnp.asarray([1.0] + 7 * [1.0078125], jnp.bfloat16)
    got = ensemble_predict(lambda p, x: p * x, stacked, jnp.bfloat16(1))
    assert got.dtype == jnp.float32 and got == 1 + 7 / 8 / 128


def test_it_compiles_once_and_is_traceable():
    traces = []

    def apply(params, x):
        traces.append(1)
        return params["w"] * x

    stacked = {"w": jnp.arange(3.0)}
    for k in range(2):
        assert ensemble_predict(apply, stacked, jnp.float32(k)) == k
    assert len(traces) == 1
    assert jax.jit(lambda s: ensemble_predict(apply, s, jnp.float32(2)))(stacked) == 2


@pytest.mark.long
def test_of_what_snapshots_keep():
    tx, w = gd.snapshots(gd.sgd(1.0), every=1, keep=2), {"w": jnp.zeros((3, 4))}
    state = tx.init(w)
    for _ in range(3):
        u, state = tx.update({"w": jnp.ones((3, 4))}, state, w)
        w = gd.apply_updates(w, u)
    got = ensemble_predict(probabilities, gd.stacked_params(state), X)["logits"]
    want = X @ np.full((3, 4), -2.5)
    np.testing.assert_allclose(got, want, rtol=1e-5)


@pytest.mark.parametrize(
    "stacked",
    [
        {"w": jnp.ones((3, 2)), "b": jnp.ones(2)},
        {"w": jnp.ones((0, 2))},
        {"w": jnp.ones(())},
        {"w": jnp.ones(2), "b": 1.0},
        {},
    ],
)
def test_one_first_axis_is_needed(stacked):
    with pytest.raises(ValueError, match="must have one first axis, of at least 1, in"):
        ensemble_predict(probabilities, stacked, X)
