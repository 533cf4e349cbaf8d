"""Decays without an end: powers, drops, the inverse of time and of its root."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import optax

from gdjax._checks import (
    FINITE,
    NON_NEGATIVE,
    POSITIVE,
    Number,
    Range,
    integer,
    number,
)
from gdjax.schedules._ramp import count, divided, exp2, log2, past
from gdjax.schedules._shapes import warmed_up

FACTOR = Range("lie in (0, 1]", lambda x: 0 < x <= 1)


def exponential_decay(
    init_value: Number,
    transition_steps: int,
    decay_rate: Number,
    transition_begin: int = 0,
    staircase: bool = False,
    end_value: Number | None = None,
) -> optax.Schedule:
    """Multiplied by decay_rate in every so many steps, gradually or at once.

        init_value decay_rate^z, not beyond end_value,
        z = max(step - transition_begin, 0) / transition_steps, with staircase floor(z)

    Args:
      init_value: finite; may be traced.
      transition_steps: >= 1.
      decay_rate: > 0; may be traced. Above 1 it grows. Optax takes 0, as a constant.
      transition_begin: >= 0; until then init_value.
      staircase: whether it drops at once, every transition_steps.
      end_value: finite; may be traced. A lower bound; for a decay_rate of 1 and above
        an upper one.

    Returns:
      step -> f32 (f64 under x64), for an int or an integer array.

    Raises:
      ValueError: a number lies outside its range.
      TypeError: a number of steps is no Python integer.

    Example:
      >>> print(exponential_decay(1.0, 2, 0.25, end_value=0.1)(jnp.arange(8)))
      [1.    0.5   0.25  0.125 0.1   0.1   0.1   0.1  ]
      >>> print(exponential_decay(1.0, 2, 0.25, staircase=True)(jnp.arange(8)))
      [1.       1.       0.25     0.25     0.0625   0.0625   0.015625 0.015625]
    """
    init = number("init_value", init_value, FINITE)
    decay = powers(transition_steps, decay_rate, transition_begin, staircase, end_value)
    return lambda step: decay(init, count(step))


def powers(
    transition_steps: int,
    decay_rate: Number,
    transition_begin: int,
    staircase: bool,
    end_value: Number | None,
) -> Callable[[Number, jax.Array], jax.Array]:
    """(init, step) -> what `exponential_decay` describes, its arguments checked."""
    steps = integer("transition_steps", transition_steps, 1)
    rate = number("decay_rate", decay_rate, POSITIVE)
    begin = integer("transition_begin", transition_begin, 0)
    end = None if end_value is None else number("end_value", end_value, FINITE)
    slope = log2(rate)

    def decay(init: Number, step: jax.Array) -> jax.Array:
        gone = past(step, begin)
        if staircase:
            value = init * exp2(slope, divided(gone, steps)[0])
        else:
            value = init * exp2(slope / steps, gone)
        if end is None:
            return value
        return jnp.where(rate < 1, jnp.maximum(value, end), jnp.minimum(value, end))

    return decay


def step_decay_schedule(
    init_value: Number, drop_every: int, drop_factor: Number
) -> optax.Schedule:
    """Multiplied by drop_factor every so many steps.

        init_value drop_factor^floor(step / drop_every)

    Args:
      init_value: finite; may be traced.
      drop_every: steps from drop to drop, >= 1.
      drop_factor: what is left after a drop, in (0, 1]; may be traced.

    Returns:
      step -> f32 (f64 under x64), for an int or an integer array.

    Raises:
      ValueError: a number lies outside its range.
      TypeError: `drop_every` is no Python integer.

    Example:
      >>> print(step_decay_schedule(1.0, 2, 0.5)(jnp.arange(8)))
      [1.    1.    0.5   0.5   0.25  0.25  0.125 0.125]

    Reference: He et al. (2015), arXiv:1512.03385 (drops by 10).
    """
    init = number("init_value", init_value, FINITE)
    every = integer("drop_every", drop_every, 1)
    slope = log2(number("drop_factor", drop_factor, FACTOR))
    return lambda step: init * exp2(slope, divided(count(step), every)[0])


def inverse_time_decay_schedule(
    init_value: Number,
    decay_rate: Number,
    transition_steps: int,
    staircase: bool = False,
) -> optax.Schedule:
    """Falls as one over time.

        init_value / (1 + decay_rate z),
        z = step / transition_steps, with staircase floor(z)

    By epoch: steps_per_epoch transition steps and a staircase.

    Args:
      init_value: finite; may be traced.
      decay_rate: >= 0; may be traced.
      transition_steps: >= 1.
      staircase: whether it drops at once, every transition_steps.

    Returns:
      step -> f32 (f64 under x64), for an int or an integer array.

    Raises:
      ValueError: a number lies outside its range.
      TypeError: `transition_steps` is no Python integer.

    Example:
      >>> schedule = inverse_time_decay_schedule(1.0, 1.0, 2)
      >>> print(np.asarray(schedule(jnp.arange(8))).round(3))
      [1.    0.667 0.5   0.4   0.333 0.286 0.25  0.222]

    Reference: Robbins and Monro (1951), doi:10.1214/aoms/1177729586.
    """
    init = number("init_value", init_value, FINITE)
    rate = number("decay_rate", decay_rate, NON_NEGATIVE)
    steps = integer("transition_steps", transition_steps, 1)

    def schedule(step: jax.typing.ArrayLike) -> jax.Array:
        step = count(step)
        if staircase:
            return init / (1 + rate * divided(step, steps)[0].astype(float))
        return init / (1 + rate * (step.astype(float) / steps))

    return schedule


def inverse_sqrt_schedule(peak_value: Number, warmup_steps: int) -> optax.Schedule:
    """Rises linearly from 0, then falls as one over the root of the step.

        up to warmup_steps   peak_value step / warmup_steps
        from there           peak_value sqrt(warmup_steps / step)

    Args:
      peak_value: finite; may be traced.
      warmup_steps: >= 0; 0 is as 1, but starts at the peak.

    Returns:
      step -> f32 (f64 under x64), for an int or an integer array.

    Raises:
      ValueError: a number lies outside its range.
      TypeError: `warmup_steps` is no Python integer.

    Example:
      >>> print(inverse_sqrt_schedule(1.0, 4)(jnp.array([0, 2, 4, 16, 64])))
      [0.   0.5  1.   0.5  0.25]

    Reference: Vaswani et al. (2017), arXiv:1706.03762.
    """
    peak = number("peak_value", peak_value, FINITE)
    warmup_steps = integer("warmup_steps", warmup_steps, 0)
    unit = max(warmup_steps, 1)

    def schedule(step: jax.typing.ArrayLike) -> jax.Array:
        step = count(step)
        fall = peak * jnp.sqrt(unit / jnp.maximum(step, unit).astype(float))
        return warmed_up(step, 0.0, peak, warmup_steps, fall)

    return schedule
