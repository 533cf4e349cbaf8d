"""MARS: the gradient with its variance reduced, for any adaptive rule after it."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax

from gdjax import tree
from gdjax._checks import NON_NEGATIVE, UNIT, Number, next_count, number


class MarsState(NamedTuple):
    count: jax.Array  # i32[], updates made
    previous: optax.Updates  # the last gradient, like params, >= f32


def mars(
    gamma: Number = 0.025, b1: Number = 0.95
) -> optax.GradientTransformationExtraArgs:
    """Direction: the gradient corrected by its change, each leaf no longer than 1.

        c_t = g_t + gamma b1 / (1 - b1) (g_t - g_{t-1}),   g_0 = g_1
        u_t = c_t / max(1, |c_t|)

    |c| is the Euclidean norm of the leaf. In front of a rule with momentum b1, as in
    `mars_adamw`, a fraction gamma of the momentum's lag is taken back. This is the
    approximate form: g_{t-1} is the last step's gradient, not one of this step's batch
    at the last parameters, which would double the cost.

    The first step has no correction, as in the paper (x_0 = x_1); the authors' code has
    g_0 = 0, and leaves vectors to AdamW: see `partition_by_path` for that.

    Args:
      gamma: strength of the correction, >= 0; may be traced.
      b1: decay of the momentum that follows, in [0, 1); may be traced.

    Returns:
      A transformation with state `MarsState(count, previous)`.

    Raises:
      ValueError: a number lies outside its range.
      TypeError: from `init`, a parameter is not floating.

    Example:
      >>> tx = mars(gamma=0.5, b1=0.5)
      >>> _, state = tx.update(jnp.array([0.125, 0.125]), tx.init(jnp.ones(2)))
      >>> print(tx.update(jnp.array([0.375, 0.125]), state)[0])
      [0.5   0.125]

    Reference: Yuan et al. (2024), arXiv:2411.10438.
    """
    gamma, b1 = number("gamma", gamma, NON_NEGATIVE), number("b1", b1, UNIT)

    def init(params):
        return MarsState(jnp.zeros([], jnp.int32), tree.zeros_like(params))

    def update(updates, state, params=None, **extra):
        strength = jnp.where(state.count == 0, 0, gamma * b1 / (1 - b1))

        def rule(g, previous):
            c = g + strength * (g - previous)
            return c / jnp.maximum(1, tree.leaf_norm(c)), g

        direction, previous = tree.map_rule(rule, updates, state.previous)
        return direction, MarsState(next_count(state.count), previous)

    return optax.GradientTransformationExtraArgs(init, update)
