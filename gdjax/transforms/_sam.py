"""Sharpness-aware minimization: the gradient where the loss is larger."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax

from gdjax import tree
from gdjax._checks import NON_NEGATIVE, Number, boolean, number
from gdjax._wrapping import ordered, require_step


class SamState(NamedTuple):
    inner_state: optax.OptState


def sam(
    inner: optax.GradientTransformation,
    rho: Number,
    adaptive: bool = False,
    *,
    eta: Number = 0.01,
) -> optax.GradientTransformationExtraArgs:
    """Step around an optimizer: its step for the gradient at a worse place nearby.

        e  = rho g / |g|                                   |g| over all leaves
        e  = rho T^2 g / |T g|,   T = |p| + eta            adaptive
        u' = inner's step for the gradient at p + e

    To first order, p + e is where the loss is largest within rho (adaptive: of
    parameters measured in units of their own size). A gradient of zero gives e = 0. The
    norms are exact from 1e-30 to 1e30; arithmetic is in f32 at least, and p + e rounded
    as parameters are. Each step takes two gradients. What stands in front of it in a
    chain changes the direction of e alone; a clip belongs into `inner`.

    `optax.contrib.sam` also takes rho as a step of an optimizer of its own, and
    without a gradient function spreads the two gradients over two updates.

    Args:
      inner: an optimizer, learning rate included.
      rho: the size of e, >= 0; may be traced. Usual are 0.05, adaptive 0.5 to 2.
      adaptive: for rho to be independent of the scale of the parameters (ASAM).
      eta: >= 0, in T, so that parameters at 0 move too; may be traced. Read only if
        adaptive.

    Returns:
      A transformation with state `SamState` that needs `params` and `grad_fn=` in
      `update`, a function from parameters to the gradient there, on this batch. The
      train steps pass it.

    Raises:
      ValueError: `rho` or `eta` is negative or not finite, or `inner` is a direction;
        from `update`, `params` or `grad_fn` is missing.
      TypeError: `inner` is no transformation, `adaptive` no bool; from `init`, a
        parameter is not floating.

    Example:
      >>> tx = sam(gd.sgd(1.0), rho=0.5)
      >>> p = jnp.array([3.0, 4.0])  # of |p|^2 / 2, whose gradient is p
      >>> print(tx.update(p, tx.init(p), p, grad_fn=lambda p: p)[0])
      [-3.3 -4.4]

    Reference: Foret et al. (2020), arXiv:2010.01412; Kwon et al. (2021),
      arXiv:2102.11600.
    """
    inner = require_step("sam", inner)
    rho = number("rho", rho, NON_NEGATIVE)
    eta = number("eta", eta, NON_NEGATIVE)
    adaptive = boolean("adaptive", adaptive)

    def size(p: jax.Array) -> Number:
        return jnp.abs(tree.widened(p)) + eta if adaptive else 1.0

    def nonzero(x: jax.Array) -> jax.Array:
        return jnp.where(x == 0, 1, x)

    def init(params):
        tree.require_floating(params)
        return SamState(ordered("sam", inner.init(params)))

    def update(updates, state, params=None, *, grad_fn=None, **extra):
        if params is None:
            raise ValueError("`sam` needs `params` in `update`.")
        if grad_fn is None:
            raise ValueError(
                "`sam` needs `grad_fn` in `update`, a function from parameters to the "
                "gradient there, such as `jax.grad(loss)`."
            )
        wide = jax.tree.map(tree.widened, updates)
        if adaptive:  # T in units of its largest, so that T g cannot overflow
            largest = [jnp.max(size(p), initial=0) for p in jax.tree.leaves(params)]
            unit = nonzero(jnp.max(jnp.array(largest), initial=0))
            sized = lambda g, p: (size(p) / unit) * g
            wide = tree.map_rule(sized, wide, read=(params,))
        norm = nonzero(tree.global_norm(wide))
        away = lambda g, p: size(p) * (rho * (g / norm))
        there = tree.next_params(params, tree.map_rule(away, wide, read=(params,)))
        # In the place and the dtype of the gradient here, absent where it is.
        grads = tree.map_rule(
            lambda g, new: new,
            updates,
            read=(_gradient(grad_fn, there),),
            names=("g", "grad_fn(params)"),
        )
        new, inner_state = inner.update(
            grads, state.inner_state, params, grad_fn=grad_fn, **extra
        )
        return new, SamState(inner_state)

    return optax.GradientTransformationExtraArgs(init, update)


def _gradient(grad_fn: Callable, params: optax.Params) -> optax.Updates:
    try:
        return grad_fn(params)
    except Exception as error:
        leaves = jax.tree.leaves(params, is_leaf=tree.is_absent)
        if not any(isinstance(leaf, optax.MaskedNode) for leaf in leaves):
            raise
        raise ValueError(
            "`grad_fn` fails for a part of the parameters. `sam` needs all of them: it "
            "stands around `masked` and `partition_by_path`, as in "
            "`sam(partition_by_path(...), rho)` or `sam(masked(...), rho)`."
        ) from error
