"""Yogi's direction: Adam's with a mean square that forgets slowly."""

import jax.numpy as jnp
import optax

from gdjax import tree
from gdjax._checks import NON_NEGATIVE, UNIT, Number, next_count, number
from gdjax.transforms._adam import ScaleByAdamState


def scale_by_yogi(
    b1: Number = 0.9,
    b2: Number = 0.999,
    eps: Number = 1e-3,
    eps_root: Number = 0.0,
    initial_accumulator_value: Number = 1e-6,
) -> optax.GradientTransformationExtraArgs:
    """Direction: Yogi's, where a square moves by what is new, not by what is old.

        m_t = b1 m_{t-1} + (1 - b1) g_t
        v_t = v_{t-1} - (1 - b2) sign(v_{t-1} - |g_t|^2) |g_t|^2
        u_t = m^_t / (sqrt(v^_t + eps_root) + eps)
        m^_t = m_t / (1 - b1^t),   v^_t = v_t / (1 - b2^t)

    from m_0 = v_0 = initial_accumulator_value: after a large gradient, small ones lower
    v by their own squares alone. In the paper m_0 is 0 and v_0 the mean square over a
    large batch; in Optax both are 1e-6. So parameters move at first without a gradient:
    by 2.8e-4 of the rate in the first step, 1.6e-3 in all. From 0 they do not.

    Args:
      b1, b2: decay of the mean and of the square, in [0, 1); may be traced.
      eps, eps_root: added outside and inside the root, >= 0; may be traced.
      initial_accumulator_value: >= 0; may be traced.

    Returns:
      A transformation with state `ScaleByAdamState`; complex leaves have a real v.

    Raises:
      ValueError: a number lies outside its range.
      TypeError: from `init`, a parameter is not floating.

    Example:
      >>> tx = scale_by_yogi(eps=0.0, initial_accumulator_value=0.0)
      >>> print(tx.update(jnp.array([2.0, -0.1]), tx.init(jnp.ones(2)))[0].round(3))
      [ 1. -1.]

    Reference: Zaheer et al. (2018), Adaptive Methods for Nonconvex Optimization,
      NeurIPS.
    """
    b1, b2 = number("b1", b1, UNIT), number("b2", b2, UNIT)
    eps = number("eps", eps, NON_NEGATIVE)
    eps_root = number("eps_root", eps_root, NON_NEGATIVE)
    start = number("initial_accumulator_value", initial_accumulator_value, NON_NEGATIVE)

    def init(params):
        mu = tree.full_like(params, start)
        nu = tree.full_like(params, start, real=True)
        weights = jnp.zeros([], float), jnp.zeros([], float)
        return ScaleByAdamState(jnp.zeros([], jnp.int32), mu, nu, *weights)

    def update(updates, state, params=None, **extra):
        c1 = tree.ema_weight(state.mu_weight, b1)
        c2 = tree.ema_weight(state.nu_weight, b2)
        mean, r2 = tree.unbiased(b1, c1), 1 / c2

        def rule(g, mu, nu):
            mu = tree.ema(mu, g, b1)
            square, change = tree.abs_sq(g), tree.abs_sq(g, 1 - b2)
            # Not by the sign of the difference: inf - inf, which is no number.
            grown = jnp.where(square > nu, nu + change, nu)
            nu = jnp.where(square < nu, nu - change, grown)
            return tree.over_root(mean(mu, g), r2 * nu, eps, eps_root), mu, nu

        direction, mu, nu = tree.map_rule(rule, updates, state.mu, state.nu)
        return direction, ScaleByAdamState(next_count(state.count), mu, nu, c1, c2)

    return optax.GradientTransformationExtraArgs(init, update)
