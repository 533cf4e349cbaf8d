"""Steps relative to the size of each layer: LARS and LAMB."""

import optax

from gdjax._checks import UNIT, Mask, Number, NumberOrSchedule, number
from gdjax.transforms import (
    add_decayed_weights,
    chain,
    scale_by_adam,
    scale_by_learning_rate,
    scale_by_trust_ratio,
    trace,
)


def lamb(
    learning_rate: NumberOrSchedule,
    b1: Number = 0.9,
    b2: Number = 0.999,
    eps: Number = 1e-6,
    eps_root: Number = 0.0,
    weight_decay: NumberOrSchedule = 0.0,
    mask: Mask = None,
) -> optax.GradientTransformationExtraArgs:
    """Step of LAMB: AdamW's direction, as long in each leaf as its parameter.

        x_{t+1} = x_t - learning_rate_t |x_t| / |r_t| r_t,
        r_t = u_t + weight_decay_t x_t,   u_t = `scale_by_adam(b1, b2, eps, eps_root)`

    by leaf; r_t alone where |x_t| or |r_t| is 0.

    Args:
      learning_rate, weight_decay: >= 0, a number (may be traced) or a schedule.
      b1, b2, eps, eps_root: as in `scale_by_adam`.
      mask: which parameters decay, see `add_decayed_weights`.

    Returns:
      `chain(scale_by_adam, add_decayed_weights, scale_by_trust_ratio,
      scale_by_learning_rate)`.

    Raises:
      ValueError, TypeError: as its links.

    Example:
      >>> tx, p = lamb(0.1), jnp.array([3.0, 4.0])
      >>> print(tx.update(jnp.ones(2), tx.init(p), p)[0].round(4))
      [-0.3536 -0.3536]

    Reference: You et al. (2019), arXiv:1904.00962.
    """
    return chain(
        scale_by_adam(b1, b2, eps, eps_root),
        add_decayed_weights(weight_decay, mask),
        scale_by_trust_ratio(),
        scale_by_learning_rate(learning_rate),
    )


def lars(
    learning_rate: NumberOrSchedule,
    weight_decay: NumberOrSchedule = 0.0,
    weight_decay_mask: Mask = True,
    trust_coefficient: Number = 0.001,
    eps: Number = 0.0,
    trust_ratio_mask: Mask = True,
    momentum: Number = 0.9,
    nesterov: bool = False,
) -> optax.GradientTransformationExtraArgs:
    """Step of LARS: momentum of gradients as long in each leaf as its parameter.

        r_t = g_t + weight_decay_t x_t
        m_t = momentum m_{t-1} - learning_rate_t trust_coefficient |x_t| / |r_t| r_t
        x_{t+1} = x_t + m_t

    by leaf, from m_0 = 0; r_t alone where |x_t| or |r_t| is 0. The rate stands inside
    the momentum.

    Args:
      learning_rate, weight_decay: >= 0, a number (may be traced) or a schedule.
      weight_decay_mask, trust_ratio_mask: True for all leaves, a tree of bools like the
        parameters, or a function that makes it: which decay, and which are scaled.
      trust_coefficient, eps: as in `scale_by_trust_ratio`.
      momentum, nesterov: as in `trace`, whose decay is `momentum`.

    Returns:
      `chain(add_decayed_weights, scale_by_trust_ratio, scale_by_learning_rate, trace)`.

    Raises:
      ValueError, TypeError: as its links.

    Example:
      >>> tx, p = lars(0.1, trust_coefficient=1.0), jnp.array([3.0, 4.0])
      >>> print(tx.update(jnp.array([0.0, 7.0]), tx.init(p), p)[0].round(4))
      [ 0.  -0.5]

    Reference: You et al. (2017), arXiv:1708.03888.
    """
    momentum = number("momentum", momentum, UNIT)
    return chain(
        add_decayed_weights(weight_decay, weight_decay_mask),
        scale_by_trust_ratio(0.0, trust_coefficient, eps, mask=trust_ratio_mask),
        scale_by_learning_rate(learning_rate),
        trace(momentum, nesterov),
    )
