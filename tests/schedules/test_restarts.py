"""Restarts: any number of them, found in a table without a loop."""

import jax
import numpy as np
import pytest
from schedule_formulas import around, assert_follows

import gdjax as gd
from gdjax.schedules import _restarts

MAX_INT = 2**31 - 1


@pytest.mark.parametrize("args", [(1, 1.0), (1, 2.0), (3, 1.5), (10, 1 + 1e-9)])
def test_the_table_is_the_periods_one_by_one(args):
    first, longer = args
    starts, firsts, lengths = _restarts._runs(*args)
    assert starts[0] == firsts[0] == 0 and np.all(np.diff(lengths) > 0)
    counts = np.diff(firsts)
    np.testing.assert_array_equal(np.diff(starts), counts * lengths[:-1])
    for i, length in zip(firsts[1:].tolist(), lengths[1:], strict=True):
        assert round(first * longer ** (i - 1)) < round(first * longer**i) == length


def test_a_table_is_short_and_reaches_the_last_step():
    schedule = gd.cosine_restarts_schedule(1.0, 10, 1.002)
    starts, _, lengths = _restarts._runs(10, 1.002)
    assert 3000 < len(starts) < 2**16
    assert starts[-1] + lengths[-1] > MAX_INT
    # Each restart is at the peak, the step before it far below.
    some = starts[1::100]
    each = jax.jit(lambda steps: jax.lax.map(schedule, steps))
    at, before = np.split(np.asarray(each(np.append(some, some - 1))), 2)
    assert np.all(at == 1) and before.max() < 0.03


def test_cycles_past_those_few_that_are_compared():
    cycle = dict(init_value=0.1, peak_value=1.0, warmup_steps=3, decay_steps=2**25)
    cycles = [dict(cycle, peak_value=1 / (i + 1), exponent=0.5) for i in range(60)]
    schedule = gd.sgdr_schedule(cycles)
    steps = around(*(i * 2**25 for i in (1, 2, 31, 58, 59)), 60 * 2**25, 12345)
    assert_follows(schedule, "sgdr_schedule", (cycles,), steps)


@pytest.mark.parametrize(
    "schedule",
    [
        gd.cosine_restarts_schedule(1.0, 10, 1.01, 0.9, 0.1, 2),
        gd.sgdr_schedule(
            [dict(init_value=0, peak_value=1, warmup_steps=1, decay_steps=9)] * 300
        ),
    ],
)
def test_there_is_no_loop_in_a_step(schedule):
    text = jax.jit(schedule).lower(np.int32(0)).compile().as_text()
    assert text and " while(" not in text
    assert text.count(" cosine(") + text.count(" sine(") <= 2
