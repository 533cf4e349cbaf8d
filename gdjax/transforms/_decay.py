"""Weight decay, and which parameters should have it."""

from collections.abc import Callable
from typing import NamedTuple, TypeAlias

import jax
import numpy as np
import optax

from gdjax import tree
from gdjax._checks import NON_NEGATIVE, Count, Mask, Number, NumberOrSchedule, Scheduled
from gdjax.transforms._mask import change_where, require_mask

Term: TypeAlias = Callable[[jax.Array, jax.Array], jax.Array]  # of update and parameter


class DecayState(NamedTuple):
    count: Count  # i32[], () unless weight_decay is a schedule


def add_decayed_weights(
    weight_decay: NumberOrSchedule = 0.0,
    mask: Mask = None,
) -> optax.GradientTransformationExtraArgs:
    """Direction: adds the parameters, scaled; decoupled decay after an adaptive link.

        u'_t = u_t + weight_decay_t p_t

    Before the learning rate, so a step shrinks p by learning_rate * weight_decay. In
    front of an adaptive link it is L2 regularisation instead.

    Args:
      weight_decay: >= 0, a number (may be traced) or a schedule.
      mask: tree of bools like the parameters or a function that makes it, such as
        `decay_mask`; where it is False nothing is added. By default all decay.

    Returns:
      A transformation that needs `params` in `update`. Its state is `DecayState`, with
      and without a mask (Optax wraps it into a `MaskedState`).

    Raises:
      ValueError: `weight_decay` is negative or not finite; from `update`, `params` is
        missing or differs in shape.

    Example:
      >>> p = {"kernel": jnp.ones(2), "bias": jnp.ones(2)}
      >>> tx = add_decayed_weights(0.5, mask=decay_mask)
      >>> u, _ = tx.update(jax.tree.map(jnp.zeros_like, p), tx.init(p), p)
      >>> print(u["kernel"], u["bias"])
      [0.5 0.5] [0. 0.]

    Reference: Loshchilov and Hutter (2017), arXiv:1711.05101.
    """
    decay_at = Scheduled("weight_decay", weight_decay, NON_NEGATIVE)
    return link_that_adds("add_decayed_weights", decay_at, mask, lambda u, p: p)


def link_that_adds(
    name: str, size_at: Scheduled, mask: Mask, term: Term
) -> optax.GradientTransformationExtraArgs:
    """The direction u + size_t term(u, p)."""

    def init(params):
        tree.require_floating(params)
        require_mask(mask, params)
        return DecayState(size_at.init())

    def update(updates, state, params=None, **extra):
        if params is None:
            raise ValueError(f"`{name}` needs `params` in `update`.")
        changed = add_params(updates, params, size_at(state.count), mask, term)
        return changed, DecayState(size_at.next(state.count))

    return optax.GradientTransformationExtraArgs(init, update)


def add_params(
    updates: optax.Updates,
    params: optax.Params,
    size: Number,
    mask: Mask,
    term: Term = lambda u, p: p,
) -> optax.Updates:
    """u + size term(u, p) where the mask is True or `None`, u elsewhere."""

    def add(updates):
        rule = lambda u, p: u + size * term(u, p)
        return tree.map_rule(rule, updates, read=(params,))

    return change_where(mask, params, add, updates)


def decay_mask(params: optax.Params) -> optax.Params:
    """The usual mask for weight decay: kernels and embeddings, not biases and norms.

    By name, as ranks mislead: a bias of several heads is a matrix, a scanned stack of
    biases too, and the weights of a linear model are a vector. False are leaves called
    `b, bias, scale, offset, shift, beta, gamma` (also `query_bias`, `bias_hh`), those
    right in a layer called after a normalisation (`norm, layer_norm, LayerNorm_0, bn1,
    ln_f` ...) and those with a single element.

    Args:
      params: any tree of arrays; `None` and masked leaves stay as they are.

    Returns:
      A tree of bools like `params`, for `mask=` of decay links and optimizers.

    Example:
      >>> p = {"dense": {"kernel": jnp.ones((2, 3)), "bias": jnp.ones(3)}}
      >>> decay_mask(p)
      {'dense': {'bias': False, 'kernel': True}}
    """
    decays = lambda p, spared: not spared and np.size(p) != 1
    return jax.tree.map(decays, params, tree.biases_and_scales(params))
