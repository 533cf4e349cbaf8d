"""Gradient clipping by the global norm."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax

from gdjax import tree
from gdjax._checks import POSITIVE, Number, number
from gdjax.transforms._clipped import counted, real_zero, shrinking


class ClipByGlobalNormState(NamedTuple):
    unclipped_norm: jax.Array  # f32[], before clipping, at the last update
    clip_factor: jax.Array  # f32[], by which all was multiplied, 1 where not clipped
    num_clipped: jax.Array  # i32[], updates that were clipped

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
      A transformation whose `metrics` have `unclipped_norm` and `clip_factor`, of the
      last update, and `num_clipped`, how many were clipped.

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
        return ClipByGlobalNormState(*joint_state(params))

    def update(updates, state, params=None, **extra):
        state = init(updates) if state is None else state  # Optax's has none to give
        norm = tree.global_norm(updates)
        updates, said = clip_jointly(updates, norm, max_norm, state)
        return updates, ClipByGlobalNormState(*said)

    return optax.GradientTransformationExtraArgs(init, update)


def joint_state(params: optax.Params) -> tuple[jax.Array, jax.Array, jax.Array]:
    """(unclipped_norm, clip_factor, num_clipped) before the first update."""
    zero = real_zero(params)
    return zero, jnp.ones_like(zero), jnp.zeros([], jnp.int32)


def clip_jointly(updates: optax.Updates, norm: jax.Array, bound: Number, state):
    """`updates` with the norm min(norm, bound), and what the next state says of it.

    `state` is any that has the fields of `ClipByGlobalNormState`.
    """
    factor, shrink = shrinking(norm, bound)
    updates = tree.map_rule(shrink, updates)
    dtype, count = state.clip_factor.dtype, counted(state.num_clipped, factor < 1)
    return updates, (norm.astype(dtype), factor.astype(dtype), count)
