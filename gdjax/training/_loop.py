"""The training loop: batches in, steps made, rows of metrics out."""

import math
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple, Protocol, TypeAlias, TypeVar

import jax
import numpy as np

from gdjax._checks import integer
from gdjax.training._history import Call, Columns, Row, append, rows
from gdjax.training._progress import progress as show_progress
from gdjax.training._state import TrainState
from gdjax.training._supervised import Batch, Metrics

T = TypeVar("T")
Step: TypeAlias = Callable[[TrainState, Batch], tuple[TrainState, Metrics]]
Evaluate: TypeAlias = Callable[[TrainState], Mapping[str, float | jax.Array]]
Callback: TypeAlias = Callable[[TrainState, Row], None]

# Calls not waited for. A loop that never waits starves the threads of fake CPU devices
# after some 32 of them, and hangs.
_IN_FLIGHT = 8


class Batches(Protocol):
    """Batches as a pure function of the step, as `gdjax.data.source` makes them."""

    def batch(self, step: int, /) -> Batch: ...


class Result(NamedTuple):
    """How a run ended.

    Attributes:
      state: the newest state.
      history: equally long lists by name: `step` (counted after the update), the
        step's metrics, and the evaluation's (NaN where there was none).
      stopped: why: "num_steps", or "non-finite loss at step N".
    """

    state: TrainState
    history: Columns
    stopped: str


def fit(
    step: Step,
    state: TrainState,
    source: Batches,
    *,
    num_steps: int,
    evaluate: Evaluate | None = None,
    log_every: int = 10,
    eval_every: int | None = None,
    callbacks: Sequence[Callback] = (),
    progress: bool = True,
) -> Result:
    """Trains from the state's step to `num_steps`.

    The history has a row at every multiple of `log_every`, at every evaluation and at
    the last step. A loss that is not finite gets a row too and ends the run. As the
    loop does not wait for the calls that it has just started, that may be noticed up
    to eight calls late; the state is a later one then.

    Args:
      step: `(state, batch) -> (state, metrics)`. Where it has an attribute
        `steps_per_call` = k > 1, it gets up to k batches stacked: fewer in front of an
        evaluation, a callback or a batch of another size. Each new number of them is
        compiled anew: let k divide `log_every` and `eval_every`.
      state: where to start. A step that donates it makes it unusable.
      source: has `batch(step)`.
      num_steps: the value of `state.step` at which to stop, >= 0.
      evaluate: `state -> {name: scalar}`; arrays that are still being computed are
        waited for later. The first two are printed.
      log_every, eval_every: >= 1; `eval_every` is `log_every` by default.
      callbacks: each called as `callback(state, row)` at every row, with the state of
        that very step, for which the loop waits.
      progress: whether to print: a live bar on a terminal, else some ten lines; and at
        the end the time to compile, apart from the speed after it.

    Returns:
      The newest state, the history and why the run ended.

    Raises:
      ValueError: a number is out of range.
      TypeError: it is no integer.

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
    start = int(state.step)
    looks = ([eval_every] if evaluate else []) + ([log_every] if callbacks else [])
    columns: Columns = {"step": []}
    shown: Row = {}
    pending: deque[Call] = deque()
    clock = _Clock()

    def settle(call: Call) -> str | None:
        """Waits for `call` and keeps its rows; the reason to stop, if there is one."""
        end = call.first + call.length
        for row in rows(call):
            at, finite = row["step"], math.isfinite(row.get("loss", 0))
            evaluated = call.evaluated and at == end
            if at % log_every and at != num_steps and finite and not evaluated:
                continue
            row = append(columns, row)
            for callback in callbacks:
                callback(state, row)
            names = ("loss", *list(call.evaluated if evaluated else ())[:2])
            shown.update((name, row[name]) for name in names if name in row)
            show(int(at), shown, clock.speed(end - start))
            if not finite:
                return f"non-finite loss at step {at}"
        return None

    stopped = None
    with show_progress(start, num_steps, visible=progress) as show:
        calls = _calls(
            source, start, num_steps, getattr(step, "steps_per_call", 1), looks
        )
        for batch, first, length in calls:
            shapes = tuple(np.shape(leaf) for leaf in jax.tree.leaves(batch))
            state, metrics = clock.time(shapes, step, state, batch)
            end, evaluated = first + length, {}
            if evaluate and (end % eval_every == 0 or end == num_steps):
                evaluated = clock.time("evaluate", evaluate, state)
            pending.append(Call(first, length, metrics, evaluated))
            wait = end == num_steps or (
                callbacks and (end % log_every == 0 or bool(evaluated))
            )
            while len(pending) > (0 if wait else _IN_FLIGHT) and not stopped:
                stopped = settle(pending.popleft())
            if stopped:
                break
    if progress:
        steps = max(0, int(state.step) - start)
        print(f"{stopped or f'{steps:,} steps'} in {clock.summary(steps)}", flush=True)
    return Result(state, columns, stopped or "num_steps")


def _calls(
    source: Batches, start: int, stop: int, per_call: int, looks: Sequence[int]
) -> Iterator[tuple[Batch, int, int]]:
    """(batch, steps before it, steps in it), never across a multiple of `looks`."""
    first = start
    while first < stop:
        ends = [every * (first // every + 1) for every in looks]
        end = min(stop, first + per_call, *ends)
        batch = source.batch(first)
        if per_call == 1:
            yield batch, first, 1
            first += 1
            continue
        batches = [batch]
        for step in range(first + 1, end):
            batch = source.batch(step)
            if _sizes(batch) != _sizes(batches[0]):
                break
            batches.append(batch)
        stacked = jax.tree.map(lambda *leaves: np.stack(leaves), *batches)
        yield stacked, first, len(batches)
        first += len(batches)


def _sizes(batch: Batch) -> list[int]:
    return [len(leaf) for leaf in jax.tree.leaves(batch)]


class _Clock:
    """Compiling, which happens in the first call of a kind, apart from the rest."""

    def __init__(self) -> None:
        self._start = time.perf_counter()
        self._kinds: set[object] = set()
        self._compiling = 0.0

    def time(self, kind: object, function: Callable[..., T], *args: object) -> T:
        before = time.perf_counter()
        result = function(*args)
        if kind not in self._kinds:
            self._kinds.add(kind)
            self._compiling += time.perf_counter() - before
        return result

    def speed(self, steps: int) -> float:
        """Steps a second, compiling not counted."""
        return steps / (time.perf_counter() - self._start - self._compiling)

    def summary(self, steps: int) -> str:
        seconds = time.perf_counter() - self._start
        return (
            f"{seconds:.1f} s: compile {self._compiling:.1f} s, "
            f"{self.speed(steps):,.0f} steps/s"
        )
