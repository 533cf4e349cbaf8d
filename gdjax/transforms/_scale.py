"""Multiplication by a number, or by a schedule of it."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax

from gdjax import tree
from gdjax._checks import FINITE, Number, Scheduled, next_count, number


class ScaleByScheduleState(NamedTuple):
    count: jax.Array  # i32[], updates made


def scale(step_size: Number) -> optax.GradientTransformationExtraArgs:
    """Direction: multiplies by a number; a negative one makes a step of it.

        u'_t = step_size u_t

    Args:
      step_size: finite, of any sign; may be traced.

    Returns:
      A transformation without state.

    Raises:
      ValueError: `step_size` is not finite.
      TypeError: `step_size` is no number; from `init`, a parameter is not floating.

    Example:
      >>> tx = scale(0.5)
      >>> print(tx.update(jnp.array([2.0, -4.0]), tx.init(jnp.ones(2)))[0])
      [ 1. -2.]
    """
    step_size = number("step_size", step_size, FINITE)

    def init(params):
        tree.require_floating(params)
        return optax.EmptyState()

    def update(updates, state, params=None, **extra):
        return tree.map_rule(lambda u: step_size * u, updates), state

    return optax.GradientTransformationExtraArgs(init, update)


def scale_by_schedule(
    step_size_fn: optax.Schedule,
) -> optax.GradientTransformationExtraArgs:
    """Direction: multiplies by a schedule, whose sign decides; minus a rate is a step.

        u'_t = step_size_fn(t) u_t,   t = 0, 1, ... the updates already made

    `scale_by_learning_rate` takes a schedule too, flips the sign and has metrics.

    Args:
      step_size_fn: from an int32 step to a scalar; what it closes over may be traced.

    Returns:
      A transformation with state `ScaleByScheduleState(count)`.

    Raises:
      TypeError: `step_size_fn` is no function; from `init`, a parameter is not
        floating.

    Example:
      >>> tx = scale_by_schedule(lambda step: 1 / (1 + step))
      >>> _, state = tx.update(jnp.ones(2), tx.init(jnp.ones(2)))
      >>> print(tx.update(jnp.ones(2), state)[0])
      [0.5 0.5]
    """
    if not callable(step_size_fn):
        raise TypeError(
            f"`step_size_fn` must be a schedule, a function of the step, got "
            f"{step_size_fn!r}; `scale` takes a number."
        )
    scale_at = Scheduled("step_size_fn", step_size_fn, FINITE)

    def init(params):
        tree.require_floating(params)
        return ScaleByScheduleState(jnp.zeros([], jnp.int32))

    def update(updates, state, params=None, **extra):
        factor = scale_at(state.count)
        scaled = tree.map_rule(lambda u: factor * u, updates)
        return scaled, ScaleByScheduleState(next_count(state.count))

    return optax.GradientTransformationExtraArgs(init, update)
