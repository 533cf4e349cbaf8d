"""Gradient clipping by the global norm."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax

from gdjax import tree
from gdjax._checks import POSITIVE, Number, number


class ClipByGlobalNormState(NamedTuple):
    unclipped_norm: jax.Array  # f32[], before clipping, at the last update
    clip_factor: jax.Array  # f32[], by which all was multiplied, 1 where not clipped

    def metrics(self) -> dict[str, jax.Array]:
        return self._asdict()


def clip_by_global_norm(max_norm: Number) -> optax.GradientTransformationExtraArgs:
    """Direction: scales all gradients together so that their norm stays in bounds.

        u = g min(1, max_norm / n),   n = sqrt(sum over all leaves |g|^2)

    Right for n from 1e-37 to 1e38: nothing inside overflows or vanishes (Optax returns
    zeros for 4 x 1e20). Not clipped means bit for bit unchanged. A norm that is
    NaN clips nothing; one that is inf leaves zeros, and NaN where the gradient is inf.

    Args:
      max_norm: > 0; may be traced.

    Returns:
      A transformation whose `metrics` have `unclipped_norm` and `clip_factor`.

    Raises:
      ValueError: `max_norm` is not positive and finite.
      TypeError: from `init`, a parameter is not floating.

    Example:
      >>> tx = clip_by_global_norm(1.0)
      >>> print(tx.update(jnp.array([3.0, 4.0]), tx.init(jnp.ones(2)))[0])
      [0.6 0.8]

    Reference: Pascanu et al. (2012), arXiv:1211.5063.
    """
    max_norm = number("max_norm", max_norm, POSITIVE)

    def init(params):
        tree.require_floating(params)
        norm = jax.eval_shape(tree.global_norm, params)
        return ClipByGlobalNormState(jnp.zeros_like(norm), jnp.ones_like(norm))

    def update(updates, state, params=None, **extra):
        norm = tree.global_norm(updates)
        factor = jnp.where(norm > max_norm, max_norm / norm, 1)
        # Its root twice where it might underflow and the product with g does not.
        limits = jnp.finfo(norm.dtype)
        small = factor < float(limits.tiny / limits.eps)
        root = jnp.sqrt(max_norm) / jnp.sqrt(norm)
        first, second = jnp.where(small, root, factor), jnp.where(small, root, 1)
        updates = tree.map_rule(lambda g: (g * first) * second, updates)
        kept = jnp.asarray(factor, state.clip_factor.dtype)
        return updates, ClipByGlobalNormState(norm.astype(kept.dtype), kept)

    return optax.GradientTransformationExtraArgs(init, update)
