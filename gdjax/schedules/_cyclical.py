"""Up and down: triangles without an end, and the one cycle of super-convergence."""

from typing import Literal

import jax
import jax.numpy as jnp
import optax

from gdjax._checks import (
    FINITE,
    POSITIVE,
    Number,
    Range,
    concrete,
    integer,
    number,
    one_of,
)
from gdjax.schedules._exponential import FACTOR
from gdjax.schedules._piecewise import joined
from gdjax.schedules._ramp import count, divided, exp2, log2

PART = Range("lie in [0, 1]", lambda x: 0 <= x <= 1)


def cyclical_schedule(
    base_value: Number,
    max_value: Number,
    half_cycle_steps: int,
    mode: Literal["triangular", "triangular2", "exp_range"] = "triangular",
    gamma: Number = 1.0,
) -> optax.Schedule:
    """Rises and falls linearly, for ever.

        base_value + (max_value - base_value) triangle(step) scale,
        triangle: 0 at 0, 1 at half_cycle_steps, 0 at 2 half_cycle_steps, and so on
        scale: 1 (triangular), 1 / 2^cycle with cycle = 0, 1, ... (triangular2),
               gamma^step (exp_range)

    Args:
      base_value, max_value: finite; may be traced.
      half_cycle_steps: from the base to the top, >= 1.
      mode: what becomes of the amplitude.
      gamma: in (0, 1]; may be traced. For "exp_range" alone.

    Returns:
      step -> f32 (f64 under x64), for an int or an integer array.

    Raises:
      ValueError: a number lies outside its range, there is no such mode, or it has no
        gamma.
      TypeError: `half_cycle_steps` is no Python integer.

    Example:
      >>> print(cyclical_schedule(0.0, 1.0, 2, "triangular2")(jnp.arange(8)))
      [0.   0.5  1.   0.5  0.   0.25 0.5  0.25]

    Reference: Smith (2015), arXiv:1506.01186.
    """
    base = number("base_value", base_value, FINITE)
    top = number("max_value", max_value, FINITE)
    half = integer("half_cycle_steps", half_cycle_steps, 1)
    one_of("mode", mode, ("triangular", "triangular2", "exp_range"))
    gamma = number("gamma", gamma, FACTOR)
    if mode != "exp_range" and isinstance(gamma, float) and gamma != 1:
        raise ValueError(
            f'`gamma` must be 1 unless `mode` is "exp_range", got {gamma}.'
        )

    def schedule(step: jax.typing.ArrayLike) -> jax.Array:
        step = count(step)
        halves, gone = divided(step, half)  # the whole cycle may be no int32
        cycle, falls = divided(halves, 2)
        height = jnp.where(falls == 1, half - gone, gone).astype(float) / half
        if mode == "triangular2":
            height *= exp2(-1.0, cycle)
        if mode == "exp_range":
            height *= exp2(log2(gamma), step)
        return base + (top - base) * height

    return schedule


def linear_onecycle_schedule(
    transition_steps: int,
    peak_value: Number,
    pct_start: float = 0.3,
    pct_final: float = 0.85,
    div_factor: Number = 25.0,
    final_div_factor: Number = 1e4,
) -> optax.Schedule:
    """One cycle of three lines: up, down to where it began, and to almost nothing.

        at 0                                 peak_value / div_factor
        at int(pct_start transition_steps)   peak_value
        at int(pct_final transition_steps)   peak_value / div_factor
        from transition_steps on             peak_value / (div_factor final_div_factor)

    Args:
      transition_steps: >= 1.
      peak_value: finite; may be traced.
      pct_start, pct_final: parts of the whole, 0 <= pct_start <= pct_final <= 1.
      div_factor, final_div_factor: > 0; may be traced.

    Returns:
      step -> f32 (f64 under x64), for an int or an integer array.

    Raises:
      ValueError: a number lies outside its range.
      TypeError: `transition_steps` or a part is traced, or no number.

    Example:
      >>> schedule = linear_onecycle_schedule(6, 1.0, 0.4, 0.7, 5.0, 10.0)
      >>> print(np.asarray(schedule(jnp.arange(8))).round(3))
      [0.2  0.6  1.   0.6  0.2  0.11 0.02 0.02]

    Reference: Smith and Topin (2017), arXiv:1708.07120.
    """
    steps = integer("transition_steps", transition_steps, 1)
    peak = number("peak_value", peak_value, FINITE)
    top = concrete("pct_start", pct_start, PART)
    last = concrete("pct_final", pct_final, PART)
    low = peak / number("div_factor", div_factor, POSITIVE)
    end = low / number("final_div_factor", final_div_factor, POSITIVE)
    if top > last:
        raise ValueError(
            f"`pct_final` must be at least `pct_start` = {top}, got {last}."
        )
    starts = [0, int(top * steps), int(last * steps), steps]
    return joined("linear", starts, [low, peak, low, end])


def cosine_onecycle_schedule(
    transition_steps: int,
    peak_value: Number,
    pct_start: float = 0.3,
    div_factor: Number = 25.0,
    final_div_factor: Number = 1e4,
) -> optax.Schedule:
    """One cycle of two half cosines: up, and down to almost nothing.

        at 0                                 peak_value / div_factor
        at int(pct_start transition_steps)   peak_value
        from transition_steps on             peak_value / (div_factor final_div_factor)

    Args:
      transition_steps: >= 1.
      peak_value: finite; may be traced.
      pct_start: the part of the whole that it rises, in [0, 1].
      div_factor, final_div_factor: > 0; may be traced.

    Returns:
      step -> f32 (f64 under x64), for an int or an integer array.

    Raises:
      ValueError: a number lies outside its range.
      TypeError: `transition_steps` or `pct_start` is traced, or no number.

    Example:
      >>> schedule = cosine_onecycle_schedule(6, 1.0, 0.5, 5.0, 10.0)
      >>> print(np.asarray(schedule(jnp.arange(8))).round(3))
      [0.2   0.4   0.8   1.    0.755 0.265 0.02  0.02 ]

    Reference: Smith and Topin (2017), arXiv:1708.07120.
    """
    steps = integer("transition_steps", transition_steps, 1)
    peak = number("peak_value", peak_value, FINITE)
    top = concrete("pct_start", pct_start, PART)
    low = peak / number("div_factor", div_factor, POSITIVE)
    end = low / number("final_div_factor", final_div_factor, POSITIVE)
    return joined("cosine", [0, int(top * steps), steps], [low, peak, end])
