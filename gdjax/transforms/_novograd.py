"""NovoGrad's direction: momentum of gradients that are scaled layer by layer."""

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


class ScaleByNovogradState(NamedTuple):
    count: jax.Array  # i32[], updates made
    mu: optax.Updates  # like params, >= f32 unless mu_dtype
    nu: optax.Updates  # f32[] for each leaf


def scale_by_novograd(
    b1: Number = 0.9,
    b2: Number = 0.25,
    eps: Number = 1e-8,
    eps_root: Number = 0.0,
    weight_decay: NumberOrSchedule = 0.0,
    mu_dtype: jax.typing.DTypeLike | None = None,
) -> optax.GradientTransformationExtraArgs:
    """Direction: NovoGrad's, the decaying sum of gradients over their layer's size.

        v_t = b2 v_{t-1} + (1 - b2) |g_t|^2,   v_1 = |g_1|^2
        m_t = b1 m_{t-1} + g_t / (sqrt(v_t + eps_root) + eps) + weight_decay_t x_t
        u_t = m_t

    from m_0 = 0, where |g|^2 is the sum over one leaf, a single number: half of Adam's
    state. Decay goes into the momentum, and m is a sum, not an average: steps are up to
    1 / (1 - b1) times as long as the scaled gradient.

    Args:
      b1, b2: decay of the momentum and of the square, in [0, 1); may be traced.
      eps, eps_root: added outside and inside the root, >= 0; may be traced.
      weight_decay: >= 0, a number (may be traced) or a schedule.
      mu_dtype: dtype of m; by default the parameter's, f32 for f16 and bf16.

    Returns:
      A transformation that needs `params` in `update`, with state
      `ScaleByNovogradState`.

    Raises:
      ValueError: a number lies outside its range; from `update`, `params` is missing.
      TypeError: `mu_dtype`, or from `init` a parameter, is not floating.

    Example:
      >>> tx, g = scale_by_novograd(), jnp.array([3.0, -4.0])
      >>> print(tx.update(g, tx.init(g), g)[0])
      [ 0.6 -0.8]

    Reference: Ginsburg et al. (2019), arXiv:1905.11286.
    """
    b1, b2 = number("b1", b1, UNIT), number("b2", b2, UNIT)
    eps = number("eps", eps, NON_NEGATIVE)
    eps_root = number("eps_root", eps_root, NON_NEGATIVE)
    decay_at = Scheduled("weight_decay", weight_decay, NON_NEGATIVE)
    mu_dtype = floating("mu_dtype", mu_dtype)

    def init(params):
        mu = tree.zeros_like(params, mu_dtype)
        kind = lambda p: tree.real_dtype(tree.compute_dtype(jnp.result_type(p)))
        nu = jax.tree.map(lambda p: jnp.zeros([], kind(p)), params)
        return ScaleByNovogradState(jnp.zeros([], jnp.int32), mu, nu)

    def update(updates, state, params=None, **extra):
        if params is None:
            raise ValueError("`scale_by_novograd` needs `params` in `update`.")
        kept = jnp.where(state.count == 0, 0, b2)
        decay = decay_at(state.count)

        def rule(g, mu, nu, p):
            nu = tree.ema(nu, jnp.sum(tree.abs_sq(g)), kept)
            scaled = tree.over_root(g, nu, eps, eps_root)
            mu = b1 * mu + scaled + decay * p
            return mu, mu, nu

        direction, mu, nu = tree.map_rule(
            rule, updates, state.mu, statistics=(state.nu,), read=(params,)
        )
        return direction, ScaleByNovogradState(next_count(state.count), mu, nu)

    return optax.GradientTransformationExtraArgs(init, update)
