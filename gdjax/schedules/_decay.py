"""One value, and one way down: constant, linear, polynomial, cosine, REX."""

import jax.numpy as jnp
import optax

from gdjax._checks import FINITE, POSITIVE, Number, integer, number
from gdjax.schedules._ramp import count, ramp
from gdjax.schedules._shapes import between, cosine, rex, to_the


def constant_schedule(value: Number) -> optax.Schedule:
    """The same value at every step.

    Args:
      value: finite; may be traced.

    Returns:
      step -> f32 (f64 under x64), with the shape of `step`.

    Raises:
      ValueError: `value` is not finite.

    Example:
      >>> print(constant_schedule(0.1)(jnp.arange(8)))
      [0.1 0.1 0.1 0.1 0.1 0.1 0.1 0.1]
    """
    value = number("value", value, FINITE)
    return lambda step: jnp.full(count(step).shape, value, float)


def linear_schedule(
    init_value: Number,
    end_value: Number,
    transition_steps: int,
    transition_begin: int = 0,
) -> optax.Schedule:
    """Straight from one value to another, which is then held.

        end_value + (init_value - end_value) (1 - z),
        z = (step - transition_begin) / transition_steps, clipped to [0, 1]

    Args:
      init_value, end_value: finite; may be traced.
      transition_steps: >= 1. Optax takes 0 and less, and stays at init_value for ever.
      transition_begin: >= 0; until then init_value.

    Returns:
      step -> f32 (f64 under x64), for an int or an integer array.

    Raises:
      ValueError: a number lies outside its range.
      TypeError: a number of steps is no Python integer.

    Example:
      >>> print(linear_schedule(1.0, 0.0, 4, transition_begin=1)(jnp.arange(8)))
      [1.   1.   0.75 0.5  0.25 0.   0.   0.  ]
    """
    return polynomial_schedule(
        init_value, end_value, 1.0, transition_steps, transition_begin
    )


def polynomial_schedule(
    init_value: Number,
    end_value: Number,
    power: Number,
    transition_steps: int,
    transition_begin: int = 0,
) -> optax.Schedule:
    """From one value to another along a power of what is left, then holds.

        end_value + (init_value - end_value) (1 - z)^power,
        z = (step - transition_begin) / transition_steps, clipped to [0, 1]

    Args:
      init_value, end_value: finite; may be traced.
      power: > 0; may be traced. 1 is linear, above it the start is the steep part.
      transition_steps: >= 1. Optax takes 0 and less, and stays at init_value for ever.
      transition_begin: >= 0; until then init_value.

    Returns:
      step -> f32 (f64 under x64), for an int or an integer array.

    Raises:
      ValueError: a number lies outside its range.
      TypeError: a number of steps is no Python integer.

    Example:
      >>> print(polynomial_schedule(1.0, 0.0, 2.0, 4)(jnp.arange(8)))
      [1.     0.5625 0.25   0.0625 0.     0.     0.     0.    ]

    Reference: Chen et al. (2016), arXiv:1606.00915 ("poly", power 0.9).
    """
    init = number("init_value", init_value, FINITE)
    end = number("end_value", end_value, FINITE)
    exponent = number("power", power, POSITIVE)
    steps = integer("transition_steps", transition_steps, 1)
    begin = integer("transition_begin", transition_begin, 0)
    return lambda step: between(
        init, end, to_the(exponent, ramp(count(step), begin, steps))
    )


def cosine_decay_schedule(
    init_value: Number,
    decay_steps: int,
    alpha: Number = 0.0,
    exponent: Number = 1.0,
) -> optax.Schedule:
    """Falls along half a cosine to a share of where it began, then holds.

        init_value (alpha + (1 - alpha) c^exponent),
        c = (1 + cos(pi z)) / 2, z = step / decay_steps, clipped to [0, 1]

    Args:
      init_value: finite; may be traced.
      decay_steps: >= 1.
      alpha: the share that stays; finite; may be traced.
      exponent: > 0; may be traced.

    Returns:
      step -> f32 (f64 under x64), for an int or an integer array.

    Raises:
      ValueError: a number lies outside its range.
      TypeError: `decay_steps` is no Python integer.

    Example:
      >>> print(np.asarray(cosine_decay_schedule(1.0, 4)(jnp.arange(8))).round(3))
      [1.    0.854 0.5   0.146 0.    0.    0.    0.   ]

    Reference: Loshchilov and Hutter (2016), arXiv:1608.03983.
    """
    init = number("init_value", init_value, FINITE)
    steps = integer("decay_steps", decay_steps, 1)
    end = init * number("alpha", alpha, FINITE)
    exponent = number("exponent", exponent, POSITIVE)
    return lambda step: between(
        init, end, to_the(exponent, cosine(ramp(count(step), 0, steps)))
    )


def rex_schedule(init_value: Number, decay_steps: int) -> optax.Schedule:
    """REX: stays high for longer than a line, and falls steeply to 0 at its end.

        init_value (1 - z) / (1 - z / 2), z = step / decay_steps, clipped to [0, 1]

    Args:
      init_value: finite; may be traced.
      decay_steps: >= 1.

    Returns:
      step -> f32 (f64 under x64), for an int or an integer array.

    Raises:
      ValueError: a number lies outside its range.
      TypeError: `decay_steps` is no Python integer.

    Example:
      >>> print(np.asarray(rex_schedule(1.0, 4)(jnp.arange(8))).round(3))
      [1.    0.857 0.667 0.4   0.    0.    0.    0.   ]

    Reference: Chen, Wolfe and Kyrillidis (2021), arXiv:2107.04197.
    """
    init = number("init_value", init_value, FINITE)
    steps = integer("decay_steps", decay_steps, 1)
    return lambda step: init * rex(ramp(count(step), 0, steps)).left
