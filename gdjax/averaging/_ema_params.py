"""The exponential moving average of the iterates."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax

from gdjax import tree
from gdjax._checks import (
    UNIT,
    Count,
    Number,
    Range,
    boolean,
    concrete,
    next_count,
    number,
)
from gdjax._wrapping import ordered, require_transformation
from gdjax.averaging._average import started, toward, wide_copy


class EmaParamsState(NamedTuple):
    inner_state: optax.OptState
    count: Count  # i32[], updates seen, () without warm-up
    weight: jax.Array  # f32[], of the iterates together: 1 - decay^t, 1 without debias
    average: optax.Params  # like params, >= f32; without debias the parameters at first

    def averaged_params(self, params: optax.Params) -> optax.Params:
        return started(self.weight > 0, self.average, params)


def ema_params(
    inner: optax.GradientTransformation,
    decay: Number,
    *,
    debias: bool = True,
    warmup: float | None = None,
) -> optax.GradientTransformationExtraArgs:
    """Step around an optimizer: its own steps, and an average that forgets.

        a_t = decay a_{t-1} + (1 - decay) x_t,   average = a_t / (1 - decay^t)

    where x_t are the parameters after update t, t from 1, and a_0 = 0. Without `debias`
    a_0 is what `init` was given and the average a_t: the start counts decay^t. With
    `warmup` the decay of update t is min(decay, t / (t + warmup - 1)), so that early
    iterates are forgotten sooner; 10 is usual. It forgets over about 1 / (1 - decay)
    steps.

    The steps are those of `inner`; read the average with `averaged_params`. It is kept
    in f32 at least, already divided. Put it inside wrappers that skip or split steps,
    around all that changes the step. Of gradients instead of parameters: `gd.ema`.

    Args:
      inner: an optimizer, learning rate included.
      decay: in [0, 1); may be traced.
      debias: as above.
      warmup: >= 1, as above; `None` for none.

    Returns:
      A transformation with state `EmaParamsState` that needs `params` in `update`.

    Raises:
      ValueError: `decay` or `warmup` lies outside its range; from `init`, a wrapper
        inside belongs around this one; from `update`, `params` is missing.
      TypeError: one of them is no number, `debias` no bool, `inner` no transformation;
        from `init`, a parameter is not floating.

    Example:
      >>> tx = ema_params(optax.sgd(1.0), decay=0.5)
      >>> x, state = jnp.zeros(()), tx.init(jnp.zeros(()))
      >>> for _ in range(2):
      ...     u, state = tx.update(jnp.ones(()), state, x)
      ...     x = optax.apply_updates(x, u)  # -1, -2
      >>> print(gd.averaged_params(state, x))
      -1.6666667

    Reference: Polyak and Juditsky (1992), Acceleration of stochastic approximation by
    averaging; Ruppert (1988).
    """
    inner = require_transformation("ema_params", inner)
    decay = number("decay", decay, UNIT)
    debias = boolean("debias", debias)
    if warmup is not None:
        warmup = concrete("warmup", warmup, _AT_LEAST_ONE)

    def init(params):
        average = tree.zeros_like(params) if debias else wide_copy(params)
        count = () if warmup is None else jnp.zeros([], jnp.int32)
        weight = jnp.array(0 if debias else 1, float)
        return EmaParamsState(
            ordered("ema_params", inner.init(params)), count, weight, average
        )

    def update(updates, state, params=None, **extra):
        if params is None:
            raise ValueError("`ema_params` needs `params` in `update`.")
        updates, inner_state = inner.update(updates, state.inner_state, params, **extra)
        share, count = 1 - decay, state.count
        if warmup is not None:
            count = next_count(count)
            # 1 - t / (t + warmup - 1), without the cancellation
            share = jnp.maximum(share, (warmup - 1) / (count + (warmup - 1)))
        # To 1 and no farther, whatever the rounding: in f32 decay * w + share is not.
        weight = jnp.asarray(toward(state.weight, 1, share), state.weight.dtype)
        rule = lambda a, x: toward(a, x, share / weight)
        iterate = tree.next_params(params, updates)
        average = tree.map_rule(rule, state.average, read=(iterate,))
        return updates, EmaParamsState(inner_state, count, weight, average)

    return optax.GradientTransformationExtraArgs(init, update)


_AT_LEAST_ONE = Range("be finite and >= 1", lambda x: 1 <= x < float("inf"))
