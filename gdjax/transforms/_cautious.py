"""Caution: a direction only where the newest gradient agrees with it."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax

from gdjax import tree
from gdjax._checks import Number, Range, number
from gdjax._wrapping import require_direction

_SHARE = Range("lie in (0, 1]", lambda x: 0 < x <= 1)


class CautiousState(NamedTuple):
    inner_state: optax.OptState
    kept_share: jax.Array  # f32[], of all entries, at the last update; 1 before it

    def metrics(self) -> dict[str, jax.Array]:
        return {"kept_share": self.kept_share}


def cautious(
    inner: optax.GradientTransformation, floor: Number = 1e-3
) -> optax.GradientTransformationExtraArgs:
    """Direction around a direction: drops what the gradient does not agree with.

        u' = u [u g > 0] / max(share, floor),   share = mean of [u g > 0] over the leaf

    with u the direction of `inner` and g the gradient that it is given. The rest of a
    leaf grows so that its steps stay about as long as before. Signs are compared, so
    that no product vanishes; of complex numbers the sign of Re(conj(g) u) decides. Put
    weight decay behind it: `chain(cautious(scale_by_adam()), add_decayed_weights(0.1),
    scale_by_learning_rate(rate))`. A leaf is counted before it is scaled, which is
    a pass of its own over the direction.

    Args:
      inner: a direction with a memory, such as `scale_by_adam` or `trace`.
      floor: in (0, 1], the least share divided by; may be traced. 1 only drops.

    Returns:
      A transformation with state `CautiousState` whose `metrics` have `kept_share`.

    Raises:
      ValueError: `floor` is not in (0, 1]; `inner` is a step.
      TypeError: `inner` is no transformation; from `init`, a parameter is not floating.

    Example:
      >>> tx = cautious(optax.trace(0.5))
      >>> _, state = tx.update(jnp.array([4.0, 4.0]), tx.init(jnp.ones(2)))
      >>> print(tx.update(jnp.array([1.0, -1.0]), state)[0])
      [6. 0.]

    Reference: Liang et al. (2024), arXiv:2411.16085.
    """
    floor = number("floor", floor, _SHARE)
    inner = require_direction("cautious", inner)

    def rule(u, num_kept, g):
        kept = _where_aligned(u, g)
        num_kept = _count_nonzero(kept)
        share = num_kept.astype(tree.real_dtype(u.dtype)) / max(u.size, 1)
        return kept * (1 / jnp.maximum(share, floor)), num_kept

    def init(params):
        tree.require_floating(params)
        return CautiousState(inner.init(params), jnp.ones([]))

    def update(updates, state, params=None, **extra):
        u, inner_state = inner.update(updates, state.inner_state, params, **extra)
        zeros = jax.tree.map(lambda u: jnp.zeros([], jnp.int32), u)
        read = (updates,)
        u, num_kept = tree.map_rule(rule, u, statistics=(zeros,), read=read)
        size = max(sum(x.size for x in jax.tree.leaves(u)), 1)
        # As floats: all counts together may be beyond the largest int32.
        total = sum(n.astype(float) for n in jax.tree.leaves(num_kept))
        share = jnp.asarray(total / size, state.kept_share.dtype)
        return u, CautiousState(inner_state, share)

    return optax.GradientTransformationExtraArgs(init, update)


def alignment(x: jax.Array, y: jax.Array) -> jax.Array:
    """1 where two real numbers have one sign, -1 where two, 0 where one is 0.

    Of complex numbers the cosine of the angle between them.
    """
    return jnp.real(jnp.conj(jnp.sign(x)) * jnp.sign(y))


def _where_aligned(u: jax.Array, g: jax.Array) -> jax.Array:
    """u where `alignment(u, g)` is positive, 0 elsewhere."""
    if jnp.iscomplexobj(u):
        return jnp.where(alignment(u, g) > 0, u, 0)
    # With u in it once, XLA makes it a part of the loop that computes u.
    highest, lowest = jnp.where(g > 0, jnp.inf, 0), jnp.where(g < 0, -jnp.inf, 0)
    return jnp.maximum(jnp.minimum(u, highest), lowest)


def _count_nonzero(x: jax.Array) -> jax.Array:
    """How many entries are not 0, i32[]."""
    if jnp.iscomplexobj(x):
        return jnp.sum(x != 0, dtype=jnp.int32)
    # Two sums at once: the terms of a single one XLA writes to memory first, on CPU.
    signs = (x > 0).astype(jnp.int32), (x < 0).astype(jnp.int32)
    zeros = jnp.int32(0), jnp.int32(0)
    above, below = jax.lax.reduce(signs, zeros, _add_pairs, range(x.ndim))
    return above + below


def _add_pairs(a, b):
    return a[0] + b[0], a[1] + b[1]
