"""Stochastic weight averaging: the mean of the iterates from some step on."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from gdjax import tree
from gdjax._checks import integer, next_count
from gdjax._wrapping import ordered, require_transformation
from gdjax.averaging._average import started, toward, where_due


class SwaState(NamedTuple):
    inner_state: optax.OptState
    count: jax.Array  # i32[], updates seen
    num_averaged: jax.Array  # i32[], iterates in the average
    average: optax.Params  # like params, >= f32; zeros before the first

    def metrics(self) -> dict[str, jax.Array]:
        return {"num_averaged": self.num_averaged}

    def averaged_params(self, params: optax.Params) -> optax.Params:
        return started(self.num_averaged > 0, self.average, params)


def swa(
    inner: optax.GradientTransformation, start_step: int, every: int = 1
) -> optax.GradientTransformationExtraArgs:
    """Step around an optimizer: its own steps, and the mean of where they lead.

        average = mean of x_s, x_{s + every}, x_{s + 2 every}, ...,   s = start_step

    where x_t are the parameters after update t, t from 0. The steps are those of
    `inner`; read the average with `averaged_params`. It is kept in f32 at least, for
    bf16 parameters it is the mean of the bf16 iterates. Put it inside wrappers that
    skip or split steps, around all that changes the step.

    Args:
      inner: an optimizer, learning rate included.
      start_step: first update whose result counts, >= 0.
      every: updates between two samples, >= 1.

    Returns:
      A transformation with state `SwaState` that needs `params` in `update`.

    Raises:
      ValueError: `start_step` or `every` is too small; from `init`, a wrapper inside
        belongs around this one; from `update`, `params` is missing.
      TypeError: one of them is no integer, `inner` is no transformation; from `init`, a
        parameter is not floating.

    Example:
      >>> tx = swa(optax.sgd(1.0), start_step=1)
      >>> x, state = jnp.zeros(()), tx.init(jnp.zeros(()))
      >>> for _ in range(3):
      ...     u, state = tx.update(jnp.ones(()), state, x)
      ...     x = optax.apply_updates(x, u)  # -1, -2, -3
      >>> print(gd.averaged_params(state, x))
      -2.5

    Reference: Izmailov et al. (2018), arXiv:1803.05407.
    """
    start_step = integer("start_step", start_step, 0)
    every = integer("every", every, 1)
    inner = require_transformation("swa", inner)

    def init(params):
        zero = lambda: jnp.zeros([], jnp.int32)
        average = tree.zeros_like(params)
        return SwaState(ordered("swa", inner.init(params)), zero(), zero(), average)

    def update(updates, state, params=None, **extra):
        if params is None:
            raise ValueError("`swa` needs `params` in `update`.")
        updates, inner_state = inner.update(updates, state.inner_state, params, **extra)
        since = state.count - start_step
        always = start_step == 0 and every == 1
        due = np.True_ if always else (since >= 0) & (since % every == 0)
        num_averaged = jnp.where(
            due, next_count(state.num_averaged), state.num_averaged
        )
        iterate = tree.next_params(params, updates)
        weight = 1 / jnp.asarray(jnp.maximum(num_averaged, 1), float)
        rule = lambda a, x: toward(a, x, weight)
        mean = lambda average: tree.map_rule(rule, average, read=(iterate,))
        average = where_due(due, mean, state.average)
        count = next_count(state.count)
        return updates, SwaState(inner_state, count, num_averaged, average)

    return optax.GradientTransformationExtraArgs(init, update)
