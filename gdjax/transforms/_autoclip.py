"""AutoClip: clipping of gradients to a percentile of their recent norms."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax

from gdjax import tree
from gdjax._checks import Number, Range, integer, next_count, number
from gdjax.transforms._clip import clip_jointly, joint_state

_PERCENTILE = Range("lie in [0, 100]", lambda x: 0 <= x <= 100)


class AutoClipState(NamedTuple):
    unclipped_norm: jax.Array  # f32[], before clipping, at the last update
    clip_factor: jax.Array  # f32[], by which all was multiplied, 1 where not clipped
    num_clipped: jax.Array  # i32[], updates that were clipped
    count: jax.Array  # i32[], finite norms so far
    norms: jax.Array  # f32[window], the last of them, norm k at k mod window

    def metrics(self) -> dict[str, jax.Array]:
        names = "unclipped_norm", "clip_factor", "num_clipped"
        return {name: getattr(self, name) for name in names}


def autoclip(
    percentile: Number = 10.0, window: int = 1000
) -> optax.GradientTransformationExtraArgs:
    """Direction: scales gradients down to a percentile of their recent global norms.

        u_t = g_t min(1, c_t / n_t),   n_t = sqrt(sum over all leaves |g_t|^2)
        c_t = the percentile of n_{t-window+1}, ..., n_t

    interpolated linearly, as numpy's. The first gradient is never clipped, and norms
    enter as they are before clipping. (The paper looks at all norms since the start.)
    A norm that is not finite is no part of the history; its update is that of
    `clip_by_global_norm`.

    Args:
      percentile: in [0, 100]; may be traced.
      window: how many norms are remembered, >= 1; each takes 4 bytes, and a step sorts
        them.

    Returns:
      A transformation with state `AutoClipState`, whose `metrics` are `unclipped_norm`
      and `clip_factor` of the last update, and `num_clipped`.

    Raises:
      ValueError: a number lies outside its range.
      TypeError: `window` is no integer; from `init`, a parameter is not floating.

    Example:
      >>> tx, g = autoclip(percentile=50.0), jnp.ones(1)
      >>> state = tx.init(g)
      >>> for size in (1.0, 2.0, 9.0):
      ...     u, state = tx.update(size * g, state)
      >>> print(u)
      [2.]

    Reference: Seetharaman et al. (2020), arXiv:2007.14469.
    """
    percentile = number("percentile", percentile, _PERCENTILE)
    window = integer("window", window, 1)

    def init(params):
        tree.require_floating(params)
        zero, one, count = joint_state(params)
        norms = jnp.zeros(window, zero.dtype)
        return AutoClipState(zero, one, count, jnp.zeros_like(count), norms)

    def update(updates, state, params=None, **extra):
        norm = tree.global_norm(updates)
        counts = jnp.isfinite(norm)
        at = jnp.where(counts, state.count % window, window)
        norms = state.norms.at[at].set(norm.astype(state.norms.dtype), mode="drop")
        count = jnp.where(counts, next_count(state.count), state.count)
        known = jnp.minimum(count, window)
        bound = _percentile(norms, known, percentile)
        updates, said = clip_jointly(updates, norm, bound, state)
        return updates, AutoClipState(*said, count, norms)

    return optax.GradientTransformationExtraArgs(init, update)


@jax.jit  # eagerly each of its operations would compile by itself
def _percentile(x: jax.Array, known: jax.Array, percentile: Number) -> jax.Array:
    """Of the first `known` entries of x; inf where there are none."""
    ordered = jnp.sort(jnp.where(jnp.arange(x.size) < known, x, jnp.inf))
    last = jnp.maximum(known - 1, 0)
    rank = percentile / 100 * last
    below = jnp.minimum(jnp.floor(rank).astype(jnp.int32), last)
    low, high = ordered[below], ordered[jnp.minimum(below + 1, last)]
    return jnp.where(known > 0, low + (rank - below) * (high - low), jnp.inf)
