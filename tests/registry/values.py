"""Numbers for the registry: good ones unlike the defaults, and bad ones by range."""

import jax.numpy as jnp

NAN, INF = float("nan"), float("inf")
UNIT = (1.0, -0.1, NAN, "x", True, jnp.ones(2))  # refused where [0, 1) is allowed
OPEN = (0.0, *UNIT)  # refused where (0, 1) is allowed
SIZE = (-1.0, NAN, INF, None)  # refused where [0, inf) is allowed
POSITIVE = (0.0, *SIZE)  # refused where (0, inf) is allowed
RATE = (-1.0, NAN, INF, None, -INF)
NO_COUNT = (1.5, True, "x", None, 2**31, jnp.int32(1))
NO_INTEGER = (-1, 1.5, True, "x", None, 2**31, jnp.float32(1), jnp.ones(2, int))
ADAM = dict(b1=0.8, b2=0.95, eps=1e-2, eps_root=1e-3)
BAD_ADAM = dict(b1=UNIT, b2=UNIT, eps=SIZE, eps_root=SIZE)
ONE_RATE = dict(learning_rate=0.1)


def entry(make, oracle, numbers, bad=None, **more):
    """What `gd.testing.check` is called with."""
    return dict(make=make, oracle=oracle, numbers=numbers, bad=bad or {}, **more)


def step(make, oracle, numbers=None, bad=None, **more):
    """An optimizer's entry: with a rate, and against the gradient."""
    bad = dict(learning_rate=RATE, **(bad or {}))
    return entry(make, oracle, ONE_RATE | (numbers or {}), bad, sign=-1, **more)
