"""Averages of gradients for one array, and what adaptive rules divide by."""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from gdjax._checks import Number
from gdjax.tree._numerics import abs_sq


def ema(old: jax.Array, new: Number, decay: Number) -> jax.Array:
    """decay old + (1 - decay) new: one step of an exponential moving average."""
    return decay * old + (1 - decay) * new


def ema_sq(old: jax.Array, x: jax.Array, decay: Number) -> jax.Array:
    """decay old + (1 - decay) |x|^2, finite wherever the result is."""
    return decay * old + abs_sq(x, 1 - decay)


def ema_weight(old: jax.Array, decay: Number) -> jax.Array:
    """The same average of ones: what an average that started at zero is divided by.

    1 - decay^t where decay is fixed, right also where it changes from step to step,
    and rounded as the average itself is (1 - decay^t is 1.3e-5 off in f32 at 0.999).
    """
    return jnp.asarray(ema(old, 1, decay), old.dtype)


def unbiased(
    decay: Number, weight: jax.Array, nesterov: bool = False
) -> Callable[[jax.Array, jax.Array], jax.Array]:
    """(average, newest) -> mean: what takes the start at zero out of an average.

    average / weight, where `weight` is the same average of ones. With `nesterov` the
    newest counts twice, as in NAdam: decay average / (the next weight) + (1 - decay)
    newest / weight.
    """
    scale = 1 / weight
    if not nesterov:
        return lambda average, newest: scale * average
    ahead, again = decay / ema_weight(weight, decay), (1 - decay) * scale
    return lambda average, newest: ahead * average + again * newest


def ratio(above: jax.Array, below: jax.Array) -> jax.Array:
    """above / below, and `above` where `below` is 0: there a rule has nothing yet."""
    return above / jnp.where(below == 0, 1, below)


def over_root(
    mean: jax.Array,
    square: jax.Array,
    eps: Number,
    eps_root: Number = 0.0,
) -> jax.Array:
    """mean / (sqrt(square + eps_root) + eps), and `mean` where that root is 0.

    With both eps 0 that is also where a square has vanished: below 1e-19 in f32.
    """
    return ratio(mean, jnp.sqrt(square + eps_root) + eps)
