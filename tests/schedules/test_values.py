"""Every schedule against its formula in float64, at every kind of int32 step."""

import numpy as np
import optax
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from schedule_formulas import CASES, MAX_INT, around, assert_follows, built, marks

import gdjax as gd

FEW = settings(max_examples=12, deadline=None, derandomize=True)


def floats(*borders):
    return st.one_of(st.floats(*borders), st.sampled_from(borders))


VALUE = st.one_of(st.just(0.0), st.floats(1e-8, 10), st.floats(-10, -1e-8))
SIZE = st.floats(1e-8, 10)
LENGTH = st.one_of(
    st.integers(1, 30), st.integers(30, 2**20), st.integers(2**24, 2**30), st.just(1)
)
DELAY = st.one_of(st.just(0), LENGTH)
EXPONENT = st.one_of(st.just(1.0), st.floats(0.01, 30))
SHARE = floats(1e-3, 1.0)
SCALES = st.dictionaries(DELAY, st.one_of(st.just(0.0), st.floats(1e-2, 3)), max_size=3)
BOOL = st.booleans()


RATE = st.one_of(st.floats(1e-3, 1.0), st.floats(1 - 1e-4, 1.0), st.floats(1.0, 3))


@st.composite
def exponential(draw):
    """Everything from `transition_steps` on: a growth has an end."""
    steps, factor = draw(LENGTH), draw(RATE)
    end = draw(st.floats(0.1, 3) if factor > 1 else st.none() | st.floats(1e-8, 0.1))
    return steps, factor, draw(DELAY), draw(BOOL), end


@st.composite
def warm_cosine(draw):
    warm = draw(DELAY)
    steps = warm + draw(LENGTH)
    return draw(VALUE), draw(VALUE), warm, steps, draw(VALUE), draw(EXPONENT)


@st.composite
def cycles(draw):
    names = ("init_value", "peak_value", "warmup_steps", "decay_steps", "end_value")
    number = draw(st.sampled_from((1, 3, 12)))
    cycle = st.tuples(VALUE, VALUE, st.integers(0, 9), st.integers(10, 2**26), VALUE)
    return [dict(zip(names, draw(cycle), strict=True)) for _ in range(number)]


@st.composite
def onecycle(draw):
    return draw(LENGTH), draw(SIZE), *sorted(draw(st.tuples(SHARE, SHARE)))


@st.composite
def restarts(draw):
    # Few tables, as searching in another size compiles anew.
    grows = st.sampled_from(((1, 2.0), (7, 1.5), (1000, 1.01), (2**29, 7.5)))
    first, longer = draw(st.one_of(st.tuples(LENGTH, st.just(1.0)), grows))
    warm = draw(st.integers(0, first - 1))
    return draw(SIZE), first, longer, draw(floats(0.1, 1.0)), draw(VALUE), warm


@st.composite
def cyclical(draw):
    mode = draw(st.sampled_from(("triangular", "triangular2", "exp_range")))
    gamma = draw(st.floats(0.9, 1.0)) if mode == "exp_range" else 1.0
    return draw(VALUE), draw(VALUE), draw(LENGTH), mode, gamma


INNER = st.one_of(
    st.tuples(st.just("linear_schedule"), st.tuples(VALUE, VALUE, LENGTH)),
    st.tuples(st.just("step_decay_schedule"), st.tuples(VALUE, LENGTH, SHARE)),
    st.tuples(st.just("piecewise_constant_schedule"), st.tuples(VALUE, SCALES)),
)


@st.composite
def joined(draw):
    boundaries = sorted(draw(st.sets(DELAY, max_size=3)))
    return [draw(INNER) for _ in range(len(boundaries) + 1)], boundaries


SHAPE = st.sampled_from(("linear", "cosine", "sqrt"))
# {name: the arguments}
ARGUMENTS = {
    "constant_schedule": st.tuples(VALUE),
    "linear_schedule": st.tuples(VALUE, VALUE, LENGTH, DELAY),
    "polynomial_schedule": st.tuples(VALUE, VALUE, EXPONENT, LENGTH, DELAY),
    "exponential_decay": st.tuples(SIZE, exponential()).map(lambda x: (x[0], *x[1])),
    "piecewise_constant_schedule": st.tuples(VALUE, SCALES),
    "piecewise_interpolate_schedule": st.tuples(
        st.sampled_from(("linear", "cosine")), VALUE, SCALES
    ),
    "cosine_decay_schedule": st.tuples(VALUE, LENGTH, floats(0.0, 1.0), EXPONENT),
    "warmup_constant_schedule": st.tuples(VALUE, VALUE, DELAY),
    "warmup_cosine_decay_schedule": warm_cosine(),
    "warmup_exponential_decay_schedule": st.tuples(
        VALUE, SIZE, DELAY, exponential()
    ).map(lambda x: (*x[:3], *x[3])),
    "linear_onecycle_schedule": onecycle(),
    "cosine_onecycle_schedule": onecycle().map(lambda x: x[:3]),
    "sgdr_schedule": st.tuples(cycles()),
    "join_schedules": joined(),
    "step_decay_schedule": st.tuples(VALUE, LENGTH, SHARE),
    "inverse_time_decay_schedule": st.tuples(VALUE, floats(0.0, 5.0), LENGTH, BOOL),
    "inverse_sqrt_schedule": st.tuples(VALUE, DELAY),
    "cyclical_schedule": cyclical(),
    "cosine_restarts_schedule": restarts(),
    "wsd_schedule": st.tuples(SIZE, DELAY, DELAY, DELAY, VALUE, SHAPE),
    "rex_schedule": st.tuples(VALUE, LENGTH),
    "swa_schedule": st.tuples(
        INNER, VALUE, DELAY, DELAY, st.sampled_from(("linear", "cosine"))
    ),
    "with_warmup": st.tuples(INNER, DELAY, VALUE),
    "in_epochs": st.tuples(INNER, LENGTH),
}


def test_all_schedules_are_here():
    assert sorted(ARGUMENTS) == sorted(CASES) == gd.schedules.__all__


@pytest.mark.parametrize("name", ARGUMENTS)
def test_values_are_the_formula(name):
    @FEW
    @given(ARGUMENTS[name], st.integers(0, MAX_INT))
    def check(args, anywhere):
        steps = around(anywhere, *sorted(marks(args))[:9])
        assert_follows(built(name, args), name, args, steps)

    check()


@pytest.mark.parametrize(
    "args",
    [
        (0.0, 1.0, 2**24, MAX_INT, 0.0, 1.0),  # f32 has no 2^24 + 1
        (0.0, 1.0, MAX_INT - 1, MAX_INT, 0.0, 1.0),
        (0.0, 1.0, 0, 1000, 0.0, 0.1),  # 1 + cos(pi z) cancels
        (0.0, 1.0, 0, MAX_INT, 0.0, 0.05),  # z rounds to 1
        (0.0, 1.0, 10, MAX_INT, 0.0, 1e3),  # so does 1 - z, and that comes back
        (1.0, 1.0, 0, 1, 1.0, 1.0),
        (1e-8, 10.0, 1, 2, 1e-8, 4.0),
    ],
)
def test_warmup_and_cosine_where_f32_gets_it_wrong(args):
    name = "warmup_cosine_decay_schedule"
    steps = around(*marks(args), 500, 2**20, 2**30)
    assert_follows(built(name, args), name, args, steps)


# {what is wrong: (name, arguments, a schedule with that fault)}
FAULTS = {
    "the first step is the second": (
        "warmup_constant_schedule",
        (0.0, 1.0, 10**5),
        lambda good: lambda step: good(step + 1),
    ),
    "a drop comes one step late": (
        "step_decay_schedule",
        (1.0, 2**24, 0.5),
        lambda good: lambda step: good(np.maximum(step - 1, 0)),
    ),
    "steps in f32": (
        "cyclical_schedule",
        (0.0, 1.0, 100),
        lambda good: lambda step: good(step.astype(np.float32).astype(np.int64) % 200),
    ),
    "it is not held": (
        "rex_schedule",
        (1.0, 30),
        lambda good: lambda step: good(step) - 1e-5 * (step > 31),
    ),
    "cos near its end": (
        "cosine_decay_schedule",
        (1.0, 2**24, 0.0, 0.1),
        lambda good: optax.cosine_decay_schedule(1.0, 2**24, 0.0, 0.1),
    ),
    "a power of a rounded rate": (
        "exponential_decay",
        (1.0, 1, 0.9999),
        lambda good: optax.exponential_decay(1.0, 1, 0.9999),
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_planted_fault_is_found(fault):
    name, args, spoil = FAULTS[fault]
    good, steps = built(name, args), around(*marks(args), 10**4)
    assert_follows(good, name, args, steps)
    with pytest.raises(AssertionError, match="Not equal to tolerance"):
        assert_follows(spoil(good), name, args, steps)


@pytest.mark.parametrize(("start", "anneal"), [(30, 20), (0, 7), (30, 0), (0, 0)])
def test_cycles_after_swa_schedule(start, anneal):
    """Izmailov et al. (2018): (1 - t) a_1 + t a_2, t = (mod(i - 1, c) + 1) / c."""
    inner = gd.linear_schedule(1.0, 0.5, 40)
    plain = gd.swa_schedule(inner, 0.3, start, anneal)
    cyclical = gd.swa_schedule(
        inner, 0.3, start, anneal, cycle_steps=6, cycle_end_value=0.1
    )
    steps = np.array([*range(80), 2**31 - 7, 2**31 - 1])
    t = ((steps - start - anneal) % 6 + 1) / 6
    cycles = (1 - t) * 0.3 + t * 0.1
    want = np.where(steps < start + anneal, plain(steps), cycles)
    np.testing.assert_allclose(cyclical(steps), want, rtol=1e-6)
    assert cyclical(np.int32(start + anneal + 5)) == np.float32(0.1)
