"""The loop: which steps are made, which rows are kept, and that it does not wait."""

import math
import re
import signal
import threading
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import gdjax as gd
from gdjax.training import Checkpoints, EarlyStopping, TrainState, fit
from gdjax.training._calls import calls


class Batches(NamedTuple):
    """Batch s holds the number s, `size(s)` times."""

    size: object = lambda step: 2

    def batch(self, step):
        return {"x": np.full(self.size(step), step, np.float32)}


def fresh(step=0):
    zero = jnp.zeros([])
    return TrainState(np.int32(step), zero, {}, (), zero)


class Step:
    """Adds up what it is given, and remembers the shapes; bad: a loss that is NaN."""

    def __init__(self, steps_per_call=1, bad=None):
        self.steps_per_call, self.bad, self.shapes = steps_per_call, bad, []

    def __call__(self, state, batch):
        x = batch["x"]
        self.shapes.append(x.shape)
        stacked = x if self.steps_per_call > 1 else x[None]
        first = stacked[:, 0]
        loss = np.where(first == self.bad, np.nan, first)
        step = state.step + np.int32(len(first))
        state = state._replace(step=step, params=state.params + first.sum())
        metrics = {"loss": loss, "double": 2 * first}
        if self.steps_per_call == 1:
            metrics = {name: value[0] for name, value in metrics.items()}
        return state, metrics


def run(step, *, start=0, source=None, **options):
    options = {"progress": False, **options}
    return fit(step, fresh(start), source or Batches(), **options)


@pytest.mark.parametrize("per_call", [1, 4, 100])
def test_every_step_is_made_once_whatever_the_calls(per_call):
    step = Step(per_call)
    result = run(step, num_steps=25, log_every=10)
    assert result.stopped == "num_steps" and int(result.state.step) == 25
    assert result.state.params == sum(range(25))
    # Batch s makes step s + 1; the last step has a row too.
    assert result.history == {
        "step": [10, 20, 25],
        "loss": [9, 19, 24],
        "double": [18, 38, 48],
    }
    assert all(type(x) is float for x in result.history["loss"])


def test_it_goes_on_from_the_step_of_the_state():
    result = run(Step(), start=7, num_steps=12, log_every=5)
    assert result.history["step"] == [10, 12] and result.state.params == sum(
        range(7, 12)
    )
    result = run(Step(), start=12, num_steps=12)
    assert result.history == {"step": []} and result.stopped == "num_steps"


def test_calls_end_where_something_is_looked_at():
    step = Step(4)
    seen = []
    evaluate = lambda state: seen.append(int(state.step)) or {"v": 10.0 * len(seen)}
    result = run(step, num_steps=14, log_every=3, eval_every=6, evaluate=evaluate)
    assert [shape[0] for shape in step.shapes] == [4, 2, 4, 2, 2]
    assert seen == [6, 12, 14]
    assert result.history["step"] == [3, 6, 9, 12, 14]
    np.testing.assert_array_equal(result.history["v"], [math.nan, 10, math.nan, 20, 30])
    assert result.history["loss"] == [2, 5, 8, 11, 13]


def test_an_evaluation_between_rows_has_a_row():
    evaluate = lambda state: {"v": jnp.asarray(state.step) * 1.0}
    result = run(Step(2), num_steps=8, log_every=4, eval_every=3, evaluate=evaluate)
    assert result.history["step"] == [3, 4, 6, 8]
    np.testing.assert_array_equal(result.history["v"], [3, math.nan, 6, 8])


def test_a_batch_of_another_size_ends_a_call():
    step = Step(4)
    source = Batches(lambda step: 1 if step % 3 == 2 else 2)  # the last of an epoch
    result = run(step, source=source, num_steps=8)
    assert step.shapes == [(2, 2), (1, 1), (2, 2), (1, 1), (2, 2)]
    assert result.state.params == sum(range(8))


@pytest.mark.parametrize("per_call", [1, 4])
@pytest.mark.parametrize("devices", [1, 2])
def test_a_thread_makes_batches_ahead_where_the_device_is_not_the_host(
    per_call, devices, monkeypatch
):
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    monkeypatch.setattr(jax, "device_count", lambda: devices)
    threads, kinds = set(), set()

    class Source:
        def batch(self, step):
            threads.add(threading.current_thread())
            return {"x": np.full(2, step, np.float64)}

    class Look(Step):
        def __call__(self, state, batch):
            kinds.add((isinstance(batch["x"], jax.Array), batch["x"].dtype.name))
            return super().__call__(state, {"x": np.asarray(batch["x"])})

    with jax.enable_x64(True):  # which a thread does not inherit
        result = run(Look(per_call), source=Source(), num_steps=30, log_every=10)
        early = run(
            Look(per_call, bad=3), source=Source(), num_steps=10**6, log_every=1
        )
    assert kinds == {(devices == 1, "float64")}
    assert float(result.state.params) == sum(range(30))
    assert early.stopped.startswith("non-finite loss at step 4")
    assert len(threads) == 2 and threading.current_thread() not in threads
    for thread in threads:
        thread.join(10)
        assert not thread.is_alive()


def test_batches_on_the_device_are_stacked_there():
    arrays = {"x": jnp.repeat(jnp.arange(8.0)[:, None], 3, 1)}
    (stacked, first, length), *rest = calls(
        gd.data.source(arrays, 2, seed=0), 0, 6, 4, [10]
    )
    assert isinstance(stacked["x"], jax.Array) and stacked["x"].shape == (4, 2, 3)
    assert sorted(stacked["x"][..., 0].ravel().tolist()) == list(range(8))
    assert (first, length) == (0, 4) and rest[0][1:] == (4, 2)


def test_callbacks_get_each_row_with_the_state_of_that_step():
    seen = []
    callback = lambda state, row: seen.append((int(state.step), row))
    evaluate = lambda state: {"v": 1.0}
    options = {"evaluate": evaluate, "eval_every": 10, "callbacks": [callback]}
    result = run(Step(8), num_steps=20, log_every=5, **options)
    assert [at for at, _ in seen] == [5, 10, 15, 20] == result.history["step"]
    assert [row["step"] for _, row in seen] == [5, 10, 15, 20]
    assert [row["loss"] for _, row in seen] == result.history["loss"]


@pytest.mark.parametrize("per_call", [1, 4])
def test_a_loss_that_is_not_finite_ends_the_run_in_a_row_of_its_own(per_call):
    result = run(Step(per_call, bad=12), num_steps=1000, log_every=5)
    assert result.stopped == (
        "non-finite loss at step 13; no leaf is bad; the last good checkpoint: none"
    )
    assert result.history["step"] == [5, 10, 13]
    np.testing.assert_array_equal(result.history["loss"], [4, 9, math.nan])
    assert result.history["double"] == [8, 18, 24]
    assert int(result.state.step) <= 13 + 9 * per_call


def test_it_waits_for_a_call_eight_calls_later():
    """Never for the newest, which idles the devices; never for none, which hangs."""
    made, waited, ahead = [], [], []

    class Pending:
        def __init__(self, number):
            self.number = number

        def is_ready(self):
            return False

        def __array__(self, dtype=None, copy=None):
            if self.number not in waited:
                waited.append(self.number)
                ahead.append(len(made) - self.number)
            return np.zeros([])

    def step(state, batch):
        made.append(len(made) + 1)
        return state._replace(step=state.step + 1), {"loss": Pending(len(made))}

    run(step, num_steps=20)
    assert waited == list(range(1, 21))
    assert ahead[:12] == [8] * 12 and ahead[12:] == list(range(7, -1, -1))


def test_progress_is_ten_lines_with_compiling_apart(capsys):
    evaluate = lambda state: {"v": 0.5, "w": 0.25, "x": 3.0}
    run(Step(5), num_steps=1000, evaluate=evaluate, progress=True)
    *lines, last = capsys.readouterr().out.splitlines()
    assert len(lines) == 10
    assert lines[0].startswith("step  100/1000  loss 99  v 0.5  w 0.25  ")
    assert all(line.endswith(" steps/s") for line in lines)
    assert last.startswith("1,000 steps in 0.") and last.endswith("stopped: num_steps")
    assert ": compile 0.0 s, " in last


def test_the_bar_of_a_terminal(monkeypatch, capsys):
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "80")
    run(Step(5, bad=90), num_steps=100, progress=True)
    out = capsys.readouterr().out
    assert re.search(r"91/100.* loss nan .*steps/s", out), out  # in 80 columns
    assert "stopped: non-finite loss at step 91; no leaf is bad; " in out


def test_what_is_computed_is_kept_at_once():
    """A killed run loses only what its device had not finished."""
    kept, before = [], []

    class Kept:
        begin = staticmethod(lambda step: [])
        append = staticmethod(lambda row: kept.append(row["step"]))

    class Watched:
        def batch(self, step):
            before.append(len(kept))
            return Batches().batch(step)

    run(Step(), num_steps=6, log_every=1, source=Watched(), log=Kept())
    assert kept == [1, 2, 3, 4, 5, 6] and before == [0, 1, 2, 3, 4, 5]


def test_the_first_bad_leaf_and_the_last_good_checkpoint(tmp_path):
    def step(state, batch):
        params = {"a": state.params["a"], "b": state.params["b"] * 10}
        loss = np.where(np.isfinite(params["b"]), 1.0, np.nan)
        state = state._replace(step=state.step + np.int32(1), params=params)
        return state, {"loss": loss}

    params = {"a": np.float32(1.0), "b": np.float32(1e30)}
    state = fresh()._replace(params=params)
    checkpoints = Checkpoints(tmp_path, every_steps=2, keep=1)
    with np.errstate(over="ignore"):
        result = fit(step, state, Batches(), num_steps=50, checkpoints=checkpoints)
    # Step 9 makes b infinite.
    at = int(result.state.step)
    assert result.stopped == (
        f"non-finite loss at step 9; the first bad leaf of step {at} is `params/b`; "
        f"the last good checkpoint: {tmp_path}/8"
    )
    assert not result.complete and checkpoints.steps() == [8]


@pytest.mark.parametrize(
    "metrics, evaluated, message",
    [
        ({"step": 1.0}, {}, "two columns would be called `step`"),
        ({}, {"step": 1.0}, "two columns would be called `step`"),
        ({"v": 1.0, "eval_v": 2.0}, {"v": 3.0}, "two columns .* called `eval_v`"),
        ({"v": np.ones(3)}, {}, r"metric `v` must be a scalar, got shape \(3,\)"),
        ({"loss": np.ones((1, 1))}, {}, r"metric `loss` must be .* \(1, 1\)"),
    ],
)
def test_metrics_that_would_be_lost_are_refused(metrics, evaluated, message):
    def step(state, batch):
        return state._replace(step=state.step + np.int32(1)), metrics

    with pytest.raises(ValueError, match=message):
        run(step, num_steps=10, evaluate=lambda state: evaluated)


def test_names_that_clash_and_values_of_other_types():
    def step(state, batch):
        metrics = {"v": jnp.asarray(True), "n": np.int64(-3)}
        return state._replace(step=state.step + np.int32(1)), metrics

    # A loss of the evaluation is no loss of the step: infinite, it ends nothing.
    evaluate = lambda state: {"v": np.float32(0.5), "loss": math.inf}
    history = run(step, num_steps=10, evaluate=evaluate).history
    assert history == {
        "step": [10],
        "v": [1],
        "n": [-3],
        "eval_v": [0.5],
        "loss": [math.inf],
    }


def test_what_may_be_infinite_is_saved(tmp_path):
    state = fresh()._replace(
        model_state={"mask": np.array([0.0, -np.inf])}, opt_state=(np.float32("nan"),)
    )
    checkpoints = Checkpoints(tmp_path, every_steps=4)
    result = fit(Step(), state, Batches(), num_steps=8, checkpoints=checkpoints)
    assert result.stopped == "num_steps" and checkpoints.steps() == [4, 8]


def test_parameters_that_the_last_step_made_infinite_are_not_saved(tmp_path):
    def step(state, batch):
        state = state._replace(step=state.step + np.int32(1))
        params = np.float32("inf") if state.step == 9 else state.params
        return state._replace(params=params), {"loss": 1.0}

    checkpoints = Checkpoints(tmp_path, every_steps=4)
    result = run(step, num_steps=9, checkpoints=checkpoints)
    assert result.stopped == (
        "non-finite parameters at step 9; the first bad leaf of step 9 is `params`; "
        f"the last good checkpoint: {tmp_path}/8"
    )


def test_no_more_than_one_copy_waits_to_be_written(tmp_path, monkeypatch):
    held = []

    class Late(np.ndarray):
        is_ready = staticmethod(lambda: False)

    def step(state, batch):
        held.append(sum(x is not None for x in copies))
        loss = np.ones(()).view(Late)
        return state._replace(step=state.step + np.int32(1)), {"loss": loss}

    copies = []

    class Counted(Checkpoints):
        def copy(self, step, state):
            copies.append(step)
            return super().copy(step, state)

        def write(self, step, copied, **options):
            copies[copies.index(step)] = None
            super().write(step, copied, **options)

    run(step, num_steps=30, checkpoints=Counted(tmp_path, every_steps=1))
    assert max(held) == 1 and len(copies) >= 30


class Failing(NamedTuple):
    """Batches that are at an end at a step: a run that is killed there."""

    end: int
    how: object

    def batch(self, step):
        if step == self.end:
            self.how()
        return Batches().batch(step)


class Memory:
    """Keeps rows beyond the life of a run, as files do."""

    def __init__(self):
        self.rows = []

    def begin(self, step):
        self.rows = [row for row in self.rows if row["step"] <= step]
        return list(self.rows)

    def append(self, row):
        self.rows.append(row)


def crash():
    raise KeyboardInterrupt


def parts(result):
    return int(result.state.step), float(result.state.params), result.history


@pytest.mark.parametrize("per_call", [1, 4])
@pytest.mark.parametrize("killed_at", [1, 9, 16, 23])
def test_a_run_that_was_killed_is_the_run_that_was_not(per_call, killed_at, tmp_path):
    evaluate = lambda state: {"v": state.params * 0.5}
    options = {
        "num_steps": 25,
        "log_every": 3,
        "eval_every": 6,
        "evaluate": evaluate,
    }
    whole = run(Step(per_call), **options)
    log = Memory()
    with pytest.raises(KeyboardInterrupt):
        run(
            Step(per_call),
            source=Failing(killed_at, crash),
            checkpoints=Checkpoints(tmp_path, every_steps=5),
            log=log,
            **options,
        )
    there = Checkpoints(tmp_path).steps()
    assert bool(there) == (killed_at > 8)
    again = Step(per_call)
    resumed = run(
        again, checkpoints=Checkpoints(tmp_path), log=log, **options, progress=True
    )
    assert parts(resumed)[:2] == parts(whole)[:2]
    for name, column in whole.history.items():
        np.testing.assert_array_equal(resumed.history[name], column)
    assert [row["step"] for row in log.rows] == whole.history["step"]
    if there:  # not from the start
        steps = sum(shape[0] if per_call > 1 else 1 for shape in again.shapes)
        assert steps == 25 - there[-1]
    # Complete: nothing is done, and the answer is the same.
    third = Step(per_call)
    assert parts(run(third, checkpoints=Checkpoints(tmp_path), **options))[:2] == (
        25,
        sum(range(25)),
    )
    assert third.shapes == []


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM"])
def test_a_signal_ends_a_run_with_a_checkpoint(name, tmp_path, capsys):
    number = getattr(signal, name)
    before = signal.getsignal(number)
    send = lambda: signal.raise_signal(number)
    options = {"num_steps": 40, "log_every": 7}
    checkpoints = Checkpoints(tmp_path)
    result = run(Step(4), source=Failing(17, send), checkpoints=checkpoints, **options)
    assert signal.getsignal(number) is before
    assert result.stopped == name and not result.complete
    # The batches of steps 17 to 20 were being made; they are made again.
    assert int(result.state.step) == 16 == checkpoints.steps()[-1]
    assert result.history["step"] == [7, 14]
    again = run(Step(4), checkpoints=Checkpoints(tmp_path), **options)
    assert again.stopped == "num_steps" and again.state.params == sum(range(40))


def test_a_signal_without_checkpoints_is_not_caught():
    send = lambda: signal.raise_signal(signal.SIGINT)
    # A shell starts what runs in its background with SIGINT ignored.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            run(Step(), source=Failing(3, send), num_steps=40)
    finally:
        signal.signal(signal.SIGINT, before)


def test_a_time_limit(tmp_path):
    result = run(Step(2), num_steps=40, time_limit=1e-9, log_every=2)
    assert result.stopped == "time_limit" and int(result.state.step) == 2
    assert result.history["step"] == [2]
    result = run(Step(2), num_steps=2, time_limit=1e-9)
    assert result.stopped == "num_steps"  # all is done
    result = run(Step(2), num_steps=40, time_limit=1e3)
    assert result.stopped == "num_steps"


LOSSES = [0.9, 0.5, 0.6, 0.4, 0.7, 0.8, 0.45, 0.1]


@pytest.mark.parametrize("restore_best", [True, False])
def test_early_stopping_ends_it_and_restores_the_best(restore_best, tmp_path):
    evaluate = lambda state: {"v": LOSSES[int(state.step) // 2 - 1], "w": 0.0}
    stop = EarlyStopping(patience=3, restore_best=restore_best)
    options = {"num_steps": 100, "log_every": 5, "eval_every": 2, "evaluate": evaluate}
    options |= {"stop": stop, "metric": "v"}
    result = run(Step(4), checkpoints=Checkpoints(tmp_path), **options)
    assert result.stopped == "converged at step 14" and result.complete
    assert result.history["step"][-1] == 14 and result.history["v"][-1] == 0.45
    best = 8 if restore_best else 14
    assert int(result.state.step) == best
    assert result.state.params == sum(range(best))
    # Called again it is complete, with the same answer; the newest state is kept.
    again = Step(4)
    second = run(again, checkpoints=Checkpoints(tmp_path), **options)
    assert parts(second)[:2] == parts(result)[:2] and again.shapes == []
    assert second.stopped == result.stopped
    assert Checkpoints(tmp_path).steps()[-1] == 14


def test_early_stopping_that_is_never_reached_restores_too():
    evaluate = lambda state: {"loss": LOSSES[int(state.step) // 2 - 1]}
    options = {"eval_every": 2, "evaluate": evaluate, "stop": EarlyStopping(10)}
    result = run(Step(), num_steps=12, **options)
    assert result.stopped == "num_steps" and int(result.state.step) == 8
    nothing = {**options, "evaluate": lambda state: {"loss": math.nan}}
    result = run(Step(), num_steps=12, **nothing)
    assert result.stopped == "num_steps" and int(result.state.step) == 12


@pytest.mark.parametrize(
    "options, message",
    [
        ({"stop": EarlyStopping(1)}, "`evaluate` must be given too"),
        (
            {
                "stop": EarlyStopping(1),
                "evaluate": lambda state: {"a": 1.0, "b": 2.0},
            },
            "`metric` must be one of .* a, b, got None",
        ),
        (
            {
                "stop": EarlyStopping(1),
                "evaluate": lambda state: {"a": 1.0},
                "metric": "c",
            },
            "`metric` must be one of .* a, got 'c'",
        ),
    ],
)
def test_what_early_stopping_needs(options, message):
    with pytest.raises(ValueError, match=message):
        run(Step(), num_steps=10, **options)


def test_a_plateau_counts_evaluations_and_ends_the_run(tmp_path):
    """Of the loss of a step, which falls all the time, it sees nothing."""
    tx = gd.reduce_on_plateau(0.5, patience=2, stop_below=0.3)

    def step(state, batch):
        loss = 1 / (1 + jnp.asarray(state.step))
        updates, opt_state = tx.update(jnp.ones([]), state.opt_state, value=loss)
        metrics = {"loss": loss, **gd.metrics(opt_state)}
        state = state._replace(step=state.step + 1, opt_state=opt_state)
        return state._replace(params=state.params + updates), metrics

    evaluate = lambda state: {"v": 1.0}
    options = {"log_every": 5, "eval_every": 4, "evaluate": evaluate}

    def train(source, checkpoints=None):
        state = fresh()._replace(opt_state=tx.init(jnp.zeros([])))
        options["checkpoints"] = checkpoints
        return fit(step, state, source, num_steps=100, progress=False, **options)

    result = train(Batches())
    # Evaluations after 4, 8, 12, ...; each counts at the next step: the first is the
    # best, after two more the scale is 0.5 (step 13), after another two 0.25 (21).
    assert result.stopped == "plateau at step 24" and result.complete
    scales = dict(
        zip(result.history["step"], result.history["plateau_scale"], strict=True)
    )
    assert scales == {
        **dict.fromkeys((4, 5, 8, 10, 12), 1.0),
        **dict.fromkeys((15, 16, 20), 0.5),
        24: 0.25,
    }
    assert result.state.params == 12 + 8 * 0.5 + 4 * 0.25
    # Interrupted between an evaluation and the step at which it counts.
    for killed_at in (12, 13, 21):
        with pytest.raises(KeyboardInterrupt):
            train(Failing(killed_at, crash), Checkpoints(tmp_path, every_steps=1))
    for _ in range(2):
        resumed = train(Batches(), Checkpoints(tmp_path))
        assert resumed.stopped == result.stopped
        assert resumed.state.params == result.state.params


def test_checkpoints_of_more_steps_are_not_gone_back_behind(tmp_path):
    run(Step(), num_steps=10, checkpoints=Checkpoints(tmp_path))
    with pytest.raises(ValueError, match="`num_steps` must be >= 10, .* got 5."):
        run(Step(), num_steps=5, checkpoints=Checkpoints(tmp_path))


@pytest.mark.parametrize(
    "options",
    [
        {"num_steps": -1},
        {"log_every": 0},
        {"eval_every": 0},
        {"num_steps": 2.5},
        {"time_limit": 0},
        {"time_limit": "1"},
    ],
)
def test_numbers_out_of_range_are_refused(options):
    (name,) = options
    with pytest.raises((ValueError, TypeError), match=f"`{name}`"):
        run(Step(), **{"num_steps": 5, **options})
