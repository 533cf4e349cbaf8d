"""Interval arithmetic over a traced computation: how large its results can get."""

import functools
import itertools
import math
import operator
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jax.extend.core import ClosedJaxpr, Jaxpr, Literal

from gdjax import tree

# No entry is NaN and all lie in [low, high], which may be infinite.
Bounds: TypeAlias = tuple[float, float]
Interval: TypeAlias = Bounds | None  # unknown
ZERO, TRUTH = (0.0, 0.0), (0.0, 1.0)


class Value:
    """What is known of one array: its interval, and that it is slope * root + rest.

    Of two roots of a sum or product the one of higher rank is kept: constants have 0,
    results 1, arguments what they are given.
    """

    def __init__(self, interval: Interval, dtype: jnp.dtype, rank: int = 1) -> None:
        self.interval, self.dtype = _flushed(interval, dtype), dtype
        self.root, self.slope, self.rest = self, (1.0, 1.0), ZERO
        self.rank = rank
        self.test: tuple[str, Value, Bounds] | None = None  # what a truth says

    def line(self, root: "Value", slope: Interval, rest: Interval) -> None:
        """Unless this may have overflowed: then it is no line."""
        if is_finite(self.interval) and is_finite(slope) and is_finite(rest):
            self.root, self.slope, self.rest = root, slope, rest


def results(closed: ClosedJaxpr, args: Sequence[Value]) -> list[Value]:
    """What is known of the results of a computation.

    Sound for rounded arithmetic: rounding keeps order, and four units of the dtype are
    added to each bound for contracted products and approximate roots. Not for constants
    that XLA merges into one that is 0 or infinite, as 1e-30 and again 1e-30.
    """
    return _run(closed.jaxpr, closed.consts, args)


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


def _flushed(interval: Interval, dtype: jnp.dtype) -> Interval:
    """With 0, if it may have what is below the normal numbers: that can count as 0."""
    if interval is None or not jnp.issubdtype(dtype, jnp.floating):
        return interval
    (low, high), tiny = interval, float(jnp.finfo(dtype).tiny)
    return 0.0 if 0 < low < tiny else low, 0.0 if -tiny < high < 0 else high


def _run(jaxpr: Jaxpr, consts: Sequence[Any], args: Sequence[Value]) -> list[Value]:
    dtype_of: Callable[[Any], Any] = lambda v: v.aval.dtype
    constants = map(_constant, consts, map(dtype_of, jaxpr.constvars))
    known = dict(zip(jaxpr.constvars, constants, strict=True))
    known |= dict(zip(jaxpr.invars, args, strict=True))

    def read(v):
        return _constant(v.val, dtype_of(v)) if isinstance(v, Literal) else known[v]

    for eqn in jaxpr.eqns:
        outs = _equation(eqn, [read(v) for v in eqn.invars])
        known.update(zip(eqn.outvars, outs, strict=True))
    return [read(v) for v in jaxpr.outvars]


def _constant(x: Any, dtype: jnp.dtype) -> Value:
    if isinstance(x, Tracer) or not _is_real(dtype) or not np.size(x):
        return Value(None, dtype, 0)
    x = np.asarray(x)  # which no trace takes for its own
    low, high = float(x.min()), float(x.max())
    known = not (math.isnan(low) or math.isnan(high))
    return Value((low, high) if known else None, dtype, 0)


def _is_real(dtype: jnp.dtype) -> bool:
    return any(jnp.issubdtype(dtype, k) for k in (jnp.floating, jnp.integer, jnp.bool_))


_CALLS = {"jit", "pjit", "closed_call", "core_call", "remat2", "checkpoint"}
_CALLS |= {"custom_jvp_call", "custom_vjp_call"}
# Entries stay where they are, in order; or they move, and are others' neighbours then.
_SAME = {"reshape", "squeeze", "expand_dims", "copy", "copy_p", "pvary", "pcast"}
_SAME |= {"sharding_constraint", "reduce_precision"}
_MOVED = {"broadcast_in_dim", "transpose", "slice", "rev", "reduce_max", "reduce_min"}


def _equation(eqn, args: list[Value]) -> list[Value]:
    name, params = eqn.primitive.name, eqn.params
    dtypes = [v.aval.dtype for v in eqn.outvars]
    shapes = [v.aval.shape for v in eqn.invars]
    if name == "optimization_barrier":
        return args
    if name in _CALLS:
        inner = params["jaxpr"] if "jaxpr" in params else params["call_jaxpr"]
        if params.get("name") == "global_norm" and _is_global_norm(inner):
            return [Value(_norm(args, shapes, dtypes[0]), dtypes[0])]
        return _run(getattr(inner, "jaxpr", inner), getattr(inner, "consts", ()), args)
    if name == "cond":
        branches = [_run(b.jaxpr, b.consts, args[1:]) for b in params["branches"]]
        each = [[x.interval for x in values] for values in zip(*branches, strict=True)]
        return [Value(hull(*x), d) for x, d in zip(each, dtypes, strict=True)]
    if len(dtypes) != 1 or not _is_real(dtypes[0]):
        return [Value(None, dtype) for dtype in dtypes]
    (dtype,) = dtypes
    if name in _SAME or name == "broadcast_in_dim" and shapes[0] == ():
        return [args[0]]
    if name in _MOVED and 0 not in shapes[0]:
        return [Value(args[0].interval, dtype)]
    if name == "select_n":
        return [_select(args, dtype)]
    if name == "reduce_sum":
        terms = math.prod(shapes[0]) // max(1, math.prod(eqn.outvars[0].aval.shape))
        return [Value(_sum(args[0].interval, terms, dtype), dtype)]
    return [_elementwise(name, params.get("y"), args, dtype)]


def _is_global_norm(closed: ClosedJaxpr) -> bool:
    """Ours, not only of its name: the branch that it takes is not seen through."""
    leaves = (jax.ShapeDtypeStruct(x.shape, x.dtype) for x in closed.in_avals)
    return str(closed) == _global_norm(tuple(leaves))


@functools.lru_cache(maxsize=64)
def _global_norm(leaves: tuple[jax.ShapeDtypeStruct, ...]) -> str:
    return str(tree.global_norm.trace(leaves).jaxpr)


def _norm(args: Sequence[Value], shapes, dtype) -> Interval:
    bounds = hull(*(arg.interval for arg in args))
    if bounds is None:
        return None
    largest = max(-bounds[0], bounds[1])
    return _rounded(0.0, math.sqrt(sum(map(math.prod, shapes))) * largest, dtype)


def _sum(interval: Interval, terms: int, dtype) -> Interval:
    """Each addition may round up all that came before."""
    if interval is None or not jnp.issubdtype(dtype, jnp.floating):
        return None
    low, high = interval
    if low == -math.inf and high == math.inf:
        return None
    most = terms * math.exp(min(700.0, terms * float(jnp.finfo(dtype).eps)))
    return _rounded(min(0.0, most * low), max(0.0, most * high), dtype)


def _elementwise(name: str, y: int | None, args: list[Value], dtype) -> Value:
    apply = lambda name, *intervals: _interval(name, dtype, y, intervals)
    out = Value(apply(name, *(arg.interval for arg in args)), dtype)
    if len(args) == 1:
        (x,) = args
        widened = name == "convert_element_type" and jnp.issubdtype(dtype, jnp.floating)
        if name == "neg" or (widened and x.dtype != jnp.bool_):
            out.line(x.root, apply(name, x.slope), apply(name, x.rest))
    elif len(args) == 2:
        a, b = args
        if name in _COMPARED and b.interval is not None:
            out.test = name, a, b.interval
        elif name == "mul" and a.root is b.root and a.rest == b.rest == ZERO:
            square = apply("square", a.root.interval)
            out.interval = apply("mul", apply("mul", a.slope, b.slope), square)
        elif name in ("mul", "add", "div", "sub") and a.root is not b.root:
            if name in ("mul", "add") and b.root.rank > a.root.rank:
                a, b = b, a
            slope = (
                a.slope if name in ("add", "sub") else apply(name, a.slope, b.interval)
            )
            out.line(a.root, slope, apply(name, a.rest, b.interval))
    return out


def _select(args: list[Value], dtype) -> Value:
    """where(x > c, x, y): the x that it takes is the larger one."""
    which, *cases = args
    if which.interval is not None and which.interval[0] == which.interval[1]:
        return cases[int(which.interval[0])]
    intervals = [case.interval for case in cases]
    if which.test is not None and len(cases) == 2:
        name, x, bounds = which.test
        apply = lambda name, *intervals: _interval(name, dtype, None, intervals)
        for k, says in enumerate((_COMPARED[name][1], name)):
            case, part = cases[k], _refined(x, says, bounds)
            if case is x:
                intervals[k] = part
            elif case.root is x:
                intervals[k] = apply("add", apply("mul", case.slope, part), case.rest)
    return Value(hull(*intervals), dtype)


def _refined(x: Value, says: str, bounds: Bounds) -> Interval:
    """Of x, where it compares so with something within `bounds`."""
    if x.interval is None:
        return None
    low, high = x.interval
    strict = float(jnp.issubdtype(x.dtype, jnp.integer) and says in ("lt", "gt"))
    if says in ("gt", "ge"):
        low = max(low, bounds[0] + strict)
    else:
        high = min(high, bounds[1] - strict)
    return (low, high) if low <= high else x.interval


# {comparison: (its function, the name of its contrary)}
_COMPARED: dict[str, tuple[Callable, str]] = {
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
def _interval(
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
    if name in _COMPARED:
        says, contrary = _COMPARED[name]
        otherwise, pairs = _COMPARED[contrary][0], list(itertools.product(*args))
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
