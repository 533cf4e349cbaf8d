"""AdaBelief's direction: the mean over how far gradients stray from it."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax

from gdjax import tree
from gdjax._checks import NON_NEGATIVE, UNIT, Number, next_count, number


class ScaleByBeliefState(NamedTuple):
    count: jax.Array  # i32[], updates made
    mu: optax.Updates  # like params, >= f32
    nu: optax.Updates  # like |params|, >= f32
    mu_weight: jax.Array  # f32[], the same average of ones: 1 - b1^count if b1 is fixed
    nu_weight: jax.Array  # f32[], and for nu


def scale_by_belief(
    b1: Number = 0.9,
    b2: Number = 0.999,
    eps: Number = 1e-16,
    eps_root: Number = 1e-16,
    *,
    nesterov: bool = False,
) -> optax.GradientTransformationExtraArgs:
    """Direction: AdaBelief's, Adam's with the spread around the mean for the square.

        m_t = b1 m_{t-1} + (1 - b1) g_t
        s_t = b2 s_{t-1} + (1 - b2) |g_t - m_t|^2 + eps_root
        u_t = m^_t / (sqrt(s^_t) + eps),   s^_t = s_t / (1 - b2^t)

    with m^ and `nesterov` as in `scale_by_adam`. eps_root is added at every step and
    adds up to eps_root / (1 - b2), as in the paper, its code and Optax: not inside the
    root as in `scale_by_adam`. The paper has 1e-8 for both.

    Args:
      b1, b2: decay of the mean and of the spread, in [0, 1); may be traced.
      eps, eps_root: added to the root and to the spread, >= 0; may be traced.
      nesterov: as in `scale_by_adam`.

    Returns:
      A transformation with state `ScaleByBeliefState`; complex leaves have a real s.

    Raises:
      ValueError: a number lies outside its range.
      TypeError: from `init`, a parameter is not floating.

    Example:
      >>> tx = scale_by_belief(b1=0.5)
      >>> print(tx.update(jnp.array([2.0, -0.1]), tx.init(jnp.ones(2)))[0].round(3))
      [ 2. -2.]

    Reference: Zhuang et al. (2020), arXiv:2010.07468.
    """
    b1, b2 = number("b1", b1, UNIT), number("b2", b2, UNIT)
    eps = number("eps", eps, NON_NEGATIVE)
    eps_root = number("eps_root", eps_root, NON_NEGATIVE)

    def init(params):
        mu = tree.zeros_like(params)
        nu = tree.zeros_like(params, real=True)
        weights = jnp.zeros([], float), jnp.zeros([], float)
        return ScaleByBeliefState(jnp.zeros([], jnp.int32), mu, nu, *weights)

    def update(updates, state, params=None, **extra):
        c1 = tree.ema_weight(state.mu_weight, b1)
        c2 = tree.ema_weight(state.nu_weight, b2)
        mean, r2 = tree.unbiased(b1, c1, nesterov), 1 / c2

        def rule(g, mu, nu):
            mu = tree.ema(mu, g, b1)
            nu = tree.ema_sq(nu, g - mu, b2) + eps_root
            return tree.over_root(mean(mu, g), r2 * nu, eps), mu, nu

        direction, mu, nu = tree.map_rule(rule, updates, state.mu, state.nu)
        return direction, ScaleByBeliefState(next_count(state.count), mu, nu, c1, c2)

    return optax.GradientTransformationExtraArgs(init, update)
