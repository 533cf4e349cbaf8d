"""Adafactor: adaptive steps with little memory."""

import jax
import jax.numpy as jnp
import optax

from gdjax._checks import (
    NON_NEGATIVE,
    POSITIVE,
    UNIT,
    Mask,
    Number,
    NumberOrSchedule,
    floating,
    number,
)
from gdjax.transforms import (
    add_decayed_weights,
    chain,
    clip_by_block_rms,
    ema,
    scale,
    scale_by_factored_rms,
    scale_by_learning_rate,
    scale_by_param_block_rms,
)


def adafactor(
    learning_rate: NumberOrSchedule | None = None,
    min_dim_size_to_factor: int = 128,
    decay_rate: Number = 0.8,
    decay_offset: Number = 0,
    multiply_by_parameter_scale: bool = True,
    clipping_threshold: Number | None = 1.0,
    momentum: Number | None = None,
    dtype_momentum: jax.typing.DTypeLike = jnp.float32,
    weight_decay_rate: NumberOrSchedule | None = None,
    eps: Number = 1e-30,
    factored: bool = True,
    weight_decay_mask: Mask = None,
) -> optax.GradientTransformationExtraArgs:
    """Step of Adafactor: gradients over a root mean square in the memory of an axis.

        u_t = `scale_by_factored_rms(...)`, clipped to a root mean square of at most
              clipping_threshold in each leaf
        x_{t+1} = x_t - learning_rate_t max(rms(x_t), 1e-3) u_t

    then, if asked for, `ema(momentum, debias=False)` of these steps and decay by
    weight_decay_rate x_t, which the rate does not multiply. The rate is a share of the
    parameters: 1e-2 is usual.

    Args:
      learning_rate: >= 0, a number (may be traced) or a schedule. `None`: 1.
      min_dim_size_to_factor, decay_rate, eps, factored: as in `scale_by_factored_rms`,
        whose `epsilon` is eps; decay_offset is its `step_offset`.
      multiply_by_parameter_scale: False leaves out max(rms(x_t), 1e-3).
      clipping_threshold: > 0; may be traced. `None` does not clip.
      momentum: in [0, 1); may be traced. `None` has none, and no state for it.
      dtype_momentum: dtype of the momentum (f32 by default, also of f64 parameters).
      weight_decay_rate: >= 0, a number (may be traced) or a schedule; `None` is 0.
      weight_decay_mask: which parameters decay, see `add_decayed_weights`.

    Returns:
      A chain of those links, and `scale(-1)` at its end.

    Raises:
      ValueError, TypeError: as its links.

    Example:
      >>> tx, p = adafactor(0.25), jnp.array([2.0, -2.0])
      >>> print(tx.update(jnp.array([3.0, -0.1]), tx.init(p), p)[0].round(4))
      [-0.5  0.5]

    Reference: Shazeer and Stern (2018), arXiv:1804.04235.
    """
    decay_offset = number("decay_offset", decay_offset, NON_NEGATIVE)
    eps = number("eps", eps, NON_NEGATIVE)
    floating("dtype_momentum", dtype_momentum)
    links = [
        scale_by_factored_rms(
            factored, decay_rate, decay_offset, min_dim_size_to_factor, eps
        )
    ]
    if clipping_threshold is not None:
        threshold = number("clipping_threshold", clipping_threshold, POSITIVE)
        links.append(clip_by_block_rms(threshold))
    if learning_rate is not None:
        links.append(scale_by_learning_rate(learning_rate, flip_sign=False))
    if multiply_by_parameter_scale:
        links.append(scale_by_param_block_rms())
    if momentum is not None:
        momentum = number("momentum", momentum, UNIT)
        links.append(ema(momentum, debias=False, accumulator_dtype=dtype_momentum))
    if weight_decay_rate is not None:
        if not callable(weight_decay_rate):
            weight_decay_rate = number(
                "weight_decay_rate", weight_decay_rate, NON_NEGATIVE
            )
        links.append(add_decayed_weights(weight_decay_rate, weight_decay_mask))
    return chain(*links, scale(-1))
