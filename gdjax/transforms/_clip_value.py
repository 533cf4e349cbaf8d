"""Clipping of each number by itself."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax

from gdjax import tree
from gdjax._checks import POSITIVE, Number, number
from gdjax.transforms._clipped import counted, real_zero


class ClipByValueState(NamedTuple):
    clipped_share: jax.Array  # f32[], of the numbers, cut off at the last update
    num_clipped: jax.Array  # i32[], updates in which any was

    def metrics(self) -> dict[str, jax.Array]:
        return self._asdict()


def clip(max_delta: Number) -> optax.GradientTransformationExtraArgs:
    """Direction: cuts every number of the gradient off at a largest size.

        u = min(max(g, -max_delta), max_delta)

    of a complex number the real and the imaginary part, as in torch (Optax raises). The
    direction turns where it cuts. What is not cut stays bit for bit; inf becomes
    max_delta, NaN stays and counts as not cut. Counting what is cut is a pass over the
    gradients, which Optax, whose clip fuses into the optimizer, does without.

    Args:
      max_delta: > 0; may be traced.

    Returns:
      A transformation whose `metrics` are `clipped_share`, the share of the numbers
      that were cut off in the last update, and `num_clipped`, how many updates had such
      a number.

    Raises:
      ValueError: `max_delta` is not positive and finite.
      TypeError: from `init`, a parameter is not floating.

    Example:
      >>> tx = clip(1.0)
      >>> print(tx.update(jnp.array([0.5, -3.0]), tx.init(jnp.ones(2)))[0])
      [ 0.5 -1. ]
    """
    max_delta = number("max_delta", max_delta, POSITIVE)
    cut = lambda x: jnp.clip(x, -max_delta, max_delta)

    def rule(g):
        return jax.lax.complex(*map(cut, _parts(g))) if jnp.iscomplexobj(g) else cut(g)

    def init(params):
        tree.require_floating(params)
        return ClipByValueState(real_zero(params), jnp.zeros([], jnp.int32))

    def update(updates, state, params=None, **extra):
        state = init(updates) if state is None else state  # Optax's has none to give
        return tree.map_rule(rule, updates), _after(state, updates, max_delta)

    return optax.GradientTransformationExtraArgs(init, update)


@jax.jit  # eagerly each of its operations would compile by itself
def _after(
    state: ClipByValueState, updates: optax.Updates, max_delta: Number
) -> ClipByValueState:
    leaves = map(tree.widened, jax.tree.leaves(updates))
    parts = [part for leaf in leaves for part in _parts(leaf)]
    dtype, total = state.clipped_share.dtype, sum(part.size for part in parts)
    # As floats: XLA for CPU takes half as long again for a step that sums booleans.
    beyond = lambda x: (jnp.abs(x) > max_delta).astype(x.dtype)
    over = [jnp.sum(beyond(part)) for part in parts]
    share = jnp.sum(jnp.array(over, dtype)) / max(total, 1)
    return ClipByValueState(share, counted(state.num_clipped, share > 0))


def _parts(x: jax.Array) -> tuple[jax.Array, ...]:
    return (jnp.real(x), jnp.imag(x)) if jnp.iscomplexobj(x) else (x,)
