"""AMSGrad's direction: Adam's with a mean square that never falls."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax

from gdjax import tree
from gdjax._checks import NON_NEGATIVE, UNIT, Number, floating, next_count, number


class ScaleByAmsgradState(NamedTuple):
    count: jax.Array  # i32[], updates made
    mu: optax.Updates  # like params, >= f32 unless mu_dtype
    nu: optax.Updates  # like |params|, >= f32
    nu_max: optax.Updates  # like nu, the largest so far
    mu_weight: jax.Array  # f32[], the same average of ones: 1 - b1^count if b1 is fixed
    nu_weight: jax.Array  # f32[], and for nu


def scale_by_amsgrad(
    b1: Number = 0.9,
    b2: Number = 0.999,
    eps: Number = 1e-8,
    eps_root: Number = 0.0,
    mu_dtype: jax.typing.DTypeLike | None = None,
    bias_correction_mu: bool = True,
    bias_correction_nu: bool = True,
    *,
    correct_after_max: bool = False,
) -> optax.GradientTransformationExtraArgs:
    """Direction: AMSGrad's, Adam's over the largest mean square so far.

        m_t = b1 m_{t-1} + (1 - b1) g_t          v_t = b2 v_{t-1} + (1 - b2) |g_t|^2
        w_t = max(w_{t-1}, v_t / (1 - b2^t))
        u_t = m_t / (1 - b1^t) / (sqrt(w_t + eps_root) + eps)

    from m_0 = v_0 = w_0 = 0, as in Optax. The paper divides by neither 1 - b^t: both
    `bias_correction` off. torch divides only after the maximum, `correct_after_max`:

        w_t = max(w_{t-1}, v_t),   w_t / (1 - b2^t) instead of w_t in u_t

    Where a large gradient comes first and small ones follow, the default's steps
    become as short as sqrt(1 - b2) of torch's, and stay so.

    Args:
      b1, b2, eps, eps_root, mu_dtype: as in `scale_by_adam`.
      bias_correction_mu, bias_correction_nu: divide m, and v, by 1 - b^t.
      correct_after_max: as above; needs `bias_correction_nu`.

    Returns:
      A transformation with state `ScaleByAmsgradState`.

    Raises:
      ValueError: a number lies outside its range, or `correct_after_max` without
        `bias_correction_nu`.
      TypeError: `mu_dtype`, or from `init` a parameter, is not floating.

    Example:
      >>> tx = scale_by_amsgrad(b2=0.0)
      >>> _, state = tx.update(jnp.array([4.0]), tx.init(jnp.ones(1)))
      >>> print(tx.update(jnp.array([0.2]), state)[1].nu_max)
      [16.]

    Reference: Reddi, Kale and Kumar (2018), arXiv:1904.09237.
    """
    b1, b2 = number("b1", b1, UNIT), number("b2", b2, UNIT)
    eps = number("eps", eps, NON_NEGATIVE)
    eps_root = number("eps_root", eps_root, NON_NEGATIVE)
    mu_dtype = floating("mu_dtype", mu_dtype)
    if correct_after_max and not bias_correction_nu:
        raise ValueError("`correct_after_max` needs `bias_correction_nu`, got False.")

    def init(params):
        nu, nu_max = (tree.zeros_like(params, real=True) for _ in range(2))
        weights = jnp.zeros([], float), jnp.zeros([], float)
        mu = tree.zeros_like(params, mu_dtype)
        return ScaleByAmsgradState(jnp.zeros([], jnp.int32), mu, nu, nu_max, *weights)

    def update(updates, state, params=None, **extra):
        c1 = tree.ema_weight(state.mu_weight, b1)
        c2 = tree.ema_weight(state.nu_weight, b2)
        r1 = 1 / c1 if bias_correction_mu else 1
        r2 = 1 / c2 if bias_correction_nu else 1
        before, after = (1, r2) if correct_after_max else (r2, 1)

        def rule(g, mu, nu, nu_max):
            mu = tree.ema(mu, g, b1)
            nu = tree.ema_sq(nu, g, b2)
            nu_max = jnp.maximum(nu_max, before * nu)
            return (
                tree.over_root(r1 * mu, after * nu_max, eps, eps_root),
                mu,
                nu,
                nu_max,
            )

        trees = updates, state.mu, state.nu, state.nu_max
        direction, mu, nu, nu_max = tree.map_rule(rule, *trees)
        count = next_count(state.count)
        return direction, ScaleByAmsgradState(count, mu, nu, nu_max, c1, c2)

    return optax.GradientTransformationExtraArgs(init, update)
