"""What `debug=True` looks at: whether the leaves of a step are sound, and which not."""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.tree_util import GetAttrKey, tree_leaves_with_path

from gdjax import tree
from gdjax.training._state import TrainState


class Check(NamedTuple):
    sentence: str  # what is wrong where it fails
    holds: Callable[[jax.Array], jax.Array]
    leaf: jax.Array


def health(
    grads: optax.Updates, updates: optax.Updates, state: TrainState
) -> jax.Array:
    """bool[number of checks]: which hold, in the order in which a fault spreads."""
    checks = _checks(grads, updates, state)
    return jnp.stack([check.holds(check.leaf) for check in checks])


def raise_if_unsound(sound: jax.Array, state: TrainState) -> None:
    """Raises for the first check that failed in a call that ended at `state`.

    Args:
      sound: bool[checks] or bool[steps, checks], from `health`.
      state: the state after the call.

    Raises:
      FloatingPointError: with the leaf's path and the step, counted after the update.
    """
    table = np.atleast_2d(np.asarray(sound))
    if table.all():
        return
    row, column = np.argwhere(~table)[0]
    step = int(state.step) - len(table) + int(row) + 1
    # Gradients and updates have the names of the parameters.
    sentences = [c.sentence for c in _checks(state.params, state.params, state)]
    raise FloatingPointError(f"{sentences[column]} at step {step}.")


def _checks(
    grads: optax.Updates, updates: optax.Updates, state: TrainState
) -> Iterator[Check]:
    for what, values in (("gradients", grads), ("updates", updates), ("state", state)):
        for path, leaf in tree_leaves_with_path(values):
            if not jnp.issubdtype(leaf.dtype, jnp.inexact):
                continue
            name = f"{what}: `{tree.path_name(path)}`"
            finite = lambda x: jnp.all(jnp.isfinite(x))
            yield Check(f"{name} is not finite", finite, leaf)
            if what == "state" and GetAttrKey("nu") in path:
                yield Check(f"{name} is negative", lambda x: ~jnp.any(x < 0), leaf)
