"""Values given at boundaries: held between them, or joined by lines and cosines."""

from collections.abc import Mapping, Sequence
from typing import Literal

import jax
import numpy as np
import optax

from gdjax._checks import (
    FINITE,
    NON_NEGATIVE,
    Number,
    integer,
    number,
    one_of,
)
from gdjax.schedules._ramp import count, ramp, row
from gdjax.schedules._shapes import SHAPES, between


def piecewise_constant_schedule(
    init_value: Number, boundaries_and_scales: Mapping[int, Number] | None = None
) -> optax.Schedule:
    """Multiplied by a factor at each boundary, constant between them.

        init_value times every scale whose boundary is <= step

    Args:
      init_value: finite; may be traced.
      boundaries_and_scales: {step >= 0: factor >= 0}, in any order; factors may be
        traced.

    Returns:
      step -> f32 (f64 under x64), for an int or an integer array.

    Raises:
      ValueError: a number lies outside its range.
      TypeError: a boundary is no Python integer.

    Example:
      >>> print(piecewise_constant_schedule(1.0, {2: 0.5, 4: 0.1})(jnp.arange(8)))
      [1.   1.   0.5  0.5  0.05 0.05 0.05 0.05]
    """
    starts, values = _pieces(init_value, boundaries_and_scales)
    return lambda step: row(count(step), starts, values)[1]


def piecewise_interpolate_schedule(
    interpolate_type: Literal["linear", "cosine"],
    init_value: Number,
    boundaries_and_scales: Mapping[int, Number] | None = None,
) -> optax.Schedule:
    """From value to value between boundaries, then holds the last.

    The values are those of `piecewise_constant_schedule`, each reached at its boundary.

        v_i + (v_i+1 - v_i) z                   (linear)
        v_i + (v_i+1 - v_i) (1 - cos(pi z)) / 2 (cosine)
        z = (step - b_i) / (b_i+1 - b_i), b_0 = 0, v_0 = init_value

    Args:
      interpolate_type: "linear" or "cosine".
      init_value: finite; may be traced.
      boundaries_and_scales: {step >= 0: factor >= 0}, in any order; factors may be
        traced.

    Returns:
      step -> f32 (f64 under x64), for an int or an integer array.

    Raises:
      ValueError: a number lies outside its range, or there is no such type.
      TypeError: a boundary is no Python integer.

    Example:
      >>> schedule = piecewise_interpolate_schedule("linear", 1.0, {2: 2.0, 6: 0.5})
      >>> print(schedule(jnp.arange(8)))
      [1.   1.5  2.   1.75 1.5  1.25 1.   1.  ]
    """
    one_of("interpolate_type", interpolate_type, ("linear", "cosine"))
    starts, values = _pieces(init_value, boundaries_and_scales)
    return joined(interpolate_type, starts, values)


def _pieces(
    init_value: Number, boundaries_and_scales: Mapping[int, Number] | None
) -> tuple[list[int], list[Number]]:
    """The first steps of the pieces, from 0 on, and their values."""
    starts, values = [0], [number("init_value", init_value, FINITE)]
    name = "boundaries_and_scales"
    given = boundaries_and_scales or {}
    if not isinstance(given, Mapping):
        raise TypeError(f"`{name}` must be a dict {{step: factor}}, got {given!r}.")
    for boundary in sorted(integer(f"{name}.keys()", key, 0) for key in given):
        scale = number(f"{name}[{boundary}]", given[boundary], NON_NEGATIVE)
        starts.append(boundary)
        values.append(values[-1] * scale)
    return starts, values


def joined(
    interpolate_type: str, starts: Sequence[int], values: list[Number]
) -> optax.Schedule:
    """From values[i] at starts[i] to the next, and on with the last."""
    shape = SHAPES[interpolate_type]
    lengths = [b - a for a, b in zip(starts, starts[1:], strict=False)] + [1]
    following = [*values[1:], values[-1]]

    def schedule(step: jax.typing.ArrayLike) -> jax.Array:
        step = count(step)
        begin, length, start, end = row(
            step, starts, np.array(lengths, np.int32), values, following
        )
        return between(start, end, shape(ramp(step, begin, length)))

    return schedule
