"""Initialisers keep the variances that they promise."""

import functools

import jax
import numpy as np
import pytest
from quick import QUICK

from gdjax import models

FAN_IN, FAN_OUT = 400, 800
HE, LECUN, XAVIER = 2 / FAN_IN, 1 / FAN_IN, 2 / (FAN_IN + FAN_OUT)


@pytest.mark.parametrize(
    ("names", "variance"),
    [
        (("he", "he_normal", "he_uniform"), HE),
        (("lecun", "lecun_normal", "lecun_uniform"), LECUN),
        (("xavier", "xavier_normal", "xavier_uniform"), XAVIER),
        (("glorot", "glorot_normal", "glorot_uniform"), XAVIER),
    ],
)
def test_variance(names, variance):
    key = jax.random.key(0)
    short, normal, uniform = (
        np.asarray(models.initializer(name)(key, (FAN_IN, FAN_OUT)), np.float64)
        for name in names
    )
    np.testing.assert_array_equal(short, normal)
    for kernel in (normal, uniform):
        # 320,000 draws: the variance is known to 0.25 %, the mean to 0.2 % of a
        # standard deviation.
        np.testing.assert_allclose(kernel.var(), variance, rtol=0.03)
        assert abs(kernel.mean()) < 0.01 * variance**0.5
    # A uniform distribution ends at sqrt(3) deviations, a normal one cut off at two
    # and widened to its variance at 2 / 0.87962566.
    scaled = [np.abs(kernel).max() / variance**0.5 for kernel in (uniform, normal)]
    np.testing.assert_allclose(scaled, [3**0.5, 2 / 0.87962566], rtol=1e-3)


@pytest.mark.parametrize("shape", [(60, 20), (20, 60)])
def test_orthogonal(shape):
    q = np.asarray(models.initializer("orthogonal")(jax.random.key(0), shape))
    gram = q.T @ q if shape[0] >= shape[1] else q @ q.T
    np.testing.assert_allclose(gram, np.eye(min(shape)), atol=2e-6)


def test_an_unknown_name_is_answered_with_the_nearest():
    with pytest.raises(ValueError, match="must be one of he, .*nearest is 'he_normal'"):
        models.initializer("he_norml")


@functools.cache
def twenty_layers(name, width=256):
    """The kernels of a deep network, in f64."""
    draw = jax.vmap(lambda key: models.initializer(name)(key, (width, width)))
    draw = jax.jit(draw, compiler_options=QUICK)
    return np.float64(draw(jax.random.split(jax.random.key(1), 20)))


def spread(name, activation, scale=1.0):
    """Variance of activations behind 20 layers, and of gradients in front of them.

    Both as shares of what goes in: `scale` squared, and 1 at the last layer.
    """
    values, slope = {
        "identity": (lambda x: x, np.ones_like),
        "relu": (lambda x: np.maximum(x, 0), lambda x: np.float64(x > 0)),
        "tanh": (np.tanh, lambda x: 1 - np.tanh(x) ** 2),
    }[activation]
    rng = np.random.default_rng(4)
    kernels, slopes = twenty_layers(name), []
    h = scale * rng.normal(size=(32, 256))
    for kernel in kernels:
        z = h @ kernel
        slopes.append(slope(z))
        h = values(z)
    gradient = rng.normal(size=h.shape)
    for kernel, factor in zip(kernels[::-1], slopes[::-1], strict=True):
        gradient = (gradient * factor) @ kernel.T
    return np.mean(h**2) / scale**2, np.mean(gradient**2)


def keeps(shares, bound):
    return all(1 / bound < share < bound for share in shares)


@pytest.mark.parametrize(
    ("name", "activation", "scale"),
    [
        ("he", "relu", 1.0),
        ("xavier", "identity", 1.0),
        ("xavier", "tanh", 1e-3),
        ("lecun", "identity", 1.0),
        ("lecun", "tanh", 1e-3),
    ],
)
def test_variances_stay_through_twenty_layers(name, activation, scale):
    # Each layer is off by about sqrt(5 / 256) at random: 20 of them by 1.9 at most
    # in two of three cases.
    assert keeps(spread(name, activation, scale), 4)


@pytest.mark.parametrize(
    ("name", "activation", "scale"),
    [("lecun", "relu", 1.0), ("xavier", "relu", 1.0), ("he", "identity", 1.0)],
)
def test_a_wrong_pairing_does_not_keep_them(name, activation, scale):
    activations, gradients = spread(name, activation, scale)
    assert not keeps([activations], 4e3) and not keeps([gradients], 4e3)  # 2**20


def test_orthogonal_kernels_keep_the_norm_of_every_vector():
    x = y = np.random.default_rng(6).normal(size=(5, 64))
    for kernel in twenty_layers("orthogonal", 64):
        x = x @ kernel
        np.testing.assert_allclose(
            np.linalg.norm(x, axis=1), np.linalg.norm(y, axis=1), rtol=2e-5
        )


def test_orthogonal_in_short_floats():
    q = models.initializer("orthogonal")(jax.random.key(0), (30, 20), "bfloat16")
    assert q.dtype == "bfloat16"
    q = np.asarray(q, np.float32)
    np.testing.assert_allclose(q.T @ q, np.eye(20), atol=0.02)
