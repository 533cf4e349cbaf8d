"""Minimising a function of parameters alone, in one compiled loop."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax

from gdjax._checks import MAX_INT, NON_NEGATIVE, Number, integer, number
from gdjax.tree import Tree, require_floating, require_scalar


class Minimum(NamedTuple):
    """Where `minimize` came to.

    Attributes:
      params: after the last step, like those at the start.
      value: the function there, a scalar.
      num_steps: i32[], the steps that were made.
      converged: bool[], whether it stopped as nothing improved, at a finite value.
      trajectory: the parameters before each step and after the last, stacked along a
        new first axis of `num_steps` + 1; after the end they stay. `None` by default.
    """

    params: optax.Params
    value: jax.Array
    num_steps: jax.Array
    converged: jax.Array
    trajectory: Tree


class _Loop(NamedTuple):
    step: jax.Array  # i32[]
    params: optax.Params
    opt_state: optax.OptState
    value: jax.Array  # at params
    grad: optax.Updates  # at params
    best: jax.Array  # the smallest value that counted
    idle: jax.Array  # i32[], steps in a row that did not
    trajectory: Tree


def minimize(
    fun: Callable[[optax.Params], jax.Array],
    params: optax.Params,
    tx: optax.GradientTransformation,
    *,
    num_steps: int,
    tol: Number = 0.0,
    patience: int | None = None,
    trajectory: bool = False,
    grad_fn: Callable[[optax.Params, jax.Array], optax.Updates] | None = None,
) -> Minimum:
    """Minimises a function by an optimizer, in one compiled loop.

        g_t = grad f(x_t);   u_t = tx(g_t);   x_{t+1} = x_t + u_t

    It stops after `num_steps`, or after `patience` steps in a row none of which took
    the value by more than `tol` below the smallest before. With `tol` = 0 and no
    `patience` only `num_steps` counts.

    It may be called under `jit`, and under `vmap` over starts or over numbers of the
    optimizer: there each stops on its own. The loop is compiled at each call: to call
    it often, put the call into a function under `jax.jit`.

    Args:
      fun: parameters -> scalar.
      params: where to start, a tree of floating arrays. For a complex one the gradient
        is df/d Re x + i df/d Im x, which points uphill.
      tx: the optimizer. Its `update` also gets `value`, `grad` and `value_fn`, which is
        `fun`, for line searches and their like.
      num_steps: at most, >= 0.
      tol: in the units of `fun`, >= 0; may be traced.
      patience: steps, >= 1; by default 1 if `tol` > 0.
      trajectory: whether to keep the parameters of every step.
      grad_fn: `(params, step) -> gradient` in place of the derivative, for a function
        that has none; `step` is i32[], from 0.

    Returns:
      `Minimum(params, value, num_steps, converged, trajectory)`, of the last step, be
      it the best or not.

    Raises:
      ValueError: a number lies outside its range, or `fun` returns no real scalar.
      TypeError: a parameter is no floating array, `num_steps` no Python integer, or
        `tx` no transformation.

    Example:
      >>> problem = gd.problems.quadratic(condition=10.0)
      >>> found = minimize(problem.fun, problem.init, gd.sgd(0.15), num_steps=200,
      ...                  tol=1e-12)
      >>> print(found.num_steps, found.converged, f"{found.value:.0e}")
      80 True 3e-12
      >>> def value(rate):
      ...     tx = gd.sgd(rate)
      ...     return minimize(problem.fun, problem.init, tx, num_steps=9).value
      >>> print(jax.vmap(value)(jnp.array([0.01, 0.1, 0.3])).round(2))
      [1.17000e+00 8.00000e-02 1.31072e+06]
    """
    num_steps = integer("num_steps", num_steps, 0)
    tol = number("tol", tol, NON_NEGATIVE)
    if patience is None:
        allowed_idle = jnp.where(jnp.asarray(tol) > 0, 1, MAX_INT)
    else:
        allowed_idle = jnp.asarray(integer("patience", patience, 1))
    params = jax.tree.map(jnp.asarray, params)
    require_floating(params)
    require_scalar("fun", jax.eval_shape(fun, params))
    if not isinstance(tx, optax.GradientTransformation):
        raise TypeError(f"`tx` must be an optimizer such as `gd.sgd(0.1)`, got {tx!r}.")
    transform = optax.with_extra_args_support(tx)

    def evaluate(params: optax.Params, step: jax.Array):
        if grad_fn is not None:
            return fun(params), grad_fn(params, step)
        value, grad = jax.value_and_grad(fun)(params)
        return value, jax.tree.map(jnp.conj, grad)

    def goes_on(loop: _Loop) -> jax.Array:
        return (loop.step < num_steps) & (loop.idle < allowed_idle)

    def advance(loop: _Loop) -> _Loop:
        updates, opt_state = transform.update(
            loop.grad,
            loop.opt_state,
            loop.params,
            value=loop.value,
            grad=loop.grad,
            value_fn=fun,
        )
        params = optax.apply_updates(loop.params, updates)
        step = loop.step + 1
        value, grad = evaluate(params, step)
        # A start where the function is NaN is worse than any number.
        better = (loop.best - value > tol) | jnp.isnan(loop.best) & ~jnp.isnan(value)
        return _Loop(
            step,
            params,
            opt_state,
            value,
            grad,
            jnp.where(better, value, loop.best),
            jnp.where(better, 0, loop.idle + 1),
            _record(loop.trajectory, params, step) if trajectory else None,
        )

    def loop(params: optax.Params) -> Minimum:
        start = jnp.zeros([], jnp.int32)
        value, grad = evaluate(params, start)
        kept = _stacked(params, num_steps + 1) if trajectory else None
        opt_state = transform.init(params)
        first = _Loop(start, params, opt_state, value, grad, value, start, kept)
        last = jax.lax.while_loop(goes_on, advance, first)
        return Minimum(
            last.params,
            last.value,
            last.step,
            (last.idle >= allowed_idle) & jnp.isfinite(last.value),
            _hold(last.trajectory, last.params, last.step) if trajectory else None,
        )

    return jax.jit(loop)(params)


def _stacked(params: Tree, n: int) -> Tree:
    return jax.tree.map(lambda x: jnp.broadcast_to(x, (n, *x.shape)), params)


def _record(trajectory: Tree, params: Tree, step: jax.Array) -> Tree:
    return jax.tree.map(lambda kept, x: kept.at[step].set(x), trajectory, params)


def _hold(trajectory: Tree, params: Tree, step: jax.Array) -> Tree:
    def hold(kept: jax.Array, x: jax.Array) -> jax.Array:
        after = jnp.arange(len(kept)) > step
        return jnp.where(after.reshape(-1, *[1] * x.ndim), x, kept)

    return jax.tree.map(hold, trajectory, params)
