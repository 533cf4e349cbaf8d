"""A guard around an optimizer: steps that would break the run are skipped."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.core import Tracer
from jax.tree_util import KeyPath, tree_flatten_with_path

from gdjax import tree
from gdjax._checks import integer, next_count
from gdjax._wrapping import cond, ordered, require_step


class GuardState(NamedTuple):
    inner_state: optax.OptState
    num_consecutive: jax.Array  # i32[], steps skipped in a row up to the last one
    num_skipped: jax.Array  # i32[], steps skipped in all
    bad_leaf: jax.Array  # i32[], place of the first bad leaf of the last of them
    gave_up: jax.Array | tuple[()]  # bool[], () without max_consecutive

    def metrics(self) -> dict[str, jax.Array]:
        said = {
            "num_skipped": self.num_skipped,
            "num_consecutive": self.num_consecutive,
        }
        if not isinstance(self.gave_up, tuple):
            said["guard_gave_up"] = self.gave_up.astype(jnp.float32)
        return said

    def first_bad(self, params: optax.Params) -> str | None:
        """`params/PATH` or `inner_state/PATH`, for which the last skip was.

        The first of these is a parameter whose gradient, next value, or state of its
        shape was bad.
        """
        if not self.num_skipped:
            return None
        state = self.inner_state
        places = list(_good(params, params, params, state, state))
        num_params = len(jax.tree.leaves(params, is_leaf=tree.is_absent))
        place = int(self.bad_leaf)
        whose = "params" if place < num_params else "inner_state"
        return f"{whose}/{tree.path_name(places[place])}".removesuffix("/")


def guard(
    inner: optax.GradientTransformation, max_consecutive: int | None = None
) -> optax.GradientTransformationExtraArgs:
    """Step around an optimizer: its own step, unless that would break the run.

        u, s' = inner's update and next state
        u_t, s_t = (u, s') if |g|^2 < 2^127 and p + u and s' are finite, else (0, s)

    A skipped step leaves the whole state of `inner` as it was, bit for bit, its counts
    included. p + u is rounded as the parameters are: a bf16 overflow counts. A gradient
    of 1e20, whose square is inf in f32 (2^1023 is the limit where all is f64), costs
    one step: a second moment that took it in would hold Adam still for good, infinite
    or not. (Optax's `apply_if_finite` lets it pass.) What was NaN already, or stays the
    same infinity, as the best value of a plateau before its first, is not held against
    a step. Without `params` in `update` the updates are judged instead of p + u. Inside
    `shard_map` each device decides by what it has: give it the mean gradient.

    Where it can be proved, when `update` is traced, that for every finite p and every
    state that `init` and `update` can lead to |g|^2 < 2^127 suffices, nothing else is
    looked at: one pass over the gradient. So it is of SGD, RMSprop, Adam, NAdam,
    AdaMax, AdEMAMix, Lion, with momentum, weight decay, most schedules, also behind
    `clip_by_global_norm`, Optax's own as well; not in f16, for complex parameters,
    rates that are arguments or hyperparameters of the state, averages, eps = 0. There
    a pass over gradient, parameters and state decides.

    All steps are looked at, also after `max_consecutive`. Averages stand inside
    (`guard(swa(tx))`), where a skipped step counts for nothing.

    Args:
      inner: an optimizer, learning rate included.
      max_consecutive: steps that may be skipped in a row, >= 0. One more, and `metrics`
        say `guard_gave_up`, 1 until a step is good again: `fit` then ends the run.

    Returns:
      A transformation with state `GuardState`, whose `metrics` have `num_skipped`,
      `num_consecutive`, and `guard_gave_up` (0 or 1) with `max_consecutive`.

    Raises:
      ValueError: `max_consecutive` < 0; `inner` is a direction.
      TypeError: `max_consecutive` is no integer, `inner` no transformation; from
        `init`, a parameter is not floating.

    Example:
      >>> tx, p = guard(optax.adam(0.1)), jnp.ones(1)
      >>> state = tx.init(p)
      >>> for g in (1.0, 1e20, 1.0):
      ...     u, state = tx.update(jnp.array([g]), state, p)
      ...     print(u.round(3), state.num_skipped)
      [-0.1] 0
      [0.] 1
      [-0.1] 1
    """
    inner = require_step("guard", inner)
    if max_consecutive is not None:
        max_consecutive = integer("max_consecutive", max_consecutive, 0)

    def init(params):
        tree.require_floating(params)
        zero = lambda kind=jnp.int32: jnp.zeros([], kind)
        gave_up = () if max_consecutive is None else zero(bool)
        inner_state = ordered("guard", inner.init(params))
        return GuardState(inner_state, zero(), zero(), zero(), gave_up)

    def update(updates, state, params=None, **extra):
        old = state.inner_state

        def make(updates, old, params):
            u, new = inner.update(updates, old, params, **extra)
            return u, jax.tree.map(tree.stored, new, old)

        args = updates, old, params
        decide = _traced if _is_traced(args) else _eager
        u, new, ok, place = decide(inner, make, *args)
        consecutive = jnp.where(ok, 0, next_count(state.num_consecutive))
        gave_up = () if max_consecutive is None else consecutive > max_consecutive
        return u, GuardState(
            new,
            consecutive,
            jnp.where(ok, state.num_skipped, next_count(state.num_skipped)),
            jnp.where(ok, state.bad_leaf, place),
            gave_up,
        )

    return optax.GradientTransformationExtraArgs(init, update)


def _traced(inner, make: Callable, updates, old, params):
    """Updates, next state, whether the step is good, and the place that is not."""
    # Not loaded by `import optax`, so not by `import gdjax`.
    from jax.extend.core import jaxpr_as_fun

    from gdjax.transforms._guard_norm import chosen_when_made, norm_suffices

    args = updates, old, params
    bound = 1.001 * _largest_square(updates) ** 0.5
    closed, shape = jax.make_jaxpr(make, return_shape=True)(*args)
    leaves, treedef = jax.tree.leaves(args), jax.tree.structure(shape)
    olds, size = jax.tree.leaves(old), len(jax.tree.leaves(shape[0]))
    run = lambda: jaxpr_as_fun(closed)(*leaves)
    kept = lambda out: [*map(jnp.zeros_like, out[:size]), *olds]
    if norm_suffices(inner, closed, bound, shape[0], *args):
        ok, place = _verdict(updates)
        ok = _apart(ok)
        out = chosen_when_made(ok, closed, leaves, [None] * size + olds)
        out = [*_where(ok, out[:size], kept(out)[:size]), *out[size:]]
    elif _is_dear(closed.jaxpr):
        out = jax.lax.optimization_barrier(run())
        ok, place = _judge(*args, *treedef.unflatten(out))
        out = _where(_apart(ok), out, kept(out))
    else:  # of the first time nothing is stored but flags
        out = run()
        ok, place = _judge(*args, *treedef.unflatten(out))
        out = cond(ok, run, lambda: kept(out))
    return *treedef.unflatten(out), ok, place


def _where(ok: jax.Array, new: Sequence, old: Sequence) -> list[jax.Array]:
    return [jnp.where(ok, x, y) for x, y in zip(new, old, strict=True)]


def _eager(inner, make: Callable, updates, old, params):
    """The same of numbers that are there, if `inner` is not built from others."""
    u, new = make(updates, old, params)
    ok, place = _judge(updates, old, params, u, new)
    if _is_traced(ok):
        return _traced(inner, make, updates, old, params)
    if not ok:
        u, new = jax.tree.map(jnp.zeros_like, u), old
    return u, new, ok, place


def _apart(ok: jax.Array) -> jax.Array:
    """`ok`, by a branch of a scalar.

    Else XLA puts the sum that it comes from into every kernel that selects by it, and
    compiles for minutes.
    """
    return cond(ok, lambda: jnp.array(True), lambda: jnp.array(False))


def _largest_square(grads: optax.Updates) -> float:
    """|g|^2 below it is finite, with room for rounding: 2^127 in f32."""
    dtypes = (tree.compute_dtype(jnp.result_type(g)) for g in jax.tree.leaves(grads))
    return 2.0 ** (min((jnp.finfo(d).maxexp for d in dtypes), default=128) - 1)


def _verdict(grads: optax.Updates, flags: Sequence[jax.Array] = ()):
    """Whether |g|^2 and the `flags` of all places are good, and the first bad place.

    If none is bad by itself, that of the largest gradient.
    """
    leaves, zero = jax.tree.leaves(grads, is_leaf=tree.is_absent), jnp.zeros([])
    norms = [
        zero if tree.is_absent(g) else jnp.sum(tree.abs_sq(tree.widened(g)))
        for g in leaves
    ]
    limit = _largest_square(grads)
    squares = jnp.array([*norms, *[zero] * (len(flags) - len(norms) + 1)])
    each = jnp.array([*flags, True]) if flags else True
    each &= squares < limit
    largest, bad = jnp.argmax(squares), jnp.argmin(each)
    place = jnp.where(jnp.all(each), largest, bad).astype(jnp.int32)
    return jnp.all(each) & (jnp.sum(squares) < limit), place


@jax.jit  # eagerly each operation on each shape would compile
def _judge(grads, old, params, u, new) -> tuple[jax.Array, jax.Array]:
    """Whether all is good, and the first place where it is not."""
    start = jax.tree.map(jnp.zeros_like, u) if params is None else params
    flags = list(_good(grads, start, tree.next_params(start, u), old, new).values())
    # Behind a barrier a flag is one pass over what it is made of; inside of its own
    # reduction XLA computes it number by number: 2.4 times as long on a CPU.
    flags = jax.lax.optimization_barrier(flags)
    return _verdict(grads, [*map(jnp.all, flags)])


def _good(grads, params, moved, old, new) -> dict[KeyPath, jax.Array]:
    """{path: good [shape]}: parameters, each with the state of its path and shape.

    Then the other leaves of the state. Together, so that what makes them is read once.
    """
    named, treedef = tree_flatten_with_path(grads, tree.is_absent)
    paths, flags = [path for path, _ in named], {}
    columns = map(treedef.flatten_up_to, (grads, params, moved))
    for path, g, p, x in zip(paths, *columns, strict=True):
        flags[path] = jnp.ones(() if tree.is_absent(p) else np.shape(p), bool)
        if not tree.is_absent(g):
            flags[path] = _is_good(p, x)
    before, after = tree_flatten_with_path(old)[0], jax.tree.leaves(new)
    for (path, x), y in zip(before, after, strict=True):
        if jnp.issubdtype(jnp.result_type(x), jnp.inexact):
            good, tails = _is_good(x, y), (path[i:] for i in range(len(path)))
            same = (t for t in tails if t in flags and flags[t].shape == good.shape)
            owner = next(same, path)
            flags[owner] = flags[owner] & good if owner in flags else good
    return flags


def _is_good(old: jax.Array, new: jax.Array) -> jax.Array:
    return jnp.isfinite(new) | (new == old) | jnp.isnan(old)


_DEAR = {"dot_general", "conv_general_dilated", "while", "scan", "fft", "eigh"}
_DEAR |= {"householder_product", "geqrf", "qr", "svd", "lu", "cholesky"}
_DEAR |= {"triangular_solve", "debug_callback", "io_callback", "pure_callback"}


def _is_dear(jaxpr) -> bool:
    """Too dear for two times, as a second gradient or a matrix product is.

    Elementwise rules are not: storing the new state to choose, and copying it, costs a
    CPU more than computing it twice.
    """
    from jax.extend.core import subjaxprs

    names = (eqn.primitive.name for eqn in jaxpr.eqns)
    return any(name in _DEAR for name in names) or any(map(_is_dear, subjaxprs(jaxpr)))


def _is_traced(values: object) -> bool:
    return any(isinstance(x, Tracer) for x in jax.tree.leaves(values))
