"""Clipping and normalising of each leaf by itself."""

import math

import jax
import optax

from gdjax import tree
from gdjax._checks import POSITIVE, Number, number
from gdjax.transforms._clipped import after_clip, clip_state, shrinking


def clip_by_block_norm(max_norm: Number) -> optax.GradientTransformationExtraArgs:
    """Direction: scales each leaf so that its own norm stays in bounds.

        u = g min(1, max_norm / |g|),   |g| = sqrt(sum |g|^2) of the leaf

    Directions between leaves change, unlike with `clip_by_global_norm`. Right for |g|
    from 1e-37 to 1e38. A leaf that is not clipped stays bit for bit; NaN and inf are as
    in `clip_by_global_norm`, leaf by leaf.

    Args:
      max_norm: > 0; may be traced.

    Returns:
      A transformation with state `ClipState`, whose `metrics` are of the last update
      `unclipped_max`, the largest |g|, and `clipped_share`, the share of the leaves
      that were clipped; and `num_clipped`, how many updates had such a leaf.

    Raises:
      ValueError: `max_norm` is not positive and finite.
      TypeError: from `init`, a parameter is not floating.

    Example:
      >>> tx, g = clip_by_block_norm(1.0), [jnp.array([3.0, 4.0]), jnp.ones(1)]
      >>> print(*tx.update(g, tx.init(g))[0])
      [0.6 0.8] [1.]
    """
    return _clip_blocks(number("max_norm", max_norm, POSITIVE), lambda size: 1)


def clip_by_block_rms(threshold: Number) -> optax.GradientTransformationExtraArgs:
    """Direction: scales each leaf so that its root mean square stays in bounds.

        u = g min(1, threshold / rms(g)),   rms(g) = sqrt(mean |g|^2)

    Right wherever sqrt(sum |g|^2) lies between 1e-37 and 1e38 (Optax's overflows beyond
    1e19: zeros). A leaf that is not clipped stays bit for bit.

    Args:
      threshold: > 0; may be traced.

    Returns:
      A transformation with state `ClipState`, whose `metrics` are of the last update
      `unclipped_max`, the largest rms, and `clipped_share`, the share of the leaves
      that were clipped; and `num_clipped`, how many updates had such a leaf.

    Raises:
      ValueError: `threshold` is not positive and finite.
      TypeError: from `init`, a parameter is not floating.

    Example:
      >>> tx = clip_by_block_rms(1.0)
      >>> print(tx.update(jnp.array([2.0, -2.0]), tx.init(jnp.ones(2)))[0])
      [ 1. -1.]

    Reference: Shazeer and Stern (2018), arXiv:1804.04235, section 6.
    """
    root_of = lambda size: math.sqrt(max(size, 1))
    return _clip_blocks(number("threshold", threshold, POSITIVE), root_of)


def _clip_blocks(bound: Number, divisor) -> optax.GradientTransformationExtraArgs:
    """Bounds norm / divisor(number of entries) of each leaf."""

    def rule(g, norm):
        size = norm / divisor(g.size)
        return shrinking(size, bound)[1](g), size

    def init(params):
        tree.require_floating(params)
        return clip_state(params)

    def update(updates, state, params=None, **extra):
        state = init(updates) if state is None else state  # Optax's has none to give
        norms = tree.leaf_norms(updates)
        updates, sizes = tree.map_rule(rule, updates, statistics=(norms,))
        over = jax.tree.map(lambda size: size > bound, sizes)
        return updates, after_clip(state, sizes, over)

    return optax.GradientTransformationExtraArgs(init, update)


def normalize_by_block_norm() -> optax.GradientTransformationExtraArgs:
    """Direction: makes each leaf 1 long, whatever its gradient's size.

        u = g / |g|,   |g| = sqrt(sum |g|^2) of the leaf,   u = 0 where g is

    Right for |g| from 1e-37 to 1e38. A step is then as long as the learning rate in
    every leaf; a leaf of one number becomes its sign.

    Returns:
      A transformation without state.

    Raises:
      TypeError: from `init`, a parameter is not floating.

    Example:
      >>> tx, g = normalize_by_block_norm(), {"w": jnp.array([3.0, 4.0])}
      >>> print(tx.update(g, tx.init(g))[0]["w"])
      [0.6 0.8]

    Reference: Yu et al. (2017), arXiv:1707.04822.
    """

    def rule(g, norm):
        return tree.ratio(g, norm), norm

    def init(params):
        tree.require_floating(params)
        return optax.EmptyState()

    def update(updates, state, params=None, **extra):
        norms = tree.leaf_norms(updates)
        return tree.map_rule(rule, updates, statistics=(norms,))[0], state

    return optax.GradientTransformationExtraArgs(init, update)
