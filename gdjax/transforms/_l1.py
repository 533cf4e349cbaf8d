"""The L1 norm as a regulariser: its subgradient, and the step that makes zeros."""

from typing import NamedTuple

import jax.numpy as jnp
import optax

from gdjax import tree
from gdjax._checks import (
    NON_NEGATIVE,
    Count,
    Mask,
    Number,
    NumberOrSchedule,
    Scheduled,
    number,
)
from gdjax._wrapping import ordered, require_step
from gdjax.transforms._decay import link_that_adds
from gdjax.transforms._mask import change_where, require_mask


def add_l1_subgradient(
    strength: Number, mask: Mask = None
) -> optax.GradientTransformationExtraArgs:
    """Direction: adds a subgradient of strength * sum |p|.

        u' = u + strength sign(p),   sign(0) = 0, p / |p| for a complex p

    In front of an adaptive link it is a part of the loss; behind, it is decoupled as
    `add_decayed_weights` is. Parameters come close to 0 and jump around it by
    learning_rate * strength: for exact zeros take `proximal_l1`.

    Args:
      strength: >= 0; may be traced.
      mask: as in `add_decayed_weights`.

    Returns:
      A transformation that needs `params` in `update`.

    Raises:
      ValueError: `strength` is negative or not finite; from `update`, `params` is
        missing or differs in shape.
      TypeError: `strength` is no number; from `init`, a parameter is not floating.

    Example:
      >>> tx, p = add_l1_subgradient(0.5), jnp.array([3.0, 0.0, -0.1])
      >>> print(tx.update(jnp.zeros(3), tx.init(p), p)[0])
      [ 0.5  0.  -0.5]

    Reference: Tibshirani (1996), Regression shrinkage and selection via the lasso.
    """
    strength = number("strength", strength, NON_NEGATIVE)
    size_at = Scheduled("strength", strength, NON_NEGATIVE)
    term = lambda u, p: jnp.sign(p)
    return link_that_adds("add_l1_subgradient", size_at, mask, term)


class ProximalL1State(NamedTuple):
    inner_state: optax.OptState
    count: Count  # i32[], () unless lr is a schedule


def proximal_l1(
    inner: optax.GradientTransformation,
    strength: Number,
    lr: NumberOrSchedule,
    *,
    mask: Mask = None,
) -> optax.GradientTransformationExtraArgs:
    """Step around an optimizer: its own step, then all parameters nearer to zero.

        x = p + u,   p' = x / |x| max(|x| - lr_t strength, 0)

    Entries become exactly 0, and stay it while a step alone is no longer than
    lr_t strength. Around `sgd` of the same rate this is ISTA, which minimises
    loss + strength * sum |p|. The threshold is one for all entries, whatever `inner`
    makes of their gradients, as decoupled weight decay is. Around Adam it is thus
    `strength` in [0, 1) against the mean of an entry's gradients over their root mean
    square: what is noise from batch to batch becomes 0. Without that noise (the whole
    data in each step) such directions grow to size 1, and no zero lasts. Complex
    entries keep their angle.

    Args:
      inner: an optimizer, learning rate included.
      strength: >= 0; may be traced.
      lr: >= 0, the learning rate of `inner`, a number (may be traced) or a schedule.
      mask: as in `add_decayed_weights`: which parameters are to be sparse.

    Returns:
      A transformation with state `ProximalL1State` that needs `params` in `update`. An
      update is as wide as its parameter at least: p + u' is exactly 0 where p' is.

    Raises:
      ValueError: `strength` or `lr` is negative or not finite; `inner` is a direction;
        from `init`, a wrapper inside belongs around this one; from `update`, `params`
        is missing or differs in shape.
      TypeError: one of them is no number, `inner` is no transformation; from `init`, a
        parameter is not floating.

    Example:
      >>> tx = proximal_l1(optax.sgd(0.5), strength=1.0, lr=0.5)
      >>> p = jnp.array([2.0, 0.25])
      >>> u, _ = tx.update(jnp.zeros(2), tx.init(p), p)
      >>> print(optax.apply_updates(p, u))
      [1.5 0. ]

    Reference: Daubechies et al. (2003), arXiv:math/0307152.
    """
    strength = number("strength", strength, NON_NEGATIVE)
    rate_at = Scheduled("lr", lr, NON_NEGATIVE)
    inner = require_step("proximal_l1", inner)

    def init(params):
        tree.require_floating(params)
        require_mask(mask, params)
        return ProximalL1State(
            ordered("proximal_l1", inner.init(params)), rate_at.init()
        )

    def update(updates, state, params=None, **extra):
        if params is None:
            raise ValueError("`proximal_l1` needs `params` in `update`.")
        updates, inner_state = inner.update(updates, state.inner_state, params, **extra)
        threshold = rate_at(state.count) * strength

        def rule(u, p):
            x = p + u
            is_small = jnp.abs(x) <= threshold  # not so of NaN, which stays
            return jnp.where(is_small, -p, u - threshold * jnp.sign(x))

        def shrink(updates):
            wide = tree.as_wide_as(params, updates)
            return tree.map_rule(rule, wide, read=(params,))

        updates = change_where(mask, params, shrink, updates)
        return updates, ProximalL1State(inner_state, rate_at.next(state.count))

    return optax.GradientTransformationExtraArgs(init, update)
