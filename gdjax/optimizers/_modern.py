"""Descendants of Adam since 2023: AdEMAMix, ADOPT, MARS and AdamC."""

from collections.abc import Callable

import jax
import optax

from gdjax._checks import Mask, Number, NumberOrSchedule
from gdjax.transforms import (
    add_decayed_weights,
    chain,
    corrected_weight_decay,
    mars,
    scale_by_adam,
    scale_by_ademamix,
    scale_by_adopt,
    scale_by_learning_rate,
)


def ademamix(
    learning_rate: NumberOrSchedule,
    b1: Number = 0.9,
    b2: Number = 0.999,
    b3: NumberOrSchedule = 0.9999,
    alpha: NumberOrSchedule = 5.0,
    eps: Number = 1e-8,
    eps_root: Number = 0.0,
    mu_dtype: jax.typing.DTypeLike | None = None,
    weight_decay: NumberOrSchedule = 0.0,
    mask: Mask = None,
) -> optax.GradientTransformationExtraArgs:
    """Step of AdEMAMix: AdamW with a second, much slower mean of the gradients.

        x_{t+1} = x_t - learning_rate_t (u_t + weight_decay_t x_t),
        u_t = `scale_by_ademamix(b1, b2, b3, alpha, ...)`

    Args:
      learning_rate, weight_decay: >= 0, a number (may be traced) or a schedule.
      b1, b2, b3, alpha, eps, eps_root, mu_dtype: as in `scale_by_ademamix`, which has
        the paper's schedules of b3 and alpha.
      mask: which parameters decay, see `add_decayed_weights`. By default all.

    Returns:
      `chain(scale_by_ademamix, add_decayed_weights, scale_by_learning_rate)`.

    Raises:
      ValueError, TypeError: as its links.

    Example:
      >>> tx = ademamix(2.0, b3=0.5)
      >>> g, p = jnp.array([2.0, -3.0]), jnp.ones(2)
      >>> print(tx.update(g, tx.init(p), p)[0].round())
      [-7.  7.]

    Reference: Pagliardini et al. (2024), arXiv:2409.03137.
    """
    return chain(
        scale_by_ademamix(b1, b2, b3, alpha, eps, eps_root, mu_dtype),
        add_decayed_weights(weight_decay, mask),
        scale_by_learning_rate(learning_rate),
    )


def adopt(
    learning_rate: NumberOrSchedule,
    b1: Number = 0.9,
    b2: Number = 0.9999,
    eps: Number = 1e-6,
    mu_dtype: jax.typing.DTypeLike | None = None,
    *,
    nesterov: bool = False,
    use_clipping: bool = True,
    clip_value_fn: Callable[[jax.Array], jax.Array] | None = None,
) -> optax.GradientTransformationExtraArgs:
    """Step of ADOPT: the mean of gradients over the root mean square before them.

        x_{t+1} = x_t - learning_rate_t u_t,   u_t = `scale_by_adopt(b1, b2, ...)`

    The very first update is zero.

    Args:
      learning_rate: >= 0, a number (may be traced) or a schedule.
      b1, b2, eps, mu_dtype, nesterov, use_clipping, clip_value_fn: as in
        `scale_by_adopt`.

    Returns:
      `chain(scale_by_adopt, scale_by_learning_rate)`.

    Raises:
      ValueError, TypeError: as its links.

    Example:
      >>> tx, g = adopt(0.1, b1=0.0), jnp.array([2.0, -3.0])
      >>> _, state = tx.update(g, tx.init(g))
      >>> print(tx.update(g, state)[0])
      [-0.1  0.1]

    Reference: Taniguchi et al. (2024), arXiv:2411.02853.
    """
    return chain(
        scale_by_adopt(
            *(b1, b2, eps, mu_dtype),
            nesterov=nesterov,
            use_clipping=use_clipping,
            clip_value_fn=clip_value_fn,
        ),
        scale_by_learning_rate(learning_rate),
    )


def mars_adamw(
    learning_rate: NumberOrSchedule,
    b1: Number = 0.95,
    b2: Number = 0.99,
    eps: Number = 1e-8,
    gamma: Number = 0.025,
    weight_decay: NumberOrSchedule = 1e-2,
    mask: Mask = None,
) -> optax.GradientTransformationExtraArgs:
    """Step of MARS-AdamW: AdamW of gradients whose variance is reduced.

        x_{t+1} = x_t - learning_rate_t (u_t + weight_decay_t x_t),
        u_t = `scale_by_adam(b1, b2, eps)` of `mars(gamma, b1)`

    Defaults as in the paper, where AdamW has rates ten times smaller and a decay ten
    times larger. There vectors are left to AdamW: `partition_by_path` does that.

    Args:
      learning_rate, weight_decay: >= 0, a number (may be traced) or a schedule.
      b1, b2, eps: as in `scale_by_adam`.
      gamma: as in `mars`.
      mask: which parameters decay, see `add_decayed_weights`. By default all.

    Returns:
      `chain(mars, scale_by_adam, add_decayed_weights, scale_by_learning_rate)`.

    Raises:
      ValueError, TypeError: as its links.

    Example:
      >>> tx, p = mars_adamw(2.0, weight_decay=0.5), jnp.ones(2)
      >>> print(tx.update(jnp.array([2.0, -3.0]), tx.init(p), p)[0].round())
      [-3.  1.]

    Reference: Yuan et al. (2024), arXiv:2411.10438.
    """
    return chain(
        mars(gamma, b1),
        scale_by_adam(b1, b2, eps),
        add_decayed_weights(weight_decay, mask),
        scale_by_learning_rate(learning_rate),
    )


def adamc(
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
    max_learning_rate: Number | None = None,
) -> optax.GradientTransformationExtraArgs:
    """Step of AdamC: AdamW whose decay falls with the square of the learning rate.

        x_{t+1} = x_t - learning_rate_t u_t
                  - learning_rate_t^2 / max_learning_rate weight_decay_t x_t,
        u_t = `scale_by_adam(b1, b2, ...)`

    so that the gradients of normalised layers do not grow at the end of a schedule. At
    a constant rate it is `adamw`. The paper does so in all linear layers but the last,
    which `adamw` decays; `partition_by_path` gives each its own.

    Args:
      learning_rate, weight_decay: >= 0, a number (may be traced) or a schedule.
      b1, b2, eps, eps_root, mu_dtype, nesterov: as in `scale_by_adam`.
      mask: which parameters decay, see `add_decayed_weights`. By default all.
      max_learning_rate: > 0, the peak of the schedule; by default the largest so far.

    Returns:
      `chain(scale_by_adam, corrected_weight_decay, scale_by_learning_rate)`.

    Raises:
      ValueError, TypeError: as its links.

    Example:
      >>> tx = adamc(lambda step: 0.1, weight_decay=0.5, max_learning_rate=0.2)
      >>> g, p = jnp.array([2.0, -3.0]), jnp.ones(2)
      >>> print(tx.update(g, tx.init(p), p)[0].round(3))
      [-0.125  0.075]

    Reference: Defazio (2025), arXiv:2506.02285.
    """
    return chain(
        scale_by_adam(b1, b2, eps, eps_root, mu_dtype, nesterov=nesterov),
        corrected_weight_decay(
            weight_decay, learning_rate, mask, max_learning_rate=max_learning_rate
        ),
        scale_by_learning_rate(learning_rate),
    )
