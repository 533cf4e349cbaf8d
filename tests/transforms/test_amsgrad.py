"""AMSGrad: where the bias is corrected, before the maximum, after it, or nowhere."""

import jax.numpy as jnp
import numpy as np
import pytest

import gdjax as gd


def directions(stream, **options):
    tx = gd.scale_by_amsgrad(0.0, 0.99, eps=0.0, **options)
    state, seen = tx.init(jnp.ones(1)), []
    for g in stream:
        u, state = tx.update(jnp.array([g]), state)
        seen.append(u.item())
    return seen


def test_a_large_gradient_is_remembered():
    """16, then 1: with b1 = 0 the direction is the root of what the square became."""
    stream, b2 = [4.0] + [1.0] * 4, 0.99
    before = [1] + [1 / 4] * 4
    np.testing.assert_allclose(directions(stream), before, rtol=1e-6)
    v = [0.16, *(16 * 0.01 * b2**k + 1 - b2**k for k in range(1, 5))]
    plain = [4 / v[0] ** 0.5, *(v[k] ** -0.5 for k in range(1, 5))]
    paper = directions(stream, bias_correction_mu=False, bias_correction_nu=False)
    np.testing.assert_allclose(paper, plain, rtol=1e-6)
    after = [u * (1 - b2 ** (k + 1)) ** 0.5 for k, u in enumerate(plain)]
    got = directions(stream, correct_after_max=True)
    np.testing.assert_allclose(got, after, rtol=1e-6)


def test_a_correction_after_the_maximum_needs_one():
    with pytest.raises(ValueError, match="`correct_after_max` needs `bias_corr"):
        gd.amsgrad(0.1, bias_correction_nu=False, correct_after_max=True)
