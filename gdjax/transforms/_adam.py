"""Adam's direction: the gradient's mean over the root of its mean square."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax

from gdjax import tree
from gdjax._checks import NON_NEGATIVE, UNIT, Number, floating, next_count, number


class ScaleByAdamState(NamedTuple):
    count: jax.Array  # i32[], updates made
    mu: optax.Updates  # like params, >= f32 unless mu_dtype
    nu: optax.Updates  # like |params|, >= f32
    mu_weight: jax.Array  # f32[], the same average of ones: 1 - b1^count if b1 is fixed
    nu_weight: jax.Array  # f32[], and for nu


def scale_by_adam(
    b1: Number = 0.9,
    b2: Number = 0.999,
    eps: Number = 1e-8,
    eps_root: Number = 0.0,
    mu_dtype: jax.typing.DTypeLike | None = None,
    *,
    nesterov: bool = False,
) -> optax.GradientTransformationExtraArgs:
    """Direction: Adam's, the bias-corrected mean over the root mean square.

        m_t = b1 m_{t-1} + (1 - b1) g_t          v_t = b2 v_{t-1} + (1 - b2) |g_t|^2
        u_t = m^_t / (sqrt(v^_t + eps_root) + eps)
        m^_t = m_t / (1 - b1^t),   v^_t = v_t / (1 - b2^t)

    from m_0 = v_0 = 0, t from 1. With `nesterov` the gradient counts twice,
    m^_t = b1 m_t / (1 - b1^(t+1)) + (1 - b1) g_t / (1 - b1^t): NAdam. A zero gradient
    from the start gives a zero direction, also at eps = 0.

    1 - b^t is kept as the same average of ones. That is right where b1 or b2 changes
    from step to step, and its rounding cancels against that of m and v (Optax's
    1 - b^t is 1.3e-5 off in f32 at b2 = 0.999). v^ overflows beyond |g| = 1e19 in f32:
    the direction is then zero.

    Args:
      b1, b2: decay of the mean and of the mean square, in [0, 1); may be traced.
      eps, eps_root: added outside and inside the root, >= 0; may be traced.
      mu_dtype: dtype of m; by default the parameter's, f32 for f16 and bf16.
      nesterov: as above.

    Returns:
      A transformation with state `ScaleByAdamState`; complex leaves have a real v.

    Raises:
      ValueError: a number lies outside its range.
      TypeError: `mu_dtype`, or from `init` a parameter, is not floating.

    Example:
      >>> tx = scale_by_adam()
      >>> print(tx.update(jnp.array([2.0, -0.1]), tx.init(jnp.ones(2)))[0])
      [ 1. -1.]

    Reference: Kingma and Ba (2014), arXiv:1412.6980; Dozat (2016), ICLR workshop.
    """
    b1, b2 = number("b1", b1, UNIT), number("b2", b2, UNIT)
    eps = number("eps", eps, NON_NEGATIVE)
    eps_root = number("eps_root", eps_root, NON_NEGATIVE)
    mu_dtype = floating("mu_dtype", mu_dtype)

    def init(params):
        mu = tree.zeros_like(params, mu_dtype)
        nu = tree.zeros_like(params, real=True)
        # Two arrays: one buffer in two places of a state cannot be donated.
        weights = jnp.zeros([], float), jnp.zeros([], float)
        return ScaleByAdamState(jnp.zeros([], jnp.int32), mu, nu, *weights)

    def update(updates, state, params=None, **extra):
        c1 = tree.ema_weight(state.mu_weight, b1)
        c2 = tree.ema_weight(state.nu_weight, b2)
        mean, r2 = tree.unbiased(b1, c1, nesterov), 1 / c2

        def rule(g, mu, nu):
            mu = tree.ema(mu, g, b1)
            nu = tree.ema_sq(nu, g, b2)
            return tree.over_root(mean(mu, g), r2 * nu, eps, eps_root), mu, nu

        direction, mu, nu = tree.map_rule(rule, updates, state.mu, state.nu)
        return direction, ScaleByAdamState(next_count(state.count), mu, nu, c1, c2)

    return optax.GradientTransformationExtraArgs(init, update)
