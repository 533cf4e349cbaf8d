"""Early stopping: ends a run when its evaluations no longer improve."""

from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp

from gdjax._checks import NON_NEGATIVE, integer, number, one_of
from gdjax.tree import Tree


class StoppingState(NamedTuple):
    best_value: jax.Array  # f32[], inf (min) or -inf (max) before the first evaluation
    stale: jax.Array  # i32[], evaluations since the best one
    best: Tree  # what was given with the best one; () without `restore_best`


@dataclass(frozen=True)
class EarlyStopping:
    """Stops after `patience` evaluations in a row that bring no improvement.

        improved = value < best - min_delta     (mode "min"; "max": value > best + ...)
        stop     = evaluations since the best one >= patience

    Three pure functions, which run under `jit`; `fit` calls them at its evaluations. A
    value that is NaN is no improvement.

    Args:
      patience: evaluations without improvement that end the run, >= 1.
      min_delta: what counts as an improvement, >= 0, in units of the value.
      mode: "min" for a loss, "max" for an accuracy.
      restore_best: whether to keep what was given with the best value, a copy, so that
        it can be returned at the end.

    Raises:
      ValueError: an argument lies outside its range.
      TypeError: `patience` is no integer, or `min_delta` no number.

    Example:
      >>> stopping = EarlyStopping(patience=2)
      >>> state = stopping.init(jnp.array(0))
      >>> for i, loss in enumerate([0.9, 0.5, 0.6, 0.7]):
      ...     state = stopping.update(state, loss, jnp.array(i))
      >>> bool(stopping.should_stop(state)), int(state.best)
      (True, 1)

    Reference: Prechelt (1998), Early Stopping - But When?
    """

    patience: int
    min_delta: float = 0.0
    mode: str = "min"
    restore_best: bool = True

    def __post_init__(self) -> None:
        integer("patience", self.patience, 1)
        number("min_delta", self.min_delta, NON_NEGATIVE)
        one_of("mode", self.mode, ("min", "max"))

    def init(self, tree: Tree) -> StoppingState:
        """The state before the first evaluation; `tree` as in `update`."""
        worst = jnp.inf if self.mode == "min" else -jnp.inf
        best = jax.tree.map(jnp.copy, tree) if self.restore_best else ()
        return StoppingState(
            jnp.asarray(worst, jnp.float32), jnp.zeros([], jnp.int32), best
        )

    def update(
        self, state: StoppingState, value: jax.Array | float, tree: Tree
    ) -> StoppingState:
        """The state after `tree` (parameters, say) was evaluated to `value`."""
        value = jnp.asarray(value, jnp.float32)
        if self.mode == "min":
            improved = value < state.best_value - self.min_delta
        else:
            improved = value > state.best_value + self.min_delta
        choose = lambda new, old: jnp.where(improved, new, old)
        return StoppingState(
            choose(value, state.best_value),
            choose(0, state.stale + 1),
            jax.tree.map(choose, tree, state.best) if self.restore_best else (),
        )

    def should_stop(self, state: StoppingState) -> jax.Array:
        """bool[]: whether `patience` is at an end."""
        return state.stale >= self.patience
