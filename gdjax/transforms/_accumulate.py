"""Gradients of batches that arrive apart, averaged into one step."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax

from gdjax import tree
from gdjax._checks import DType, boolean, floating, integer
from gdjax._wrapping import cond, ordered, require_step


class AccumulateState(NamedTuple):
    inner_state: optax.OptState
    mini_step: jax.Array  # i32[], gradients summed so far, 0 to every_k - 1
    summed: optax.Updates  # like params, >= f32 by default
    summed_value: jax.Array  # f32[], of `value` where it is given

    def metrics(self) -> dict[str, jax.Array]:
        return {"mini_step": self.mini_step}


def accumulate(
    inner: optax.GradientTransformation,
    every_k: int,
    use_mean: bool = True,
    accumulator_dtype: DType | None = None,
) -> optax.GradientTransformationExtraArgs:
    """Step around an optimizer: its step for every k gradients together, else none.

        s = g_1 + ... + g_k;   u_k = inner's step for s / k,   u_1 = ... = u_{k-1} = 0

    As one batch of all their examples, where batches are of one size and the loss is a
    mean over examples. For batches that arrive apart: inside one step the
    `microbatches` of a train step are faster.

    `inner` runs once in k updates (Optax's MultiSteps runs it in each, and keeps f32
    for f64). It sees the mean gradient, so a clip inside clips that; in front of
    `accumulate` it would clip each part. Its counts, and so its schedules, are of
    steps, not of updates. Of further arguments, `grad` is the mean gradient then and
    `value` the mean of the values; others are those of the last part. A batch norm sees
    each part alone. Averages stand inside, `sam` and `guard` around or, for whole
    steps, inside (a guard).

    Args:
      inner: an optimizer, learning rate included.
      every_k: updates in a step, >= 1.
      use_mean: False for the sum, of losses that are sums.
      accumulator_dtype: of the sums; by default at least f32.

    Returns:
      A transformation with state `AccumulateState`, whose `metrics` have `mini_step`,
      how many parts of the next step are there.

    Raises:
      ValueError: `every_k` < 1; `inner` is a direction; from `init`, a wrapper inside
        belongs around this one; from `update`, gradients differ in shape from those of
        the other parts.
      TypeError: `every_k` is no integer, `use_mean` no bool, `accumulator_dtype` no
        floating dtype, `inner` no transformation; from `init`, a parameter is not
        floating.

    Example:
      >>> tx = accumulate(optax.sgd(1.0), every_k=2)
      >>> state = tx.init(jnp.zeros(1))
      >>> for g in (1.0, 3.0):
      ...     u, state = tx.update(jnp.array([g]), state)
      ...     print(u)
      [0.]
      [-2.]
    """
    inner = require_step("accumulate", inner)
    every_k = integer("every_k", every_k, 1)
    dtype = floating("accumulator_dtype", accumulator_dtype)
    divisor = every_k if boolean("use_mean", use_mean) else 1

    def init(params):
        summed = tree.zeros_like(params, dtype)
        zero = jnp.zeros([], jax.eval_shape(tree.global_norm, params).dtype)
        inner_state = ordered("accumulate", inner.init(params))
        return AccumulateState(inner_state, jnp.zeros([], jnp.int32), summed, zero)

    def update(updates, state, params=None, **extra):
        starts, ends = state.mini_step == 0, state.mini_step == every_k - 1
        summed, summed_value = jax.tree.map(
            lambda x: jnp.where(starts, 0, x), (state.summed, state.summed_value)
        )
        _, summed = tree.map_rule(lambda g, summed: (g, summed + g), updates, summed)
        if (value := extra.get("value")) is not None:
            summed_value = tree.stored(summed_value + value, summed_value)
        like = updates if params is None else tree.as_wide_as(params, updates)

        def whole():
            mean = lambda g, summed: summed / divisor
            grads = tree.map_rule(mean, updates, read=(summed,))
            told = {"value": summed_value / divisor, "grad": grads}
            told = {k: x for k, x in told.items() if extra.get(k) is not None}
            made = inner.update(grads, state.inner_state, params, **extra | told)
            return jax.tree.map(tree.stored, made, (like, state.inner_state))

        def part():
            return jax.tree.map(jnp.zeros_like, like), state.inner_state

        updates, inner_state = cond(ends, whole, part)
        mini_step = jnp.where(ends, 0, state.mini_step + 1)
        return updates, AccumulateState(inner_state, mini_step, summed, summed_value)

    return optax.GradientTransformationExtraArgs(init, update)
