"""Steps that end in a set: any projection after any optimizer."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax

from gdjax import tree
from gdjax._wrapping import ordered, require_step


class ProjectState(NamedTuple):
    inner_state: optax.OptState


def project(
    inner: optax.GradientTransformation,
    projection: Callable[[optax.Params], optax.Params],
) -> optax.GradientTransformationExtraArgs:
    """Step around an optimizer: its own step, and from there back into a set.

        p' = projection(p + u)

    Computed in at least f32. After every step the parameters are in the set, up to the
    rounding of the one addition that follows; where p + u is in it already, the update
    stays bit for bit. Of a box the bound 0 holds exactly, and so do the others for bf16
    and f16 parameters that have f32 gradients and represent them; sums and norms hold
    to the rounding of their terms, which for bf16 is 4e-3 of each.

    The projection sees the whole tree. A parameter whose gradient is `None` is in it,
    and stays as it is. To constrain a part of the parameters give it an optimizer of
    its own, in `partition_by_path`.

    Args:
      inner: an optimizer, learning rate included.
      projection: from a tree to one like it, such as those in `gd.projections`, which
        are Optax's; `functools.partial` holds their arguments. (Bounds of Optax's box
        are trees like the parameters: a scalar, and so its hypercube, is right for a
        lone array only.)

    Returns:
      A transformation with state `ProjectState` that needs `params` in `update`.

    Raises:
      TypeError: `projection` is no function, or `inner` no transformation; from `init`,
        a parameter is not floating.
      ValueError: `inner` is a direction; from `init`, a wrapper inside belongs around
        this one; from `update`, `params` is missing, or a shape differs.

    Example:
      >>> tx = project(optax.sgd(1.0), optax.projections.projection_non_negative)
      >>> p = jnp.array([1.0, 3.0])
      >>> print(tx.update(jnp.array([2.0, 2.0]), tx.init(p), p)[0])
      [-1. -2.]

    Reference: Bertsekas (1976), On the Goldstein-Levitin-Polyak gradient projection
    method.
    """
    if not callable(projection):
        raise TypeError(
            f"`projection` must be a function from tree to tree, got {projection!r}."
        )
    inner = require_step("project", inner)

    def init(params):
        tree.require_floating(params)
        return ProjectState(ordered("project", inner.init(params)))

    def update(updates, state, params=None, **extra):
        if params is None:
            raise ValueError("`project` needs `params` in `update`.")
        updates, inner_state = inner.update(updates, state.inner_state, params, **extra)
        return lead_to(projection, params, updates), ProjectState(inner_state)

    return optax.GradientTransformationExtraArgs(init, update)


def lead_to(
    target: Callable[[optax.Params], optax.Params],
    params: optax.Params,
    updates: optax.Updates,
) -> optax.Updates:
    """Updates that lead to target(p + u) instead of p + u, unchanged where equal."""
    add = lambda p, u: tree.widened(p) + tree.widened(u)
    rule = lambda u, p, projected: jnp.where(u + p == projected, u, projected - p)
    start = jax.tree.map(
        lambda p, u: p if tree.is_absent(p) or tree.is_absent(u) else add(p, u),
        params,
        updates,
        is_leaf=tree.is_absent,
    )
    wide = tree.as_wide_as(params, updates)
    return tree.map_rule(rule, wide, read=(params, target(start)))
