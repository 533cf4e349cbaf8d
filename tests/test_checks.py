"""Numbers that users pass: what is accepted, as what, and the sentence otherwise."""

import re
from fractions import Fraction

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gdjax import _checks
from gdjax._checks import (
    FINITE,
    NON_NEGATIVE,
    POSITIVE,
    UNIT,
    Scheduled,
    boolean,
    concrete,
    integer,
    number,
    one_of,
)

NAN, INF = float("nan"), float("inf")


@pytest.mark.parametrize(
    "value",
    [0, 0.25, np.float64(0.25), np.float32(0.25), np.float16(0.25), np.int8(0)]
    + [np.ones((), jnp.bfloat16)[()] / 4, np.array(0.25), np.array(0)],
)
def test_python_and_numpy_numbers_become_floats(value):
    checked = number("b1", value, UNIT)
    assert type(checked) is float and checked == float(value)


@pytest.mark.parametrize(
    ("value", "dtype"),
    [
        (jnp.array(0.999, jnp.bfloat16), "float32"),
        (jnp.array(0.5, jnp.float16), "float32"),
        (jnp.array(0.5), "float32"),  # weakly typed: another cache key
        (jnp.float32(0.5), "float32"),
        (jnp.int32(1), "float32"),
    ],
)
def test_arrays_become_f32_at_least(value, dtype):
    checked = number("b1", value, FINITE)
    assert isinstance(checked, jax.Array) and checked.dtype == dtype
    assert not checked.weak_type and checked == value


def test_f64_stays_f64():
    with jax.enable_x64(True):
        assert number("b1", jnp.array(0.9), UNIT).dtype == jnp.float64
        assert number("b1", jnp.float32(0.5), UNIT).dtype == jnp.float32


def message(error, call):
    with pytest.raises(error) as caught:
        call()
    return str(caught.value)


@pytest.mark.parametrize(
    ("value", "allowed", "words"),
    [
        (1.0, UNIT, "lie in [0, 1), got 1.0"),
        (-1e-9, UNIT, "lie in [0, 1), got -1e-09"),
        (NAN, UNIT, "lie in [0, 1), got nan"),
        (jnp.float32(1), UNIT, "lie in [0, 1), got 1.0"),
        (np.float16(1), UNIT, "lie in [0, 1), got 1.0"),
        (jnp.array(0.999, jnp.bfloat16), UNIT, "lie in [0, 1), got 1.0"),
        (-1, NON_NEGATIVE, "be finite and >= 0, got -1"),
        (INF, NON_NEGATIVE, "be finite and >= 0, got inf"),
        (NAN, NON_NEGATIVE, "be finite and >= 0, got nan"),
        (0, POSITIVE, "be finite and > 0, got 0"),
        (NAN, POSITIVE, "be finite and > 0, got nan"),
        (INF, POSITIVE, "be finite and > 0, got inf"),
        (-INF, FINITE, "be finite, got -inf"),
        (NAN, FINITE, "be finite, got nan"),
        ([0.5], UNIT, "be a scalar, got shape (1,); vmap over it instead"),
        (jnp.ones((2, 3)), UNIT, "be a scalar, got shape (2, 3); vmap over it instead"),
    ],
)
def test_a_number_out_of_range_is_a_value_error(value, allowed, words):
    said = message(ValueError, lambda: number("eps", value, allowed))
    assert said == f"`eps` must {words}."


@pytest.mark.parametrize(
    "value",
    ["0.1", None, True, np.bool_(True), jnp.array(True), 1j, jnp.array(1j), b"1"]
    + [{}, Fraction(1, 2), 10**400],
)
def test_what_is_no_number_is_a_type_error(value):
    said = message(TypeError, lambda: number("eps", value, FINITE))
    assert said == f"`eps` must be a number, got {value!r}."


def test_a_schedule_where_none_is_taken_is_told_what_to_do():
    said = message(TypeError, lambda: number("b1", lambda step: 0.9, UNIT))
    assert re.search(
        "^`b1` must be a number, got <function .*only learning rates", said
    )


def test_zero_and_the_ends_of_the_ranges_are_allowed():
    tiny = np.nextafter(0, 1)
    assert number("x", -0.0, UNIT) == 0 == number("x", 0, NON_NEGATIVE)
    assert number("x", np.nextafter(1, 0), UNIT) < 1
    assert number("x", tiny, POSITIVE) == tiny
    assert number("x", -1.7e308, FINITE) == -1.7e308


def test_tracers_pass_unchecked_in_f32():
    """A value cannot be looked at under jit, a shape and a dtype can."""
    live = jax.jit(lambda x: number("b1", x, UNIT))
    assert live(7.0) == 7 and live(jnp.bfloat16(2)).dtype == jnp.float32
    assert live(jnp.int32(3)).dtype == jnp.float32
    lanes = jax.vmap(lambda x: number("b1", x, UNIT) * 2)(jnp.array([0.5, 3.0]))
    assert lanes.tolist() == [1.0, 6.0]
    assert "shape (2,)" in message(ValueError, lambda: live(jnp.ones(2)))
    assert "must be a number" in message(TypeError, lambda: live(True))
    assert "must be a number" in message(TypeError, lambda: live(1j))


def test_a_concrete_array_is_checked_under_jit_too():
    outer = jnp.float32(1.0)
    inside = jax.jit(lambda x: x + number("b1", outer, UNIT))
    assert message(ValueError, lambda: inside(1.0)).startswith(
        "`b1` must lie in [0, 1)"
    )


def test_what_fixes_a_time_is_no_tracer():
    assert type(concrete("part", jnp.float32(0.5), UNIT)) is float
    assert concrete("part", 0, UNIT) == 0
    with pytest.raises(ValueError, match=r"`part` must lie in \[0, 1\), got 1"):
        concrete("part", 1, UNIT)
    with pytest.raises(
        TypeError, match="`part` must be a Python number, got .*float32"
    ):
        jax.jit(lambda x: concrete("part", x, UNIT))(0.5)


@pytest.mark.parametrize("value", [1, np.int64(1), np.uint8(1)])
def test_integers(value):
    assert type(integer("every", value, 1)) is int and integer("every", value, 1) == 1
    assert integer("every", 2**31 - 1, 1) == 2**31 - 1


@pytest.mark.parametrize(
    ("error", "value", "words"),
    [
        (ValueError, 0, "lie in [1, 2**31 - 1], got 0"),
        (ValueError, -5, "lie in [1, 2**31 - 1], got -5"),
        (ValueError, 2**31, "lie in [1, 2**31 - 1], got 2147483648"),
        (TypeError, 1.0, "be a Python integer, got 1.0"),
        (TypeError, NAN, "be a Python integer, got nan"),
        (TypeError, True, "be a Python integer, got True"),
        (TypeError, "1", "be a Python integer, got '1'"),
        (TypeError, None, "be a Python integer, got None"),
        (TypeError, np.int64([1]), "be a Python integer, got array([1])"),
        (TypeError, jnp.int32(1), "be a Python integer, got Array(1, dtype=int32)"),
    ],
)
def test_no_integer_in_range(error, value, words):
    said = message(error, lambda: integer("every", value, 1))
    assert said == f"`every` must {words}."
    with pytest.raises(
        TypeError, match="`every` must be a Python integer, got .*Tracer"
    ):
        jax.jit(lambda x: integer("every", x, 1))(1)


def test_scheduled_numbers_and_schedules():
    plain = Scheduled("rate", 0.5, NON_NEGATIVE)
    assert plain.init() == plain.next(()) == () and plain(()) == 0.5
    falling = Scheduled("rate", lambda count: 1 / (1 + count), NON_NEGATIVE)
    count, seen = falling.init(), []
    for _ in range(3):
        seen.append(float(falling(count)))
        count = falling.next(count)
    assert count == 3 and count.dtype == jnp.int32
    assert seen == pytest.approx([1, 1 / 2, 1 / 3])
    assert "`rate` must" in message(ValueError, lambda: Scheduled("rate", -1, POSITIVE))


def test_a_count_holds_at_the_largest_int32():
    last = jnp.int32(2**31 - 1)
    assert _checks.next_count(last - 1) == last == _checks.next_count(last)


def test_booleans():
    assert boolean("nesterov", True) is True
    assert boolean("nesterov", np.bool_(False)) is False
    for value in ("no", 1, None, jnp.array(True)):
        said = message(TypeError, lambda: boolean("nesterov", value))
        assert said == f"`nesterov` must be True or False, got {value!r}."


def test_one_of():
    assert one_of("activation", "relu", ("tanh", "relu")) == "relu"
    for name, nearest in (("rleu", "relu"), ("", "tanh"), (None, "tanh")):
        said = message(ValueError, lambda: one_of("activation", name, ("tanh", "relu")))
        words = f"must be one of tanh, relu, got {name!r}; the nearest is '{nearest}'"
        assert said == f"`activation` {words}."
