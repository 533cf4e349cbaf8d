"""The sign of every number in a gradient."""

import jax.numpy as jnp
import optax

from gdjax import tree


def scale_by_sign() -> optax.GradientTransformationExtraArgs:
    """Direction: the sign of the gradient, number by number.

        u_t = sign(g_t):   -1, 0 or 1;   g / |g| where g is complex

    Every number moves as far as any other. After `ema` it is Signum.

    Returns:
      A transformation without state.

    Raises:
      TypeError: from `init`, a parameter is not floating.

    Example:
      >>> tx = scale_by_sign()
      >>> print(tx.update(jnp.array([2.0, 0.0, -0.1]), tx.init(jnp.ones(3)))[0])
      [ 1.  0. -1.]

    Reference: Bernstein et al. (2018), arXiv:1802.04434.
    """

    def init(params):
        tree.require_floating(params)
        return optax.EmptyState()

    def update(updates, state, params=None, **extra):
        return tree.map_rule(lambda g: jnp.sign(g), updates), state

    return optax.GradientTransformationExtraArgs(init, update)
