"""The residual network: its blocks, its skips, and the net without them."""

import functools

import jax
import numpy as np
import pytest
from quick import QUICK

from gdjax import models

KEY = jax.random.key(0)
RNG = np.random.default_rng(5)
IMAGES = RNG.normal(size=(3, 5, 6, 2)).astype(np.float32)


@functools.cache
def applied(skips, blocks):
    options = {"blocks": blocks, "normalization": "layer"}
    model = models.residual_net([2, 3], 4, skips, **options)
    return model, jax.jit(model.apply, compiler_options=QUICK)


def layer_norm(x, p):
    x = (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-6)
    return x * p["scale"] + p["bias"]


def conv(x, p, stride):
    names = ("NHWC", "HWIO", "NHWC")
    x, kernel = np.float32(x), np.float32(p["kernel"])
    y = jax.lax.conv_general_dilated(
        x, kernel, (stride, stride), "SAME", dimension_numbers=names
    )
    return np.asarray(y) + p["bias"]


def by_hand(params, x, skips, blocks):
    relu = lambda x: np.maximum(x, 0)
    x = conv(x, params["stem"], 1)
    for i in range(2 * blocks):
        stride, more = (2, 1) if i == blocks else (1, 0)
        p = params[f"block_{i}"]
        y = conv(relu(layer_norm(x, p["norm_0"])), p["conv_0"], stride)
        y = conv(relu(layer_norm(y, p["norm_1"])), p["conv_1"], 1)
        skip = x[:, ::stride, ::stride]
        skip = np.concatenate([skip, np.zeros((*skip.shape[:3], more))], -1)
        x = y + skip * skips
    x = relu(layer_norm(x, params["norm"])).mean((1, 2))
    return x @ params["output"]["kernel"] + params["output"]["bias"]


@pytest.mark.parametrize(("skips", "blocks"), [(True, 2), (False, 1)])
def test_outputs_with_and_without_skips(skips, blocks):
    shapes, _ = jax.eval_shape(applied(not skips, blocks)[0].init, KEY, IMAGES)
    draw = lambda leaf: RNG.uniform(-1, 1, leaf.shape).astype(np.float32)
    params = jax.tree.map(draw, shapes)  # those of the other net
    got, _ = applied(skips, blocks)[1](params, {}, IMAGES)
    want = by_hand(params, IMAGES, skips, blocks)
    assert np.ptp(want) > 0.1
    np.testing.assert_allclose(got, want, rtol=1e-4, atol=1e-4)


def test_parameters():
    shapes = lambda **options: jax.tree.map(
        lambda leaf: leaf.shape,
        jax.eval_shape(models.residual_net([2, 3], 4, **options).init, KEY, IMAGES),
    )
    params, state = shapes(blocks=2)
    convs = [("conv_0", "conv_1")] * 4
    assert list(params) == [f"block_{i}" for i in range(4)] + ["norm", "output", "stem"]
    kernels = [params[f"block_{i}"][c]["kernel"] for i in range(4) for c in convs[i]]
    assert kernels == [(3, 3, 2, 2)] * 4 + [(3, 3, 2, 3)] + [(3, 3, 3, 3)] * 3
    assert params["stem"] == {"kernel": (3, 3, 2, 2)}
    assert state["block_2"]["norm_1"] == {"mean": (3,), "var": (3,)}
    assert shapes(blocks=2, skips=False) == (params, state)
    _, state = shapes(normalization=None)
    assert state == {}


def test_blocks_halve_the_sides_once_a_stage():
    model = models.residual_net([2, 2, 2], 1, blocks=2)
    for sides in ((2, 9), (9, 2)):
        with pytest.raises(ValueError, match=r"`channels` has 3 .*least 3 x 3, got "):
            jax.eval_shape(model.init, KEY, np.zeros((1, *sides, 1)))
    jax.eval_shape(model.init, KEY, np.zeros((1, 3, 3, 1)))
