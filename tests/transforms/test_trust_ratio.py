"""Trust ratios: how long a step is, over the range of floats, and under masks."""

import jax.numpy as jnp
import numpy as np
import pytest

import gdjax as gd

P = {"w": jnp.array([3.0, 4.0]), "b": jnp.array([6.0, 8.0])}
G = {"w": jnp.array([0.0, 7.0]), "b": jnp.array([2.0, 0.0])}


@pytest.mark.parametrize("size", [1e-37, 1e-20, 1.0, 1e20, 1e37])
@pytest.mark.parametrize("step", [1e-37, 1.0, 1e37])
def test_a_leaf_becomes_as_long_as_its_parameter(size, step):
    p, u = jnp.array([0.6, 0.8]) * size, jnp.array([0.8, -0.6]) * step
    scaled, _ = gd.scale_by_trust_ratio(trust_coefficient=0.5).update(u, None, p)
    np.testing.assert_allclose(scaled / size, [0.4, -0.3], rtol=2e-6)


def test_where_a_norm_is_zero_nothing_is_scaled():
    tx, zero, g = gd.scale_by_trust_ratio(), jnp.zeros(2), jnp.array([3.0, 4.0])
    assert tx.update(g, None, zero)[0].tolist() == [3, 4]
    assert tx.update(zero, None, g)[0].tolist() == [0, 0]
    # With a least norm there is a ratio.
    least = gd.scale_by_trust_ratio(min_norm=10.0)
    assert least.update(2 * g, None, zero)[0].tolist() == [6, 8]


@pytest.mark.parametrize(
    "mask", [{"w": True, "b": False}, lambda p: {k: k == "w" for k in p}]
)
def test_masks_of_lars(mask):
    tx = gd.lars(1.0, 0.5, mask, trust_coefficient=1.0, trust_ratio_mask=mask)
    u, _ = tx.update(G, tx.init(P), P)
    r = np.array([1.5, 9.0])  # 0.5 p + g
    np.testing.assert_allclose(u["w"], -5 * r / np.linalg.norm(r), rtol=1e-6)
    assert u["b"].tolist() == [-2, 0]
    absent, _ = tx.update({"w": None, "b": G["b"]}, tx.init(P), P)
    assert absent["w"] is None and absent["b"].tolist() == [-2, 0]


def test_no_leaf_of_lars_is_scaled_or_decays():
    tx = gd.lars(1.0, 0.5, False, trust_ratio_mask=False)
    u, _ = tx.update(G, tx.init(P), P)
    assert u["w"].tolist() == [0, -7] and u["b"].tolist() == [-2, 0]


def test_parameters_are_needed():
    with pytest.raises(ValueError, match="`scale_by_trust_ratio` needs `params`"):
        gd.scale_by_trust_ratio().update(G, None)
