"""Ramps, powers and tables: exact where they say so."""

import jax
import numpy as np
import pytest

from gdjax.schedules import _ramp as ramps

MAX_INT = 2**31 - 1


@pytest.mark.parametrize("steps", [1, 3, 49, 2**24 + 1, MAX_INT])
def test_both_ends_of_a_ramp_are_exact(steps):
    """Compiled with the steps as a constant: k * (1 / k) is not always 1."""
    begin = MAX_INT - steps
    at = [begin, max(begin - 1, 0), begin + steps - 1, MAX_INT]
    ramp = jax.jit(lambda step: ramps.ramp(step, begin, steps))
    done, left = ramp(np.array(at, np.int32))
    assert done[0] == done[1] == left[3] == 0 and left[0] == left[1] == done[3] == 1
    np.testing.assert_allclose(left[2], 1 / steps, rtol=1e-6)


def test_steps_outside_of_int32_count_as_its_ends():
    for step in (np.int64(2**40), np.uint32(2**32 - 1), 2**31, np.uint64(2**63)):
        assert int(ramps.count(step)) == MAX_INT
    for step in (np.int64(-(2**40)), -5, np.int8(-128)):
        assert int(ramps.count(step)) == 0
    wide = jax.numpy.array([2**32 - 1, 2**31, 7], np.uint32)
    assert jax.jit(ramps.count)(wide).tolist() == [MAX_INT, MAX_INT, 7]


def test_powers_of_two_are_exact_and_others_right_to_the_last_bits():
    times = np.array([0, 1, 2, 3, 30, 126, 127, 128, 2**16, MAX_INT], np.int32)
    power = jax.jit(ramps.exp2, static_argnums=0)
    for slope in (1.0, -1.0, 0.5):
        with np.errstate(over="ignore", under="ignore"):
            want = np.exp2(slope * times).astype(np.float32)
        want[want < np.finfo(np.float32).tiny] = 0
        got, whole = np.asarray(power(slope, times)), slope * times % 1 == 0
        np.testing.assert_array_equal(got[whole], want[whole])
        np.testing.assert_allclose(got, want, rtol=2e-7)
    # A rounded exponent of 60 would be wrong by 60 times as much.
    slope, times = 60 / 12_345_678, times // 3 % 12_345_678
    np.testing.assert_allclose(power(slope, times), np.exp2(slope * times), rtol=3e-7)


@pytest.mark.parametrize("number", [1, ramps._FEW, ramps._FEW + 1])
def test_rows_are_found_by_comparison_and_by_search(number):
    starts = np.arange(number) // 2 * 3  # by twos: the last counts
    find = jax.jit(lambda step: ramps.row(step, starts.tolist(), np.arange(number)))
    step = np.arange(40)
    start, place = find(step)
    want = np.searchsorted(starts, step, side="right") - 1
    np.testing.assert_array_equal(place, want)
    np.testing.assert_array_equal(start, starts[want])


def test_no_step_overflows():
    steps = ramps.count(np.array([-(2**31), -1, 0, MAX_INT], np.int32))
    assert steps.tolist() == [0, 0, 0, MAX_INT]
    assert ramps.past(steps, MAX_INT).tolist() == [0, 0, 0, 0]
    assert ramps.count(np.uint8(255)) == 255 and ramps.count(np.int8(-1)) == 0
