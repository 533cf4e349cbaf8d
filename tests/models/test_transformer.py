"""The transformer against its formula, in numpy and f64."""

import jax
import numpy as np
from quick import QUICK

from gdjax import models

KEY = jax.random.key(0)
RNG = np.random.default_rng(9)
TOKENS = RNG.integers(0, 7, (3, 5)).astype(np.int32)


def norm(x, p):
    x = (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-6)
    return x * p["scale"] + p["bias"]


def linear(x, p):
    return x @ p["kernel"] + p.get("bias", 0)


def attention(x, p, heads):
    n, length, width = x.shape
    size = width // heads
    parts = np.split(linear(x, p["attention_in"]), 3, -1)
    q, k, v = (part.reshape(n, length, heads, size) for part in parts)
    # Pairs as complex numbers, turned by place * rate.
    pairs = [part[..., : size // 2] + 1j * part[..., size // 2 :] for part in (q, k)]
    rates = 1e4 ** (-np.arange(size // 2) / (size // 2))
    mixed = np.zeros((n, length, heads, size))
    for t in range(length):
        # Only distances enter: the query stands still, earlier keys turn back.
        turn = np.exp(1j * (np.arange(t + 1) - t)[:, None, None] * rates)
        keys = pairs[1][:, : t + 1] * turn
        scores = np.einsum("nhd,nshd->nhs", pairs[0][:, t], keys.conj()).real
        weights = np.exp(scores / size**0.5)
        weights /= weights.sum(-1, keepdims=True)
        mixed[:, t] = np.einsum("nhs,nshd->nhd", weights, v[:, : t + 1])
    return linear(mixed.reshape(n, length, width), p["attention_out"])


def gelu(x):
    return 0.5 * x * (1 + np.tanh((2 / np.pi) ** 0.5 * (x + 0.044715 * x**3)))


def test_outputs():
    model = models.transformer(7, 8, 2, 2, mlp_ratio=3)
    draw = lambda leaf: 0.5 * RNG.normal(size=leaf.shape).astype(np.float32)
    params = jax.tree.map(draw, jax.eval_shape(model.init, KEY, TOKENS)[0])
    got, _ = jax.jit(model.apply, compiler_options=QUICK)(params, {}, TOKENS)

    p = jax.tree.map(np.float64, params)
    x = p["embedding"]["embedding"][TOKENS]
    for i in range(2):
        block = p[f"block_{i}"]
        x = x + attention(norm(x, block["norm_0"]), block, 2)
        hidden = gelu(linear(norm(x, block["norm_1"]), block["mlp_in"]))
        x = x + linear(hidden, block["mlp_out"])
    want = linear(norm(x, p["norm"]), p["output"])
    np.testing.assert_allclose(got, want, rtol=1e-4, atol=2e-5)


def test_initialisation():
    model = models.transformer(30, 64, 2, 4, initializer="he")
    init = jax.jit(model.init, compiler_options=QUICK)
    params, state = init(KEY, TOKENS)
    assert state == {}
    p = jax.tree.map(np.asarray, params)
    block = p["block_0"]
    assert jax.tree.map(np.shape, block) == {
        "norm_0": {"scale": (64,), "bias": (64,)},
        "attention_in": {"kernel": (64, 192)},
        "attention_out": {"kernel": (64, 64), "bias": (64,)},
        "norm_1": {"scale": (64,), "bias": (64,)},
        "mlp_in": {"kernel": (64, 256), "bias": (256,)},
        "mlp_out": {"kernel": (256, 64), "bias": (64,)},
    }
    variances = {
        name: fan_in
        * np.mean([p[f"block_{i}"][name]["kernel"].var() for i in range(2)])
        for name, fan_in in {
            "attention_in": 64,
            "mlp_in": 64,
            "attention_out": 64,
            "mlp_out": 256,
        }.items()
    }
    np.testing.assert_allclose(
        list(variances.values()), [2, 2, 2 / 4, 2 / 4], rtol=0.05
    )
    np.testing.assert_allclose(p["embedding"]["embedding"].var(), 1, rtol=0.1)
    np.testing.assert_allclose(64 * p["output"]["kernel"].var(), 1, rtol=0.1)
