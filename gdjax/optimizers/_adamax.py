"""AdaMax and AMSGrad, Adam over a maximum: a fading one, and one that stays."""

import jax
import optax

from gdjax._checks import Mask, Number, NumberOrSchedule
from gdjax.transforms import (
    add_decayed_weights,
    chain,
    scale_by_adamax,
    scale_by_amsgrad,
    scale_by_learning_rate,
)


def adamax(
    learning_rate: NumberOrSchedule,
    b1: Number = 0.9,
    b2: Number = 0.999,
    eps: Number = 1e-8,
) -> optax.GradientTransformationExtraArgs:
    """Step of AdaMax: the rate times the mean over the largest recent gradient.

        x_{t+1} = x_t - learning_rate_t u_t,   u_t = `scale_by_adamax(b1, b2, eps)`

    Args:
      learning_rate: >= 0, a number (may be traced) or a schedule.
      b1, b2, eps: as in `scale_by_adamax`.

    Returns:
      `chain(scale_by_adamax, scale_by_learning_rate)`.

    Raises:
      ValueError, TypeError: as its links.

    Example:
      >>> tx = adamax(0.1)
      >>> g, p = jnp.array([2.0, -3.0]), jnp.ones(2)
      >>> print(tx.update(g, tx.init(p))[0].round(3))
      [-0.1  0.1]

    Reference: Kingma and Ba (2014), arXiv:1412.6980, section 7.1.
    """
    return chain(scale_by_adamax(b1, b2, eps), scale_by_learning_rate(learning_rate))


def adamaxw(
    learning_rate: NumberOrSchedule,
    b1: Number = 0.9,
    b2: Number = 0.999,
    eps: Number = 1e-8,
    weight_decay: NumberOrSchedule = 1e-4,
    mask: Mask = None,
) -> optax.GradientTransformationExtraArgs:
    """Step of AdaMaxW: AdaMax, and weights that decay apart from the gradient.

        x_{t+1} = x_t - learning_rate_t (u_t + weight_decay_t x_t),
        u_t = `scale_by_adamax(b1, b2, eps)`

    torch's Adamax adds its `weight_decay` to the gradient instead:
    `chain(add_decayed_weights(weight_decay), adamax(rate))`.

    Args:
      learning_rate, weight_decay: >= 0, a number (may be traced) or a schedule.
      b1, b2, eps: as in `scale_by_adamax`.
      mask: which parameters decay, see `add_decayed_weights`. By default all.

    Returns:
      `chain(scale_by_adamax, add_decayed_weights, scale_by_learning_rate)`.

    Raises:
      ValueError, TypeError: as its links.

    Example:
      >>> tx = adamaxw(0.1, weight_decay=0.5)
      >>> g, p = jnp.array([2.0, -3.0]), jnp.ones(2)
      >>> print(tx.update(g, tx.init(p), p)[0].round(3))
      [-0.15  0.05]

    Reference: Loshchilov and Hutter (2017), arXiv:1711.05101; AdaMax as in `adamax`.
    """
    return chain(
        scale_by_adamax(b1, b2, eps),
        add_decayed_weights(weight_decay, mask),
        scale_by_learning_rate(learning_rate),
    )


def amsgrad(
    learning_rate: NumberOrSchedule,
    b1: Number = 0.9,
    b2: Number = 0.999,
    eps: Number = 1e-8,
    eps_root: Number = 0.0,
    mu_dtype: jax.typing.DTypeLike | None = None,
    bias_correction_mu: bool = True,
    bias_correction_nu: bool = True,
    *,
    correct_after_max: bool = False,
) -> optax.GradientTransformationExtraArgs:
    """Step of AMSGrad: the rate times Adam's mean over the largest mean square so far.

        x_{t+1} = x_t - learning_rate_t u_t,   u_t = `scale_by_amsgrad(b1, b2, ...)`

    torch's `Adam(amsgrad=True)` is `amsgrad(rate, correct_after_max=True)`, and the
    paper's has both `bias_correction` off.

    Args:
      learning_rate: >= 0, a number (may be traced) or a schedule.
      b1, b2, eps, eps_root, mu_dtype, bias_correction_mu, bias_correction_nu,
        correct_after_max: as in `scale_by_amsgrad`.

    Returns:
      `chain(scale_by_amsgrad, scale_by_learning_rate)`.

    Raises:
      ValueError, TypeError: as its links.

    Example:
      >>> tx = amsgrad(0.1)
      >>> g, p = jnp.array([2.0, -3.0]), jnp.ones(2)
      >>> print(tx.update(g, tx.init(p))[0].round(3))
      [-0.1  0.1]

    Reference: Reddi, Kale and Kumar (2018), arXiv:1904.09237.
    """
    direction = scale_by_amsgrad(
        b1,
        b2,
        eps,
        eps_root,
        mu_dtype,
        bias_correction_mu,
        bias_correction_nu,
        correct_after_max=correct_after_max,
    )
    return chain(direction, scale_by_learning_rate(learning_rate))
