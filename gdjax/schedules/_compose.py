"""Schedules made of schedules: joined, warmed up, by epochs, annealed for averaging."""

from collections.abc import Callable, Sequence
from typing import Literal

import jax
import jax.numpy as jnp
import optax

from gdjax._checks import FINITE, Number, integer, listed, number, one_of
from gdjax.schedules._ramp import count, divided, past, ramp
from gdjax.schedules._shapes import SHAPES, between, warmed_up


def join_schedules(
    schedules: Sequence[optax.Schedule], boundaries: Sequence[int]
) -> optax.Schedule:
    """One schedule after the other, each counting from where it starts.

        schedules[i](step - boundaries[i - 1]) from boundaries[i - 1] to boundaries[i]

    A schedule is never asked for a step before its start.

    Args:
      schedules: at least one.
      boundaries: where the second and the others start: one less, rising, >= 0.

    Returns:
      step -> f32 (f64 under x64), for an int or an integer array.

    Raises:
      ValueError: there are more or fewer boundaries, or they do not rise.
      TypeError: an entry is no schedule or no Python integer.

    Example:
      >>> line = gd.linear_schedule(0.0, 1.0, 2)
      >>> print(join_schedules([line, line], [3])(jnp.arange(8)))
      [0.  0.5 1.  0.  0.5 1.  1.  1. ]
    """
    schedules = listed("schedules", schedules)
    boundaries = listed("boundaries", boundaries)
    parts = [_called(f"schedules[{i}]", part) for i, part in enumerate(schedules)]
    starts = [integer(f"boundaries[{i}]", b, 0) for i, b in enumerate(boundaries)]
    if not parts:
        raise ValueError("`schedules` must have at least one entry, got none.")
    if len(starts) != len(parts) - 1:
        raise ValueError(
            f"`boundaries` must have one entry less than `schedules`, which has "
            f"{len(parts)}, got {len(starts)}."
        )
    if starts != sorted(set(starts)):
        raise ValueError(f"`boundaries` must rise, got {starts}.")

    def schedule(step: jax.typing.ArrayLike) -> jax.Array:
        step = count(step)
        value = parts[0](step)
        for start, part in zip(starts, parts[1:], strict=True):
            value = jnp.where(step < start, value, part(past(step, start)))
        return value

    return schedule


def with_warmup(
    schedule: optax.Schedule, warmup_steps: int, init_value: Number = 0.0
) -> optax.Schedule:
    """A schedule that starts after a linear rise to its first value.

        up to warmup_steps   init_value + (schedule(0) - init_value) step / warmup_steps
        from there           schedule(step - warmup_steps)

    Args:
      schedule: step -> value.
      warmup_steps: >= 0; 0 is the schedule itself.
      init_value: finite; may be traced.

    Returns:
      step -> f32 (f64 under x64), for an int or an integer array.

    Raises:
      ValueError: a number lies outside its range.
      TypeError: `schedule` is none, or `warmup_steps` no Python integer.

    Example:
      >>> print(with_warmup(gd.linear_schedule(1.0, 0.0, 4), 2)(jnp.arange(8)))
      [0.   0.5  1.   0.75 0.5  0.25 0.   0.  ]

    Reference: Goyal et al. (2017), arXiv:1706.02677.
    """
    inner = _called("schedule", schedule)
    warmup_steps = integer("warmup_steps", warmup_steps, 0)
    init = number("init_value", init_value, FINITE)

    def warmed(step: jax.typing.ArrayLike) -> jax.Array:
        step = count(step)
        peak = inner(jnp.zeros_like(step))
        return warmed_up(
            step, init, peak, warmup_steps, inner(past(step, warmup_steps))
        )

    return warmed


def in_epochs(schedule: optax.Schedule, steps_per_epoch: int) -> optax.Schedule:
    """A schedule of epochs as a schedule of steps.

        schedule(floor(step / steps_per_epoch))

    The schedule sees whole epochs, from 0: its value changes between epochs only, and
    where it drops "at epoch 30" it drops at step 30 steps_per_epoch exactly. All
    numbers of steps that it was built with are then numbers of epochs.

    Args:
      schedule: epoch -> value.
      steps_per_epoch: >= 1.

    Returns:
      step -> f32 (f64 under x64), for an int or an integer array.

    Raises:
      ValueError: a number lies outside its range.
      TypeError: `schedule` is none, or `steps_per_epoch` no Python integer.

    Example:
      >>> drops = gd.piecewise_constant_schedule(1.0, {1: 0.1, 2: 0.1})
      >>> print(np.asarray(in_epochs(drops, 3)(jnp.arange(8))).round(3))
      [1.   1.   1.   0.1  0.1  0.1  0.01 0.01]
    """
    inner = _called("schedule", schedule)
    steps = integer("steps_per_epoch", steps_per_epoch, 1)
    return lambda step: inner(divided(count(step), steps)[0])


def swa_schedule(
    schedule: optax.Schedule,
    swa_value: Number,
    start_step: int,
    anneal_steps: int,
    strategy: Literal["cosine", "linear"] = "cosine",
    *,
    cycle_steps: int = 0,
    cycle_end_value: Number = 0.0,
) -> optax.Schedule:
    """A schedule that turns off to the value at which weights are averaged, or cycles.

        up to start_step   schedule(step)
        from there         swa_value + (schedule(start_step) - swa_value) left(z),
                           z = (step - start_step) / anneal_steps, clipped to [0, 1]

    with left(z) = (1 + cos(pi z)) / 2 (cosine) or 1 - z (linear). With `cycle_steps`
    = c it does not stay there: in every c steps from then on it falls,

        swa_value + (cycle_end_value - swa_value) (k + 1) / c,   k = 0, ..., c - 1,

    and is raised again. The ends of the cycles are sampled by `gd.swa(tx, start_step +
    anneal_steps + c - 1, every=c)`.

    Args:
      schedule: step -> value.
      swa_value: finite; may be traced.
      start_step: >= 0.
      anneal_steps: >= 0; 0 jumps to swa_value at start_step.
      strategy: the shape of the way there.
      cycle_steps: c, >= 0; 0 for a constant.
      cycle_end_value: finite; may be traced. Read only with `cycle_steps`.

    Returns:
      step -> f32 (f64 under x64), for an int or an integer array.

    Raises:
      ValueError: a number lies outside its range, or there is no such strategy.
      TypeError: `schedule` is none, or a number of steps no Python integer.

    Example:
      >>> schedule = swa_schedule(gd.constant_schedule(1.0), 0.2, 2, 4, "linear")
      >>> print(schedule(jnp.arange(8)))
      [1.  1.  1.  0.8 0.6 0.4 0.2 0.2]
      >>> schedule = swa_schedule(gd.constant_schedule(1.0), 0.8, 2, 0, cycle_steps=4)
      >>> print(schedule(jnp.arange(8)))
      [1.  1.  0.6 0.4 0.2 0.  0.6 0.4]

    Reference: Izmailov et al. (2018), arXiv:1803.05407.
    """
    inner = _called("schedule", schedule)
    swa_value = number("swa_value", swa_value, FINITE)
    start_step = integer("start_step", start_step, 0)
    anneal_steps = integer("anneal_steps", anneal_steps, 0)
    shape = SHAPES[one_of("strategy", strategy, ("cosine", "linear"))]
    cycle_steps = integer("cycle_steps", cycle_steps, 0)
    cycle_end_value = number("cycle_end_value", cycle_end_value, FINITE)

    def annealed(step: jax.typing.ArrayLike) -> jax.Array:
        step = count(step)
        before = inner(jnp.minimum(step, start_step))  # then held
        way = shape(ramp(step, start_step, anneal_steps))
        value = jnp.where(step < start_step, before, between(before, swa_value, way))
        if not cycle_steps:
            return value
        since = past(step, start_step)
        _, place = divided(past(since, anneal_steps), cycle_steps)
        fall = SHAPES["linear"](ramp(place + 1, 0, cycle_steps))
        cycling = between(swa_value, cycle_end_value, fall)
        return jnp.where((step < start_step) | (since < anneal_steps), value, cycling)

    return annealed


def _called(name: str, schedule: optax.Schedule) -> Callable[[jax.Array], jax.Array]:
    """The schedule with values in f32 (f64 under x64) of the shape of the step."""
    if not callable(schedule):
        raise TypeError(
            f"`{name}` must be a schedule, step -> value, got {schedule!r}."
        )
    return lambda step: jnp.broadcast_to(
        jnp.asarray(schedule(step), float), jnp.shape(step)
    )
