"""The training loop: batches in, steps made, rows of metrics out."""

import math
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, closing
from typing import NamedTuple, Protocol, TypeAlias

import jax
import numpy as np

from gdjax._checks import POSITIVE, integer, number
from gdjax.training._calls import Batches, Clock, ahead, calls
from gdjax.training._checkpoints import Checkpoints
from gdjax.training._health import first_bad, has_finite_params, skipped_for
from gdjax.training._history import Call, Columns, Row, append, as_columns, called
from gdjax.training._progress import progress as show_progress
from gdjax.training._signals import stop_requests
from gdjax.training._state import TrainState
from gdjax.training._stopping import EarlyStopping
from gdjax.training._supervised import Batch, Metrics
from gdjax.training._watch import Saved, Watch

Step: TypeAlias = Callable[[TrainState, Batch], tuple[TrainState, Metrics]]
Evaluate: TypeAlias = Callable[[TrainState], Mapping[str, float | jax.Array]]
Callback: TypeAlias = Callable[[TrainState, Row], None]

# Calls not waited for. A loop that never waits starves the threads of fake CPU devices
# after some 32 of them, and hangs.
_IN_FLIGHT = 8


class Log(Protocol):
    """Where rows are kept beside the history, such as files."""

    def begin(self, step: int, /) -> Sequence[Row]:
        """Called first: forgets the rows after `step`, returns those up to it."""
        ...

    def append(self, row: Row, /) -> None: ...


class Result(NamedTuple):
    """How a run ended.

    Attributes:
      state: the newest state; of a complete run the best one, where `stop` restores it.
      history: equally long lists by name: `step` (counted after the update), the
        step's metrics, and the evaluation's (NaN where there was none).
      stopped: why. A run is complete with "num_steps", "converged at step N" (early
        stopping) or "plateau at step N" (`reduce_on_plateau` with `stop_below`); other
        ends are "time_limit", "SIGINT", "SIGTERM" and "non-finite loss at step N" (or,
        where a `guard` gave up, "non-finite updates up to step N, all skipped"),
        followed by the first bad leaf and the last good checkpoint.
    """

    state: TrainState
    history: Columns
    stopped: str

    @property
    def complete(self) -> bool:
        """Whether there is nothing left to do."""
        ends = ("num_steps", "converged", "plateau", "complete")
        return self.stopped.startswith(ends)


def fit(
    step: Step,
    state: TrainState,
    source: Batches,
    *,
    num_steps: int,
    evaluate: Evaluate | None = None,
    log_every: int = 10,
    eval_every: int | None = None,
    stop: EarlyStopping | None = None,
    metric: str | None = None,
    checkpoints: Checkpoints | None = None,
    time_limit: float | None = None,
    callbacks: Sequence[Callback] = (),
    log: Log | None = None,
    progress: bool = True,
) -> Result:
    """Trains from the state's step to `num_steps`, or until something else ends it.

    The history has a row at every multiple of `log_every`, at every evaluation and at
    the last step. A loss that is not finite gets a row too and ends the run. As the
    loop does not wait for the calls that it has just started, that may be noticed up
    to eight calls late; the state is a later one then. With a `guard` in the optimizer
    such a loss is a skipped step: the run goes on while its parameters are finite, and
    ends as soon as more than `max_consecutive` were skipped in a row (without that
    number never).

    With `checkpoints` it goes on from the newest of them, if there is one, and ends in
    the state of a run that was never interrupted, bit for bit; with `log` the history
    is that too, which else begins there. Ctrl-C and SIGTERM then end it with a
    checkpoint; a second one leaves at once.

    Args:
      step: `(state, batch) -> (state, metrics)`. Where it has an attribute
        `steps_per_call` = k > 1, it gets up to k batches stacked: fewer in front of an
        evaluation, a callback or a batch of another size. Each new number of them is
        compiled anew: let k divide `log_every` and `eval_every`.
      state: where to start. A step that donates it makes it unusable. Where there is a
        checkpoint, shapes (from `jax.eval_shape`) are enough.
      source: has `batch(step)`.
      num_steps: the value of `state.step` at which to stop, >= 0.
      evaluate: `state -> {name: scalar}`; arrays that are still being computed are
        waited for later. The first two are printed. A name that the step's metrics
        have too becomes `eval_NAME` in the history.
      log_every, eval_every: >= 1; `eval_every` is `log_every` by default.
      stop: early stopping by the evaluations, for which the loop then waits.
      metric: the evaluation's metric at which `stop` and every `reduce_on_plateau`
        look; by default the only one, else `validation_loss`, else `loss`.
      checkpoints: where to save, and how often.
      time_limit: seconds after which to stop, > 0.
      callbacks: each called as `callback(state, row)` at every row, with the state of
        that very step, for which the loop waits (a later one, if the loss is not
        finite).
      log: gets the rows too, as soon as they are there; the loop does not wait.
      progress: whether to print: a live bar on a terminal, else some ten lines; and at
        the end why it stopped, and the time to compile, apart from the speed after it.

    Returns:
      The state, the history and why the run ended.

    Raises:
      ValueError: a number is out of range, there is no such metric, or the checkpoints
        are of another run.
      TypeError: a number is none, or no integer.
      OSError: a checkpoint could not be written, or none of them can be read.

    Example:
      >>> model, tx = gd.models.mlp([1]), gd.sgd(0.1)
      >>> x = np.linspace(-1, 1, 64, dtype=np.float32)[:, None]
      >>> source = gd.data.source((x, 3 * x), 16, seed=0)
      >>> step = gd.training.make_train_step(gd.training.supervised(model, "mse"), tx)
      >>> state = gd.training.init_state(model, tx, jax.random.key(0), x)
      >>> result = fit(step, state, source, num_steps=100, progress=False)
      >>> result.history["step"][-2:], result.history["loss"][-1] < 1e-3
      ([90, 100], True)
    """
    num_steps = integer("num_steps", num_steps, 0)
    log_every = integer("log_every", log_every, 1)
    eval_every = (
        log_every if eval_every is None else integer("eval_every", eval_every, 1)
    )
    if time_limit is not None:
        time_limit = float(number("time_limit", time_limit, POSITIVE))
    if stop and not evaluate:
        raise ValueError("`stop` looks at evaluations: `evaluate` must be given too.")
    watch = Watch(state, stop, metric)
    now = _first(watch, state, checkpoints, num_steps, progress)
    now = watch.expect(now) if evaluate else now
    start = int(now.state.step)
    columns = as_columns(log.begin(start) if log else ())
    shown: Row = {}
    clock = Clock()

    def is_row(at: int) -> bool:
        evaluated = evaluate is not None and at % eval_every == 0
        return evaluated or at % log_every == 0 or at == num_steps

    def settle(call: Call) -> str | None:
        """Waits for `call`, keeps its rows, then saves it; a reason to stop."""
        for row in call.rows(is_row):
            row, at = append(columns, row), int(row["step"])
            if log:
                log.append(row)
            for callback in callbacks:
                callback(now.state, row)
            names = ("loss", *list(call.evaluation)[:2])
            shown.update((name, row[name]) for name in names if name in row)
            show(at, shown, clock.speed(call.end - start))
            if any(row[name] for name in called(row, "guard_gave_up")):
                return f"{_BAD} updates up to step {at}, all skipped"
            if "loss" in call.metrics and not math.isfinite(row["loss"]):
                guarded = called(row, "num_skipped")
                if not guarded or not has_finite_params(now.state):
                    return f"{_BAD} loss at step {at}"
        if call.copied is not None and checkpoints:
            checkpoints.write(*call.copied, good=_is_good)
        return None

    wait_for_rows = bool(callbacks) or watch.may_end
    looks = ([eval_every] if evaluate else []) + ([log_every] if wait_for_rows else [])
    per_call = getattr(step, "steps_per_call", 1)
    pending: deque[Call] = deque()
    with ExitStack() as stack:
        request = stack.enter_context(stop_requests(caught=checkpoints is not None))
        if checkpoints is not None:
            stack.callback(checkpoints.wait)
        show = stack.enter_context(show_progress(start, num_steps, visible=progress))
        stopped = watch.reason(now) if is_row(start) else None
        batches = ahead(calls(source, start, num_steps, per_call, looks))
        stack.enter_context(closing(batches))
        for batch, first, length in batches:
            if stopped := stopped or request.name:
                break
            shapes = tuple(np.shape(leaf) for leaf in jax.tree.leaves(batch))
            state, metrics = clock.time(shapes, step, now.state, batch)
            now, end, evaluated = now._replace(state=state), first + length, {}
            if evaluate and (end % eval_every == 0 or end == num_steps):
                evaluated = clock.time("evaluate", evaluate, state)
                now = watch.look(now, evaluated)
            copied = None
            if checkpoints is not None and checkpoints.due(end):
                while checkpoints.held and pending and not stopped:
                    stopped = settle(pending.popleft())  # one copy at a time
                copied = checkpoints.copy(end, now)
            pending.append(Call(first, length, metrics, evaluated, copied))

            wait = is_row(end) if wait_for_rows else bool(stop and evaluated)
            limit = 0 if wait or end == num_steps else _IN_FLIGHT
            while pending and not stopped:
                if len(pending) <= limit and not pending[0].ready():
                    break
                stopped = settle(pending.popleft())
            if wait:
                stopped = stopped or watch.reason(now)
            if time_limit and clock.seconds() > time_limit and end < num_steps:
                stopped = stopped or "time_limit"
        while pending and not (stopped or "").startswith(_BAD):
            stopped = settle(pending.popleft()) or stopped
        at = int(now.state.step)
        stopped = stopped or watch.reason(now)
        stopped = stopped or (request.name if at < num_steps else None) or "num_steps"
        if checkpoints is not None and not stopped.startswith(_BAD):
            if _is_good(now):
                checkpoints.save(at, now)
            else:  # the last update made it so
                stopped = f"{_BAD} parameters at step {at}"
    if stopped.startswith(_BAD):
        stopped += _evidence(now.state, checkpoints)
    if progress:
        steps = int(now.state.step) - start
        print(
            f"{steps:,} steps in {clock.summary(steps)}; stopped: {stopped}", flush=True
        )
    result = Result(now.state, columns, stopped)
    return result._replace(state=watch.result(now)) if result.complete else result


_BAD = "non-finite"


def _first(
    watch: Watch,
    state: TrainState,
    checkpoints: Checkpoints | None,
    num_steps: int,
    progress: bool,
) -> Saved:
    """Where to start: at the newest checkpoint, or at `state` where there is none."""
    restored = checkpoints.restore(watch.like(state)) if checkpoints else None
    if not checkpoints or not restored:
        return watch.first(state)
    step, saved = restored
    if step > num_steps:
        raise ValueError(
            f"`num_steps` must be >= {step}, the step of the newest checkpoint in "
            f"{checkpoints.directory}, got {num_steps}."
        )
    if progress:
        print(f"resumed from step {step}, {checkpoints.path(step)}", flush=True)
    return saved


def _is_good(saved: Saved) -> bool:
    return has_finite_params(saved.state)


def _evidence(state: TrainState, checkpoints: Checkpoints | None) -> str:
    leaf = first_bad(state) or skipped_for(state)
    steps = checkpoints.steps() if checkpoints else []
    where = f"the first bad leaf of step {int(state.step)} is `{leaf}`"
    newest = f"{checkpoints.path(steps[-1])}" if checkpoints and steps else "none"
    return (
        f"; {where if leaf else 'no leaf is bad'}; the last good checkpoint: {newest}"
    )
