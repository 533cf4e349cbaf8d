"""The shapes of schedules: curves over one ramp, and what lies between numbers."""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from gdjax._checks import Number
from gdjax.schedules._ramp import Ramp


def linear(ramp: Ramp) -> Ramp:
    return ramp


def cosine(ramp: Ramp) -> Ramp:
    """Half a cosine: left = (1 + cos(pi z)) / 2 with z = done.

    As a squared sine neither end cancels.
    """
    done, left = (jnp.sin(jnp.pi / 2 * part) ** 2 for part in ramp)
    return Ramp(done, left)


def sqrt(ramp: Ramp) -> Ramp:
    """Steep at first: left = 1 - sqrt(z)."""
    done = jnp.sqrt(ramp.done)
    return Ramp(done, 1 - done)


def rex(ramp: Ramp) -> Ramp:
    """Steep at last: left = (1 - z) / (1 - z / 2)."""
    done, left = ramp
    return Ramp(done / (1 + left), 2 * left / (1 + left))


SHAPES: dict[str, Callable[[Ramp], Ramp]] = {
    "linear": linear,
    "cosine": cosine,
    "sqrt": sqrt,
}


def to_the(exponent: Number, way: Ramp) -> Ramp:
    """What is left to a power.

    Of a base near 1 the logarithm is taken from what is done: the rounding of the base
    itself would come back times the exponent.
    """
    if isinstance(exponent, float) and exponent == 1:
        return way
    # Bounded, so that no derivative of what is not taken is infinite or NaN.
    early = jnp.log1p(-jnp.minimum(way.done, 0.5))
    late = jnp.log(jnp.maximum(way.left, 1e-30))
    left = jnp.exp(exponent * jnp.where(way.done < 0.5, early, late))
    left = jnp.where(way.left > 0, left, 0)
    return Ramp(1 - left, left)


def between(start: Number | jax.Array, end: Number | jax.Array, way: Ramp) -> jax.Array:
    """From `start`, where all is left, to `end`; each exact, and close by precise."""
    late = end + (start - end) * way.left
    return jnp.where(way.left < way.done, late, start + (end - start) * way.done)


def warmed_up(
    step: jax.Array,
    start: Number | jax.Array,
    peak: Number | jax.Array,
    steps: int | jax.Array,
    after: jax.Array,
) -> jax.Array:
    """From `start` straight towards `peak` in so many steps, then `after`."""
    if isinstance(steps, int) and steps == 0:
        return after
    rise = start + (peak - start) * (step.astype(float) / jnp.maximum(steps, 1))
    return jnp.where(step < steps, rise, after)
