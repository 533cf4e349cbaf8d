"""The one ramp over which every schedule is a few lines: exact at every int32 step."""

import jax
import jax.numpy as jnp


def ramp(step: jax.typing.ArrayLike, begin: int, steps: int) -> jax.Array:
    """clip((step - begin) / steps, 0, 1); with steps = 0 a jump from 0 to 1 at `begin`.

    Subtracted and clipped as integers, as f32 has no integers of its own beyond 2^24.
    """
    step = _integers(step)
    if steps == 0:
        return (step >= begin).astype(float)
    return jnp.clip(step - begin, 0, steps).astype(float) / steps


def rest(step: jax.typing.ArrayLike, begin: int, steps: int) -> jax.Array:
    """1 - ramp, right to the last bit also where little of it is left."""
    return ramp(begin + steps - _integers(step), 0, steps)


def _integers(step: jax.typing.ArrayLike) -> jax.Array:
    step = jnp.asarray(step)  # int8 cannot hold what is subtracted
    return step.astype(jnp.promote_types(step.dtype, jnp.int32))
