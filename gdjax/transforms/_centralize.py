"""Gradient centralization: the gradient of each output's weights without its mean."""

import jax.numpy as jnp
import optax

from gdjax import tree
from gdjax._checks import boolean


def centralize(
    *, by_output: bool = False, units: tree.Units = None
) -> optax.GradientTransformationExtraArgs:
    """Direction: takes the mean out of the gradient of each unit of the weights.

        u_i = g_i - mean(g_i)

    By default a unit is what has one index of the first axis, as in Optax: the paper's
    rule for torch, where outputs are first. In Flax's kernels they are last: there say
    `by_output=True`. Vectors, scalars and units of one number stay (Optax makes 0 of a
    kernel with one output).

    Args:
      by_output: take the weights of one output for a unit, which `tree.unit_axes` finds
        by path and shape; of an embedding a row, of a bias each number.
      units: (name, shape) -> axes inside of a unit, asked first; `None` from it means
        as above.

    Returns:
      A transformation without state.

    Raises:
      TypeError: `by_output` is no bool, `units` no function; from `init`, a parameter
        is not floating.
      ValueError: `units` gives an axis that a leaf has not.

    Example:
      >>> g = {"kernel": jnp.array([[1.0, 2.0], [3.0, 6.0]])}
      >>> tx = centralize(by_output=True)
      >>> print(tx.update(g, tx.init(g))[0]["kernel"])
      [[-1. -2.]
       [ 1.  2.]]

    Reference: Yong et al. (2020), arXiv:2004.01461.
    """
    by_output = boolean("by_output", by_output)
    tree.unit_axes((), units)  # refuses what is no function

    def find(name: str, shape: tuple[int, ...]) -> tuple[int, ...] | None:
        axes = None if units is None else units(name, shape)
        if axes is None and not by_output:
            return tuple(range(1, len(shape)))
        return axes

    def rule(g, unit, p=None):
        axes = tree.reduced(g, unit)
        if not axes:
            return g, unit
        # Without the largest first: what is equal becomes 0, not a rounding.
        g = g - jnp.max(g, axes, keepdims=True, initial=-jnp.inf)
        return g - jnp.mean(g, axes, keepdims=True), unit

    def init(params):
        tree.require_floating(params)
        tree.unit_axes(params, find)
        return optax.EmptyState()

    def update(updates, state, params=None, **extra):
        like = updates if params is None else params
        zeros = tree.per_unit(like, tree.unit_axes(like, find))
        read = () if params is None else (params,)  # to compare shapes
        updates, _ = tree.map_rule(rule, updates, statistics=(zeros,), read=read)
        return updates, state

    return optax.GradientTransformationExtraArgs(init, update)
