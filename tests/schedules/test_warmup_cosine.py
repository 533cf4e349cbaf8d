"""Warm-up and cosine against the formula in f64, at every int32 step."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

import gdjax as gd

MAX_INT = 2**31 - 1
FEW = settings(max_examples=40, deadline=None, derandomize=True)


def padded(steps):
    """One shape, so that the operations of eager calls compile once."""
    return np.resize(np.array(steps, np.int32), 24)


def formula(step, init, peak, warmup, decay, end, exponent):
    """In f64; half a cosine as a squared sine, which keeps its last digits."""
    step = np.asarray(step, np.int64)
    left = np.clip((decay - step) / (decay - warmup), 0, 1)
    fall = end + (peak - end) * np.sin(np.pi / 2 * left) ** (2 * exponent)
    rise = init + (peak - init) * step / max(warmup, 1)
    return np.where(step < warmup, rise, fall)


@st.composite
def arguments(draw):
    value = st.one_of(st.just(0.0), st.floats(1e-8, 10), st.floats(-10, -1e-8))
    init, peak, end = draw(st.tuples(value, value, value))
    steps = st.one_of(st.integers(1, 300), st.integers(300, 2**23))
    warmup = draw(st.one_of(st.just(0), steps))
    decay = warmup + draw(steps)
    exponent = draw(st.sampled_from((0.05, 0.5, 1.0, 1.5, 4.0)))
    return init, peak, warmup, decay, end, exponent


@FEW
@given(arguments(), st.integers(0, MAX_INT))
@example((0.0, 1.0, 2**24, MAX_INT, 0.0, 1.0), 2**24 + 1)  # f32 has no 2^24 + 1
@example((0.0, 1.0, MAX_INT - 1, MAX_INT, 0.0, 1.0), MAX_INT - 2)
@example((0.0, 1.0, 0, 1000, 0.0, 0.1), 999)  # 1 + cos(pi z) cancels
@example((0.0, 1.0, 0, MAX_INT, 0.0, 0.05), MAX_INT - 1000)  # z rounds to 1
@example((1.0, 1.0, 0, 1, 1.0, 1.0), 0)
@example((1e-8, 10.0, 1, 2, 1e-8, 4.0), 1)
def test_values_are_the_formula(args, anywhere):
    _, _, warmup, decay, _, _ = args
    marks = {0, 1, warmup, decay, (warmup + decay) // 2, anywhere, 2**24 + 1, MAX_INT}
    near = sorted({min(max(m + d, 0), MAX_INT) for m in marks for d in (-1, 0, 1)})
    steps = padded(near)
    got = gd.warmup_cosine_decay_schedule(*args)(steps)
    assert got.dtype == jnp.float32
    size = max(abs(args[i]) for i in (0, 1, 4))
    np.testing.assert_allclose(got, formula(steps, *args), rtol=0, atol=1e-6 * size)


def test_values_in_f64():
    args = (0.1, 2.0, 7, 1000, 0.3, 0.5)
    with jax.enable_x64(True):
        steps = np.arange(0, 1010, 3)
        got = jax.jit(gd.warmup_cosine_decay_schedule(*args))(steps)
        assert got.dtype == jnp.float64
        np.testing.assert_allclose(got, formula(steps, *args), rtol=0, atol=1e-14)


def test_ends_are_exact():
    schedule = gd.warmup_cosine_decay_schedule(0.1, 0.7, 10, 30, 0.2)
    values = schedule(padded([0, 10, 30, 31, MAX_INT]))[:5]
    np.testing.assert_allclose(values, [0.1, 0.7, 0.2, 0.2, 0.2], rtol=1e-7)
    without = gd.warmup_cosine_decay_schedule(0.1, 0.7, 0, 30)(padded([0, 1]))
    assert without[0] == np.float32(0.7) > without[1]


def test_it_rises_to_the_peak_then_falls():
    schedule = jax.jit(gd.warmup_cosine_decay_schedule(0.0, 1.0, 1000, 5000, 0.01))
    values = schedule(np.arange(6000))
    assert np.all(np.diff(values[:1001]) > 0)
    # Near the peak and the end neighbours may be the same float.
    assert np.all(np.diff(values[1000:]) <= 0) and np.all(
        np.diff(values[1100:4900]) < 0
    )
    assert (
        np.argmax(values) == 1000 and values.max() == 1 and values[-1] == values[5000]
    )


@pytest.mark.parametrize("exponent", [1.0, 2.5])
def test_values_are_those_of_optax(exponent):
    args = (0.05, 0.8, 40, 400, 0.02, exponent)
    steps = np.arange(500)
    ours, theirs = gd.warmup_cosine_decay_schedule, optax.warmup_cosine_decay_schedule
    both = jax.jit(lambda steps: (ours(*args)(steps), jax.vmap(theirs(*args))(steps)))
    ours, theirs = both(steps)
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-6 * 0.8)


def test_steps_may_be_traced_batched_and_of_any_integer_type():
    schedule = gd.warmup_cosine_decay_schedule(0.0, 1.0, 4, 20, 0.1)
    steps = np.arange(24)
    want = formula(steps, 0.0, 1.0, 4, 20, 0.1, 1.0)
    close = lambda got: np.testing.assert_allclose(got, want, rtol=0, atol=1e-6)
    close(jax.jit(jax.vmap(schedule))(steps))
    close(jax.jit(lambda steps: jax.lax.map(schedule, steps))(steps))
    close([schedule(int(step)) for step in steps])
    for dtype in (np.uint32, np.uint8):
        close(jax.jit(schedule)(steps.astype(dtype)))
    assert schedule(jnp.zeros((2, 3), jnp.int32)).shape == (2, 3)


def test_numbers_are_live():
    """One program for all values, and lanes of vmap with a value each."""

    @jax.jit
    def value(init, peak, end, exponent):
        args = (init, peak, 4, 20, end, exponent)
        return gd.warmup_cosine_decay_schedule(*args)(jnp.arange(24))

    for numbers in ((0.0, 1.0, 0.1, 1.0), (0.5, 2.0, 0.0, 0.5)):
        init, peak, end, exponent = numbers
        want = formula(np.arange(24), init, peak, 4, 20, end, exponent)
        np.testing.assert_allclose(value(*numbers), want, rtol=0, atol=2e-6)
    assert value._cache_size() == 1
    peaks = jnp.array([1.0, 3.0])
    at_three = lambda peak: gd.warmup_cosine_decay_schedule(0.0, peak, 2, 9)(3)
    lanes = jax.jit(jax.vmap(at_three))(peaks)
    np.testing.assert_allclose(lanes, peaks * lanes[0], rtol=1e-6)


@pytest.mark.parametrize(
    ("error", "words", "changed"),
    [
        (ValueError, "`init_value` must be finite, got nan", {"init_value": np.nan}),
        (ValueError, "`peak_value` must be finite, got inf", {"peak_value": np.inf}),
        (ValueError, "`end_value` must be finite, got -inf", {"end_value": -np.inf}),
        (ValueError, "`exponent` must be finite and > 0, got 0", {"exponent": 0}),
        (TypeError, "`peak_value` must be a number", {"peak_value": "1"}),
        (ValueError, r"`warmup_steps` must lie in \[0, .*-1", {"warmup_steps": -1}),
        (TypeError, "`warmup_steps` must be a Python integer", {"warmup_steps": 1.0}),
        (ValueError, r"`decay_steps` must lie in \[1, .* 0", {"decay_steps": 0}),
        (ValueError, "`decay_steps` must lie in .*2147483648", {"decay_steps": 2**31}),
        (
            ValueError,
            "^`decay_steps` .* must be larger than `warmup_steps` = 10, got 10.$",
            {"decay_steps": 10},
        ),
        (
            ValueError,
            "^`decay_steps` .* must be larger than `warmup_steps` = 200, got 100.$",
            {"warmup_steps": 200},
        ),
    ],
)
def test_bad_arguments_are_named_as_they_were_passed(error, words, changed):
    good = dict(init_value=0.0, peak_value=1.0, warmup_steps=10, decay_steps=100)
    with pytest.raises(error, match=words):
        gd.warmup_cosine_decay_schedule(**{**good, **changed})


def test_constant():
    schedule = gd.constant_schedule(0.3)
    for step in (0, MAX_INT, np.arange(4).reshape(2, 2), np.uint8(3)):
        value = schedule(step)
        assert value.shape == np.shape(step) and value.dtype == jnp.float32
        assert np.all(value == np.float32(0.3))
    live = jax.jit(lambda x, step: gd.constant_schedule(x)(step))
    assert live(0.5, 3) == 0.5 and live(-2.0, 3) == -2
    with jax.enable_x64(True):
        assert gd.constant_schedule(0.3)(0).dtype == jnp.float64
    for value in (np.nan, np.inf):
        with pytest.raises(ValueError, match="`value` must be finite, got"):
            gd.constant_schedule(value)
