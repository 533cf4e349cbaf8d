"""Masks by path: wherever a mask goes, and a pattern that finds nothing."""

import jax
import jax.numpy as jnp
import optax
import pytest

import gdjax as gd

P = {"out": {"kernel": jnp.ones(2), "bias": jnp.ones(2)}, "scale": None}
ZERO = jax.tree.map(jnp.zeros_like, P)
KERNELS = gd.mask_by_path("kernel$")


@pytest.mark.parametrize(
    "tx",
    [
        gd.add_decayed_weights(1.0, mask=KERNELS),
        gd.masked(gd.add_decayed_weights(1.0), KERNELS),
        optax.add_decayed_weights(1.0, mask=KERNELS),
    ],
    ids=["link", "masked", "optax"],
)
def test_it_goes_wherever_a_mask_does(tx):
    u, _ = jax.jit(tx.update)(ZERO, tx.init(P), P)
    assert u["out"]["kernel"].tolist() == [1, 1] and not u["out"]["bias"].any()


def test_values():
    assert KERNELS(P) == {"out": {"bias": False, "kernel": True}, "scale": None}
    assert gd.mask_by_path("^(?!.*kernel$)")(P)["out"] == {
        "bias": True,
        "kernel": False,
    }
    assert KERNELS({}) == {} and KERNELS({"a": None}) == {"a": None}
    assert KERNELS({"bias": jnp.ones(1), "kernel": None}) == {
        "bias": False,
        "kernel": None,
    }


def test_refusals():
    tx = gd.adamw(0.1, mask=gd.mask_by_path("weights"))
    sentence = "'weights' of `mask_by_path` is found in no path of `out/bias`, `out/ker"
    with pytest.raises(ValueError, match=sentence):
        tx.init(P)
    with pytest.raises(ValueError, match=r"`pattern`: '\(' is no regular expression"):
        gd.mask_by_path("(")
    with pytest.raises(TypeError, match="`pattern` must be a regular expression, got"):
        gd.mask_by_path(None)
