"""ADOPT's direction: the mean of gradients divided by what came before them."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax

from gdjax import tree
from gdjax._checks import NON_NEGATIVE, UNIT, Number, floating, next_count, number


class ScaleByAdoptState(NamedTuple):
    count: jax.Array  # i32[], updates made
    mu: optax.Updates  # like params, >= f32 unless mu_dtype
    nu: optax.Updates  # like |params|, >= f32


def scale_by_adopt(
    b1: Number = 0.9,
    b2: Number = 0.9999,
    eps: Number = 1e-6,
    mu_dtype: jax.typing.DTypeLike | None = None,
    *,
    nesterov: bool = False,
    use_clipping: bool = True,
    clip_value_fn: Callable[[jax.Array], jax.Array] | None = None,
) -> optax.GradientTransformationExtraArgs:
    """Direction: ADOPT's, a mean of gradients over the root mean square before them.

        x_t = clip(g_t / max(sqrt(v_{t-1}), eps), c_t)          c_t = t^(1/4)
        m_t = b1 m_{t-1} + (1 - b1) x_t                         u_t = m_t
        v_t = b2 v_{t-1} + (1 - b2) |g_t|^2

    from m_0 = 0 and v_0 = |g_0|^2, t from 1: the very first update only measures the
    gradient and moves nothing. As v_{t-1} does not contain g_t, the method converges
    for any b2. With `nesterov` u_t = b1 m_t + (1 - b1) x_t. A complex x_t is clipped by
    its absolute value (Optax: an error).

    Args:
      b1, b2: decay of the mean and of the mean square, in [0, 1); may be traced.
      eps: smallest divisor, >= 0; may be traced.
      mu_dtype: dtype of m; by default the parameter's, f32 for f16 and bf16.
      nesterov, use_clipping: as above; without clipping x_t is the quotient alone.
      clip_value_fn: from t, an int32 scalar, to c_t; by default its fourth root.

    Returns:
      A transformation with state `ScaleByAdoptState`, which needs no correction.

    Raises:
      ValueError: a number lies outside its range.
      TypeError: `mu_dtype`, or from `init` a parameter, is not floating;
        `clip_value_fn` is no function.

    Example:
      >>> tx = scale_by_adopt(b1=0.5)
      >>> g = jnp.array([2.0, -0.1])
      >>> first, state = tx.update(g, tx.init(jnp.ones(2)))
      >>> print(first, tx.update(g, state)[0])
      [0. 0.] [ 0.5 -0.5]

    Reference: Taniguchi et al. (2024), arXiv:2411.02853.
    """
    b1, b2 = number("b1", b1, UNIT), number("b2", b2, UNIT)
    eps = number("eps", eps, NON_NEGATIVE)
    mu_dtype = floating("mu_dtype", mu_dtype)
    if clip_value_fn is None:
        clip_value_fn = lambda count: count**0.25
    if not callable(clip_value_fn):
        raise TypeError(
            f"`clip_value_fn` must be a function of the step, got {clip_value_fn!r}."
        )

    def init(params):
        mu, nu = tree.zeros_like(params, mu_dtype), tree.zeros_like(params, real=True)
        return ScaleByAdoptState(jnp.zeros([], jnp.int32), mu, nu)

    def update(updates, state, params=None, **extra):
        is_first, limit = state.count == 0, clip_value_fn(state.count)

        def rule(g, mu, nu):
            x = tree.ratio(g, jnp.maximum(jnp.sqrt(nu), eps))
            x = _clipped(x, limit) if use_clipping else x
            x = jnp.where(is_first, 0, x)
            mu = tree.ema(mu, x, b1)
            nu = tree.ema_sq(nu, g, jnp.where(is_first, 0, b2))
            return tree.ema(mu, x, b1) if nesterov else mu, mu, nu

        direction, mu, nu = tree.map_rule(rule, updates, state.mu, state.nu)
        return direction, ScaleByAdoptState(next_count(state.count), mu, nu)

    return optax.GradientTransformationExtraArgs(init, update)


def _clipped(x: jax.Array, limit: jax.Array) -> jax.Array:
    if jnp.iscomplexobj(x):
        return x * jnp.minimum(1, tree.ratio(limit, abs(x)))
    return jnp.clip(x, -limit, limit)
