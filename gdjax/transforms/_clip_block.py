"""Clipping of each leaf by itself."""

import math

import jax.numpy as jnp
import optax

from gdjax import tree
from gdjax._checks import POSITIVE, Number, number


def clip_by_block_rms(threshold: Number) -> optax.GradientTransformationExtraArgs:
    """Direction: scales each leaf so that its root mean square stays in bounds.

        u = g min(1, threshold / rms(g)),   rms(g) = sqrt(mean |g|^2)

    Right wherever sqrt(sum |g|^2) lies between 1e-37 and 1e38 (Optax's overflows beyond
    1e19: zeros).

    Args:
      threshold: > 0; may be traced.

    Returns:
      A transformation without state.

    Raises:
      ValueError: `threshold` is not positive and finite.
      TypeError: from `init`, a parameter is not floating.

    Example:
      >>> tx = clip_by_block_rms(1.0)
      >>> print(tx.update(jnp.array([2.0, -2.0]), tx.init(jnp.ones(2)))[0])
      [ 1. -1.]

    Reference: Shazeer and Stern (2018), arXiv:1804.04235, section 6.
    """
    threshold = number("threshold", threshold, POSITIVE)

    def rule(g, norm):
        rms = norm / math.sqrt(max(g.size, 1))
        return jnp.where(rms > threshold, (g / rms) * threshold, g), norm

    def init(params):
        tree.require_floating(params)
        return optax.EmptyState()

    def update(updates, state, params=None, **extra):
        norms = tree.leaf_norms(updates)
        return tree.map_rule(rule, updates, statistics=(norms,))[0], state

    return optax.GradientTransformationExtraArgs(init, update)
