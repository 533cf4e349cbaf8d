"""Weight decay that the learning rate does not scale."""

from typing import NamedTuple

import optax

from gdjax import tree
from gdjax._checks import NON_NEGATIVE, Count, Mask, NumberOrSchedule, Scheduled
from gdjax._wrapping import ordered, require_step
from gdjax.transforms._decay import add_params
from gdjax.transforms._mask import require_mask


class IndependentDecayState(NamedTuple):
    inner_state: optax.OptState
    count: Count  # i32[], () unless weight_decay is a schedule


def independent_decay(
    inner: optax.GradientTransformation,
    weight_decay: NumberOrSchedule,
    mask: Mask = None,
) -> optax.GradientTransformationExtraArgs:
    """Step around an optimizer: its own step, and a decay that no rate multiplies.

        u'_t = u_t - weight_decay_t p_t

    So one weight decay serves for all learning rates, as in the paper that decoupled
    the two. In `adamw` and torch a step shrinks p by learning_rate * weight_decay
    instead: a weight decay of 0.1 at the rate 1e-3 is 1e-4 here. It does not fade with
    the rate: a schedule of the same shape as that of the rate is the paper's own form.

    Args:
      inner: an optimizer, learning rate included, without decay of its own.
      weight_decay: >= 0, the part of p that a step takes away, a number (may be traced)
        or a schedule.
      mask: as in `add_decayed_weights`.

    Returns:
      A transformation with state `IndependentDecayState` that needs `params` in
      `update`.

    Raises:
      ValueError: `weight_decay` is negative or not finite; `inner` is a direction; from
        `init`, a wrapper inside belongs around this one; from `update`, `params` is
        missing or differs in shape.
      TypeError: `inner` is no transformation; from `init`, a parameter is not floating.

    Example:
      >>> tx = independent_decay(optax.sgd(0.5), weight_decay=0.25)
      >>> p = jnp.array([1.0, 2.0])
      >>> print(tx.update(jnp.ones(2), tx.init(p), p)[0])
      [-0.75 -1.  ]

    Reference: Loshchilov and Hutter (2017), arXiv:1711.05101; Wortsman et al. (2023),
    arXiv:2309.14322, section 3.2.2.
    """
    decay_at = Scheduled("weight_decay", weight_decay, NON_NEGATIVE)
    inner = require_step("independent_decay", inner)

    def init(params):
        tree.require_floating(params)
        require_mask(mask, params)
        inner_state = ordered("independent_decay", inner.init(params))
        return IndependentDecayState(inner_state, decay_at.init())

    def update(updates, state, params=None, **extra):
        if params is None:
            raise ValueError("`independent_decay` needs `params` in `update`.")
        updates, inner_state = inner.update(updates, state.inner_state, params, **extra)
        updates = add_params(updates, params, -decay_at(state.count), mask)
        return updates, IndependentDecayState(inner_state, decay_at.next(state.count))

    return optax.GradientTransformationExtraArgs(init, update)
