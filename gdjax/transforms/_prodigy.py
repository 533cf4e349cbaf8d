"""Prodigy's direction: Adam's, times an estimate of the distance to the solution."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax

from gdjax import tree
from gdjax._checks import (
    NON_NEGATIVE,
    POSITIVE,
    UNIT,
    Number,
    NumberOrSchedule,
    Scheduled,
    next_count,
    number,
)


class ProdigyState(NamedTuple):
    exp_avg: optax.Updates  # mean of d g, like params, >= f32
    exp_avg_sq: optax.Updates  # mean of |d g|^2, like |params|, >= f32
    grad_sum: optax.Updates  # s, like params, >= f32
    params0: optax.Params  # x_0, a copy of the first parameters
    estim_lr: jax.Array  # f32[], d, the estimate of the distance
    numerator_weighted: jax.Array  # f32[], r
    count: jax.Array  # i32[], updates made
    mu_weight: jax.Array  # f32[], the same average of ones as exp_avg
    nu_weight: jax.Array  # f32[], and as exp_avg_sq

    def metrics(self) -> dict[str, jax.Array]:
        return {"estim_lr": self.estim_lr}


def scale_by_prodigy(
    learning_rate: NumberOrSchedule = 1.0,
    betas: tuple[Number, Number] = (0.9, 0.999),
    beta3: Number | None = None,
    eps: Number = 1e-8,
    estim_lr0: Number = 1e-6,
    estim_lr_coef: Number = 1.0,
    weight_decay: NumberOrSchedule = 0.0,
    safeguard_warmup: bool = False,
    *,
    bias_correction: bool = True,
) -> optax.GradientTransformationExtraArgs:
    """Direction: Prodigy's, Adam's times an estimate d of the distance to the solution.

        m_t = b1 m_{t-1} + (1 - b1) d_t g_t      v_t = b2 v_{t-1} + (1 - b2) |d_t g_t|^2
        r_t = b3 r_{t-1} + w_t <g_t, x_0 - x_t>  s_t = b3 s_{t-1} + w_t g_t
        d_{t+1} = max(d_t, estim_lr_coef r_t / |s_t|_1)
        u_t = d_t c_t (m_t / (sqrt(v_t) + d_{t+1} eps) + weight_decay_t x_t)

    with w_t = d_t^2 c_t learning_rate_t / estim_lr0, from zero, d_1 = estim_lr0 and
    t from 1; c_t = sqrt(1 - b2^t) / (1 - b1^t). The learning rate only weighs the
    estimate here: give the same to `scale_by_learning_rate` after it, as `prodigy`
    does. The decay stands inside, as d scales it too.

    As in Optax; the paper and the authors' default have c_t = 1, `bias_correction` off.
    (Optax gives NaN where the first gradients are zero.)

    Args:
      learning_rate: >= 0, that of the chain, a number (may be traced) or a schedule.
      betas: b1 and b2, decay of mean and mean square, in [0, 1); may be traced.
      beta3: decay of r and s, in [0, 1); may be traced. By default sqrt(b2).
      eps: >= 0; may be traced.
      estim_lr0: > 0, the first d, too small rather than too large; may be traced.
      estim_lr_coef: > 0, a factor on the estimate; may be traced.
      weight_decay: >= 0, a number (may be traced) or a schedule.
      safeguard_warmup: leave learning_rate_t c_t out of w_t in s_t, so that a warm-up
        does not make d too large.
      bias_correction: as above.

    Returns:
      A transformation with state `ProdigyState` that needs `params` in `update`; its
      `metrics` have `estim_lr`, which is d.

    Raises:
      ValueError: a number lies outside its range; from `update`, `params` is missing or
        differs in shape.
      TypeError: `betas` is no pair; from `init`, a parameter is not floating.

    Example:
      >>> tx = scale_by_prodigy(estim_lr0=0.5)
      >>> p = jnp.ones(2)
      >>> print(tx.update(jnp.array([2.0, -0.1]), tx.init(p), p)[0].round(4))
      [ 0.5 -0.5]

    Reference: Mishchenko and Defazio (2023), arXiv:2306.06101.
    """
    if not isinstance(betas, tuple | list) or len(betas) != 2:
        raise TypeError(f"`betas` must be a pair of numbers, got {betas!r}.")
    b1, b2 = (number(f"betas[{i}]", b, UNIT) for i, b in enumerate(betas))
    b3 = b2**0.5 if beta3 is None else number("beta3", beta3, UNIT)
    rate_at = Scheduled("learning_rate", learning_rate, NON_NEGATIVE)
    eps = number("eps", eps, NON_NEGATIVE)
    estim_lr0 = number("estim_lr0", estim_lr0, POSITIVE)
    estim_lr_coef = number("estim_lr_coef", estim_lr_coef, POSITIVE)
    decay_at = Scheduled("weight_decay", weight_decay, NON_NEGATIVE)

    def init(params):
        m, s = tree.zeros_like(params), tree.zeros_like(params)
        v = tree.zeros_like(params, real=True)
        start = jax.tree.map(lambda p: jnp.array(p, jnp.result_type(p)), params)
        d, r, *weights = (jnp.array(x, float) for x in (estim_lr0, 0, 0, 0))
        return ProdigyState(m, v, s, start, d, r, jnp.zeros([], jnp.int32), *weights)

    def update(updates, state, params=None, **extra):
        if params is None:
            raise ValueError("`scale_by_prodigy` needs `params` in `update`.")
        d, decay = state.estim_lr, decay_at(state.count)
        c1 = tree.ema_weight(state.mu_weight, b1)
        c2 = tree.ema_weight(state.nu_weight, b2)
        scale = d * jnp.sqrt(c2) / c1 if bias_correction else d
        weight = d / estim_lr0 * scale * rate_at(state.count)
        weight_s = d / estim_lr0 * d if safeguard_warmup else weight

        def gather(g, m, v, s, inner, x0, x):
            inner = jnp.sum(jnp.real(jnp.conj(weight * g) * (x0 - x)))
            m, v = tree.ema(m, d * g, b1), tree.ema_sq(v, d * g, b2)
            return g, m, v, b3 * s + weight_s * g, inner

        g, m, v, s, inner = tree.map_rule(
            gather,
            *(updates, state.exp_avg, state.exp_avg_sq, state.grad_sum),
            statistics=(jax.tree.map(lambda _: jnp.zeros_like(d), updates),),
            read=(state.params0, params),
        )
        r = b3 * state.numerator_weighted + sum(jax.tree.leaves(inner))
        s_norm = jnp.asarray(sum(jnp.sum(jnp.abs(x)) for x in jax.tree.leaves(s)))
        new = jnp.maximum(d, estim_lr_coef * tree.ratio(r, s_norm))

        def step(g, m, v, p):
            return scale * (tree.over_root(m, v, new * eps) + decay * p), m, v

        u, m, v = tree.map_rule(step, g, m, v, read=(params,))
        scalars = new.astype(d.dtype), r.astype(d.dtype)
        return u, ProdigyState(
            m, v, s, state.params0, *scalars, next_count(state.count), c1, c2
        )

    return optax.GradientTransformationExtraArgs(init, update)
