"""How large the results of a traced computation can get, by interval arithmetic."""

import functools
import math
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jax.extend.core import ClosedJaxpr, Jaxpr, Literal

from gdjax import tree
from gdjax.transforms import _bounds
from gdjax.transforms._bounds import (
    COMPARED,
    ZERO,
    Bounds,
    Interval,
    elementwise,
    flushed,
    hull,
    is_finite,
)


class Value:
    """What is known of one array: its interval, and that it is slope * root + rest.

    Of two roots of a sum or product the one of higher rank is kept: constants have 0,
    results 1, arguments what they are given.
    """

    def __init__(self, interval: Interval, dtype: jnp.dtype, rank: int = 1) -> None:
        self.interval, self.dtype = flushed(interval, dtype), dtype
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
            largest, size = (
                hull(*(arg.interval for arg in args)),
                sum(map(math.prod, shapes)),
            )
            return [Value(_bounds.norm(largest, size, dtypes[0]), dtypes[0])]
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
        return [Value(_bounds.summed(args[0].interval, terms, dtype), dtype)]
    return [_elementwise(name, params.get("y"), args, dtype)]


def _is_global_norm(closed: ClosedJaxpr) -> bool:
    """Ours, not only of its name: the branch that it takes is not seen through."""
    leaves = (jax.ShapeDtypeStruct(x.shape, x.dtype) for x in closed.in_avals)
    return str(closed) == _global_norm(tuple(leaves))


@functools.lru_cache(maxsize=64)
def _global_norm(leaves: tuple[jax.ShapeDtypeStruct, ...]) -> str:
    return str(tree.global_norm.trace(leaves).jaxpr)


def _elementwise(name: str, y: int | None, args: list[Value], dtype) -> Value:
    apply = lambda name, *intervals: elementwise(name, dtype, y, intervals)
    out = Value(apply(name, *(arg.interval for arg in args)), dtype)
    if len(args) == 1:
        (x,) = args
        widened = name == "convert_element_type" and jnp.issubdtype(dtype, jnp.floating)
        if name == "neg" or (widened and x.dtype != jnp.bool_):
            out.line(x.root, apply(name, x.slope), apply(name, x.rest))
    elif len(args) == 2:
        a, b = args
        if name in COMPARED and b.interval is not None:
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
        apply = lambda name, *intervals: elementwise(name, dtype, None, intervals)
        for k, says in enumerate((COMPARED[name][1], name)):
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
