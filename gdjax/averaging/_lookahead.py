"""Lookahead: k steps forward, one step back."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax

from gdjax import tree
from gdjax._checks import Number, Range, boolean, integer, number
from gdjax._wrapping import ordered, require_step
from gdjax.averaging._average import like_params, toward, where_due, wide_copy


class LookaheadState(NamedTuple):
    fast_state: optax.OptState
    steps_since_sync: jax.Array  # i32[], 0 to sync_period - 1
    slow: optax.Params  # like params, >= f32

    def averaged_params(self, params: optax.Params) -> optax.Params:
        return like_params(self.slow, params)


def lookahead(
    fast_optimizer: optax.GradientTransformation,
    sync_period: int,
    slow_step_size: Number,
    reset_state: bool = False,
) -> optax.GradientTransformationExtraArgs:
    """Step around an optimizer: its own; each k-th leads to a slow copy that follows.

        slow <- slow + slow_step_size (x - slow),   x <- slow      after k steps

    where x are the parameters, which the optimizer has led k = `sync_period` steps away
    from `slow`. Read the slow ones with `averaged_params`, to evaluate them: they are
    kept in f32 at least; after a k-th step x is `slow`, to the rounding of 16 bits.

    Parameters are plain: Optax's own takes a pair of fast and slow ones. Averages of
    the iterates stand around it, what constrains parameters inside.

    Args:
      fast_optimizer: an optimizer, learning rate included.
      sync_period: k, >= 1; the paper has 5 to 10.
      slow_step_size: in [0, 1], the paper has 0.5 and 0.8; may be traced.
      reset_state: whether the optimizer's state starts anew after each k-th step, from
        `slow`, and the schedules inside from their first value.

    Returns:
      A transformation with state `LookaheadState` that needs `params` in `update`.

    Raises:
      ValueError: a number lies outside its range, `fast_optimizer` is a direction; from
        `init`, a wrapper inside belongs around this one; from `update`, `params` is
        missing.
      TypeError: `sync_period` is no integer, `reset_state` no bool, `fast_optimizer` no
        transformation; from `init`, a parameter is not floating.

    Example:
      >>> tx = lookahead(optax.sgd(1.0), sync_period=2, slow_step_size=0.5)
      >>> x, state = jnp.zeros(()), tx.init(jnp.zeros(()))
      >>> for _ in range(4):
      ...     u, state = tx.update(jnp.ones(()), state, x)
      ...     x = optax.apply_updates(x, u)
      ...     print(x, gd.averaged_params(state, x))
      -1.0 0.0
      -1.0 -1.0
      -2.0 -1.0
      -2.0 -2.0

    Reference: Zhang et al. (2019), Lookahead optimizer, arXiv:1907.08610.
    """
    inner = require_step("lookahead", fast_optimizer, "fast_optimizer")
    sync_period = integer("sync_period", sync_period, 1)
    slow_step_size = number("slow_step_size", slow_step_size, _SHARE)
    reset_state = boolean("reset_state", reset_state)

    def init(params):
        slow = wide_copy(params)
        fast_state = ordered("lookahead", inner.init(params))
        return LookaheadState(fast_state, jnp.zeros([], jnp.int32), slow)

    def update(updates, state, params=None, **extra):
        if params is None:
            raise ValueError("`lookahead` needs `params` in `update`.")
        updates, fast_state = inner.update(updates, state.fast_state, params, **extra)
        due = state.steps_since_sync == sync_period - 1

        fast = tree.next_params(params, updates)
        there = lambda slow, x: toward(slow, x, slow_step_size)
        rule = lambda u, p, x, slow: jnp.where(due, there(slow, x) - p, u)
        updates = tree.map_rule(
            rule,
            tree.as_wide_as(params, updates),
            read=(params, fast, state.slow),
        )
        led_to = tree.next_params(params, updates)

        def follow(u, slow, x, p):
            if tree.is_absent(u):
                return slow
            # The parameters themselves: they are there, for them nothing is computed.
            return p if p.dtype == slow.dtype else there(slow, tree.widened(x))

        slow = where_due(
            due,
            lambda slow: jax.tree.map(
                follow, updates, slow, fast, led_to, is_leaf=tree.is_absent
            ),
            state.slow,
        )
        if reset_state:
            choose = lambda new, old: jnp.where(due, new, old)
            anew = inner.init(led_to)
            fast_state = jax.tree.map(choose, anew, fast_state)
        steps = jnp.where(due, 0, state.steps_since_sync + 1)
        return updates, LookaheadState(fast_state, steps, slow)

    return optax.GradientTransformationExtraArgs(init, update)


_SHARE = Range("lie in [0, 1]", lambda x: 0 <= x <= 1)
