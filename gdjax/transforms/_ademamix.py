"""AdEMAMix's direction: Adam with a second, much slower mean of the gradients."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax

from gdjax import tree
from gdjax._checks import (
    NON_NEGATIVE,
    UNIT,
    Number,
    NumberOrSchedule,
    Scheduled,
    floating,
    next_count,
    number,
)


class ScaleByAdemamixState(NamedTuple):
    count: jax.Array  # i32[], updates made
    count_m2: jax.Array  # i32[], the same, for the schedules of b3 and alpha
    m1: optax.Updates  # the fast mean, like params, >= f32 unless mu_dtype
    m2: optax.Updates  # the slow mean, the same
    nu: optax.Updates  # like |params|, >= f32
    m1_weight: jax.Array  # f32[], the same average of ones as m1
    nu_weight: jax.Array  # f32[], and as nu


def scale_by_ademamix(
    b1: Number = 0.9,
    b2: Number = 0.999,
    b3: NumberOrSchedule = 0.9999,
    alpha: NumberOrSchedule = 6.0,
    eps: Number = 1e-8,
    eps_root: Number = 0.0,
    mu_dtype: jax.typing.DTypeLike | None = None,
) -> optax.GradientTransformationExtraArgs:
    """Direction: AdEMAMix's, a fast and a slow mean over the root mean square.

        m1_t = b1 m1_{t-1} + (1 - b1) g_t        m2_t = b3 m2_{t-1} + (1 - b3) g_t
        v_t = b2 v_{t-1} + (1 - b2) |g_t|^2
        u_t = (m1_t / (1 - b1^t) + alpha m2_t) / (sqrt(v^_t + eps_root) + eps)

    with v^_t = v_t / (1 - b2^t), from zero, t from 1. The slow mean stays biased
    towards zero, so that it enters slowly. In the paper alpha and the memory of b3 grow
    over the whole run, alpha as `linear_schedule(0, alpha, num_steps)`, b3 as

        line = linear_schedule(1 / math.log(b1), 1 / math.log(b3), num_steps)
        b3 = lambda step: jnp.exp(1 / line(step))

    Args:
      b1, b2: decay of the fast mean and of the mean square, in [0, 1); may be traced.
      b3: decay of the slow mean, in [0, 1), a number (may be traced) or a schedule.
      alpha: weight of the slow mean, >= 0, a number (may be traced) or a schedule.
      eps, eps_root: added outside and inside the root, >= 0; may be traced.
      mu_dtype: dtype of both means; by default the parameter's, f32 for f16 and bf16.
        (Optax keeps v in it too.)

    Returns:
      A transformation with state `ScaleByAdemamixState`.

    Raises:
      ValueError: a number lies outside its range.
      TypeError: `mu_dtype`, or from `init` a parameter, is not floating.

    Example:
      >>> tx = scale_by_ademamix(b3=0.5, alpha=1.0)
      >>> print(tx.update(jnp.array([2.0, -0.1]), tx.init(jnp.ones(2)))[0].round(4))
      [ 1.5 -1.5]

    Reference: Pagliardini et al. (2024), arXiv:2409.03137.
    """
    b1, b2 = number("b1", b1, UNIT), number("b2", b2, UNIT)
    b3_at = Scheduled("b3", b3, UNIT)
    alpha_at = Scheduled("alpha", alpha, NON_NEGATIVE)
    eps = number("eps", eps, NON_NEGATIVE)
    eps_root = number("eps_root", eps_root, NON_NEGATIVE)
    mu_dtype = floating("mu_dtype", mu_dtype)

    def init(params):
        m1, m2 = (tree.zeros_like(params, mu_dtype) for _ in range(2))
        nu = tree.zeros_like(params, real=True)
        counts = jnp.zeros([], jnp.int32), jnp.zeros([], jnp.int32)
        weights = jnp.zeros([], float), jnp.zeros([], float)
        return ScaleByAdemamixState(*counts, m1, m2, nu, *weights)

    def update(updates, state, params=None, **extra):
        slow, share = b3_at(state.count_m2), alpha_at(state.count_m2)
        c1 = tree.ema_weight(state.m1_weight, b1)
        c2 = tree.ema_weight(state.nu_weight, b2)
        r1, r2 = 1 / c1, 1 / c2

        def rule(g, m1, m2, nu):
            m1, m2 = tree.ema(m1, g, b1), tree.ema(m2, g, slow)
            nu = tree.ema_sq(nu, g, b2)
            u = tree.over_root(r1 * m1 + share * m2, r2 * nu, eps, eps_root)
            return u, m1, m2, nu

        u, *moments = tree.map_rule(rule, updates, state.m1, state.m2, state.nu)
        counts = next_count(state.count), next_count(state.count_m2)
        return u, ScaleByAdemamixState._make((*counts, *moments, c1, c2))

    return optax.GradientTransformationExtraArgs(init, update)
