"""The average of gradients, with and without what its start at zero takes away."""

import jax.numpy as jnp
import pytest

import gdjax as gd


def test_only_what_is_returned_is_corrected():
    g = jnp.array([2.0])
    for debias, want in ((True, 2.0), (False, 0.5)):
        tx = gd.ema(0.75, debias)
        u, state = tx.update(g, tx.init(g))
        assert u == want and state.ema == 0.5 and state.weight == 0.25


@pytest.mark.parametrize("make", [gd.ema, lambda b, **d: gd.signum(0.1, b, **d)])
def test_the_dtype_of_the_average_can_be_chosen(make):
    g = jnp.ones(2)
    tx = make(0.9, accumulator_dtype=jnp.bfloat16)
    u, state = tx.update(g, tx.init(g))
    held = state if hasattr(state, "ema") else state[0]
    assert held.ema.dtype == jnp.bfloat16 and u.dtype == jnp.float32
    with pytest.raises(TypeError, match="accumulator_dtype"):
        make(0.9, accumulator_dtype=int)
