"""Measurements in a chain: fixed by `init`, and told by `metrics`."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import gdjax as gd


def test_values_are_those_of_optax_and_run_under_scan():
    measures = {
        "size": gd.tree.global_norm,
        "is_large": lambda u: gd.tree.global_norm(u) > 1,
        "mean": gd.measure_with_ema(gd.tree.global_norm, 0.9),
        "each": lambda u: jax.tree.map(jnp.max, u),
    }
    p, grads = {"w": jnp.zeros(2)}, {"w": jnp.array([[3.0, 4.0], [0.3, 0.4]])}
    ours, theirs = gd.monitor(measures), optax.monitor(measures)
    state, _ = jax.lax.scan(lambda s, g: ours.update(g, s)[::-1], ours.init(p), grads)
    want = theirs.init(p)
    for t in range(2):
        _, want = theirs.update(jax.tree.map(lambda x: x[t], grads), want)
    jax.tree.map(np.testing.assert_allclose, state.measurements, want.measurements)
    assert state._fields == want._fields
    said = gd.metrics(state)
    assert sorted(said) == ["is_large", "mean", "size"] and said["is_large"] == 0.0
    assert said["is_large"].dtype == jnp.float32


def test_it_measures_in_at_least_f32():
    tx = gd.monitor({"sum": lambda u: u.sum()})
    p = jnp.ones(2, jnp.bfloat16)
    _, state = tx.update(jnp.full(2, 1.001), tx.init(p), p)
    np.testing.assert_allclose(gd.metrics(state)["sum"], 2.002, rtol=1e-6)


def test_refusals():
    with pytest.raises(TypeError, match="`measures` must be a dict of functions"):
        gd.monitor(gd.tree.global_norm)
    with pytest.raises(TypeError, match=r"`measures\['size'\]` must be a function"):
        gd.monitor({"size": 1.0})
