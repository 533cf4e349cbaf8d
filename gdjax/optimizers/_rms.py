"""Steps over root mean squares of gradients: AdaGrad, RMSprop, Adadelta."""

import optax

from gdjax._checks import UNIT, Mask, Number, NumberOrSchedule, number
from gdjax.transforms import (
    add_decayed_weights,
    chain,
    scale_by_adadelta,
    scale_by_learning_rate,
    scale_by_rms,
    scale_by_rss,
    scale_by_stddev,
    trace,
)


def adagrad(
    learning_rate: NumberOrSchedule,
    initial_accumulator_value: Number = 0.1,
    eps: Number = 1e-7,
    *,
    eps_in_sqrt: bool = True,
) -> optax.GradientTransformationExtraArgs:
    """Step of AdaGrad: the rate times the gradient over the root of all its squares.

        x_{t+1} = x_t - learning_rate_t g_t / sqrt(G_t + eps),   G_t = G_{t-1} + |g_t|^2

    torch's is `adagrad(rate, 0.0, 1e-10, eps_in_sqrt=False)`.

    Args:
      learning_rate: >= 0, a number (may be traced) or a schedule.
      initial_accumulator_value, eps, eps_in_sqrt: as in `scale_by_rss`.

    Returns:
      `chain(scale_by_rss, scale_by_learning_rate)`.

    Raises:
      ValueError, TypeError: as its links.

    Example:
      >>> tx = adagrad(0.1, 0.0)
      >>> g, p = jnp.array([2.0, -3.0]), jnp.ones(2)
      >>> print(tx.update(g, tx.init(p))[0].round(3))
      [-0.1  0.1]

    Reference: Duchi, Hazan and Singer (2011), JMLR 12, 2121-2159.
    """
    return chain(
        scale_by_rss(initial_accumulator_value, eps, eps_in_sqrt=eps_in_sqrt),
        scale_by_learning_rate(learning_rate),
    )


def rmsprop(
    learning_rate: NumberOrSchedule,
    decay: Number = 0.9,
    eps: Number = 1e-8,
    initial_scale: Number = 0.0,
    eps_in_sqrt: bool = True,
    centered: bool = False,
    momentum: Number | None = None,
    nesterov: bool = False,
    bias_correction: bool = False,
) -> optax.GradientTransformationExtraArgs:
    """Step of RMSprop: the rate times the gradient over its root mean square.

        x_{t+1} = x_t - learning_rate_t u_t
        u_t = g_t / sqrt(v_t + eps), or g_t / sqrt(v_t - |m_t|^2 + eps) if centred

    With momentum the steps, rate included, go through `trace(momentum)`. So a rate
    that falls is felt late, as in Optax; in torch the rate stands behind the momentum,
    `chain(scale_by_rms(...), trace(momentum), scale_by_learning_rate(rate))`. The two
    agree while the rate is constant: torch's is then
    `rmsprop(rate, decay=0.99, eps_in_sqrt=False)`.

    Args:
      learning_rate: >= 0, a number (may be traced) or a schedule.
      decay, eps, initial_scale, eps_in_sqrt, bias_correction: as in `scale_by_rms`.
      centered: divide by the standard deviation, see `scale_by_stddev`.
      momentum: in [0, 1); may be traced. `None`: no momentum and no state for it.
      nesterov: as in `trace`.

    Returns:
      `chain(scale_by_rms or scale_by_stddev, scale_by_learning_rate, trace)`.

    Raises:
      ValueError, TypeError: as its links.

    Example:
      >>> tx = rmsprop(0.1, decay=0.75)
      >>> g, p = jnp.array([2.0, -3.0]), jnp.ones(2)
      >>> print(tx.update(g, tx.init(p))[0].round(3))
      [-0.2  0.2]

    Reference: Tieleman and Hinton (2012), Coursera lecture 6.5; Graves (2013),
      arXiv:1308.0850.
    """
    scale = scale_by_stddev if centered else scale_by_rms
    links = [
        scale(decay, eps, initial_scale, eps_in_sqrt, bias_correction),
        scale_by_learning_rate(learning_rate),
    ]
    if momentum is not None:
        links.append(trace(number("momentum", momentum, UNIT), nesterov))
    return chain(*links)


def adadelta(
    learning_rate: NumberOrSchedule = 1.0,
    rho: Number = 0.9,
    eps: Number = 1e-6,
    weight_decay: NumberOrSchedule = 0.0,
    weight_decay_mask: Mask = None,
) -> optax.GradientTransformationExtraArgs:
    """Step of Adadelta: lengths from the steps before, so that no rate is needed.

        x_{t+1} = x_t - learning_rate_t u_t,   u_t = `scale_by_adadelta(rho, eps)` of
        g_t + weight_decay_t x_t

    The decay is L2 regularisation, as in Optax and torch: it goes through the rule.
    The rate is 1 by default, as in the paper and in torch. (Optax's default, `None`,
    leaves the sign as well: `optax.adadelta()` climbs.)

    Args:
      learning_rate, weight_decay: >= 0, a number (may be traced) or a schedule.
      rho, eps: as in `scale_by_adadelta`.
      weight_decay_mask: which parameters decay, see `add_decayed_weights`.

    Returns:
      `chain(add_decayed_weights, scale_by_adadelta, scale_by_learning_rate)`, which
      needs `params` in `update`.

    Raises:
      ValueError, TypeError: as its links.

    Example:
      >>> tx = adadelta(rho=0.75)
      >>> g, p = jnp.array([2.0, -3.0]), jnp.ones(2)
      >>> print(tx.update(g, tx.init(p), p)[0])
      [-0.002 0.002]

    Reference: Zeiler (2012), arXiv:1212.5701.
    """
    return chain(
        add_decayed_weights(weight_decay, weight_decay_mask),
        scale_by_adadelta(rho, eps),
        scale_by_learning_rate(learning_rate),
    )
