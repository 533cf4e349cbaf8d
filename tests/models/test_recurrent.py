"""Recurrent networks against Flax's cells, one time after the other."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from quick import QUICK

from gdjax import models

KEY = jax.random.key(0)
RNG = np.random.default_rng(7)
SERIES = RNG.normal(size=(3, 4, 2)).astype(np.float32)
CELLS = {"rnn": nnx.SimpleCell, "lstm": nnx.OptimizedLSTMCell, "gru": nnx.GRUCell}


def flax_layer(name, p, x):
    width = len(p["recurrent_kernel"])
    cell = CELLS[name](x.shape[-1], width, rngs=nnx.Rngs(0))
    biased = cell.dense_h if name == "lstm" else cell.dense_i
    cell.dense_i.kernel[...] = p["kernel"]
    cell.dense_h.kernel[...] = p["recurrent_kernel"]
    biased.bias[...] = p["bias"]
    zeros = jnp.zeros((len(x), width))
    carry = (zeros, zeros) if name == "lstm" else zeros
    states = []
    for t in range(x.shape[1]):
        carry, h = cell(carry, x[:, t])
        states.append(h)
    return jnp.stack(states, 1)


@pytest.mark.parametrize("name", CELLS)
def test_outputs(name):
    """Two layers with a norm behind each."""
    model = models.recurrent(name, 5, 3, depth=2, normalization="layer")
    draw = lambda leaf: RNG.normal(size=leaf.shape).astype(np.float32)
    params = jax.tree.map(draw, jax.eval_shape(model.init, KEY, SERIES)[0])

    def run(params, x):
        got, _ = model.apply(params, {}, x)
        for i in range(2):
            x = flax_layer(name, params[f"layer_{i}"], x)
            x = x - x.mean(-1, keepdims=True)
            x = x / jnp.sqrt(jnp.mean(x**2, -1, keepdims=True) + 1e-6)
            x = x * params[f"norm_{i}"]["scale"] + params[f"norm_{i}"]["bias"]
        return got, x @ params["output"]["kernel"] + params["output"]["bias"]

    run = jax.jit(run, compiler_options=QUICK)
    got, want = jax.tree.map(np.asarray, run(params, SERIES))
    assert got.shape == (3, 4, 3) and np.ptp(want) > 1
    np.testing.assert_allclose(got, want, rtol=1e-4, atol=2e-5)


def test_the_last_output_alone():
    outputs = {}
    rng = np.random.default_rng(3)
    draw = lambda leaf: rng.normal(size=leaf.shape).astype(np.float32)
    for which in ("all", "last"):
        model = models.recurrent("gru", 5, 3, outputs=which)
        if which == "all":
            shapes, _ = jax.eval_shape(model.init, KEY, SERIES)
            params = jax.tree.map(draw, shapes)
        run = jax.jit(model.apply, compiler_options=QUICK)
        outputs[which] = np.asarray(run(params, {}, SERIES)[0])
    want = outputs["all"][:, -1]
    np.testing.assert_allclose(outputs["last"], want, rtol=1e-5, atol=1e-6)


def test_initialisation():
    model = models.recurrent("lstm", 64, 3, vocabulary=50, initializer="xavier")
    init = jax.jit(model.init, compiler_options=QUICK)
    params, state = init(KEY, np.zeros((1, 2), int))
    p = jax.tree.map(np.asarray, params)
    layer = p["layer_0"]
    assert state == {}
    assert jax.tree.map(np.shape, p) == {
        "embedding": {"embedding": (50, 64)},
        "layer_0": {"kernel": (64, 256), "recurrent_kernel": (64, 256), "bias": (256,)},
        "output": {"kernel": (64, 3), "bias": (3,)},
    }
    for part in np.split(layer["recurrent_kernel"], 4, 1):
        np.testing.assert_allclose(part.T @ part, np.eye(64), atol=1e-5)
    # Each part of 64 x 64 for itself: 2 / (64 + 64), not 2 / (64 + 256).
    np.testing.assert_allclose(layer["kernel"].var(), 1 / 64, rtol=0.05)
    np.testing.assert_array_equal(layer["bias"], np.repeat([0, 1, 0, 0], 64))
    np.testing.assert_allclose(p["embedding"]["embedding"].var(), 1, rtol=0.1)
    parts = [layer["kernel"][:, :64], *np.split(layer["recurrent_kernel"], 4, 1)]
    assert all((a != b).any() for a, b in zip(parts, parts[1:], strict=False))


def test_recurrent_kernels_by_name():
    model = models.recurrent("rnn", 200, 1, recurrent_initializer="he_uniform")
    shapes, _ = jax.eval_shape(model.init, KEY, SERIES)
    assert shapes["layer_0"]["recurrent_kernel"].shape == (200, 200)
    params, _ = jax.jit(model.init, compiler_options=QUICK)(KEY, SERIES)
    kernel = np.asarray(params["layer_0"]["recurrent_kernel"])
    np.testing.assert_allclose(kernel.var(), 2 / 200, rtol=0.03)
    assert np.abs(kernel).max() <= np.sqrt(6 / 200)
