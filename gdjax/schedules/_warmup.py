"""Schedules that start with a linear warm-up and know what comes after it."""

from typing import Literal

import jax
import jax.numpy as jnp
import optax

from gdjax._checks import FINITE, POSITIVE, Number, integer, number, one_of
from gdjax.schedules._exponential import powers
from gdjax.schedules._ramp import count, past, ramp
from gdjax.schedules._shapes import SHAPES, between, cosine, to_the, warmed_up


def warmup_constant_schedule(
    init_value: Number, peak_value: Number, warmup_steps: int
) -> optax.Schedule:
    """Rises linearly to a peak and stays there.

        init_value + (peak_value - init_value) min(step / warmup_steps, 1)

    Args:
      init_value, peak_value: finite; may be traced.
      warmup_steps: >= 0; 0 starts at the peak. Optax's 0 stays at init_value for ever.

    Returns:
      step -> f32 (f64 under x64), for an int or an integer array.

    Raises:
      ValueError: a number lies outside its range.
      TypeError: `warmup_steps` is no Python integer.

    Example:
      >>> print(warmup_constant_schedule(0.0, 1.0, 4)(jnp.arange(8)))
      [0.   0.25 0.5  0.75 1.   1.   1.   1.  ]

    Reference: Goyal et al. (2017), arXiv:1706.02677.
    """
    init = number("init_value", init_value, FINITE)
    peak = number("peak_value", peak_value, FINITE)
    warmup_steps = integer("warmup_steps", warmup_steps, 0)
    hold = lambda step: jnp.full(step.shape, peak, float)

    def schedule(step: jax.typing.ArrayLike) -> jax.Array:
        step = count(step)
        return warmed_up(step, init, peak, warmup_steps, hold(step))

    return schedule


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

    and end_value from decay_steps on. Optax forgets end_value where the peak is 0.

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
      >>> print(np.asarray(schedule(jnp.arange(8))).round(3))
      [0.    0.5   1.    0.883 0.6   0.317 0.2   0.2  ]

    Reference: Loshchilov and Hutter (2016), arXiv:1608.03983; warm-up, Goyal et al.
      (2017), arXiv:1706.02677.
    """
    numbers = checked(
        init_value, peak_value, warmup_steps, decay_steps, end_value, exponent
    )
    return lambda step: warm_cosine(count(step), *numbers)


def checked(
    init_value: Number,
    peak_value: Number,
    warmup_steps: int,
    decay_steps: int,
    end_value: Number,
    exponent: Number,
    *,
    place: str = "",
) -> tuple[Number, Number, int, int, Number, Number]:
    """The arguments of `warmup_cosine_decay_schedule`, by names that say the place."""
    init = number(f"{place}init_value", init_value, FINITE)
    peak = number(f"{place}peak_value", peak_value, FINITE)
    warmup_steps = integer(f"{place}warmup_steps", warmup_steps, 0)
    decay_steps = integer(f"{place}decay_steps", decay_steps, 1)
    end = number(f"{place}end_value", end_value, FINITE)
    exponent = number(f"{place}exponent", exponent, POSITIVE)
    if warmup_steps >= decay_steps:
        raise ValueError(
            f"`{place}decay_steps` counts the warm-up too and must be larger than "
            f"`warmup_steps` = {warmup_steps}, got {decay_steps}."
        )
    return init, peak, warmup_steps, decay_steps, end, exponent


def warm_cosine(
    step: jax.Array,
    init: Number,
    peak: Number,
    warmup_steps: int | jax.Array,
    decay_steps: int | jax.Array,
    end: Number,
    exponent: Number,
) -> jax.Array:
    """The values, also for an entry of a table instead of each number."""
    way = cosine(ramp(step, warmup_steps, decay_steps - warmup_steps))
    fall = between(peak, end, to_the(exponent, way))
    return warmed_up(step, init, peak, warmup_steps, fall)


def warmup_exponential_decay_schedule(
    init_value: Number,
    peak_value: Number,
    warmup_steps: int,
    transition_steps: int,
    decay_rate: Number,
    transition_begin: int = 0,
    staircase: bool = False,
    end_value: Number | None = None,
) -> optax.Schedule:
    """Rises linearly to a peak, from where `exponential_decay` starts.

        up to warmup_steps   init_value + (peak_value - init_value) step / warmup_steps
        from there           peak_value decay_rate^z, not beyond end_value,
                             z = (step - warmup_steps - transition_begin)
                                 / transition_steps, at least 0

    Args:
      init_value, peak_value: finite; may be traced.
      warmup_steps: >= 0; 0 starts at the peak.
      transition_steps, decay_rate, staircase, end_value: as in `exponential_decay`.
      transition_begin: >= 0; so many steps at the peak after the warm-up.

    Returns:
      step -> f32 (f64 under x64), for an int or an integer array.

    Raises:
      ValueError: a number lies outside its range.
      TypeError: a number of steps is no Python integer.

    Example:
      >>> schedule = warmup_exponential_decay_schedule(0.0, 1.0, 2, 1, 0.5)
      >>> print(schedule(jnp.arange(8)))
      [0.      0.5     1.      0.5     0.25    0.125   0.0625  0.03125]
    """
    init = number("init_value", init_value, FINITE)
    peak = number("peak_value", peak_value, FINITE)
    warmup_steps = integer("warmup_steps", warmup_steps, 0)
    decay = powers(transition_steps, decay_rate, transition_begin, staircase, end_value)

    def schedule(step: jax.typing.ArrayLike) -> jax.Array:
        step = count(step)
        fall = decay(peak, past(step, warmup_steps))
        return warmed_up(step, init, peak, warmup_steps, fall)

    return schedule


def wsd_schedule(
    peak_value: Number,
    warmup_steps: int,
    stable_steps: int,
    cooldown_steps: int,
    end_value: Number = 0.0,
    cooldown: Literal["linear", "cosine", "sqrt"] = "linear",
) -> optax.Schedule:
    """Warm-up, stable, decay: up from 0, along a plateau, down, then holds.

        up to warmup_steps                peak_value step / warmup_steps
        for stable_steps after that       peak_value
        for cooldown_steps after that     end_value + (peak_value - end_value) left(z)

    with z from 0 to 1 over the cooldown and left(z) = 1 - z (linear),
    (1 + cos(pi z)) / 2 (cosine) or 1 - sqrt(z) (sqrt).

    Args:
      peak_value, end_value: finite; may be traced.
      warmup_steps, stable_steps, cooldown_steps: >= 0.
      cooldown: the shape of the way down.

    Returns:
      step -> f32 (f64 under x64), for an int or an integer array.

    Raises:
      ValueError: a number lies outside its range, or there is no such cooldown.
      TypeError: a number of steps is no Python integer.

    Example:
      >>> print(wsd_schedule(1.0, 2, 1, 4)(jnp.arange(8)))
      [0.   0.5  1.   1.   0.75 0.5  0.25 0.  ]

    Reference: Hu et al. (2024), arXiv:2404.06395; sqrt, Haegele et al. (2024),
      arXiv:2405.18392.
    """
    peak = number("peak_value", peak_value, FINITE)
    warmup_steps = integer("warmup_steps", warmup_steps, 0)
    stable_steps = integer("stable_steps", stable_steps, 0)
    cooldown_steps = integer("cooldown_steps", cooldown_steps, 0)
    end = number("end_value", end_value, FINITE)
    shape = SHAPES[one_of("cooldown", cooldown, SHAPES)]

    def schedule(step: jax.typing.ArrayLike) -> jax.Array:
        step = count(step)
        # One after the other, as the sum of both may be no int32.
        way = ramp(past(step, warmup_steps), stable_steps, cooldown_steps)
        fall = between(peak, end, shape(way))
        return warmed_up(step, 0.0, peak, warmup_steps, fall)

    return schedule
