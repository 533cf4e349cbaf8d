"""Iterates that are kept as they are: their mean, or each by itself."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.core import Tracer

from gdjax import tree
from gdjax._checks import integer, next_count
from gdjax._wrapping import ordered, require_transformation
from gdjax.averaging._average import like_params, one_of, where_due


class SnapshotsState(NamedTuple):
    inner_state: optax.OptState
    count: jax.Array  # i32[], updates seen
    num_taken: jax.Array  # i32[], iterates taken, those dropped since included
    iterates: optax.Params  # like params, [keep, ...], the i-th at i % keep

    def metrics(self) -> dict[str, jax.Array]:
        return {"num_taken": self.num_taken}

    def averaged_params(self, params: optax.Params) -> optax.Params:
        def mean(p, x):
            if tree.is_absent(x):
                return p
            held = jnp.minimum(self.num_taken, len(x))
            there = jnp.arange(len(x)) < held
            there = there.reshape(-1, *[1] * (x.ndim - 1))
            total = jnp.sum(jnp.where(there, tree.widened(x), 0), axis=0)
            p = tree.widened(p)
            return jnp.where(held > 0, total / jnp.maximum(held, 1), p)

        means = jax.tree.map(mean, params, self.iterates, is_leaf=tree.is_absent)
        return like_params(means, params)


class LawaState(SnapshotsState):
    """The same, of which the mean is meant."""


def snapshots(
    inner: optax.GradientTransformation, every: int, keep: int, *, start_step: int = 0
) -> optax.GradientTransformationExtraArgs:
    """Step around an optimizer: its own steps, and some of where they lead, kept.

        kept = the last `keep` of x_s, x_{s + every}, x_{s + 2 every}, ...,
        s = start_step

    where x_t are the parameters after update t, t from 0. With a rate in cycles of
    `every` updates and `start_step=every - 1` these are the ends of the cycles. Read
    them with `stacked_params`, for `ensemble_predict`; `averaged_params` is their mean.
    They are kept in the dtype of the parameters, bit for bit: `keep` times the memory.

    Args:
      inner: an optimizer, learning rate included.
      every: updates between two, >= 1.
      keep: how many there may be, >= 1; the oldest goes first.
      start_step: first update whose result is kept, >= 0.

    Returns:
      A transformation with state `SnapshotsState` that needs `params` in `update`; its
      `metrics` have `num_taken`.

    Raises:
      ValueError: a number is too small; from `init`, a wrapper inside belongs around
        this one; from `update`, `params` is missing.
      TypeError: a number is no integer, `inner` no transformation; from `init`, a
        parameter is not floating.

    Example:
      >>> tx = snapshots(optax.sgd(1.0), every=2, keep=2)
      >>> x, state = jnp.zeros(()), tx.init(jnp.zeros(()))
      >>> for _ in range(5):
      ...     u, state = tx.update(jnp.ones(()), state, x)
      ...     x = optax.apply_updates(x, u)  # -1, -2, -3, -4, -5
      >>> print(stacked_params(state))
      [-3. -5.]

    Reference: Huang et al. (2017), Snapshot ensembles, arXiv:1704.00109.
    """
    return _recorder(SnapshotsState, inner, every, keep, "keep", start_step)


def lawa(
    inner: optax.GradientTransformation, every: int, window: int, *, start_step: int = 0
) -> optax.GradientTransformationExtraArgs:
    """Step around an optimizer: its own steps, and the mean of its latest iterates.

        average = mean of the last `window` of x_s, x_{s + every}, ...,   s = start_step

    where x_t are the parameters after update t, t from 0. Read it with
    `averaged_params`. What `snapshots` keeps; the mean is computed when it is read, in
    f32 at least.

    Args:
      inner: an optimizer, learning rate included.
      every: updates between two samples, >= 1; an epoch of them in the paper.
      window: samples in the mean, >= 1; as many times the memory of the parameters.
      start_step: first update whose result counts, >= 0.

    Returns:
      A transformation with state `LawaState` that needs `params` in `update`; its
      `metrics` have `num_taken`.

    Raises:
      ValueError: a number is too small; from `init`, a wrapper inside belongs around
        this one; from `update`, `params` is missing.
      TypeError: a number is no integer, `inner` no transformation; from `init`, a
        parameter is not floating.

    Example:
      >>> tx = lawa(optax.sgd(1.0), every=2, window=2)
      >>> x, state = jnp.zeros(()), tx.init(jnp.zeros(()))
      >>> for _ in range(5):
      ...     u, state = tx.update(jnp.ones(()), state, x)
      ...     x = optax.apply_updates(x, u)  # -1, -2, -3, -4, -5
      >>> print(gd.averaged_params(state, x))
      -4.0

    Reference: Kaddour (2022), Stop wasting my time!, arXiv:2209.14981.
    """
    return _recorder(LawaState, inner, every, window, "window", start_step)


def stacked_params(
    opt_state: optax.OptState, *, name: str | None = None
) -> optax.Params:
    """The iterates that `snapshots` or `lawa` kept somewhere inside `opt_state`.

    Args:
      opt_state: the state of an optimizer with one of them in it, at any depth; not
        traced, as how many there are is a shape.
      name: "snapshots" or "lawa", where there are several.

    Returns:
      A tree like the parameters, each leaf [n, ...], the oldest first.

    Raises:
      ValueError: there is none (of that name), or more than one, or nothing is kept
        yet.
      TypeError: `opt_state` is traced.

    Example:
      >>> tx = snapshots(optax.sgd(1.0), every=1, keep=3)
      >>> x = jnp.zeros(2)
      >>> print(stacked_params(tx.update(jnp.ones(2), tx.init(x), x)[1]))
      [[-1. -1.]]
    """
    kept = (x for _, x in tree.nodes(opt_state) if isinstance(x, SnapshotsState))
    state = one_of(kept, name, "iterate stack", "snapshots")
    if isinstance(state.num_taken, Tracer):
        raise TypeError("`opt_state` must not be traced: call this outside `jit`.")
    taken = int(state.num_taken)
    if not taken:
        raise ValueError("`opt_state` holds no iterate yet: none was due.")

    places = lambda keep: np.arange(taken - min(taken, keep), taken) % keep
    return jax.tree.map(lambda x: x[places(len(x))], state.iterates)


def _recorder(make_state, inner, every, keep, keep_name, start_step):
    wrapper = "lawa" if make_state is LawaState else "snapshots"
    every = integer("every", every, 1)
    keep = integer(keep_name, keep, 1)
    start_step = integer("start_step", start_step, 0)
    inner = require_transformation(wrapper, inner)

    def init(params):
        tree.require_floating(params)
        zero = lambda: jnp.zeros([], jnp.int32)
        stack = lambda p: jnp.broadcast_to(jnp.zeros_like(p), (keep, *jnp.shape(p)))
        inner_state = ordered(wrapper, inner.init(params))
        return make_state(inner_state, zero(), zero(), jax.tree.map(stack, params))

    def update(updates, state, params=None, **extra):
        if params is None:
            raise ValueError(f"`{wrapper}` needs `params` in `update`.")
        updates, inner_state = inner.update(updates, state.inner_state, params, **extra)
        since = state.count - start_step
        due = (since >= 0) & (since % every == 0)
        iterate = tree.next_params(params, updates)
        place = state.num_taken % keep
        put = lambda stack, x: stack.at[place].set(x)
        taken = lambda stacks: jax.tree.map(put, stacks, iterate)
        iterates = where_due(due, taken, state.iterates)
        num_taken = jnp.where(due, next_count(state.num_taken), state.num_taken)
        return updates, make_state(
            inner_state, next_count(state.count), num_taken, iterates
        )

    return optax.GradientTransformationExtraArgs(init, update)
