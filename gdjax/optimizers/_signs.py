"""Steps that the sign of a gradient decides: Lion, sign descent, Signum, Rprop."""

from typing import Literal

import jax
import optax

from gdjax._checks import UNIT, Mask, Number, NumberOrSchedule, number
from gdjax.transforms import (
    add_decayed_weights,
    chain,
    ema,
    scale,
    scale_by_learning_rate,
    scale_by_lion,
    scale_by_rprop,
    scale_by_sign,
)


def lion(
    learning_rate: NumberOrSchedule,
    b1: Number = 0.9,
    b2: Number = 0.99,
    mu_dtype: jax.typing.DTypeLike | None = None,
    weight_decay: NumberOrSchedule = 1e-3,
    mask: Mask = None,
    *,
    mode: Literal["hard", "smooth", "refined"] = "hard",
    smooth_beta: Number = 1.0,
) -> optax.GradientTransformationExtraArgs:
    """Step of Lion: the rate times a sign, and weights that decay.

        x_{t+1} = x_t - learning_rate_t (u_t + weight_decay_t x_t),
        u_t = `scale_by_lion(b1, b2, ...)`

    Every number moves by the whole rate: take 3 to 10 times less than for AdamW, and a
    decay that is larger by as much.

    Args:
      learning_rate, weight_decay: >= 0, a number (may be traced) or a schedule.
      b1, b2, mu_dtype, mode, smooth_beta: as in `scale_by_lion`.
      mask: which parameters decay, see `add_decayed_weights`. By default all.

    Returns:
      `chain(scale_by_lion, add_decayed_weights, scale_by_learning_rate)`.

    Raises:
      ValueError, TypeError: as its links.

    Example:
      >>> tx = lion(0.1, weight_decay=0.5)
      >>> g, p = jnp.array([2.0, -3.0]), jnp.ones(2)
      >>> print(tx.update(g, tx.init(p), p)[0].round(3))
      [-0.15  0.05]

    Reference: Chen et al. (2023), arXiv:2302.06675.
    """
    return chain(
        scale_by_lion(b1, b2, mu_dtype, mode=mode, smooth_beta=smooth_beta),
        add_decayed_weights(weight_decay, mask),
        scale_by_learning_rate(learning_rate),
    )


def sign_sgd(learning_rate: NumberOrSchedule) -> optax.GradientTransformationExtraArgs:
    """Step of sign descent: every number moves by the rate, against its gradient.

        x_{t+1} = x_t - learning_rate_t sign(g_t)

    Args:
      learning_rate: >= 0, a number (may be traced) or a schedule.

    Returns:
      `chain(scale_by_sign, scale_by_learning_rate)`.

    Raises:
      ValueError, TypeError: as its links.

    Example:
      >>> tx = sign_sgd(0.1)
      >>> g, p = jnp.array([2.0, -3.0]), jnp.ones(2)
      >>> print(tx.update(g, tx.init(p))[0])
      [-0.1  0.1]

    Reference: Bernstein et al. (2018), arXiv:1802.04434.
    """
    return chain(scale_by_sign(), scale_by_learning_rate(learning_rate))


def signum(
    learning_rate: NumberOrSchedule,
    beta: Number = 0.9,
    accumulator_dtype: jax.typing.DTypeLike | None = None,
) -> optax.GradientTransformationExtraArgs:
    """Step of Signum: sign descent along the average of the gradients.

        x_{t+1} = x_t - learning_rate_t sign(m_t),   m_t = beta m_{t-1} + (1 - beta) g_t

    Args:
      learning_rate: >= 0, a number (may be traced) or a schedule.
      beta: decay of the average, in [0, 1); may be traced.
      accumulator_dtype: as in `ema`.

    Returns:
      `chain(ema, scale_by_sign, scale_by_learning_rate)`.

    Raises:
      ValueError, TypeError: as its links.

    Example:
      >>> tx = signum(0.1)
      >>> g, p = jnp.array([2.0, -3.0]), jnp.ones(2)
      >>> print(tx.update(g, tx.init(p))[0])
      [-0.1  0.1]

    Reference: Bernstein et al. (2018), arXiv:1802.04434.
    """
    beta = number("beta", beta, UNIT)
    return chain(
        ema(beta, debias=False, accumulator_dtype=accumulator_dtype),
        scale_by_sign(),
        scale_by_learning_rate(learning_rate),
    )


def rprop(
    learning_rate: Number,
    eta_minus: Number = 0.5,
    eta_plus: Number = 1.2,
    min_step_size: Number = 1e-6,
    max_step_size: Number = 50.0,
) -> optax.GradientTransformationExtraArgs:
    """Step of Rprop: every number has a step size of its own, moved by changes of sign.

        x_{t+1} = x_t - u_t,   u_t = `scale_by_rprop(learning_rate, ...)`

    The values are torch's; Optax 0.2.8 is a step late, see there.

    Args:
      learning_rate: the first step size, >= 0; may be traced. No schedule.
      eta_minus, eta_plus, min_step_size, max_step_size: as in `scale_by_rprop`.

    Returns:
      `chain(scale_by_rprop, scale)`.

    Raises:
      ValueError, TypeError: as its links.

    Example:
      >>> tx = rprop(0.1)
      >>> g, p = jnp.array([2.0, -3.0]), jnp.ones(2)
      >>> print(tx.update(g, tx.init(p))[0])
      [-0.1  0.1]

    Reference: Riedmiller and Braun (1993), ICNN.
    """
    return chain(
        scale_by_rprop(
            learning_rate, eta_minus, eta_plus, min_step_size, max_step_size
        ),
        scale(-1.0),
    )
