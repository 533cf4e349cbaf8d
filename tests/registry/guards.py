"""The wrapper that decides whether there is a step at all."""

import jax
import jax.numpy as jnp
import optax
from oracles import guards as oracles

import gdjax as gd
from registry.values import NO_COUNT, entry


@jax.jit
def spoilt(g):
    first = [x.ravel()[0].real for x in jax.tree.leaves(g) if x.size]
    bad = first[0] < -1 if first else False
    return jax.tree.map(lambda x: jnp.where(bad, jnp.nan, x).astype(x.dtype), g)


def guarded(momentum, max_consecutive=1):
    """Around heavy ball, whose gradient is NaN where its first number is below -1."""
    tx = gd.guard(gd.sgd(0.1, momentum=momentum), max_consecutive)

    def update(g, state, params=None, **extra):
        return tx.update(spoilt(g), state, params, **extra)

    return optax.GradientTransformationExtraArgs(tx.init, update)


CHECKS = {
    "guard": entry(
        guarded,
        oracles.guarded_sgd,
        dict(momentum=0.8),
        dict(max_consecutive=(-1, *(x for x in NO_COUNT if x is not None))),
        sign=-1,
    ),
}
