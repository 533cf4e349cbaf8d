"""The one ramp over which every schedule is a few lines: exact at every int32 step."""

import jax
import jax.numpy as jnp


def ramp(step: jax.typing.ArrayLike, begin: int, steps: int) -> jax.Array:
    """clip((step - begin) / steps, 0, 1); with steps = 0 a jump from 0 to 1 at `begin`.

    Subtracted and clipped as integers, as f32 has no integers of its own beyond 2^24.
    """
    step = jnp.asarray(step)
    if steps == 0:
        return (step >= begin).astype(float)
    return jnp.clip(step - begin, 0, steps).astype(float) / steps
