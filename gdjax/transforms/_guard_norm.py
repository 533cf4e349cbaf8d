"""Steps that the norm of their gradient alone shows to be good, for `guard`."""

import bisect
import math
from collections import Counter
from collections.abc import Sequence
from typing import TypeAlias

import jax
import jax.numpy as jnp
import optax
from jax.extend.core import ClosedJaxpr, Jaxpr, Literal, Var
from jax.tree_util import tree_leaves_with_path

from gdjax import tree
from gdjax.transforms import _bounds, _intervals
from gdjax.transforms._bounds import Interval
from gdjax.transforms._intervals import Value

Old: TypeAlias = jax.Array | None
_GUESSES = 40
_RUNGS = [*(1.25 * 2.0**k for k in range(-1000, 1000, 8)), math.inf]


def norm_suffices(
    inner: optax.GradientTransformation,
    closed: ClosedJaxpr,
    bound: float,
    made: optax.Updates,
    updates: optax.Updates,
    state: optax.OptState,
    params: optax.Params | None,
) -> bool:
    """Whether every step is good for which |g| is at most `bound`.

    By induction, in interval arithmetic over the traced rule `closed`, whose updates
    have the structure of `made`. For each array of the state an interval is guessed
    that holds what `init` makes of any finite parameters; if a step from any state
    inside leads to one inside, all are. It must also be too short to carry a finite
    parameter past the largest float: below a quarter of that one's last digit, decay
    aside. Nothing is proved where numbers may be set from outside (`hyperparams`) or
    are arguments of the program.
    """
    if any(hasattr(node, "hyperparams") for _, node in tree.nodes(state)):
        return False
    grads = [_of(g, bound, 2) for g in jax.tree.leaves(updates)]
    given = {path: _of(p, math.inf, 3) for path, p in tree_leaves_with_path(params)}
    known, dtypes = _start(inner, params, updates), _dtypes(state)
    rungs = sorted([*_RUNGS, 1.25 * bound, 1.25 * bound**2])
    paths = [path for path, _ in tree_leaves_with_path(made)]
    for _ in range(_GUESSES):
        floats = zip(known, map(_is_inexact, dtypes), strict=True)
        if not all(_bounds.is_finite(x) for x, is_float in floats if is_float):
            return False  # no wider guess is finite
        olds = [Value(*x, 2) for x in zip(known, dtypes, strict=True)]
        out = _intervals.results(closed, [*grads, *olds, *given.values()])
        steps, news = out[: len(out) - len(olds)], out[len(out) - len(olds) :]
        found = [value.interval for value in news]
        if all(map(_bounds.contains, known, found)):
            pairs = zip(paths, steps, strict=True)
            return all(_is_short(u, given.get(path)) for path, u in pairs)
        known = [_wider(*x, rungs) for x in zip(known, found, dtypes, strict=True)]
    return False


def _dtypes(state: optax.OptState) -> list[jnp.dtype]:
    return [jnp.result_type(leaf) for leaf in jax.tree.leaves(state)]


def _is_inexact(dtype: jnp.dtype) -> bool:
    return jnp.issubdtype(dtype, jnp.inexact)


def _of(leaf: jax.Array, bound: float, rank: int) -> Value:
    """A gradient up to `bound`, or any finite parameter; nothing of a complex one."""
    dtype = jnp.result_type(leaf)
    if not jnp.issubdtype(dtype, jnp.floating):
        return Value(None, dtype)
    most = min(bound, _bounds.limits(dtype)[1])
    return Value((-most, most), dtype, rank)


def _start(inner, params, updates) -> list[Interval]:
    """Of the state that `init` makes."""
    like = updates if params is None else params
    closed = jax.make_jaxpr(inner.init)(like)
    args = [_of(p, math.inf, 3) for p in jax.tree.leaves(like)]
    return [value.interval for value in _intervals.results(closed, args)]


def _wider(known, found, dtype: jnp.dtype, rungs: Sequence[float]) -> Interval:
    """Up and down to the next of few bounds, so that guesses come to an end."""
    if known is None or found is None:
        return None
    low, high = min(known[0], found[0]), max(known[1], found[1])
    if not _is_inexact(dtype):
        least, most = _bounds.limits(dtype)
        return (low if low == known[0] else least), (high if high == known[1] else most)
    up = lambda x: 0.0 if x <= 0 else rungs[bisect.bisect_left(rungs, x)]
    low = low if low == known[0] else -up(-low)
    return low, (high if high == known[1] else up(high))


def _is_short(u: Value, p: Value | None) -> bool:
    """Whether p + u is finite for all finite p; without p, whether u is."""
    if not _bounds.is_finite(u.interval):
        return False
    if p is None:
        return True
    eps = float(jnp.finfo(p.dtype).eps)
    digit = eps / 2 * _bounds.limits(p.dtype)[1]  # the last one of the largest
    decays = u.root is p and _bounds.contains((-1.0, eps / 16), u.slope)
    rest = u.rest if decays else u.interval  # roundings are a part of what p shrinks by
    return _bounds.contains((-digit / 4, digit / 4), rest)


def chosen_when_made(
    ok: jax.Array, closed: ClosedJaxpr, args: Sequence[jax.Array], olds: Sequence[Old]
) -> list[jax.Array]:
    """The results of a computation where `ok`, those with an `old` else that one.

    A result is chosen as soon as it is computed, and what comes after reads the choice:
    the same where ok, of no use elsewhere. So the new array is written over the old
    one. Chosen at the end both are needed at once, and XLA copies the whole state.
    """
    return _run(ok, closed.jaxpr, closed.consts, args, olds)


def _run(ok, jaxpr: Jaxpr, consts, args, olds: Sequence[Old]) -> list[jax.Array]:
    choose = lambda new, old: new if old is None else jnp.where(ok, new, old)
    known = dict(zip((*jaxpr.constvars, *jaxpr.invars), (*consts, *args), strict=True))
    read = lambda v: v.val if isinstance(v, Literal) else known[v]
    early = _early(jaxpr, olds)
    for eqn in jaxpr.eqns:
        xs, params = [read(v) for v in eqn.invars], eqn.params
        inside = [early.get(v) for v in eqn.outvars]
        if eqn.primitive.name in ("jit", "pjit") and inside != [None] * len(inside):
            inner = params["jaxpr"]
            outs = _run(ok, inner.jaxpr, inner.consts, xs, inside)
        else:
            outs = eqn.primitive.bind(*xs, **eqn.primitive.get_bind_params(params))
            outs = outs if eqn.primitive.multiple_results else [outs]
            outs = map(choose, outs, inside)
        known.update(zip(eqn.outvars, outs, strict=True))
    done = (not isinstance(v, Literal) and v in early for v in jaxpr.outvars)
    late = (None if chosen else old for chosen, old in zip(done, olds, strict=True))
    return list(map(choose, map(read, jaxpr.outvars), late))


def _early(jaxpr: Jaxpr, olds: Sequence[Old]) -> dict[Var, jax.Array]:
    """What can be chosen when it is made: computed here, and stored in one place."""
    made = {v for eqn in jaxpr.eqns for v in eqn.outvars}
    pairs = [
        (v, old)
        for v, old in zip(jaxpr.outvars, olds, strict=True)
        if old is not None and not isinstance(v, Literal) and v in made
    ]
    times = Counter(v for v, _ in pairs)
    return {v: old for v, old in pairs if times[v] == 1}
