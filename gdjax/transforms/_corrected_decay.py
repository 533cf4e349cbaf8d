"""Weight decay that follows the learning rate twice, as in AdamC."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax

from gdjax import tree
from gdjax._checks import (
    NON_NEGATIVE,
    POSITIVE,
    Mask,
    Number,
    NumberOrSchedule,
    Scheduled,
    next_count,
    number,
)
from gdjax.transforms._decay import add_params
from gdjax.transforms._mask import require_mask


class CorrectedDecayState(NamedTuple):
    count: jax.Array  # i32[], updates made
    max_learning_rate: jax.Array  # f32[], that given, or the largest so far


def corrected_weight_decay(
    weight_decay: NumberOrSchedule,
    learning_rate: NumberOrSchedule,
    mask: Mask = None,
    *,
    max_learning_rate: Number | None = None,
) -> optax.GradientTransformationExtraArgs:
    """Direction: adds the parameters, scaled by where the learning rate stands.

        u'_t = u_t + weight_decay_t (learning_rate_t / max_learning_rate) p_t

    Before `scale_by_learning_rate` with the same rate, which makes a step shrink p by
    weight_decay learning_rate_t^2 / max_learning_rate. With `add_decayed_weights` a
    layer that a normalisation follows settles where |g| / |p| is
    sqrt(2 weight_decay / learning_rate_t), which grows as the rate falls; here it
    stays.

    Args:
      weight_decay: >= 0, a number (may be traced) or a schedule.
      learning_rate: >= 0, that of the chain, a number (may be traced) or a schedule.
      mask: as in `add_decayed_weights`.
      max_learning_rate: > 0, the peak of the schedule; may be traced. By default the
        largest rate so far: during a warm-up this is plain decay.

    Returns:
      A transformation with state `CorrectedDecayState` that needs `params` in `update`.

    Raises:
      ValueError: a number lies outside its range; from `update`, `params` is missing or
        differs in shape.
      TypeError: from `init`, a parameter is not floating.

    Example:
      >>> rate = lambda step: 0.1 / (1 + step)
      >>> tx = corrected_weight_decay(0.5, rate)
      >>> p, g = jnp.ones(2), jnp.zeros(2)
      >>> first, state = tx.update(g, tx.init(p), p)
      >>> print(first, tx.update(g, state, p)[0])
      [0.5 0.5] [0.25 0.25]

    Reference: Defazio (2025), arXiv:2506.02285.
    """
    decay_at = Scheduled("weight_decay", weight_decay, NON_NEGATIVE)
    rate_at = Scheduled("learning_rate", learning_rate, NON_NEGATIVE)
    known = max_learning_rate is not None
    if known:
        max_learning_rate = number("max_learning_rate", max_learning_rate, POSITIVE)

    def init(params):
        tree.require_floating(params)
        require_mask(mask, params)
        largest = jnp.array(max_learning_rate if known else 0, float)
        return CorrectedDecayState(jnp.zeros([], jnp.int32), largest)

    def update(updates, state, params=None, **extra):
        if params is None:
            raise ValueError("`corrected_weight_decay` needs `params` in `update`.")
        rate = jnp.asarray(rate_at(state.count))
        largest = state.max_learning_rate
        largest = jnp.asarray(
            max_learning_rate if known else jnp.maximum(largest, rate)
        )
        decay = decay_at(state.count) * tree.ratio(rate, largest)
        decayed = add_params(updates, params, decay, mask)
        kept = largest.astype(state.max_learning_rate.dtype)
        return decayed, CorrectedDecayState(next_count(state.count), kept)

    return optax.GradientTransformationExtraArgs(init, update)
