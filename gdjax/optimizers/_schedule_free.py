"""Schedule-Free optimizers, ready made."""

import optax

from gdjax._checks import UNIT, DType, Mask, Number, NumberOrSchedule, number
from gdjax.averaging import schedule_free
from gdjax.optimizers._sgd import sgd
from gdjax.schedules import warmup_constant_schedule
from gdjax.transforms import (
    add_decayed_weights,
    chain,
    scale_by_learning_rate,
    scale_by_rms,
)


def schedule_free_sgd(
    learning_rate: NumberOrSchedule = 1.0,
    warmup_steps: int | None = None,
    b1: Number = 0.9,
    weight_decay: NumberOrSchedule | None = None,
    weight_lr_power: Number = 2.0,
    state_dtype: DType | None = None,
    *,
    mask: Mask = None,
) -> optax.GradientTransformationExtraArgs:
    """Step of Schedule-Free SGD: towards the running mean of where SGD leads.

    `schedule_free` around SGD with weight decay, its gradient taken and its decay
    computed at y. Evaluate the mean: `averaged_params`.

    Args:
      learning_rate: >= 0, a number (may be traced) or, without `warmup_steps`, a
        schedule.
      warmup_steps: the rate grows from 0 for so many, >= 0; `None` for none.
      b1, weight_lr_power, state_dtype: as in `schedule_free`.
      weight_decay, mask: as in `add_decayed_weights`.

    Returns:
      `schedule_free(chain(add_decayed_weights, sgd))`, its state `ScheduleFreeState`.

    Raises:
      ValueError, TypeError: as its links.

    Example:
      >>> tx, y = schedule_free_sgd(0.5, b1=0.5), jnp.array([1.0, -1.0])
      >>> state = tx.init(y)
      >>> for _ in range(20):
      ...     u, state = tx.update(y, state, y)  # of |y|^2 / 2
      ...     y = optax.apply_updates(y, u)
      >>> print(abs(gd.averaged_params(state, y)) < 0.01)
      [ True  True]

    Reference: Defazio et al. (2024), arXiv:2405.15682.
    """
    rate = _warmed_up(learning_rate, warmup_steps)
    links = [sgd(rate)]
    if weight_decay is not None:
        links.insert(0, add_decayed_weights(weight_decay, mask))
    return schedule_free(chain(*links), rate, b1, weight_lr_power, state_dtype)


def schedule_free_adamw(
    learning_rate: NumberOrSchedule = 0.0025,
    warmup_steps: int | None = None,
    b1: Number = 0.9,
    b2: Number = 0.999,
    eps: Number = 1e-8,
    weight_decay: NumberOrSchedule = 0.0,
    weight_lr_power: Number = 2.0,
    state_dtype: DType | None = None,
    *,
    mask: Mask = None,
) -> optax.GradientTransformationExtraArgs:
    """Step of Schedule-Free AdamW: towards the running mean of where AdamW leads.

    `schedule_free` around AdamW without a first moment, its gradient taken and its
    decay computed at y. Evaluate the mean: `averaged_params`.

    Args:
      learning_rate: >= 0, a number (may be traced) or, without `warmup_steps`, a
        schedule; usual are 1 to 10 times AdamW's.
      warmup_steps: the rate grows from 0 for so many, >= 0; `None` for none.
      b1, weight_lr_power, state_dtype: as in `schedule_free`.
      b2, eps: as in `adamw`.
      weight_decay, mask: as in `add_decayed_weights`.

    Returns:
      `schedule_free(chain(scale_by_rms, add_decayed_weights, scale_by_learning_rate))`,
      its state `ScheduleFreeState`.

    Raises:
      ValueError, TypeError: as its links.

    Example:
      >>> tx, y = schedule_free_adamw(0.1, b1=0.5), jnp.array([1.0, -1.0])
      >>> state = tx.init(y)
      >>> for _ in range(200):
      ...     u, state = tx.update(y, state, y)  # of |y|^2 / 2
      ...     y = optax.apply_updates(y, u)
      >>> print(abs(gd.averaged_params(state, y)) < 0.1)
      [ True  True]

    Reference: Defazio et al. (2024), arXiv:2405.15682.
    """
    rate = _warmed_up(learning_rate, warmup_steps)
    b2 = number("b2", b2, UNIT)  # by the name that it has here
    optimizer = chain(
        scale_by_rms(b2, eps, eps_in_sqrt=False, bias_correction=True),
        add_decayed_weights(weight_decay, mask),
        scale_by_learning_rate(rate),
    )
    return schedule_free(optimizer, rate, b1, weight_lr_power, state_dtype)


def _warmed_up(rate: NumberOrSchedule, steps: int | None) -> NumberOrSchedule:
    if steps is None:
        return rate
    if callable(rate):
        raise ValueError(
            "`learning_rate` must be a number with `warmup_steps`, got a schedule."
        )
    return warmup_constant_schedule(0.0, rate, steps)
