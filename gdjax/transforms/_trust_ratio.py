"""The trust ratio of LARS and LAMB: each layer's step relative to its weights."""

import jax.numpy as jnp
import optax

from gdjax import tree
from gdjax._checks import NON_NEGATIVE, Mask, Number, number
from gdjax.transforms._mask import change_where, require_mask


def scale_by_trust_ratio(
    min_norm: Number = 0.0,
    trust_coefficient: Number = 1.0,
    eps: Number = 0.0,
    *,
    mask: Mask = None,
) -> optax.GradientTransformationExtraArgs:
    """Direction: makes each leaf as long as its parameter, times a coefficient.

        u' = u trust_coefficient |p| / (|u| + eps),   u' = u where |p| or |u| is 0

    with |x| = max(Euclidean norm of the leaf, min_norm). Norms are right from
    1e-37 to 1e38, and the product is where its result is.

    Args:
      min_norm: smallest norm, of parameters and of updates, >= 0; may be traced.
      trust_coefficient, eps: >= 0; may be traced.
      mask: tree of bools like the parameters, or a function that makes it; where it is
        False updates stay. By default all leaves are scaled.

    Returns:
      A transformation without state that needs `params` in `update`.

    Raises:
      ValueError: a number is negative or not finite; from `update`, `params` is missing
        or differs in shape.
      TypeError: a number is none; from `init`, a parameter is not floating.

    Example:
      >>> p, u = jnp.array([3.0, 4.0]), jnp.array([0.0, 0.1])
      >>> tx = scale_by_trust_ratio()
      >>> print(tx.update(u, tx.init(p), p)[0])
      [0. 5.]

    Reference: You et al. (2017), arXiv:1708.03888; You et al. (2019), arXiv:1904.00962.
    """
    min_norm = number("min_norm", min_norm, NON_NEGATIVE)
    trust_coefficient = number("trust_coefficient", trust_coefficient, NON_NEGATIVE)
    eps = number("eps", eps, NON_NEGATIVE)

    def rule(u, actual, wanted, p):
        actual, wanted = (jnp.maximum(norm, min_norm) for norm in (actual, wanted))
        # Its root twice: a ratio of 1e45 times an update of 1e-45 is not lost.
        root = jnp.sqrt(trust_coefficient * wanted) / jnp.sqrt(actual + eps)
        root = jnp.where((wanted == 0) | (actual == 0), 1, root)
        return (u * root) * root, actual, wanted

    def init(params):
        tree.require_floating(params)
        require_mask(mask, params)
        return optax.EmptyState()

    def update(updates, state, params=None, **extra):
        if params is None:
            raise ValueError("`scale_by_trust_ratio` needs `params` in `update`.")

        def scale(updates):
            norms = tree.leaf_norms((updates, params))
            return tree.map_rule(rule, updates, statistics=norms, read=(params,))[0]

        return change_where(mask, params, scale, updates), state

    return optax.GradientTransformationExtraArgs(init, update)
