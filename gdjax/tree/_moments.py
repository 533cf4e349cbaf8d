"""Averages of gradients for one array, and what adaptive rules divide by."""

import jax
import jax.numpy as jnp

from gdjax.tree._numerics import abs_sq


def ema(old: jax.Array, new: jax.typing.ArrayLike, decay: jax.typing.ArrayLike):
    """decay old + (1 - decay) new: one step of an exponential moving average."""
    return decay * old + (1 - decay) * new


def ema_sq(old: jax.Array, x: jax.Array, decay: jax.typing.ArrayLike) -> jax.Array:
    """decay old + (1 - decay) |x|^2, finite wherever the result is."""
    return decay * old + abs_sq(x, 1 - decay)


def ema_weight(old: jax.Array, decay: jax.typing.ArrayLike) -> jax.Array:
    """The same average of ones: what an average that started at zero is divided by.

    1 - decay^t where decay is fixed, right also where it changes from step to step,
    and rounded as the average itself is (1 - decay^t is 1.3e-5 off in f32 at 0.999).
    """
    return jnp.asarray(ema(old, 1, decay), old.dtype)


def ratio(above: jax.Array, below: jax.Array) -> jax.Array:
    """above / below, and `above` where `below` is 0: there a rule has nothing yet."""
    return above / jnp.where(below == 0, 1, below)


def over_root(
    mean: jax.Array,
    square: jax.Array,
    eps: jax.typing.ArrayLike,
    eps_root: jax.typing.ArrayLike = 0.0,
) -> jax.Array:
    """mean / (sqrt(square + eps_root) + eps), and `mean` where that root is 0."""
    return ratio(mean, jnp.sqrt(square + eps_root) + eps)
