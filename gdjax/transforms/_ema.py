"""The exponential moving average of the gradients."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax

from gdjax import tree
from gdjax._checks import UNIT, Number, floating, next_count, number


class EmaState(NamedTuple):
    count: jax.Array  # i32[], updates made
    ema: optax.Updates  # like params, >= f32 unless accumulator_dtype
    weight: jax.Array  # f32[], the same average of ones: 1 - decay^count


def ema(
    decay: Number,
    debias: bool = True,
    accumulator_dtype: jax.typing.DTypeLike | None = None,
) -> optax.GradientTransformationExtraArgs:
    """Direction: the exponential moving average of the gradients.

        m_t = decay m_{t-1} + (1 - decay) g_t,   u_t = m_t / (1 - decay^t)

    from m_0 = 0; without `debias` u_t = m_t. `trace` is the sum of the same terms. Of
    parameters instead of gradients: `gd.averaging`.

    Args:
      decay: in [0, 1); may be traced.
      debias: take the start at zero out of what is returned; the state keeps m_t.
      accumulator_dtype: dtype of m; by default the parameter's, f32 for f16 and bf16.

    Returns:
      A transformation with state `EmaState`.

    Raises:
      ValueError: `decay` lies outside [0, 1).
      TypeError: `accumulator_dtype`, or from `init` a parameter, is not floating.

    Example:
      >>> tx = ema(0.9)
      >>> _, state = tx.update(jnp.ones(2), tx.init(jnp.ones(2)))
      >>> print(tx.update(jnp.ones(2), state)[0])
      [1. 1.]
    """
    decay = number("decay", decay, UNIT)
    accumulator_dtype = floating("accumulator_dtype", accumulator_dtype)

    def init(params):
        start = tree.zeros_like(params, accumulator_dtype)
        return EmaState(jnp.zeros([], jnp.int32), start, jnp.zeros([], float))

    def update(updates, state, params=None, **extra):
        weight = tree.ema_weight(state.weight, decay)
        scale = 1 / weight if debias else 1

        def rule(g, ema):
            ema = tree.ema(ema, g, decay)
            return scale * ema, ema

        direction, kept = tree.map_rule(rule, updates, state.ema)
        return direction, EmaState(next_count(state.count), kept, weight)

    return optax.GradientTransformationExtraArgs(init, update)
