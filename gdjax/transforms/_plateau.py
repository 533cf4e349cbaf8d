"""Reduction on plateau: a scale that falls when a value has stopped improving."""

from typing import NamedTuple, cast

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.core import Tracer

from gdjax import tree
from gdjax._checks import (
    NON_NEGATIVE,
    UNIT,
    Number,
    Range,
    integer,
    next_count,
    number,
    one_of,
)

_FACTOR = Range("lie in (0, 1)", lambda x: 0 < x < 1)
_MIN_SCALE = Range("lie in [0, 1]", lambda x: 0 <= x <= 1)
_STOP_BELOW = Range("lie in (0, 1]", lambda x: 0 < x <= 1)


class ReduceOnPlateauState(NamedTuple):
    scale: jax.Array  # f32[], what updates are multiplied by
    best_value: jax.Array  # f32[], inf (-inf for "max") before the first
    plateau_count: jax.Array  # i32[], values in a row that were no improvement
    cooldown_count: jax.Array  # i32[], values that will still be overlooked
    count: jax.Array  # i32[], values in avg_value
    avg_value: jax.Array  # f32[], their mean
    stop: jax.Array | tuple[()]  # bool[], () without stop_below
    evaluation: jax.Array  # f32[], the last that was handed
    handed: jax.Array  # i32[], 0: values come by update, 1: by hand, 2: one waits

    def metrics(self) -> dict[str, jax.Array]:
        said = {"plateau_scale": self.scale}
        if not isinstance(self.stop, tuple):
            said["plateau_stop"] = self.stop.astype(jnp.float32)
        return said


def reduce_on_plateau(
    factor: Number = 0.1,
    patience: int | jax.Array = 10,
    rtol: Number = 1e-4,
    atol: Number = 0.0,
    cooldown: int | jax.Array = 0,
    accumulation_size: int | jax.Array = 1,
    min_scale: Number = 0.0,
    *,
    mode: str = "min",
    stop_below: Number | None = None,
) -> optax.GradientTransformationExtraArgs:
    """Direction or step: multiplied by a scale that falls when a value stops improving.

        u'_t = scale_t u_t,   scale_0 = 1

    v, the mean of `accumulation_size` values in a row, is an improvement on the best
    so far if

        mode "min"   v < best - (rtol |best| + atol)
        mode "max"   v > best + (rtol |best| + atol)

    After `patience` of them in a row that are none, scale becomes
    max(factor scale, min_scale), and the next `cooldown` are not counted. A NaN is no
    improvement. It stands best behind the optimizer: in front of one that normalises,
    such as Adam, a scale changes nothing.

    `update` takes the value of each step as `value=`, as the train steps pass it.
    `hand_evaluation` replaces them: patience then counts evaluations.

    With `mode="min"` and a positive best, values are those of
    `optax.contrib.reduce_on_plateau`, whose (1 - rtol) best - atol lies above a
    negative best, so that every value near it is an improvement. Its state follows the
    dtypes of the parameters; here it is f32, f64 for f64 parameters. (torch waits for
    patience + 1 values.)

    Args:
      factor: in (0, 1); this and the other floats may be traced.
      patience: values without an improvement, >= 1; this and the next two are integers
        or integer arrays.
      rtol, atol: what counts as an improvement, in [0, 1) and >= 0, not both 0.
      cooldown: values to overlook after a reduction, >= 0.
      accumulation_size: values in a mean, >= 1; more than 1 for the loss of batches.
      min_scale: in [0, 1].
      mode: "min" for a loss, "max" for an accuracy.
      stop_below: in (0, 1], above `min_scale`. The state's `stop` is True as soon as
        scale < stop_below, and stays True: `fit` then ends the run. Choose it between
        two powers of `factor`.

    Returns:
      A transformation with state `ReduceOnPlateauState`, whose `metrics` have
      `plateau_scale`, and `plateau_stop` (0 or 1) with `stop_below`.

    Raises:
      ValueError: a number lies outside its range; from `update`, `value` is missing or
        no scalar. Compiled, `update` cannot see that evaluations are handed and needs
        a `value`, which is then not read.
      TypeError: from `init`, a parameter is not floating.

    Example:
      >>> tx = reduce_on_plateau(factor=0.5, patience=2)
      >>> state = tx.init(jnp.ones(()))
      >>> for value in (1.0, 0.8, 0.9, 0.85):
      ...     u, state = tx.update(jnp.ones(()), state, value=value)
      >>> print(u, state.best_value)
      0.5 0.8
    """
    factor = number("factor", factor, _FACTOR)
    patience = _integer("patience", patience, 1)
    rtol, atol = number("rtol", rtol, UNIT), number("atol", atol, NON_NEGATIVE)
    cooldown = _integer("cooldown", cooldown, 0)
    accumulation_size = _integer("accumulation_size", accumulation_size, 1)
    min_scale = number("min_scale", min_scale, _MIN_SCALE)
    one_of("mode", mode, ("min", "max"))
    if _known(rtol) == _known(atol) == 0:
        raise ValueError("`rtol` or `atol` must be > 0, got 0 for both.")
    if stop_below is not None:
        stop_below = number("stop_below", stop_below, _STOP_BELOW)
        if _known(stop_below) <= _known(min_scale):
            raise ValueError(
                f"`stop_below` must be > `min_scale`, {min_scale}, below which the "
                f"scale never falls; got {stop_below}."
            )
    sign = 1 if mode == "min" else -1

    def init(params):
        tree.require_floating(params)
        wide = (tree.compute_dtype(jnp.result_type(p)) for p in jax.tree.leaves(params))
        dtype = jnp.result_type(jnp.float32, *map(tree.real_dtype, wide))
        zero = lambda kind: jnp.zeros([], kind)
        return ReduceOnPlateauState(
            scale=jnp.ones([], dtype),
            best_value=jnp.full([], sign * jnp.inf, dtype),
            plateau_count=zero(jnp.int32),
            cooldown_count=zero(jnp.int32),
            count=zero(jnp.int32),
            avg_value=zero(dtype),
            stop=() if stop_below is None else zero(bool),
            evaluation=zero(dtype),
            handed=zero(jnp.int32),
        )

    def update(updates, state, params=None, *, value=None, **extra):
        if value is None:
            if isinstance(state.handed, Tracer) or not state.handed:
                raise ValueError(
                    "`reduce_on_plateau` needs `value` in `update`: the loss of this "
                    "step; any number will do where evaluations are handed."
                )
            value = state.evaluation
        require_scalar(value)
        state = _count(state, jnp.asarray(value, state.evaluation.dtype))
        scale = state.scale
        return tree.map_rule(lambda u: scale * u, updates), state

    def _count(state, value):
        waits = state.handed == 2
        counts = waits | (state.handed == 0)
        value = jnp.where(waits, state.evaluation, value)
        count = next_count(state.count)
        mean = (state.count * state.avg_value + value) / count
        full = counts & (count >= accumulation_size)

        v, best = sign * mean, sign * state.best_value
        # Not best - rtol |best|: for an infinite best that is NaN.
        improves = v < jnp.where(best > 0, 1 - rtol, 1 + rtol) * best - atol
        bad = jnp.where(improves, 0, next_count(state.plateau_count))
        cools = state.cooldown_count > 0
        falls = full & ~cools & (bad >= patience)
        left = jnp.where(falls, cooldown, jnp.maximum(state.cooldown_count - 1, 0))
        lower = jnp.maximum(factor * state.scale, min_scale)
        scale = jnp.where(falls, lower, state.scale)
        new = ReduceOnPlateauState(
            scale=scale,
            best_value=jnp.where(full & improves, mean, state.best_value),
            plateau_count=jnp.where(
                full, jnp.where(falls | cools, 0, bad), state.plateau_count
            ),
            cooldown_count=jnp.where(full, left, state.cooldown_count),
            count=jnp.where(full, 0, jnp.where(counts, count, state.count)),
            avg_value=jnp.where(full, 0, jnp.where(counts, mean, state.avg_value)),
            stop=() if stop_below is None else state.stop | (scale < stop_below),
            evaluation=state.evaluation,
            handed=jnp.where(waits, 1, state.handed),
        )
        return jax.tree.map(lambda x, old: x.astype(old.dtype), new, state)

    return optax.GradientTransformationExtraArgs(init, update)


def require_scalar(value: jax.typing.ArrayLike) -> None:
    """Refuses a `value` with axes."""
    if np.shape(value):
        raise ValueError(f"`value` must be a scalar, got shape {np.shape(value)}.")


def _integer(name: str, value: int | jax.Array, minimum: int) -> int | jax.Array:
    """As `integer`, which takes no arrays; traced ones pass unchecked."""
    scalar = isinstance(value, (jax.Array, np.ndarray)) and value.ndim == 0
    if scalar and isinstance(value, Tracer):
        if jnp.issubdtype(value.dtype, jnp.integer):
            return value
    elif scalar:
        value = np.asarray(value).item()
    return integer(name, cast(int, value), minimum)


def _known(value: Number) -> float:
    """NaN where it is traced, with which no comparison holds."""
    return float("nan") if isinstance(value, Tracer) else float(np.asarray(value))
