"""What clips share: a factor that does not underflow, and what their states say."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax

from gdjax import tree
from gdjax._checks import Number, next_count


class ClipState(NamedTuple):
    unclipped_max: jax.Array  # f32[], largest of what is bounded, before, at the last
    clipped_share: jax.Array  # f32[], of the leaves or units, clipped at the last
    num_clipped: jax.Array  # i32[], updates in which anything was clipped

    def metrics(self) -> dict[str, jax.Array]:
        return self._asdict()


def shrinking(
    size: jax.Array, bound: Number
) -> tuple[jax.Array, Callable[[jax.Array], jax.Array]]:
    """min(1, bound / size), 1 where `size` is NaN; and g -> g times it."""
    factor, first, second = _factors(size, bound)
    return factor, lambda g: (g * first) * second


@jax.jit  # eagerly each of its operations would compile by itself
def _factors(size, bound):
    """(factor, first, second): factor = first second, also where it underflows.

    There the first is a power of two: exact, and what it makes vanish of a gradient
    the factor would.
    """
    limits = jnp.finfo(size.dtype)
    power = 8 * float(limits.tiny / limits.eps)  # 2^-100 in f32
    over = size > bound
    # Also what is not selected stays finite, so that derivatives do.
    size, bound = jnp.where(over, size, 1), jnp.where(over, bound, 1)
    factor = bound / size
    small = factor < power / 8
    second = jnp.where(small, bound, 0) / power / size
    return factor, jnp.where(small, power, factor), jnp.where(small, second, 1)


def real_zero(params: optax.Params) -> jax.Array:
    """0 in the dtype of a norm of `params`: f32, f64 if a leaf is."""
    return jnp.zeros([], jax.eval_shape(tree.global_norm, params).dtype)


def clip_state(params: optax.Params) -> ClipState:
    zero = real_zero(params)
    return ClipState(zero, jnp.copy(zero), jnp.zeros([], jnp.int32))


@jax.jit
def after_clip(state: ClipState, sizes: tree.Tree, over: tree.Tree) -> ClipState:
    """The next state, from what was compared with a bound and whether it was beyond."""
    dtype, sizes, over = state.clipped_share.dtype, *map(jax.tree.leaves, (sizes, over))
    # Leaf by leaf: arrays that are spread differently cannot be joined.
    largest = [jnp.max(x, initial=0).astype(dtype) for x in sizes]
    largest = jnp.max(jnp.array(largest, dtype), initial=0)
    num = jnp.sum(jnp.array([jnp.sum(x) for x in over], dtype))
    share = num / max(sum(x.size for x in over), 1)
    return ClipState(largest, share, counted(state.num_clipped, share > 0))


def counted(count: jax.Array, clipped: jax.Array) -> jax.Array:
    """`count`, one more where `clipped`."""
    return jnp.where(clipped, next_count(count), count)
