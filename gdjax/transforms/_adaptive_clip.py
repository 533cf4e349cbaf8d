"""Adaptive gradient clipping: each unit's gradient relative to its weights."""

import jax
import jax.numpy as jnp
import optax

from gdjax import tree
from gdjax._checks import NON_NEGATIVE, POSITIVE, Number, number
from gdjax.transforms._clipped import after_clip, clip_state, shrinking


def adaptive_grad_clip(
    clipping: Number,
    eps: Number = 1e-3,
    axis: int | tuple[int, ...] | None = None,
    *,
    units: tree.Units = None,
) -> optax.GradientTransformationExtraArgs:
    """Direction: scales each unit's gradient so that it is small beside its weights.

        u_i = g_i min(1, clipping max(|w_i|, eps) / |g_i|)

    with g_i, w_i the gradient and the weights of one output. `tree.unit_axes` finds
    them by path and shape: for dense, convolution, attention and `DenseGeneral` kernels
    the inputs of an output (of a head's output), for an embedding a row. A bias, a
    scale or any other vector is one unit as a whole, as in the authors' code, in a
    scanned stack that of each layer.

    Optax goes by rank: it takes kernels (heads, head_dim, features) and 1-d
    convolutions for (in, heads, head_dim), and columns of embeddings for units; where
    the rank is right values are the same. It divides by |g_i| >= 1e-6, so that smaller
    gradients leave its bounds; norms here are right from 1e-37 to 1e38.

    Args:
      clipping: largest ratio, > 0; may be traced. 0.01 to 0.16 in the paper, less for
        larger batches.
      eps: smallest |w_i|, >= 0; may be traced. At 0 weights of 0 never move.
      axis: axes over which the norms of every leaf are taken instead, as in Optax.
      units: (name, shape) -> axes inside of a unit, `None` for those found; as in
        `tree.unit_axes`.

    Returns:
      A transformation with state `ClipState` that needs `params` in `update`. Its
      `metrics` are of the last update `unclipped_max`, the largest
      |g_i| / max(|w_i|, eps), and `clipped_share`, the share of the units that were
      clipped; and `num_clipped`, how many updates had such a unit.

    Raises:
      ValueError: a number lies outside its range; `axis` and `units` are both given;
        from `update`, `params` is missing or differs in shape, or a leaf has no such
        axis.
      TypeError: `axis` is no integer and no tuple of them, `units` no function; from
        `init`, a parameter is not floating.

    Example:
      >>> p = {"kernel": jnp.array([[3.0, 0.1], [4.0, 0.0]])}
      >>> tx = adaptive_grad_clip(0.1)
      >>> print(tx.update({"kernel": jnp.ones((2, 2))}, tx.init(p), p)[0]["kernel"])
      [[0.35355338 0.00707107]
       [0.35355338 0.00707107]]

    Reference: Brock et al. (2021), arXiv:2102.06171.
    """
    clipping = number("clipping", clipping, POSITIVE)
    eps = number("eps", eps, NON_NEGATIVE)
    if axis is not None:
        ints = (axis,) if type(axis) is int else axis
        if not isinstance(ints, tuple) or any(type(i) is not int for i in ints):
            raise TypeError(f"`axis` must be an int or a tuple of ints, got {axis!r}.")
        if units is not None:
            raise ValueError("`axis` must be None where `units` is given.")
        find = lambda name, shape: ints
    else:
        find = units
        tree.unit_axes((), units)  # refuses what is no function

    @jax.jit  # eagerly each of its operations would compile by itself
    def rule(g, ratio, over, p):
        axes = tree.reduced(g, ratio)
        norm = tree.leaf_norm(g, axes)
        weight = jnp.maximum(tree.leaf_norm(p, axes), eps)
        bound = clipping * weight
        return shrinking(norm, bound)[1](g), tree.ratio(norm, weight), norm > bound

    def init(params):
        tree.require_floating(params)
        tree.unit_axes(params, find)
        return clip_state(params)

    def update(updates, state, params=None, **extra):
        if params is None:
            raise ValueError("`adaptive_grad_clip` needs `params` in `update`.")
        state = init(updates) if state is None else state  # Optax's has none to give
        zeros = tree.per_unit(params, tree.unit_axes(params, find, join=True))
        updates, ratios, over = tree.map_rule(
            rule, updates, statistics=(zeros, zeros), read=(params,)
        )
        return updates, after_clip(state, ratios, over)

    return optax.GradientTransformationExtraArgs(init, update)
