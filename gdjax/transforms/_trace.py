"""Momentum: heavy ball and Nesterov."""

from typing import NamedTuple

import jax
import optax

from gdjax import tree
from gdjax._checks import UNIT, Number, floating, number


class TraceState(NamedTuple):
    trace: optax.Updates  # like params, >= f32 unless accumulator_dtype


def trace(
    decay: Number,
    nesterov: bool = False,
    accumulator_dtype: jax.typing.DTypeLike | None = None,
) -> optax.GradientTransformationExtraArgs:
    """Direction: the decaying sum of gradients, momentum.

        heavy ball   m_t = decay m_{t-1} + g_t,   u_t = m_t
        Nesterov     m_t = decay m_{t-1} + g_t,   u_t = decay m_t + g_t

    from m_0 = 0. A sum, not an average: a constant gradient grows by 1 / (1 - decay).

    Args:
      decay: in [0, 1); may be traced.
      nesterov: look ahead along the momentum.
      accumulator_dtype: dtype of m; by default the parameter's, f32 for f16 and bf16
        (Optax: the parameter's own, in which bf16 sums stall).

    Returns:
      A transformation with state `TraceState(trace)`.

    Raises:
      ValueError: `decay` lies outside [0, 1).
      TypeError: `accumulator_dtype`, or from `init` a parameter, is not floating.

    Example:
      >>> tx = trace(0.9)
      >>> _, state = tx.update(jnp.ones(2), tx.init(jnp.ones(2)))
      >>> print(tx.update(jnp.ones(2), state)[0])
      [1.9 1.9]

    Reference: Polyak (1964), USSR Comp. Math. 4(5); Nesterov (1983); the form with a
      velocity, Sutskever et al. (2013), ICML.
    """
    decay = number("decay", decay, UNIT)
    accumulator_dtype = floating("accumulator_dtype", accumulator_dtype)

    def rule(g, trace):
        trace = decay * trace + g
        return decay * trace + g if nesterov else trace, trace

    def init(params):
        return TraceState(tree.zeros_like(params, accumulator_dtype))

    def update(updates, state, params=None, **extra):
        direction, new = tree.map_rule(rule, updates, state.trace)
        return direction, TraceState(new)

    return optax.GradientTransformationExtraArgs(init, update)
