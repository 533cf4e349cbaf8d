"""Gradient descent, plain or with momentum."""

import jax
import optax

from gdjax._checks import UNIT, Number, NumberOrSchedule, floating, number
from gdjax.transforms import chain, scale_by_learning_rate, trace


def sgd(
    learning_rate: NumberOrSchedule,
    momentum: Number | None = None,
    nesterov: bool = False,
    accumulator_dtype: jax.typing.DTypeLike | None = None,
) -> optax.GradientTransformationExtraArgs:
    """Step of gradient descent, with momentum if asked for.

        x_{t+1} = x_t - learning_rate_t u_t,   u_t = g_t, or `trace(momentum, ...)`

    Args:
      learning_rate: >= 0, a number (may be traced) or a schedule.
      momentum: in [0, 1); may be traced. `None`: no momentum and no state for it.
      nesterov, accumulator_dtype: as in `trace`.

    Returns:
      `chain(trace, scale_by_learning_rate)`.

    Raises:
      ValueError, TypeError: as its links.

    Example:
      >>> tx = sgd(0.1)
      >>> print(tx.update(jnp.ones(2), tx.init(jnp.ones(2)))[0])
      [-0.1 -0.1]

    Reference: Robbins and Monro (1951), Ann. Math. Statist. 22(3); momentum as in
      `trace`.
    """
    accumulator_dtype = floating("accumulator_dtype", accumulator_dtype)
    links = [scale_by_learning_rate(learning_rate)]
    if momentum is not None:
        momentum = number("momentum", momentum, UNIT)
        links.insert(0, trace(momentum, nesterov, accumulator_dtype))
    return chain(*links)
