"""Numbers that users pass: checked once when a transformation is built."""

import difflib
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TypeAlias, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.core import Tracer

Number: TypeAlias = float | jax.Array
NumberOrSchedule: TypeAlias = Number | optax.Schedule
Mask: TypeAlias = optax.Params | Callable[[optax.Params], optax.Params] | None
Count: TypeAlias = jax.Array | tuple[()]  # i32[]; () where nothing is scheduled

DType: TypeAlias = jax.typing.DTypeLike
T = TypeVar("T")
MAX_INT = 2**31 - 1


@dataclass(frozen=True)
class Range:
    """A set of numbers with the words that describe it."""

    words: str
    contains: Callable[[float], bool]


UNIT = Range("lie in [0, 1)", lambda x: 0 <= x < 1)
NON_NEGATIVE = Range("be finite and >= 0", lambda x: 0 <= x < float("inf"))
POSITIVE = Range("be finite and > 0", lambda x: 0 < x < float("inf"))
FINITE = Range("be finite", lambda x: abs(x) < float("inf"))


def number(name: str, value: Number, allowed: Range) -> Number:
    """`value`, a real scalar: concrete ones inside `allowed`, tracers as they are.

    A Python or NumPy number comes back as a `float`, an array in at least f32, so that
    a bf16 0.999 does not turn the arithmetic with it into bf16.

    Raises:
      TypeError: it is no real number (a bool, a string, a schedule ...).
      ValueError: it is no scalar, or lies outside `allowed`.
    """
    if callable(value):
        raise TypeError(
            f"`{name}` must be a number, got {value!r}: only learning rates and weight "
            "decays take a schedule; `inject_hyperparams` schedules any number."
        )
    # numpy, because under a jit even a concrete `jax.Array` cannot be branched on.
    array: jax.Array | np.ndarray
    array = value if isinstance(value, Tracer) else np.asarray(value)
    # Extended floats such as bfloat16 have the kind "V" in numpy.
    real = np.issubdtype(array.dtype, np.integer) or jnp.issubdtype(
        array.dtype, jnp.floating
    )
    if not real:
        raise TypeError(f"`{name}` must be a number, got {value!r}.")
    if array.ndim:
        raise ValueError(
            f"`{name}` must be a scalar, got shape {array.shape}; vmap over it instead."
        )
    if not isinstance(array, Tracer) and not allowed.contains(float(array)):
        raise ValueError(f"`{name}` must {allowed.words}, got {value}.")
    if not isinstance(value, jax.Array):
        return float(array)
    return jnp.asarray(value, jnp.promote_types(value.dtype, jnp.float32))


def concrete(name: str, value: float, allowed: Range) -> float:
    """`value` as a `float`, for what fixes a time: no tracer.

    Raises:
      TypeError: it is a tracer, or no real number.
      ValueError: it is no scalar, or lies outside `allowed`.
    """
    if isinstance(value, Tracer):
        raise TypeError(f"`{name}` must be a Python number, got {value!r}.")
    return float(number(name, value, allowed))


def integer(name: str, value: int, minimum: int) -> int:
    """`value`, a concrete integer in [minimum, 2**31 - 1], as an `int`.

    Raises:
      TypeError: it is no integer, or a tracer: it fixes a shape, a loop or a time.
      ValueError: it lies outside the interval.
    """
    if isinstance(value, (bool, Tracer)) or not isinstance(value, (int, np.integer)):
        raise TypeError(f"`{name}` must be a Python integer, got {value!r}.")
    if not minimum <= value <= MAX_INT:
        raise ValueError(f"`{name}` must lie in [{minimum}, 2**31 - 1], got {value}.")
    return int(value)


def boolean(name: str, value: bool) -> bool:
    """`value`, which must be a concrete True or False, as a `bool`.

    Raises:
      TypeError: it is neither: a string such as "no" would count as true.
    """
    if not isinstance(value, (bool, np.bool_)):
        raise TypeError(f"`{name}` must be True or False, got {value!r}.")
    return bool(value)


def listed(name: str, values: Iterable[T]) -> list[T]:
    """`values` as a list.

    Raises:
      TypeError: they cannot be gone through one by one.
    """
    if not isinstance(values, Iterable):
        raise TypeError(f"`{name}` must be a list, got {values!r}.")
    return list(values)


def floating(name: str, dtype: DType | None) -> DType | None:
    """`dtype`, which must be that of real or complex floats, or `None`.

    Raises:
      TypeError: it is another one, or none at all.
    """
    try:
        is_array = isinstance(dtype, (jax.Array, np.ndarray))
        if dtype is None or (
            not is_array and jnp.issubdtype(jnp.dtype(dtype), jnp.inexact)
        ):
            return dtype
    except TypeError:
        pass  # no dtype at all: said below
    raise TypeError(f"`{name}` must be a floating dtype or None, got {dtype!r}.")


def one_of(argument: str, name: str, allowed: Iterable[str]) -> str:
    """`name`, which must be one of `allowed`.

    Raises:
      ValueError: it is not; the message has the nearest name that is.
    """
    allowed = list(allowed)
    if name not in allowed:
        raise ValueError(
            f"`{argument}` must be one of {', '.join(allowed)}, got {name!r}"
            f"{nearest(name, allowed)}."
        )
    return name


def regex(name: str, value: str) -> re.Pattern[str]:
    """`value`, a regular expression, compiled.

    Raises:
      TypeError: it is no string.
      ValueError: it is no regular expression.
    """
    if not isinstance(value, str):
        raise TypeError(f"`{name}` must be a regular expression, got {value!r}.")
    try:
        return re.compile(value)
    except re.error as error:
        raise ValueError(
            f"`{name}`: {value!r} is no regular expression: {error}."
        ) from None


def nearest(name: object, allowed: Iterable[str]) -> str:
    """The end of a sentence on a wrong name: which right one comes nearest to it."""
    found = difflib.get_close_matches(str(name), allowed, n=1, cutoff=0)
    return f"; the nearest is {found[0]!r}" if found else ""


class Scheduled:
    """A number or a schedule of it, read once a step by the count in a state.

    A schedule sees the number of updates already made: 0 at the first. Where the
    number is none the count is `()`, no leaf at all.
    """

    def __init__(self, name: str, value: NumberOrSchedule, allowed: Range):
        self._name = name
        self._value = value if callable(value) else number(name, value, allowed)

    def init(self) -> Count:
        return jnp.zeros([], jnp.int32) if callable(self._value) else ()

    def __call__(self, count: Count) -> Number:
        if not callable(self._value):
            return self._value
        value = self._value(jnp.asarray(count))
        is_array = isinstance(value, (jax.Array, np.ndarray, np.generic, float, int))
        if not is_array or np.shape(value) or jnp.iscomplexobj(value):
            raise ValueError(
                f"the schedule of `{self._name}` must return a real scalar, got "
                f"{value!r}."
            )
        return jnp.asarray(value, float)

    def next(self, count: Count) -> Count:
        return next_count(jnp.asarray(count)) if callable(self._value) else ()


def next_count(count: jax.Array) -> jax.Array:
    """count + 1, held at the largest int32."""
    return jnp.asarray(optax.safe_increment(count))
