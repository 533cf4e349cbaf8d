"""Weight decay, and which parameters should have it."""

from typing import NamedTuple

import jax
import numpy as np
import optax

from gdjax import tree
from gdjax._checks import NON_NEGATIVE, Count, Mask, Number, NumberOrSchedule, Scheduled
from gdjax.transforms._mask import change_where, require_mask


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

    def init(params):
        tree.require_floating(params)
        require_mask(mask, params)
        return DecayState(decay_at.init())

    def update(updates, state, params=None, **extra):
        if params is None:
            raise ValueError("`add_decayed_weights` needs `params` in `update`.")
        decay = decay_at(state.count)
        decayed = add_params(updates, params, decay, mask)
        return decayed, DecayState(decay_at.next(state.count))

    return optax.GradientTransformationExtraArgs(init, update)


def add_params(
    updates: optax.Updates, params: optax.Params, decay: Number, mask: Mask
) -> optax.Updates:
    """u + decay p where the mask is True or `None`, u elsewhere."""

    def add(updates):
        return tree.map_rule(lambda u, p: u + decay * p, updates, read=(params,))

    return change_where(mask, params, add, updates)


# The parameter's own name says it, or that of the layer which holds it.
_BARE = r"(^|/)(b|(\w+_)?(bias|scale|offset|shift|beta|gamma)|bias_\w+)$"
_NORM = r"(?i)(^|[/_])(layer|batch|group|rms|instance)?_?(norm|ln|bn)(\d+|_\w+)?/[^/]+$"


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
    bare, norms = tree.select(params, _BARE), tree.select(params, _NORM)
    decays = lambda p, bare, norm: not (bare or norm or np.size(p) == 1)
    return jax.tree.map(decays, params, bare, norms)
