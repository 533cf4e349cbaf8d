"""Adam, and Adam with decoupled weight decay."""

import jax
import optax

from gdjax._checks import Mask, Number, NumberOrSchedule
from gdjax.transforms import (
    add_decayed_weights,
    chain,
    scale_by_adam,
    scale_by_learning_rate,
)


def adam(
    learning_rate: NumberOrSchedule,
    b1: Number = 0.9,
    b2: Number = 0.999,
    eps: Number = 1e-8,
    eps_root: Number = 0.0,
    mu_dtype: jax.typing.DTypeLike | None = None,
    *,
    nesterov: bool = False,
) -> optax.GradientTransformationExtraArgs:
    """Step of Adam: the rate times the bias-corrected mean over the root mean square.

        x_{t+1} = x_t - learning_rate_t u_t,   u_t = `scale_by_adam(b1, b2, ...)`

    Args:
      learning_rate: >= 0, a number (may be traced) or a schedule.
      b1, b2, eps, eps_root, mu_dtype, nesterov: as in `scale_by_adam`.

    Returns:
      `chain(scale_by_adam, scale_by_learning_rate)`.

    Raises:
      ValueError, TypeError: as its links.

    Example:
      >>> tx = adam(0.1)
      >>> g, p = jnp.array([2.0, -3.0]), jnp.ones(2)
      >>> print(tx.update(g, tx.init(p))[0].round(3))
      [-0.1  0.1]

    Reference: Kingma and Ba (2014), arXiv:1412.6980.
    """
    return chain(
        scale_by_adam(b1, b2, eps, eps_root, mu_dtype, nesterov=nesterov),
        scale_by_learning_rate(learning_rate),
    )


def adamw(
    learning_rate: NumberOrSchedule,
    b1: Number = 0.9,
    b2: Number = 0.999,
    eps: Number = 1e-8,
    eps_root: Number = 0.0,
    mu_dtype: jax.typing.DTypeLike | None = None,
    weight_decay: NumberOrSchedule = 1e-4,
    mask: Mask = None,
    *,
    nesterov: bool = False,
) -> optax.GradientTransformationExtraArgs:
    """Step of AdamW: Adam, and weights that decay apart from the gradient.

        x_{t+1} = x_t - learning_rate_t (u_t + weight_decay_t x_t),
        u_t = `scale_by_adam(b1, b2, ...)`

    Args:
      learning_rate, weight_decay: >= 0, a number (may be traced) or a schedule.
      b1, b2, eps, eps_root, mu_dtype, nesterov: as in `scale_by_adam`.
      mask: which parameters decay, see `add_decayed_weights`; `decay_mask` spares
        biases and normalisation. By default all decay, as in Optax and torch.

    Returns:
      `chain(scale_by_adam, add_decayed_weights, scale_by_learning_rate)`.

    Raises:
      ValueError, TypeError: as its links.

    Example:
      >>> tx = adamw(0.1, weight_decay=0.5)
      >>> g, p = jnp.array([2.0, -3.0]), jnp.ones(2)
      >>> print(tx.update(g, tx.init(p), p)[0].round(3))
      [-0.15  0.05]

    Reference: Loshchilov and Hutter (2017), arXiv:1711.05101.
    """
    return chain(
        scale_by_adam(b1, b2, eps, eps_root, mu_dtype, nesterov=nesterov),
        add_decayed_weights(weight_decay, mask),
        scale_by_learning_rate(learning_rate),
    )
