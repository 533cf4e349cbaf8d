"""The loop: which steps are made, which rows are kept, and that it does not wait."""

import math
import re
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
import pytest

from gdjax.training import TrainState, fit


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
    assert result.stopped == "non-finite loss at step 13"
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

        def __array__(self, dtype=None, copy=None):
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
    assert all(line.endswith(" steps/s") for line in [*lines, last])
    assert last.startswith("1,000 steps in 0.") and ": compile 0.0 s, " in last


def test_the_bar_of_a_terminal(monkeypatch, capsys):
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "80")
    run(Step(5, bad=90), num_steps=100, progress=True)
    out = capsys.readouterr().out
    assert re.search(r"91/100.* loss nan .*steps/s", out), out  # in 80 columns
    assert "non-finite loss at step 91 in 0." in out


@pytest.mark.parametrize(
    "options",
    [{"num_steps": -1}, {"log_every": 0}, {"eval_every": 0}, {"num_steps": 2.5}],
)
def test_numbers_out_of_range_are_refused(options):
    (name,) = options
    with pytest.raises((ValueError, TypeError), match=f"`{name}`"):
        run(Step(), **{"num_steps": 5, **options})
