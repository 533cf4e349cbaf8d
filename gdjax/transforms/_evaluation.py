"""Evaluations handed from outside to the plateaus inside an optimizer's state."""

import jax
import jax.numpy as jnp
import optax
from jax.core import Tracer

from gdjax.transforms._plateau import ReduceOnPlateauState, require_scalar


def hand_evaluation(
    opt_state: optax.OptState, value: jax.typing.ArrayLike | None = None
) -> optax.OptState:
    """The optimizer's state with an evaluation for every `reduce_on_plateau` inside.

    From then on these count the evaluations that they are handed, one at the next
    update after each, and no longer the `value` of every update. Pure, inside and
    outside jit; outside it waits for no device, and leaves stay where they are.

    Args:
      opt_state: the state of an optimizer, `reduce_on_plateau` in it at any depth.
      value: a real scalar, wherever it lives. `None` says that evaluations will come:
        until then nothing is counted.

    Returns:
      The new state; the same where there is no `reduce_on_plateau` in it.

    Raises:
      ValueError: `value` is no scalar.

    Example:
      >>> tx = gd.chain(gd.sgd(0.1), gd.reduce_on_plateau(0.5, patience=1))
      >>> state = hand_evaluation(tx.init(jnp.ones(())))
      >>> for loss in (0.8, 0.9):
      ...     state = hand_evaluation(state, loss)
      ...     for _ in range(10):
      ...         _, state = tx.update(jnp.ones(()), state, value=1.0)
      >>> print(gd.metrics(state)["plateau_scale"])
      0.5
    """

    def hand(node):
        if not _is_plateau(node):
            return node
        if value is None:
            return node._replace(handed=jnp.maximum(node.handed, 1))
        require_scalar(value)
        near = _near(value, node.evaluation)
        evaluation, handed = _filled(node.evaluation, node.handed, near)
        return node._replace(evaluation=evaluation, handed=handed)

    return jax.tree.map(hand, opt_state, is_leaf=_is_plateau)


def _is_plateau(node: object) -> bool:
    return isinstance(node, ReduceOnPlateauState)


# Compiled: ten times as fast as eagerly, where `handed` lives, and into buffers of its
# own: the step may donate the state, and `value` is the caller's.
@jax.jit
def _filled(
    evaluation: jax.Array, handed: jax.Array, value: jax.typing.ArrayLike
) -> tuple[jax.Array, jax.Array]:
    return jnp.full_like(evaluation, value), jnp.maximum(handed, 2)


def _near(value: jax.typing.ArrayLike, home: jax.Array) -> jax.typing.ArrayLike:
    """`value`, moved to where `home` lives if it has a place of its own."""
    if isinstance(value, Tracer) or isinstance(home, Tracer):
        return value
    if isinstance(value, jax.Array) and isinstance(home, jax.Array):
        if value.committed and value.sharding != home.sharding:
            return jax.device_put(value, home.sharding)
    return value
