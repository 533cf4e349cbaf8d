"""Adadelta's direction: steps in the units of the parameters, with no rate to tune."""

from typing import NamedTuple

import jax.numpy as jnp
import optax

from gdjax import tree
from gdjax._checks import POSITIVE, UNIT, Number, number


class ScaleByAdaDeltaState(NamedTuple):
    e_g: optax.Updates  # like |params|, >= f32, of gradients
    e_x: optax.Updates  # like |params|, >= f32, of directions


def scale_by_adadelta(
    rho: Number = 0.9, eps: Number = 1e-6
) -> optax.GradientTransformationExtraArgs:
    """Direction: Adadelta's, past steps' root mean square over that of gradients.

        E_t = rho E_{t-1} + (1 - rho) |g_t|^2
        u_t = sqrt(X_{t-1} + eps) / sqrt(E_t + eps) g_t
        X_t = rho X_{t-1} + (1 - rho) |u_t|^2

    from E_0 = X_0 = 0. X is the mean square of what leaves this link: a learning rate
    behind it does not enter, as in Optax and torch (the paper has none). A complex g
    counts by |g|^2 (in Optax by g^2).

    Args:
      rho: in [0, 1); may be traced.
      eps: > 0, for the first steps come from it: with 0 nothing would ever move; may
        be traced.

    Returns:
      A transformation with state `ScaleByAdaDeltaState(e_g, e_x)`.

    Raises:
      ValueError: a number lies outside its range.
      TypeError: from `init`, a parameter is not floating.

    Example:
      >>> tx = scale_by_adadelta(0.75)
      >>> print(tx.update(jnp.array([3.0, -7.0]), tx.init(jnp.ones(2)))[0])
      [ 0.002 -0.002]

    Reference: Zeiler (2012), arXiv:1212.5701.
    """
    rho, eps = number("rho", rho, UNIT), number("eps", eps, POSITIVE)

    def rule(g, e_g, e_x):
        e_g = tree.ema_sq(e_g, g, rho)
        u = tree.over_root(jnp.sqrt(e_x + eps) * g, e_g, 0.0, eps)
        return u, e_g, tree.ema_sq(e_x, u, rho)

    def init(params):
        zeros = lambda: tree.zeros_like(params, real=True)
        return ScaleByAdaDeltaState(zeros(), zeros())

    def update(updates, state, params=None, **extra):
        direction, *new = tree.map_rule(rule, updates, state.e_g, state.e_x)
        return direction, ScaleByAdaDeltaState(*new)

    return optax.GradientTransformationExtraArgs(init, update)
