"""Layer-wise decay: which leaf has which depth, and around what it stands."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import gdjax as gd

P = {
    "embed": jnp.ones(2),
    "block_0": {"kernel": jnp.ones(2), "bias": None},
    "block_1": {"kernel": jnp.ones(2, jnp.bfloat16)},
    "head": jnp.ones(2),
}


def moved(tx, g=P, p=P):
    u, _ = tx.update(g, tx.init(p), p)
    return {
        name: float(x[0])
        for name, x in gd.tree.named_leaves(u).items()
        if x is not None
    }


def by_function(path):
    names = {"embed": 0, "head": 3}
    return names.get(path, 1 + int(path[6]) if path.startswith("block_") else None)


@pytest.mark.parametrize("depth_of", [by_function, ["embed", "_0/", "_1/", "head"]])
def test_a_leaf_moves_by_its_depth(depth_of):
    want = {"block_0/kernel": 0.25, "block_1/kernel": 0.5, "embed": 0.125, "head": 1.0}
    assert moved(gd.layerwise_decay(gd.scale(1.0), 0.5, depth_of)) == want
    step = gd.layerwise_decay(gd.sgd(1.0), 0.5, depth_of)
    assert moved(step) == {k: -v for k, v in want.items()}


def test_decoupled_decay_shrinks_with_the_rate():
    tx = gd.layerwise_decay(gd.adamw(0.1, weight_decay=0.5), 0.5, ["embed", ""])
    got = moved(tx, jax.tree.map(jnp.zeros_like, P))
    np.testing.assert_allclose(got["embed"], -0.5 * 0.1 * 0.5, rtol=1e-6)
    np.testing.assert_allclose(got["head"], -0.1 * 0.5, rtol=1e-6)


def test_the_largest_depth_is_that_of_all_parameters():
    """A gradient that is missing at the top, or another group's, changes no depth."""
    tx = gd.layerwise_decay(gd.scale(1.0), 0.5, ["embed", "_0/", "_1/", "head"])
    assert moved(tx, {**P, "head": None})["embed"] == 0.125
    groups = gd.partition_by_path([("head", gd.scale(1.0)), ("", tx)])
    assert moved(groups)["embed"] == 0.125
    some = gd.layerwise_decay(gd.scale(1.0), 0.5, ["embed", "block"])
    groups = gd.partition_by_path([("head", gd.scale(1.0)), ("", some)])
    assert moved(groups)["embed"] == 0.5  # of paths that are not its own it knows none


def test_at_the_largest_depth_nothing_changes():
    g = jnp.array([2e-38, 3e38, jnp.inf, -0.0])
    tx = gd.layerwise_decay(gd.identity(), 0.3, lambda path: 5)
    u, _ = tx.update(g, tx.init(g), g)
    assert np.asarray(u).tobytes() == np.asarray(g).tobytes()


@pytest.mark.parametrize(
    ("depth_of", "sentence"),
    [
        (["embed", "block"], "`depth_of` finds no depth for parameter `head`"),
        (
            lambda path: -1,
            r"`depth_of\('block_0/bias'\)` must lie in \[0, 2\*\*31 - 1\]",
        ),
        (lambda path: 0.5, "must be a Python integer, got 0.5"),
    ],
)
def test_depths_are_checked_by_init(depth_of, sentence):
    with pytest.raises((TypeError, ValueError), match=sentence):
        gd.layerwise_decay(gd.sgd(0.1), 0.5, depth_of).init(P)


def test_an_inner_that_is_no_transformation():
    with pytest.raises(TypeError, match="`inner` of `layerwise_decay` must be a gr"):
        gd.layerwise_decay(gd.sgd, 0.5, ["embed"])
