"""NAdam, and NAdam with decoupled weight decay: Adam with Nesterov's look ahead."""

import jax
import optax

from gdjax._checks import Mask, Number, NumberOrSchedule
from gdjax.optimizers._adam import adam, adamw


def nadam(
    learning_rate: NumberOrSchedule,
    b1: Number = 0.9,
    b2: Number = 0.999,
    eps: Number = 1e-8,
    eps_root: Number = 0.0,
    mu_dtype: jax.typing.DTypeLike | None = None,
) -> optax.GradientTransformationExtraArgs:
    """Step of NAdam: Adam whose mean looks one step ahead.

        x_{t+1} = x_t - learning_rate_t u_t,
        u_t = `scale_by_adam(b1, b2, ..., nesterov=True)`

    b1 is fixed, as in Optax. torch has the schedule of the paper, b1 times
    1 - 0.96^(0.004 t) / 2, so that its momentum starts at half of b1: no option gives
    its values. At the defaults its first step is 0.72 of ours.

    Args:
      learning_rate: >= 0, a number (may be traced) or a schedule.
      b1, b2, eps, eps_root, mu_dtype: as in `scale_by_adam`.

    Returns:
      `adam(..., nesterov=True)`.

    Raises:
      ValueError, TypeError: as its links.

    Example:
      >>> tx = nadam(0.1, b1=0.5)
      >>> g, p = jnp.array([2.0, -3.0]), jnp.ones(2)
      >>> print(tx.update(g, tx.init(p))[0].round(3))
      [-0.133  0.133]

    Reference: Dozat (2016), ICLR workshop.
    """
    return adam(learning_rate, b1, b2, eps, eps_root, mu_dtype, nesterov=True)


def nadamw(
    learning_rate: NumberOrSchedule,
    b1: Number = 0.9,
    b2: Number = 0.999,
    eps: Number = 1e-8,
    eps_root: Number = 0.0,
    mu_dtype: jax.typing.DTypeLike | None = None,
    weight_decay: NumberOrSchedule = 1e-4,
    mask: Mask = None,
) -> optax.GradientTransformationExtraArgs:
    """Step of NAdamW: NAdam, and weights that decay apart from the gradient.

        x_{t+1} = x_t - learning_rate_t (u_t + weight_decay_t x_t),
        u_t = `scale_by_adam(b1, b2, ..., nesterov=True)`

    Args:
      learning_rate, weight_decay: >= 0, a number (may be traced) or a schedule.
      b1, b2, eps, eps_root, mu_dtype: as in `scale_by_adam`.
      mask: which parameters decay, see `add_decayed_weights`. By default all.

    Returns:
      `adamw(..., nesterov=True)`.

    Raises:
      ValueError, TypeError: as its links.

    Example:
      >>> tx = nadamw(0.3, b1=0.5, weight_decay=0.5)
      >>> g, p = jnp.array([2.0, -3.0]), jnp.ones(2)
      >>> print(tx.update(g, tx.init(p), p)[0].round(3))
      [-0.55  0.25]

    Reference: Dozat (2016), ICLR workshop; Loshchilov and Hutter (2017),
      arXiv:1711.05101.
    """
    moments = learning_rate, b1, b2, eps, eps_root, mu_dtype
    return adamw(*moments, weight_decay, mask, nesterov=True)
