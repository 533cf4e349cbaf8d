"""Adan's direction: Nesterov's momentum out of the change of the gradient."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax

from gdjax import tree
from gdjax._checks import NON_NEGATIVE, UNIT, Number, next_count, number


class ScaleByAdanState(NamedTuple):
    m: optax.Updates  # like params, >= f32
    v: optax.Updates  # like params, >= f32
    n: optax.Updates  # like |params|, >= f32
    g: optax.Updates  # like params, >= f32, the last gradient
    t: jax.Array  # i32[], updates made
    m_weight: jax.Array  # f32[], the same average of ones: 1 - b1^t if b1 is fixed
    v_weight: jax.Array  # f32[], and for v
    n_weight: jax.Array  # f32[], and for n


def scale_by_adan(
    b1: Number = 0.98,
    b2: Number = 0.92,
    b3: Number = 0.99,
    eps: Number = 1e-8,
    eps_root: Number = 0.0,
) -> optax.GradientTransformationExtraArgs:
    """Direction: Adan's, means of the gradient and of its change over a mean square.

        d_t = g_t - g_{t-1},   d_1 = 0
        m_t = b1 m_{t-1} + (1 - b1) g_t
        v_t = b2 v_{t-1} + (1 - b2) d_t
        n_t = b3 n_{t-1} + (1 - b3) |g_t + b2 d_t|^2
        u_t = (m^_t + b2 v^_t) / (sqrt(n^_t + eps_root) + eps)

    from zeros, each ^ divided by 1 - b^t as in the paper's code. The paper's betas are
    1 - b1, 1 - b2 and 1 - b3, so d_t and v^_t have the weight b2, 0.92. Optax 0.2.8
    has 1 - b2 there, 0.08 (its pull request 1715): almost no look ahead. At b2 = 0.5
    both are the same.

    Args:
      b1, b2, b3: decay of the means of the gradient, of its change, and of the square,
        in [0, 1); may be traced.
      eps, eps_root: added outside and inside the root, >= 0; may be traced.

    Returns:
      A transformation with state `ScaleByAdanState`; complex leaves have a real n.

    Raises:
      ValueError: a number lies outside its range.
      TypeError: from `init`, a parameter is not floating.

    Example:
      >>> tx = scale_by_adan()
      >>> print(tx.update(jnp.array([2.0, -0.1]), tx.init(jnp.ones(2)))[0].round(3))
      [ 1. -1.]

    Reference: Xie et al. (2022), arXiv:2208.06677.
    """
    b1, b2 = number("b1", b1, UNIT), number("b2", b2, UNIT)
    b3 = number("b3", b3, UNIT)
    eps = number("eps", eps, NON_NEGATIVE)
    eps_root = number("eps_root", eps_root, NON_NEGATIVE)

    def init(params):
        m, v, g = (tree.zeros_like(params) for _ in range(3))
        n = tree.zeros_like(params, real=True)
        weights = [jnp.zeros([], float) for _ in range(3)]
        return ScaleByAdanState(m, v, n, g, jnp.zeros([], jnp.int32), *weights)

    def update(updates, state, params=None, **extra):
        first = state.t == 0
        c1 = tree.ema_weight(state.m_weight, b1)
        c2 = tree.ema_weight(state.v_weight, b2)
        c3 = tree.ema_weight(state.n_weight, b3)
        r1, r2, r3 = 1 / c1, b2 / c2, 1 / c3

        def rule(g, m, v, n, last):
            change = jnp.where(first, 0, g - last)
            m = tree.ema(m, g, b1)
            v = tree.ema(v, change, b2)
            n = tree.ema_sq(n, g + b2 * change, b3)
            u = tree.over_root(r1 * m + r2 * v, r3 * n, eps, eps_root)
            return u, m, v, n, g

        trees = updates, state.m, state.v, state.n, state.g
        direction, m, v, n, g = tree.map_rule(rule, *trees)
        t = next_count(state.t)
        return direction, ScaleByAdanState(m, v, n, g, t, c1, c2, c3)

    return optax.GradientTransformationExtraArgs(init, update)
