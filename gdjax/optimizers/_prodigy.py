"""Prodigy: Adam that finds its own learning rate."""

import optax

from gdjax._checks import Number, NumberOrSchedule
from gdjax.transforms import chain, scale_by_learning_rate, scale_by_prodigy


def prodigy(
    learning_rate: NumberOrSchedule = 1.0,
    betas: tuple[Number, Number] = (0.9, 0.999),
    beta3: Number | None = None,
    eps: Number = 1e-8,
    estim_lr0: Number = 1e-6,
    estim_lr_coef: Number = 1.0,
    weight_decay: NumberOrSchedule = 0.0,
    safeguard_warmup: bool = False,
    *,
    bias_correction: bool = True,
) -> optax.GradientTransformationExtraArgs:
    """Step of Prodigy: AdamW that finds its learning rate by itself.

        x_{t+1} = x_t - learning_rate_t u_t,   u_t = `scale_by_prodigy(...)`

    Args:
      learning_rate: >= 0, a number (may be traced) or a schedule, which only shapes the
        rate that is found: 1 at its peak.
      betas, beta3, eps, estim_lr0, estim_lr_coef, weight_decay, safeguard_warmup,
        bias_correction: as in `scale_by_prodigy`.

    Returns:
      `chain(scale_by_prodigy, scale_by_learning_rate)`.

    Raises:
      ValueError, TypeError: as its links.

    Example:
      >>> tx, p = prodigy(estim_lr0=0.5), jnp.ones(2)
      >>> print(tx.update(jnp.array([2.0, -3.0]), tx.init(p), p)[0].round(4))
      [-0.5  0.5]

    Reference: Mishchenko and Defazio (2023), arXiv:2306.06101.
    """
    return chain(
        scale_by_prodigy(
            *(learning_rate, betas, beta3, eps, estim_lr0, estim_lr_coef),
            *(weight_decay, safeguard_warmup),
            bias_correction=bias_correction,
        ),
        scale_by_learning_rate(learning_rate),
    )
