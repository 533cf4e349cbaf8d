"""Relatives of Adam: RAdam, AdaBelief, Yogi, Adan and NovoGrad."""

import optax

from gdjax._checks import Mask, Number, NumberOrSchedule
from gdjax.transforms import (
    add_decayed_weights,
    chain,
    scale_by_adan,
    scale_by_belief,
    scale_by_learning_rate,
    scale_by_novograd,
    scale_by_radam,
    scale_by_yogi,
)


def radam(
    learning_rate: NumberOrSchedule,
    b1: Number = 0.9,
    b2: Number = 0.999,
    eps: Number = 1e-8,
    eps_root: Number = 0.0,
    threshold: Number = 5.0,
    *,
    nesterov: bool = False,
) -> optax.GradientTransformationExtraArgs:
    """Step of RAdam: Adam that is plain momentum until its mean square is trusted.

        x_{t+1} = x_t - learning_rate_t u_t,   u_t = `scale_by_radam(b1, b2, ...)`

    In place of a warm-up of Adam's rate. The first steps, 5 at the defaults, are as
    long as the gradient is large.

    Args:
      learning_rate: >= 0, a number (may be traced) or a schedule.
      b1, b2, eps, eps_root, threshold, nesterov: as in `scale_by_radam`.

    Returns:
      `chain(scale_by_radam, scale_by_learning_rate)`.

    Raises:
      ValueError, TypeError: as its links.

    Example:
      >>> tx = radam(0.1)
      >>> g, p = jnp.array([2.0, -3.0]), jnp.ones(2)
      >>> print(tx.update(g, tx.init(p))[0].round(3))
      [-0.2  0.3]

    Reference: Liu et al. (2019), arXiv:1908.03265.
    """
    return chain(
        scale_by_radam(b1, b2, eps, eps_root, threshold, nesterov=nesterov),
        scale_by_learning_rate(learning_rate),
    )


def adabelief(
    learning_rate: NumberOrSchedule,
    b1: Number = 0.9,
    b2: Number = 0.999,
    eps: Number = 1e-16,
    eps_root: Number = 1e-16,
    *,
    nesterov: bool = False,
) -> optax.GradientTransformationExtraArgs:
    """Step of AdaBelief: the rate times the mean over how far gradients stray from it.

        x_{t+1} = x_t - learning_rate_t u_t,   u_t = `scale_by_belief(b1, b2, ...)`

    Args:
      learning_rate: >= 0, a number (may be traced) or a schedule.
      b1, b2, eps, eps_root, nesterov: as in `scale_by_belief`.

    Returns:
      `chain(scale_by_belief, scale_by_learning_rate)`.

    Raises:
      ValueError, TypeError: as its links.

    Example:
      >>> tx = adabelief(0.1, b1=0.5)
      >>> g, p = jnp.array([2.0, -3.0]), jnp.ones(2)
      >>> print(tx.update(g, tx.init(p))[0].round(3))
      [-0.2  0.2]

    Reference: Zhuang et al. (2020), arXiv:2010.07468.
    """
    return chain(
        scale_by_belief(b1, b2, eps, eps_root, nesterov=nesterov),
        scale_by_learning_rate(learning_rate),
    )


def yogi(
    learning_rate: NumberOrSchedule,
    b1: Number = 0.9,
    b2: Number = 0.999,
    eps: Number = 1e-3,
) -> optax.GradientTransformationExtraArgs:
    """Step of Yogi: Adam with a mean square that forgets slowly.

        x_{t+1} = x_t - learning_rate_t u_t,   u_t = `scale_by_yogi(b1, b2, eps)`

    Its averages start at 1e-6, as in Optax: parameters without any gradient move a
    little at first, see `scale_by_yogi`.

    Args:
      learning_rate: >= 0, a number (may be traced) or a schedule.
      b1, b2, eps: as in `scale_by_yogi`.

    Returns:
      `chain(scale_by_yogi, scale_by_learning_rate)`.

    Raises:
      ValueError, TypeError: as its links.

    Example:
      >>> tx = yogi(0.1)
      >>> g, p = jnp.array([2.0, -3.0]), jnp.ones(2)
      >>> print(tx.update(g, tx.init(p))[0].round(3))
      [-0.1  0.1]

    Reference: Zaheer et al. (2018), NeurIPS.
    """
    return chain(
        scale_by_yogi(b1, b2, eps),
        scale_by_learning_rate(learning_rate),
    )


def adan(
    learning_rate: NumberOrSchedule,
    b1: Number = 0.98,
    b2: Number = 0.92,
    b3: Number = 0.99,
    eps: Number = 1e-8,
    eps_root: Number = 1e-8,
    weight_decay: NumberOrSchedule = 0.0,
    mask: Mask = None,
) -> optax.GradientTransformationExtraArgs:
    """Step of Adan: Nesterov's momentum out of the change of the gradient.

        x_{t+1} = x_t - learning_rate_t (u_t + weight_decay_t x_t),
        u_t = `scale_by_adan(b1, b2, b3, ...)`

    Optax 0.2.8 weighs the change differently, see there. The decay is that of AdamW, as
    in Optax; the paper divides the new x by 1 + learning_rate weight_decay instead, the
    same to first order.

    Args:
      learning_rate, weight_decay: >= 0, a number (may be traced) or a schedule.
      b1, b2, b3, eps, eps_root: as in `scale_by_adan`.
      mask: which parameters decay, see `add_decayed_weights`. By default all.

    Returns:
      `chain(scale_by_adan, add_decayed_weights, scale_by_learning_rate)`.

    Raises:
      ValueError, TypeError: as its links.

    Example:
      >>> tx = adan(0.1)
      >>> g, p = jnp.array([2.0, -3.0]), jnp.ones(2)
      >>> print(tx.update(g, tx.init(p), p)[0].round(3))
      [-0.1  0.1]

    Reference: Xie et al. (2022), arXiv:2208.06677.
    """
    return chain(
        scale_by_adan(b1, b2, b3, eps, eps_root),
        add_decayed_weights(weight_decay, mask),
        scale_by_learning_rate(learning_rate),
    )


def novograd(
    learning_rate: NumberOrSchedule,
    b1: Number = 0.9,
    b2: Number = 0.25,
    eps: Number = 1e-6,
    eps_root: Number = 0.0,
    weight_decay: NumberOrSchedule = 0.0,
) -> optax.GradientTransformationExtraArgs:
    """Step of NovoGrad: momentum of gradients that are scaled layer by layer.

        x_{t+1} = x_t - learning_rate_t u_t,   u_t = `scale_by_novograd(b1, b2, ...)`

    Args:
      learning_rate: >= 0, a number (may be traced) or a schedule.
      b1, b2, eps, eps_root, weight_decay: as in `scale_by_novograd`; the decay goes
        into the momentum.

    Returns:
      `chain(scale_by_novograd, scale_by_learning_rate)`.

    Raises:
      ValueError, TypeError: as its links.

    Example:
      >>> tx = novograd(1.0)
      >>> g, p = jnp.array([3.0, -4.0]), jnp.ones(2)
      >>> print(tx.update(g, tx.init(p), p)[0].round(3))
      [-0.6  0.8]

    Reference: Ginsburg et al. (2019), arXiv:1905.11286.
    """
    return chain(
        scale_by_novograd(b1, b2, eps, eps_root, weight_decay),
        scale_by_learning_rate(learning_rate),
    )
