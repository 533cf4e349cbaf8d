"""AdaMax's direction: the gradient's mean over its largest recent size."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax

from gdjax import tree
from gdjax._checks import NON_NEGATIVE, UNIT, Number, next_count, number


class ScaleByAdamaxState(NamedTuple):
    count: jax.Array  # i32[], updates made
    mu: optax.Updates  # like params, >= f32
    nu: optax.Updates  # like |params|, >= f32, of sizes, not of squares
    mu_weight: jax.Array  # f32[], the same average of ones: 1 - b1^count if b1 is fixed


def scale_by_adamax(
    b1: Number = 0.9, b2: Number = 0.999, eps: Number = 1e-8
) -> optax.GradientTransformationExtraArgs:
    """Direction: AdaMax's, the bias-corrected mean over a fading maximum.

        m_t = b1 m_{t-1} + (1 - b1) g_t          n_t = max(b2 n_{t-1}, |g_t| + eps)
        u_t = m_t / (1 - b1^t) / n_t

    from m_0 = n_0 = 0; eps where Optax and torch have it (the paper has none). No
    square is stored: sizes up to 1e38 are right in f32. A zero gradient from the start
    gives a zero direction, also at eps = 0. (Optax calls the state `ScaleByAdamState`.)

    Args:
      b1, b2: decay of the mean and of the maximum, in [0, 1); may be traced.
      eps: >= 0; may be traced.

    Returns:
      A transformation with state `ScaleByAdamaxState`; complex leaves have a real n.

    Raises:
      ValueError: a number lies outside its range.
      TypeError: from `init`, a parameter is not floating.

    Example:
      >>> tx = scale_by_adamax(eps=0.0)
      >>> print(tx.update(jnp.array([2.0, -1e30]), tx.init(jnp.ones(2)))[0])
      [ 1. -1.]

    Reference: Kingma and Ba (2014), arXiv:1412.6980, section 7.1.
    """
    b1, b2 = number("b1", b1, UNIT), number("b2", b2, UNIT)
    eps = number("eps", eps, NON_NEGATIVE)

    def init(params):
        mu, nu = tree.zeros_like(params), tree.zeros_like(params, real=True)
        return ScaleByAdamaxState(
            jnp.zeros([], jnp.int32), mu, nu, jnp.zeros([], float)
        )

    def update(updates, state, params=None, **extra):
        c1 = tree.ema_weight(state.mu_weight, b1)
        r1 = 1 / c1

        def rule(g, mu, nu):
            mu = tree.ema(mu, g, b1)
            nu = jnp.maximum(b2 * nu, jnp.abs(g) + eps)
            return tree.ratio(r1 * mu, nu), mu, nu

        direction, mu, nu = tree.map_rule(rule, updates, state.mu, state.nu)
        return direction, ScaleByAdamaxState(next_count(state.count), mu, nu, c1)

    return optax.GradientTransformationExtraArgs(init, update)
