"""Rprop's direction: a step size for every number, moved by changes of the sign."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax.core import Tracer

from gdjax import tree
from gdjax._checks import NON_NEGATIVE, POSITIVE, Number, Range, number

_ETA_MINUS = Range("lie in (0, 1)", lambda x: 0 < x < 1)
_ETA_PLUS = Range("be finite and >= 1", lambda x: 1 <= x < float("inf"))


class ScaleByRpropState(NamedTuple):
    step_sizes: optax.Updates  # like params, >= f32
    prev_updates: optax.Updates  # like params, >= f32


def scale_by_rprop(
    learning_rate: Number,
    eta_minus: Number = 0.5,
    eta_plus: Number = 1.2,
    min_step_size: Number = 1e-6,
    max_step_size: Number = 50.0,
) -> optax.GradientTransformationExtraArgs:
    """Direction: Rprop's, in which only the signs of gradients count (iRprop-).

        s_t = s_{t-1} eta_plus     where g_t has the sign of u_{t-1}
              s_{t-1} eta_minus    where it has the other one
              s_{t-1}              where one of them is 0
        u_t = 0 where the sign has changed, else s_t sign(g_t)

    from s_0 = learning_rate, u_0 = 0; whatever is multiplied is then clipped to
    [min_step_size, max_step_size]. For full batches: noise looks like a change of sign.
    Real and imaginary parts of complex numbers are numbers of their own.

    Optax 0.2.8 returns u_{t-1}, zero at the first step (its pull request 1725). torch's
    Rprop clips at every step, also the first: that differs where the learning rate
    lies outside the bounds.

    Args:
      learning_rate: the first step size, >= 0; may be traced. No schedule: step sizes
        find themselves.
      eta_minus, eta_plus: in (0, 1) and >= 1; may be traced.
      min_step_size, max_step_size: >= 0 and > 0, in this order; may be traced.

    Returns:
      A transformation with state `ScaleByRpropState(step_sizes, prev_updates)`.

    Raises:
      ValueError: a number lies outside its range.
      TypeError: from `init`, a parameter is not floating; `learning_rate` is a
        schedule.

    Example:
      >>> tx = scale_by_rprop(0.1)
      >>> u, state = tx.update(jnp.array([2.0, -3.0]), tx.init(jnp.ones(2)))
      >>> print(u, tx.update(jnp.array([1.0, 1.0]), state)[0])
      [ 0.1 -0.1] [0.12 0.  ]

    Reference: Riedmiller and Braun (1993), ICNN; Igel and Huesken (2003),
      Neurocomputing 50.
    """
    first = number("learning_rate", learning_rate, NON_NEGATIVE)
    eta_minus = number("eta_minus", eta_minus, _ETA_MINUS)
    eta_plus = number("eta_plus", eta_plus, _ETA_PLUS)
    least = number("min_step_size", min_step_size, NON_NEGATIVE)
    most = number("max_step_size", max_step_size, POSITIVE)
    is_known = not any(isinstance(x, Tracer) for x in (least, most))
    if is_known and float(least) > float(most):
        raise ValueError(
            f"`min_step_size` must be <= `max_step_size`, {most}, got {least}."
        )

    def rule(g, step_sizes, prev_updates):
        if jnp.iscomplexobj(step_sizes):
            leaves = g, step_sizes, prev_updates
            parts = (rule(*map(part, leaves)) for part in (jnp.real, jnp.imag))
            return tuple(map(jax.lax.complex, *parts))
        turn = jnp.sign(g) * jnp.sign(prev_updates)
        moved = step_sizes * jnp.where(turn < 0, eta_minus, eta_plus)
        step_sizes = jnp.where(turn == 0, step_sizes, jnp.clip(moved, least, most))
        u = jnp.where(turn < 0, 0, step_sizes * jnp.sign(g))
        return u, step_sizes, u

    def init(params):
        both = lambda s: jax.lax.complex(s.real, s.real) if jnp.iscomplexobj(s) else s
        step_sizes = jax.tree.map(both, tree.full_like(params, first))
        return ScaleByRpropState(step_sizes, tree.zeros_like(params))

    def update(updates, state, params=None, **extra):
        trees = updates, state.step_sizes, state.prev_updates
        direction, *kept = tree.map_rule(rule, *trees)
        return direction, ScaleByRpropState(*kept)

    return optax.GradientTransformationExtraArgs(init, update)
