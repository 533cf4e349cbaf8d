"""Grokfast: the slow part of the gradients, amplified."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax

from gdjax import tree
from gdjax._checks import NON_NEGATIVE, UNIT, Number, next_count, number


class GrokfastState(NamedTuple):
    count: jax.Array  # i32[], updates made
    mu: optax.Updates  # like params, >= f32


def grokfast(
    alpha: Number = 0.98, lamb: Number = 2.0
) -> optax.GradientTransformationExtraArgs:
    """Direction: the gradient and a multiple of its running mean.

        m_t = alpha m_{t-1} + (1 - alpha) g_t,   m_0 = g_1
        u_t = g_t + lamb m_t

    In front of any optimizer. The mean starts at the first gradient, as in the authors'
    code.

    Args:
      alpha: decay of the mean, in [0, 1); may be traced.
      lamb: weight of the mean, >= 0; may be traced.

    Returns:
      A transformation with state `GrokfastState(count, mu)`.

    Raises:
      ValueError: a number lies outside its range.
      TypeError: from `init`, a parameter is not floating.

    Example:
      >>> tx = grokfast(alpha=0.5)
      >>> _, state = tx.update(jnp.array([1.0, 0.0]), tx.init(jnp.ones(2)))
      >>> print(tx.update(jnp.array([1.0, 1.0]), state)[0])
      [3. 2.]

    Reference: Lee et al. (2024), arXiv:2405.20233.
    """
    alpha, lamb = number("alpha", alpha, UNIT), number("lamb", lamb, NON_NEGATIVE)

    def init(params):
        return GrokfastState(jnp.zeros([], jnp.int32), tree.zeros_like(params))

    def update(updates, state, params=None, **extra):
        decay = jnp.where(state.count == 0, 0, alpha)

        def rule(g, mu):
            mu = tree.ema(mu, g, decay)
            return g + lamb * mu, mu

        direction, mu = tree.map_rule(rule, updates, state.mu)
        return direction, GrokfastState(next_count(state.count), mu)

    return optax.GradientTransformationExtraArgs(init, update)
