"""Initialisers keep the variances that they promise."""

import jax
import numpy as np
import pytest

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
