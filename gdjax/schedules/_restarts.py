"""Warm restarts: cycles of a cosine, given one by one or growing by a factor."""

import bisect
import inspect
import math
from collections.abc import Iterable, Mapping

import jax
import numpy as np
import optax

from gdjax._checks import (
    FINITE,
    MAX_INT,
    POSITIVE,
    Number,
    Range,
    concrete,
    integer,
    listed,
    number,
)
from gdjax.schedules._ramp import Ramp, count, divided, exp2, log2, past, row
from gdjax.schedules._shapes import between, cosine, warmed_up
from gdjax.schedules._warmup import checked, warm_cosine, warmup_cosine_decay_schedule

GROWTH = Range("be finite and >= 1", lambda x: 1 <= x < float("inf"))


def sgdr_schedule(
    cosine_kwargs: Iterable[Mapping[str, Number]],
) -> optax.Schedule:
    """Cycles of `warmup_cosine_decay_schedule`, one after the other.

    After the last its end_value is held. All cycles are the rows of one table, in which
    a step is looked up: any number of them costs the same.

    Args:
      cosine_kwargs: the arguments of each cycle; decay_steps is its length. At least
        one; the last must start at 2**31 - 1 at the latest.

    Returns:
      step -> f32 (f64 under x64), for an int or an integer array.

    Raises:
      ValueError: a number lies outside its range; the message names the cycle.
      TypeError: an argument does not exist or is missing, or a number of steps is no
        Python integer.

    Example:
      >>> cycle = dict(init_value=0.0, warmup_steps=1, decay_steps=3)
      >>> schedule = sgdr_schedule([dict(cycle, peak_value=v) for v in (1.0, 0.5)])
      >>> print(np.asarray(schedule(jnp.arange(8))).round(3))
      [0.   1.   0.5  0.   0.5  0.25 0.   0.  ]

    Reference: Loshchilov and Hutter (2016), arXiv:1608.03983.
    """
    signature = inspect.signature(warmup_cosine_decay_schedule)
    cycles, starts = [], [0]
    for i, given in enumerate(listed("cosine_kwargs", cosine_kwargs)):
        try:
            bound = signature.bind(**given)
        except TypeError as error:
            raise TypeError(f"`cosine_kwargs[{i}]`: {error}.") from error
        bound.apply_defaults()
        cycles.append(checked(*bound.args, place=f"cosine_kwargs[{i}]."))
        starts.append(starts[-1] + cycles[-1][3])
    if not cycles:
        raise ValueError("`cosine_kwargs` must have at least one cycle, got none.")
    if starts[-2] > MAX_INT:
        raise ValueError(
            f"`cosine_kwargs`: the last cycle must start at 2**31 - 1 at the latest, "
            f"got {starts[-2]}."
        )
    init, peak, warmup, decay, end, exponent = map(list, zip(*cycles, strict=True))
    plain = all(isinstance(x, float) and x == 1 for x in exponent)

    def schedule(step: jax.typing.ArrayLike) -> jax.Array:
        step = count(step)
        begin, *numbers = row(
            step,
            starts[:-1],
            init,
            peak,
            np.array(warmup, np.int32),
            np.array(decay, np.int32),
            end,
            *([] if plain else [exponent]),
        )
        return warm_cosine(step - begin, *numbers, *([1.0] if plain else []))

    return schedule


def cosine_restarts_schedule(
    peak_value: Number,
    first_period: int,
    period_multiplier: float = 1.0,
    peak_multiplier: Number = 1.0,
    end_value: Number = 0.0,
    warmup_steps: int = 0,
) -> optax.Schedule:
    """SGDR: half cosines that restart for ever, each so many times as long as the last.

        period i lasts T_i = round(first_period period_multiplier^i) steps; in it, at t,
        up to warmup_steps   end_value + (p_i - end_value) t / warmup_steps
        from there           end_value + (p_i - end_value) (1 + cos(pi z)) / 2,
                             z = (t - warmup_steps) / (T_i - warmup_steps)
        with p_i = peak_value peak_multiplier^i

    Args:
      peak_value, end_value: finite; may be traced.
      first_period: >= 1, and > warmup_steps.
      period_multiplier: >= 1; not traced, as it says when restarts happen.
      peak_multiplier: > 0; may be traced.
      warmup_steps: of each period, which contains them; >= 0. 0 starts at the peak.

    Returns:
      step -> f32 (f64 under x64), for an int or an integer array.

    Raises:
      ValueError: a number lies outside its range.
      TypeError: a number of steps is no Python integer, or `period_multiplier` traced.

    Example:
      >>> schedule = cosine_restarts_schedule(1.0, 2, 2.0, 0.5)
      >>> print(np.asarray(schedule(jnp.arange(8))).round(3))
      [1.    0.5   0.5   0.427 0.25  0.073 0.25  0.24 ]

    Reference: Loshchilov and Hutter (2016), arXiv:1608.03983.
    """
    peak = number("peak_value", peak_value, FINITE)
    first_period = integer("first_period", first_period, 1)
    longer = concrete("period_multiplier", period_multiplier, GROWTH)
    slope = log2(number("peak_multiplier", peak_multiplier, POSITIVE))
    end = number("end_value", end_value, FINITE)
    warmup_steps = integer("warmup_steps", warmup_steps, 0)
    if warmup_steps >= first_period:
        raise ValueError(
            f"`first_period` contains the warm-up and must be larger than "
            f"`warmup_steps` = {warmup_steps}, got {first_period}."
        )
    starts, firsts, periods = _runs(first_period, longer)
    lengths = np.minimum(periods, MAX_INT).astype(np.int32)
    falls = periods - warmup_steps

    def schedule(step: jax.typing.ArrayLike) -> jax.Array:
        step = count(step)
        start, first, length, fall = row(step, starts, firsts, lengths, falls)
        restarts, t = divided(step - start, length)
        top = peak * exp2(slope, first + restarts)
        done = past(t, warmup_steps).astype(float) / fall
        down = between(top, end, cosine(Ramp(done, 1 - done)))
        return warmed_up(t, end, top, warmup_steps, down)

    return schedule


def _runs(
    first_period: int, longer: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Runs of periods of one length: first step, first i, length (f64), up to 2^31 - 1.

    Fewer than 2^16, as different lengths add up to at least half the square of their
    number; there may be 2^31 - 1 periods.
    """
    log, longest = math.log(longer), 2**50  # of which an int32 is no part to speak of

    def period(i: int) -> int:
        small = i * log < 40  # beyond that comes a power that is no float
        return min(round(first_period * longer**i), longest) if small else longest

    runs, start, i = [], 0, 0
    while start <= MAX_INT:
        length, after = period(i), i + 1
        runs.append((start, i, length))
        if period(after) == length:
            within = range(after, i + (MAX_INT - start) // length + 2)
            after += bisect.bisect_right(within, length, key=period)
        start, i = start + (after - i) * length, after
    starts, firsts, lengths = zip(*runs, strict=True)
    to_int32 = lambda x: np.array(x, np.int32)
    return to_int32(starts), to_int32(firsts), np.array(lengths, np.float64)
