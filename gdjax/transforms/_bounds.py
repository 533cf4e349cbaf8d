"""Arithmetic of intervals: what one operation makes of all numbers within bounds."""

import functools
import itertools
import math
import operator
from collections.abc import Callable, Sequence
from typing import TypeAlias

import jax.numpy as jnp
import numpy as np

# No entry is NaN and all lie in [low, high], which may be infinite.
Bounds: TypeAlias = tuple[float, float]
Interval: TypeAlias = Bounds | None  # unknown
ZERO, TRUTH = (0.0, 0.0), (0.0, 1.0)


def hull(*several: Interval) -> Interval:
    """The least interval that holds all of them."""
    known = [bounds for bounds in several if bounds is not None]
    if len(known) < len(several):
        return None
    lows, highs = zip(*known, strict=True)
    return min(lows), max(highs)


def contains(outer: Interval, inner: Interval) -> bool:
    if outer is None or inner is None:
        return outer is None
    return outer[0] <= inner[0] and inner[1] <= outer[1]


def is_finite(interval: Interval) -> bool:
    return interval is not None and math.inf not in map(abs, interval)


def limits(dtype: jnp.dtype) -> Bounds:
    """The least and the largest number of a dtype."""
    if dtype == jnp.bool_:
        return TRUTH
    is_float = jnp.issubdtype(dtype, jnp.floating)
    info = jnp.finfo(dtype) if is_float else jnp.iinfo(dtype)
    return float(info.min), float(info.max)


def flushed(interval: Interval, dtype: jnp.dtype) -> Interval:
    """With 0, if it may have what is below the normal numbers: that can count as 0."""
    if interval is None or not jnp.issubdtype(dtype, jnp.floating):
        return interval
    (low, high), tiny = interval, float(jnp.finfo(dtype).tiny)
    return 0.0 if 0 < low < tiny else low, 0.0 if -tiny < high < 0 else high


# {comparison: (its function, the name of its contrary)}
COMPARED: dict[str, tuple[Callable, str]] = {
    "lt": (operator.lt, "ge"),
    "le": (operator.le, "gt"),
    "gt": (operator.gt, "le"),
    "ge": (operator.ge, "lt"),
}
# What follows the order of each argument, up or down, whatever the others are.
_MONOTONE: dict[str, Callable] = {
    "add": np.add,
    "sub": np.subtract,
    "mul": np.multiply,
    "div": np.divide,
    "max": np.maximum,
    "min": np.minimum,
    "clamp": lambda low, x, high: np.minimum(np.maximum(x, low), high),
    "pow": np.power,
    "neg": np.negative,
    "sign": np.sign,
    "sqrt": np.sqrt,
    "rsqrt": lambda x: 1 / np.sqrt(x),
    "exp": np.exp,
    "exp2": np.exp2,
    "expm1": np.expm1,
    "log": np.log,
    "log1p": np.log1p,
    "tanh": np.tanh,
    "logistic": lambda x: 1 / (1 + np.exp(-x)),
    "floor": np.floor,
    "ceil": np.ceil,
    "round": np.round,
    "convert_element_type": np.positive,
}
_LEAST = {"log": 0.0, "sqrt": 0.0, "log1p": -1.0, "pow": 0.0}


@functools.lru_cache(maxsize=1 << 14)  # a hundred leaves are handled alike
def elementwise(
    name: str, dtype: jnp.dtype, y: int | None, args: tuple[Interval, ...]
) -> Interval:
    """Of one elementwise operation."""
    known = [bounds for bounds in args if bounds is not None]
    if dtype == jnp.bool_:
        return _truth(name, known) if len(known) == len(args) else TRUTH
    if len(known) < len(args):
        return None
    if name in ("sin", "cos"):
        return (-1.0, 1.0) if is_finite(known[0]) else None
    if name == "rem":
        return _remainder(*known)
    if name == "and":  # bits that both have
        (low, high), (least, most) = known
        return (0.0, min(high, most)) if low >= 0 and least >= 0 else None
    if name in ("abs", "square", "integer_pow"):
        return _power(known[0], 2 if y is None else y, name, dtype)
    if name not in _MONOTONE or _may_be_nan(name, known):
        return None
    return _corners(_MONOTONE[name], known, dtype)


def _corners(function: Callable, args: Sequence[Bounds], dtype) -> Interval:
    with np.errstate(all="ignore"):
        found = [float(function(*map(np.float64, c))) for c in itertools.product(*args)]
    if any(map(math.isnan, found)):
        return None
    return _rounded(min(found), max(found), dtype)


def _may_be_nan(name: str, args: Sequence[Bounds]) -> bool:
    """Where no corner shows it: what lies between is undefined, or 0 times inf."""
    (low, _), *others = args
    if name == "mul":
        pairs = itertools.permutations(args)
        return any(x[0] < 0 < x[1] and not is_finite(y) for x, y in pairs)
    if name == "div":
        return others[0][0] <= 0 <= others[0][1]
    if low <= 0 and (name == "rsqrt" or name == "pow" and others[0][0] < 0):
        return True  # of -0.0 it is -inf
    return low < _LEAST.get(name, -math.inf)


def _power(x: Bounds, exponent: int, name: str, dtype) -> Interval:
    if exponent < 0 and x[0] <= 0 <= x[1]:
        return None
    even = name == "abs" or exponent % 2 == 0
    function = np.abs if name == "abs" else lambda x: np.power(x, float(exponent))
    parts = [x, ZERO] if even and exponent > 0 and x[0] < 0 < x[1] else [x]
    return hull(*(_corners(function, [part], dtype) for part in parts))


def _remainder(x: Bounds, y: Bounds) -> Interval:
    """Of a division towards zero: smaller than y, and of the sign of x."""
    if y[0] <= 0 <= y[1] or not is_finite(x):
        return None
    most = max(map(abs, y))
    return max(min(0.0, x[0]), -most), min(max(0.0, x[1]), most)


def _truth(name: str, args: Sequence[Bounds]) -> Bounds:
    if name in COMPARED:
        says, contrary = COMPARED[name]
        otherwise, pairs = COMPARED[contrary][0], list(itertools.product(*args))
        if all(says(a, b) for a, b in pairs):
            return 1.0, 1.0
        if all(otherwise(a, b) for a, b in pairs):
            return ZERO
    if name == "eq" and (args[0][1] < args[1][0] or args[1][1] < args[0][0]):
        return ZERO
    return TRUTH


def _rounded(low: float, high: float, dtype: jnp.dtype) -> Bounds:
    """Outwards by the slack of a float, infinite past the largest; sign kept.

    An integer that overflows can be any.
    """
    least, most = limits(dtype)
    if jnp.issubdtype(dtype, jnp.integer):
        fits = least <= low and high <= most
        return (math.floor(low), math.ceil(high)) if fits else (least, most)
    info = jnp.finfo(dtype)
    eps, tiny = 4 * float(info.eps), 2 * float(info.tiny)

    def upwards(x):
        x = min(x * (1 - eps) + tiny, 0.0) if x <= 0 else x * (1 + eps) + tiny
        return math.inf if x > most else x

    return -upwards(-low), upwards(high)


def norm(interval: Interval, size: int, dtype: jnp.dtype) -> Interval:
    """sqrt(sum |x|^2) of `size` numbers."""
    if interval is None:
        return None
    largest = max(-interval[0], interval[1])
    return _rounded(0.0, math.sqrt(size) * largest, dtype)


def summed(interval: Interval, terms: int, dtype) -> Interval:
    """Each addition may round up all that came before."""
    if interval is None or not jnp.issubdtype(dtype, jnp.floating):
        return None
    low, high = interval
    if low == -math.inf and high == math.inf:
        return None
    most = terms * math.exp(min(700.0, terms * float(jnp.finfo(dtype).eps)))
    return _rounded(min(0.0, most * low), max(0.0, most * high), dtype)
