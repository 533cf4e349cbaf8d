"""What follows from evaluations: early stopping, and decay on a plateau."""

from collections.abc import Mapping
from typing import NamedTuple

import jax

from gdjax import tree
from gdjax.training._history import called
from gdjax.training._state import TrainState
from gdjax.training._stopping import EarlyStopping, StoppingState
from gdjax.transforms import hand_evaluation

Evaluated = Mapping[str, float | jax.Array]


class Saved(NamedTuple):
    """All that a run needs to go on: what a checkpoint holds."""

    state: TrainState
    stopping: StoppingState | None


class Watch:
    """Looks at one metric of every evaluation, for `stop` and `reduce_on_plateau`.

    Args:
      state: arrays or shapes.
      stop: or `None`.
      metric: or `None` for the only one, else `validation_loss`, else `loss`.
    """

    def __init__(
        self, state: TrainState, stop: EarlyStopping | None, metric: str | None
    ):
        self._stop = stop
        self._update = jax.jit(stop.update) if stop else None
        self._metric = metric
        names = jax.eval_shape(tree.metrics, state.opt_state)
        self._ends = called(names, "plateau_stop")
        self._has_plateau = bool(called(names, "plateau_scale"))

    @property
    def may_end(self) -> bool:
        """Whether a plateau may end the run, which its rows then tell."""
        return bool(self._ends)

    def like(self, state: TrainState) -> Saved:
        """The shapes of what a checkpoint holds; arrays of `state` stay arrays."""
        stopping = jax.eval_shape(self.first, state).stopping
        if stopping is not None and stopping.best != ():
            stopping = stopping._replace(best=state)  # goes where the state goes
        return Saved(state, stopping)

    def first(self, state: TrainState) -> Saved:
        """What there is before the first step."""
        return Saved(state, self._stop.init(state) if self._stop else None)

    def expect(self, saved: Saved) -> Saved:
        """Tells plateaus that evaluations will come: losses of steps do not count."""
        return _handed(saved, None) if self._has_plateau else saved

    def look(self, saved: Saved, evaluated: Evaluated) -> Saved:
        """What there is after an evaluation; waits for nothing."""
        if self._update is None and not self._has_plateau:
            return saved
        value = self._value(evaluated)
        if self._update is not None:
            stopping = self._update(saved.stopping, value, saved.state)
            saved = saved._replace(stopping=stopping)
        return _handed(saved, value) if self._has_plateau else saved

    def reason(self, saved: Saved) -> str | None:
        """Why the run has to end here, if it has to; waits for the state."""
        said = tree.metrics(saved.state.opt_state)
        if any(said[name] for name in self._ends):
            return f"plateau at step {int(saved.state.step)}"
        stop, stopping = self._stop, saved.stopping
        if stop and stopping and stop.should_stop(stopping):
            return f"converged at step {int(saved.state.step)}"
        return None

    def result(self, saved: Saved) -> TrainState:
        """The state to return at the end: the best one, where it is to be restored."""
        stop, stopping = self._stop, saved.stopping
        if not stop or not stopping or not stop.restore_best:
            return saved.state
        # Infinite: no evaluation was ever an improvement.
        found = abs(stopping.best_value) < float("inf")
        return stopping.best if found else saved.state

    def _value(self, evaluated: Evaluated) -> float | jax.Array:
        usual = ["validation_loss", "loss"]
        names = list(evaluated) if len(evaluated) == 1 else usual
        for name in [self._metric] if self._metric else names:
            if name in evaluated:
                return evaluated[name]
        raise ValueError(
            "`metric` must be one of those that the evaluation returns, "
            f"{', '.join(sorted(evaluated))}, got {self._metric!r}."
        )


def _handed(saved: Saved, value: float | jax.Array | None) -> Saved:
    opt_state = hand_evaluation(saved.state.opt_state, value)
    return saved._replace(state=saved.state._replace(opt_state=opt_state))
