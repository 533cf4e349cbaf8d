"""Constant, and warm-up followed by a cosine."""

import jax
import jax.numpy as jnp
import optax

from gdjax._checks import FINITE, POSITIVE, Number, integer, number
from gdjax.schedules._ramp import ramp, rest


def constant_schedule(value: Number) -> optax.Schedule:
    """The same value at every step.

    Args:
      value: finite; may be traced.

    Returns:
      step -> f32[] (f64 under x64), with the shape of `step`.

    Raises:
      ValueError: `value` is not finite.

    Example:
      >>> print(constant_schedule(0.1)(jnp.arange(2)))
      [0.1 0.1]
    """
    value = number("value", value, FINITE)
    return lambda step: jnp.full(jnp.shape(step), value, float)


def warmup_cosine_decay_schedule(
    init_value: Number,
    peak_value: Number,
    warmup_steps: int,
    decay_steps: int,
    end_value: Number = 0.0,
    exponent: Number = 1.0,
) -> optax.Schedule:
    """Rises linearly to a peak, then falls along half a cosine, then holds.

        up to warmup_steps   init_value + (peak_value - init_value) step / warmup_steps
        from there           end_value + (peak_value - end_value) c^exponent,
                             c = (1 + cos(pi z)) / 2,
                             z = (step - warmup_steps) / (decay_steps - warmup_steps)

    and end_value from decay_steps on. Right to 1e-6 of the largest value at every int32
    step.

    Args:
      init_value, peak_value, end_value: finite; may be traced.
      warmup_steps: >= 0; 0 starts at the peak.
      decay_steps: steps from 0 to the end, the warm-up included; > warmup_steps.
      exponent: > 0; may be traced.

    Returns:
      step -> f32 (f64 under x64), for an int or an integer array.

    Raises:
      ValueError: a number lies outside its range.
      TypeError: a number of steps is no Python integer.

    Example:
      >>> schedule = warmup_cosine_decay_schedule(0.0, 1.0, 2, 6, end_value=0.2)
      >>> print(schedule(jnp.arange(8)).round(3))
      [0.    0.5   1.    0.883 0.6   0.317 0.2   0.2  ]

    Reference: Loshchilov and Hutter (2016), arXiv:1608.03983; warm-up, Goyal et al.
      (2017), arXiv:1706.02677.
    """
    init = number("init_value", init_value, FINITE)
    peak = number("peak_value", peak_value, FINITE)
    end = number("end_value", end_value, FINITE)
    power = number("exponent", exponent, POSITIVE)
    warmup_steps = integer("warmup_steps", warmup_steps, 0)
    decay_steps = integer("decay_steps", decay_steps, 1)
    if warmup_steps >= decay_steps:
        raise ValueError(
            f"`decay_steps` counts the warm-up too and must be larger than "
            f"`warmup_steps` = {warmup_steps}, got {decay_steps}."
        )

    def schedule(step: jax.typing.ArrayLike) -> jax.Array:
        # (1 + cos(pi z)) / 2 = sin(pi (1 - z) / 2)^2, which does not cancel at z = 1.
        left = rest(step, warmup_steps, decay_steps - warmup_steps)
        fall = end + (peak - end) * jnp.sin(jnp.pi / 2 * left) ** (2 * power)
        rise = init + (peak - init) * ramp(step, 0, warmup_steps)
        return jnp.where(jnp.asarray(step) < warmup_steps, rise, fall)

    return schedule
