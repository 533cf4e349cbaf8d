"""Lion's direction: the sign of a mean that is ahead of the one it keeps."""

from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp
import optax

from gdjax import tree
from gdjax._checks import POSITIVE, UNIT, Number, floating, next_count, number, one_of


class ScaleByLionState(NamedTuple):
    count: jax.Array  # i32[], updates made
    mu: optax.Updates  # like params, >= f32 unless mu_dtype


def scale_by_lion(
    b1: Number = 0.9,
    b2: Number = 0.99,
    mu_dtype: jax.typing.DTypeLike | None = None,
    *,
    mode: Literal["hard", "smooth", "refined"] = "hard",
    smooth_beta: Number = 1.0,
) -> optax.GradientTransformationExtraArgs:
    """Direction: Lion's, the sign of the mean with the gradient counted more.

        c_t = b1 m_{t-1} + (1 - b1) g_t,   m_t = b2 m_{t-1} + (1 - b2) g_t
        u_t = sign(c_t)                                     hard
              tanh(smooth_beta c_t)                         smooth
              c_t where |c_t| < 1, else sign(c_t)           refined

    from m_0 = 0. Only signs count, so no start at zero has to be corrected and no size
    of the gradient matters (the modes other than "hard" do see it). The sign of a
    complex c is c / |c|, and tanh is taken of its size.

    Args:
      b1, b2: decay for the sign and for what is kept, in [0, 1); may be traced.
      mu_dtype: dtype of m; by default the parameter's, f32 for f16 and bf16.
      mode: how c becomes a direction.
      smooth_beta: > 0, for "smooth" alone; may be traced.

    Returns:
      A transformation with state `ScaleByLionState`.

    Raises:
      ValueError: a number lies outside its range, or there is no such mode.
      TypeError: `mu_dtype`, or from `init` a parameter, is not floating.

    Example:
      >>> tx = scale_by_lion()
      >>> print(tx.update(jnp.array([2.0, -0.1]), tx.init(jnp.ones(2)))[0])
      [ 1. -1.]

    Reference: Chen et al. (2023), arXiv:2302.06675.
    """
    b1, b2 = number("b1", b1, UNIT), number("b2", b2, UNIT)
    mu_dtype = floating("mu_dtype", mu_dtype)
    one_of("mode", mode, ("hard", "smooth", "refined"))
    smooth_beta = number("smooth_beta", smooth_beta, POSITIVE)

    def shaped(c):
        sign = jnp.sign(c)
        if mode == "smooth":
            return sign * jnp.tanh(smooth_beta * jnp.abs(c))
        return jnp.where(jnp.abs(c) < 1, c, sign) if mode == "refined" else sign

    def rule(g, mu):
        return shaped(tree.ema(mu, g, b1)), tree.ema(mu, g, b2)

    def init(params):
        mu = tree.zeros_like(params, mu_dtype)
        return ScaleByLionState(jnp.zeros([], jnp.int32), mu)

    def update(updates, state, params=None, **extra):
        direction, mu = tree.map_rule(rule, updates, state.mu)
        return direction, ScaleByLionState(next_count(state.count), mu)

    return optax.GradientTransformationExtraArgs(init, update)
