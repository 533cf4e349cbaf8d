"""Adafactor's direction: the root mean square kept as one row and one column."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from gdjax import tree
from gdjax._checks import NON_NEGATIVE, Number, Range, integer, next_count, number

_EXPONENT = Range("lie in [0, 1]", lambda x: 0 <= x <= 1)


class FactoredState(NamedTuple):
    count: jax.Array  # i32[], updates made
    v_row: optax.Params  # mean |g|^2 over the largest axis, >= f32; [1] if not factored
    v_col: optax.Params  # mean |g|^2 over the second largest, the same
    v: optax.Params  # mean |g|^2, >= f32; [1] if factored


def _power_decay(step: jax.Array, exponent: Number) -> jax.Array:
    return 1 - (jnp.asarray(step, float) + 1) ** -jnp.asarray(exponent)


def scale_by_factored_rms(
    factored: bool = True,
    decay_rate: Number = 0.8,
    step_offset: Number = 0,
    min_dim_size_to_factor: int = 128,
    epsilon: Number = 1e-30,
    decay_rate_fn: Callable[[jax.Array, Number], jax.Array] = _power_decay,
) -> optax.GradientTransformationExtraArgs:
    """Direction: the gradient over its root mean square, in memory of a row and column.

        V_t = b_t V_{t-1} + (1 - b_t) (|g_t|^2 + epsilon),   b_t = 1 - t^-decay_rate
        u_t = g_t / sqrt(V_t),   V_t ~ row col / mean(row)

    from t = 1. Of a leaf with two axes of at least min_dim_size_to_factor only `row`,
    the mean of V over the largest axis, and `col`, over the second largest, are kept:
    n + m numbers instead of n m. Exact where V is an outer product.

    V overflows beyond |g| = 1e19 in f32: the direction is then zero, of a factored leaf
    in the column, and `col` alone counts in the others. Steps before `step_offset`
    count as the first (Optax: NaN).

    Args:
      factored: False keeps all of V.
      decay_rate: in [0, 1]; may be traced.
      step_offset: >= 0, the step at which fine-tuning began; may be traced.
      min_dim_size_to_factor: >= 1.
      epsilon: >= 0; may be traced.
      decay_rate_fn: (step - step_offset, decay_rate) -> b_t, step counted from 0.

    Returns:
      A transformation with state `FactoredState` that needs `params` in `update`.

    Raises:
      ValueError: a number lies outside its range; from `update`, `params` is missing or
        differs in shape.
      TypeError: `decay_rate_fn` is no function; from `init`, a parameter is not
        floating.

    Example:
      >>> g = jnp.outer(jnp.array([1.0, 2.0]), jnp.array([3.0, -4.0, 5.0]))
      >>> tx = scale_by_factored_rms(min_dim_size_to_factor=2)
      >>> print(tx.update(g, tx.init(g), g)[0].round(5))
      [[ 1. -1.  1.]
       [ 1. -1.  1.]]

    Reference: Shazeer and Stern (2018), arXiv:1804.04235.
    """
    decay_rate = number("decay_rate", decay_rate, _EXPONENT)
    step_offset = number("step_offset", step_offset, NON_NEGATIVE)
    smallest = integer("min_dim_size_to_factor", min_dim_size_to_factor, 1)
    epsilon = number("epsilon", epsilon, NON_NEGATIVE)
    if not callable(decay_rate_fn):
        raise TypeError(
            f"`decay_rate_fn` must be a function of the step and `decay_rate`, got "
            f"{decay_rate_fn!r}."
        )

    def reduced(shape: tuple[int, ...]) -> tuple[int, int] | None:
        """The largest axis and the second, over which `row` and `col` are means."""
        if not factored or len(shape) < 2 or sorted(shape)[-2] < smallest:
            return None
        *_, second, largest = np.argsort(shape, kind="stable")
        return int(largest), int(second)

    def init(params):
        tree.require_floating(params)
        dtype_of = lambda p: tree.real_dtype(tree.compute_dtype(jnp.result_type(p)))
        nothing = lambda p: jnp.zeros(1, dtype_of(p))

        def mean(p, axis):
            # An abstract sum, so that sharding in types is that of the mean.
            like = jax.eval_shape(lambda p: jnp.sum(p, axis), p)
            return jnp.zeros_like(like, dtype_of(p))

        def each(make):
            return jax.tree.map(lambda p: make(p, reduced(np.shape(p))), params)

        v_row = each(lambda p, axes: mean(p, axes[0]) if axes else nothing(p))
        v_col = each(lambda p, axes: mean(p, axes[1]) if axes else nothing(p))
        v = each(lambda p, axes: nothing(p) if axes else tree.zeros_like(p, real=True))
        return FactoredState(jnp.zeros([], jnp.int32), v_row, v_col, v)

    def update(updates, state, params=None, **extra):
        if params is None:
            raise ValueError("`scale_by_factored_rms` needs `params` in `update`.")
        offset = jnp.asarray(step_offset).astype(jnp.int32)
        step = jnp.maximum(state.count - offset, 0)
        decay = decay_rate_fn(step, decay_rate)

        def rule(g, row, col, v, p):
            floor = (1 - decay) * epsilon
            # Nothing of what has overflown, where 0 times it would be NaN.
            kept = lambda old: jnp.where(decay > 0, decay * old, 0) + floor
            if not (axes := reduced(g.shape)):
                v = kept(v) + tree.abs_sq(g, 1 - decay)
                return tree.over_root(g, v, 0), row, col, v
            # Divided before they are summed, which so does not overflow sooner.
            sq = lambda axis: tree.abs_sq(g, (1 - decay) / g.shape[axis]).sum(axis)
            largest, second = axes
            row, col = kept(row) + sq(largest), kept(col) + sq(second)
            rows, cols = jnp.expand_dims(row, largest), jnp.expand_dims(col, second)
            mean = (rows / g.shape[second]).sum(second, keepdims=True)
            share = jnp.where(mean < jnp.inf, tree.ratio(rows, mean), 1)
            # Of the row and the column alone: products by entry, no quotients.
            inverse = lambda x: tree.over_root(jnp.ones_like(x), x, 0)
            return g * inverse(share) * inverse(cols), row, col, v

        direction, *statistics = tree.map_rule(
            rule, updates, statistics=tuple(state[1:]), read=(params,)
        )
        return direction, FactoredState(next_count(state.count), *statistics)

    return optax.GradientTransformationExtraArgs(init, update)
