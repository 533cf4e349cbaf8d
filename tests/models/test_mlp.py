"""The multi-layer perceptron against one written by hand in numpy."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from quick import QUICK

from gdjax import models

KEY = jax.random.key(3)
IMAGES = np.random.default_rng(1).normal(size=(6, 4, 5)).astype(np.float32)


def by_hand(params, state, x, activation, normalization):
    p = jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), params)
    x = x.reshape(len(x), -1).astype(np.float64)
    for i in range(2):
        x = x @ p[f"hidden_{i}"]["kernel"] + p[f"hidden_{i}"].get("bias", 0)
        if normalization == "layer":
            x = (x - x.mean(1, keepdims=True)) / np.sqrt(x.var(1, keepdims=True) + 1e-6)
        elif normalization == "batch":
            stats = state[f"norm_{i}"]
            x = (x - stats["mean"]) / np.sqrt(stats["var"] + 1e-5)
        if normalization:
            x = x * p[f"norm_{i}"]["scale"] + p[f"norm_{i}"]["bias"]
        x = activation(x)
    return x @ p["output"]["kernel"] + p["output"]["bias"]


@pytest.mark.parametrize(
    ("options", "activation"),
    [
        ({}, lambda x: np.maximum(x, 0)),
        ({"activation": "tanh", "normalization": "layer", "dropout": 0.3}, np.tanh),
        ({"activation": "identity", "normalization": "batch"}, lambda x: x),
    ],
)
def test_outputs(options, activation):
    model = models.mlp([8, 7, 3], **options)
    shapes = jax.eval_shape(model.init, KEY, IMAGES)
    # Biases and scales start at 0 and 1, which would hide a mistake.
    rng = np.random.default_rng(2)
    draw = lambda leaf: rng.normal(size=leaf.shape).astype(np.float32)
    params, state = jax.tree.map(draw, shapes)
    state = jax.tree.map(np.abs, state)
    outputs, model_state = jax.jit(model.apply)(params, state, IMAGES)
    assert outputs.shape == (6, 3) and outputs.dtype == jnp.float32
    jax.tree.map(np.testing.assert_array_equal, model_state, state)
    want = by_hand(params, state, IMAGES, activation, options.get("normalization"))
    np.testing.assert_allclose(outputs, want, rtol=1e-4, atol=1e-5)


def test_batch_statistics():
    """Those of the batch in train mode; their averages lose a tenth a step."""
    model = models.mlp([4, 3], activation="identity", normalization="batch")
    rng = np.random.default_rng(4)
    draw = lambda leaf: rng.uniform(0.5, 1.5, leaf.shape).astype(np.float32)
    params, state = jax.tree.map(draw, jax.eval_shape(model.init, KEY, IMAGES))
    train = jax.jit(partial(model.apply, train=True), compiler_options=QUICK)
    outputs, new = train(params, state, IMAGES)
    z = IMAGES.reshape(6, 20) @ np.float64(params["hidden_0"]["kernel"])
    for name, batch in {"mean": z.mean(0), "var": z.var(0)}.items():
        want = 0.9 * state["norm_0"][name] + 0.1 * batch
        np.testing.assert_allclose(new["norm_0"][name], want, rtol=1e-4)
    z = (z - z.mean(0)) / np.sqrt(z.var(0) + 1e-5)
    z = z * params["norm_0"]["scale"] + params["norm_0"]["bias"]
    want = z @ params["output"]["kernel"] + params["output"]["bias"]
    np.testing.assert_allclose(outputs, want, rtol=1e-4, atol=1e-4)


def test_parameters():
    init = models.mlp([8, 7, 3], normalization="layer", param_dtype=jnp.bfloat16).init
    params, _ = jax.eval_shape(init, KEY, IMAGES)
    assert jax.tree.map(lambda leaf: leaf.shape, params) == {
        "hidden_0": {"kernel": (20, 8), "bias": (8,)},
        "norm_0": {"scale": (8,), "bias": (8,)},
        "hidden_1": {"kernel": (8, 7), "bias": (7,)},
        "norm_1": {"scale": (7,), "bias": (7,)},
        "output": {"kernel": (7, 3), "bias": (3,)},
    }
    assert {leaf.dtype for leaf in jax.tree.leaves(params)} == {jnp.dtype("bfloat16")}
    init = models.mlp([8, 3], normalization="batch").init
    params, state = jax.eval_shape(init, KEY, IMAGES)
    assert params["hidden_0"].keys() == {"kernel"}  # the norm has the bias
    assert jax.tree.map(lambda leaf: leaf.shape, state) == {
        "norm_0": {"mean": (8,), "var": (8,)}
    }


def test_initialisation():
    model = models.mlp([400, 500], initializer="he_uniform")
    params, _ = jax.jit(model.init)(KEY, np.zeros((1, 300)))
    params = jax.tree.map(np.asarray, params)
    hidden, output = params["hidden_0"]["kernel"], params["output"]["kernel"]
    np.testing.assert_allclose(hidden.var(), 2 / 300, rtol=0.03)
    assert np.abs(hidden).max() <= np.sqrt(6 / 300)
    np.testing.assert_allclose(output.var(), 1 / 400, rtol=0.03)
    assert not params["hidden_0"]["bias"].any()


def test_one_width_is_a_linear_model():
    model = models.mlp([2])
    kernel = np.arange(40, dtype=np.float32).reshape(20, 2)
    params = {"output": {"kernel": kernel, "bias": np.ones(2, np.float32)}}
    outputs, _ = model.apply(params, {}, IMAGES)
    want = IMAGES.reshape(6, 20) @ kernel + 1
    np.testing.assert_allclose(outputs, want, rtol=1e-5, atol=1e-4)


def test_dropout_drops_hidden_units_in_train_mode():
    model = models.mlp([4000, 1], activation="identity", dropout=0.25)
    ones = {"kernel": np.ones((1, 4000)), "bias": np.zeros(4000)}
    output = {"kernel": np.ones((4000, 1)), "bias": np.zeros(1)}
    params = {"hidden_0": ones, "output": output}
    x = np.ones((1, 1), np.float32)
    key = jax.random.PRNGKey(3)  # the raw form of a key, still in wide use
    kept, _ = jax.jit(partial(model.apply, train=True))(params, {}, x, key=key)
    # A sum of 4000 units, each 4/3 with probability 3/4: deviation 36.5.
    assert 4000 - 150 < kept.item() < 4000 + 150 and kept.item() != 4000
    assert model.apply(params, {}, x)[0].item() == 4000


def test_no_operation_more_than_by_hand():
    model = models.mlp([8, 7, 3])
    params, _ = jax.eval_shape(model.init, KEY, IMAGES)

    def hand_written(params, x):
        x = x.reshape(len(x), -1)
        for name in ("hidden_0", "hidden_1"):
            x = jax.nn.relu(x @ params[name]["kernel"] + params[name]["bias"])
        return x @ params["output"]["kernel"] + params["output"]["bias"]

    def cost(apply):
        grad = jax.grad(lambda params: jnp.sum(apply(params, IMAGES) ** 2))
        analysis = jax.jit(grad).lower(params).compile().cost_analysis()
        assert analysis is not None
        return analysis["flops"], analysis["bytes accessed"]

    ours = cost(lambda params, x: model.apply(params, {}, x, train=True)[0])
    assert ours == cost(hand_written)


@pytest.mark.parametrize(
    ("error", "message", "arguments"),
    [
        (ValueError, "`features` must be a list of widths", {"features": []}),
        (ValueError, "`features` must be a list of widths", {"features": 10}),
        (ValueError, "`features` must lie in", {"features": [8, 0]}),
        (TypeError, "`features` must be a Python integer", {"features": [8, 1.5]}),
        (ValueError, "`activation` .*nearest is 'relu'", {"activation": "rleu"}),
        (ValueError, "`initializer` .*nearest is 'lecun'", {"initializer": "lecum"}),
        (ValueError, "`normalization` .*'group'", {"normalization": "group"}),
        (ValueError, r"`dropout` must lie in \[0, 1\), got 1", {"dropout": 1.0}),
        (ValueError, "`dropout` .*got nan", {"dropout": float("nan")}),
    ],
)
def test_bad_arguments(error, message, arguments):
    with pytest.raises(error, match=message):
        models.mlp(**{"features": [8, 3], **arguments})


def test_a_missing_batch_axis_is_refused():
    with pytest.raises(ValueError, match=r"`inputs` must have a batch axis .*\(5,\)"):
        models.mlp([3]).init(KEY, np.zeros(5))
