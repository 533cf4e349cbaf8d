"""Schedule-Free: a running mean of the iterates in place of a falling rate."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax

from gdjax import tree
from gdjax._checks import (
    NON_NEGATIVE,
    DType,
    Number,
    NumberOrSchedule,
    Range,
    Scheduled,
    floating,
    next_count,
    number,
)
from gdjax._wrapping import ordered, require_step
from gdjax.averaging._average import like_params, toward, wide_copy


class ScheduleFreeState(NamedTuple):
    b1: jax.Array  # f32[]
    weight_sum: jax.Array  # f32[], of the weights so far
    step_count: jax.Array  # i32[], of the next step, from 1
    max_lr: jax.Array  # f32[], the largest rate so far
    base_optimizer_state: optax.OptState
    z: optax.Params  # like params, >= f32 unless state_dtype: where the optimizer is
    x: optax.Params  # the average, f32, of scalars and 16-bit leaves; else of shape ()

    def averaged_params(self, params: optax.Params) -> optax.Params:
        ahead = (1 - self.b1) / self.b1

        def average(y, z, x):
            if tree.is_absent(z) or x.shape == jnp.shape(y):
                return x
            y = tree.widened(y)
            return y + ahead * (y - z)

        args = params, self.z, self.x
        return like_params(jax.tree.map(average, *args, is_leaf=tree.is_absent), params)


def schedule_free(
    base_optimizer: optax.GradientTransformation,
    learning_rate: NumberOrSchedule,
    b1: Number = 0.9,
    weight_lr_power: Number = 2.0,
    state_dtype: DType | None = None,
) -> optax.GradientTransformationExtraArgs:
    """Step around an optimizer: towards the running mean of where it leads.

        z_{t+1} = z_t + d_t                            d_t: the optimizer's step at y_t
        x_{t+1} = (1 - c_t) x_t + c_t z_{t+1}          c_t = w_t / (w_1 + ... + w_t)
        y_{t+1} = (1 - b1) z_{t+1} + b1 x_{t+1}        w_t = (largest rate so far)^power

    y are the parameters, at which gradients are taken, x what is evaluated: read it
    with `averaged_params`. It needs no schedule but a warm-up. x comes from y and z, to
    the rounding of y over b1, so that the memory is that of the optimizer and z; for
    16-bit parameters, which could not tell x's small steps, x is kept too, in f32.

    What averages parameters stands around it. It does not go together with what
    constrains them (`project`, `proximal_l1`), as z would not follow, nor with
    `lookahead`.

    Args:
      base_optimizer: an optimizer without momentum, learning rate included; it is given
        y as parameters.
      learning_rate: that of `base_optimizer`, for the weights: >= 0, a number (may be
        traced) or a schedule, which sees 1 at the first update, as Optax's.
      b1: in (0, 1]; the more, the nearer the gradient's place is to x. May be traced.
      weight_lr_power: >= 0, as above: steps of a warm-up count less; may be traced.
      state_dtype: of z; by default at least f32.

    Returns:
      A transformation with state `ScheduleFreeState` that needs `params` in `update`.

    Raises:
      ValueError: a number lies outside its range, `base_optimizer` is a direction; from
        `init`, a wrapper inside belongs around this one; from `update`, `params` is
        missing.
      TypeError: `state_dtype` is no floating dtype, `base_optimizer` no transformation;
        from `init`, a parameter is not floating.

    Example:
      >>> tx = schedule_free(optax.sgd(1.0), learning_rate=1.0, b1=0.5)
      >>> y, state = jnp.zeros(()), tx.init(jnp.zeros(()))
      >>> for _ in range(3):  # z: -1, -2, -3
      ...     u, state = tx.update(jnp.ones(()), state, y)
      ...     y = optax.apply_updates(y, u)
      ...     print(y, gd.averaged_params(state, y))
      -1.0 -1.0
      -1.75 -1.5
      -2.5 -2.0

    Reference: Defazio et al. (2024), The road less scheduled, arXiv:2405.15682.
    """
    inner = require_step("schedule_free", base_optimizer, "base_optimizer")
    rate_at = Scheduled("learning_rate", learning_rate, NON_NEGATIVE)
    b1 = number("b1", b1, _POSITIVE_SHARE)
    power = number("weight_lr_power", weight_lr_power, NON_NEGATIVE)
    state_dtype = floating("state_dtype", state_dtype)

    def init(params):
        z = wide_copy(params)
        if state_dtype is not None:
            z = jax.tree.map(lambda z: z.astype(state_dtype), z)
        small = lambda p, x: not x.ndim or jnp.result_type(p) != x.dtype
        # Not of shape (0,): beside a gathered array jaxlib 0.11.2 crashes on it.
        choose = lambda p, x: x if small(p, x) else jnp.zeros([], x.dtype)
        x = jax.tree.map(choose, params, wide_copy(params))
        zero = lambda: jnp.zeros([], float)
        return ScheduleFreeState(
            b1=jnp.array(b1, float),
            weight_sum=zero(),
            step_count=jnp.ones([], jnp.int32),
            max_lr=zero(),
            base_optimizer_state=ordered("schedule_free", inner.init(params)),
            z=z,
            x=x,
        )

    def update(updates, state, params=None, **extra):
        if params is None:
            raise ValueError("`schedule_free` needs `params` in `update`.")
        steps, base_state = inner.update(
            updates, state.base_optimizer_state, params, **extra
        )
        rate = jnp.asarray(rate_at(state.step_count), state.max_lr.dtype)
        max_lr = jnp.maximum(state.max_lr, rate)
        weight = max_lr**power
        weight_sum = state.weight_sum + weight
        c = tree.ratio(weight, weight_sum)

        # How much of x's share in y, which was made with the last b1, is kept.
        kept = b1 / state.b1 * (1 - c)

        def rule(_, z, x, y, next_z):
            # As z is stored, or x would drift away from its mean; and then XLA has not
            # to compute the optimizer's step, the argument before, twice.
            d = next_z - z
            if x.shape != y.shape:  # the same in terms of y, without the division by b1
                return (1 - b1 * (1 - c)) * d + (1 - kept) * (z - y), next_z, x
            x = toward(x, next_z, c)
            return toward(next_z, x, b1) - y, next_z, x

        updates, z, x = tree.map_rule(
            rule,
            tree.as_wide_as(params, steps),
            state.z,
            statistics=(state.x,),
            read=(params, tree.next_params(state.z, steps)),
        )
        return updates, ScheduleFreeState(
            b1=jnp.asarray(b1, state.b1.dtype),
            weight_sum=weight_sum,
            step_count=next_count(state.step_count),
            max_lr=max_lr,
            base_optimizer_state=base_state,
            z=z,
            x=x,
        )

    return optax.GradientTransformationExtraArgs(init, update)


_POSITIVE_SHARE = Range("lie in (0, 1]", lambda x: 0 < x <= 1)
