"""The learning rate: the link that turns a direction into a step."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax

from gdjax import tree
from gdjax._checks import NON_NEGATIVE, Count, NumberOrSchedule, Scheduled


class LearningRateState(NamedTuple):
    count: Count  # i32[], () unless the rate is a schedule
    learning_rate: jax.Array  # f32[], of the last step; before it, of the first

    def metrics(self) -> dict[str, jax.Array]:
        return {"learning_rate": self.learning_rate}


def scale_by_learning_rate(
    learning_rate: NumberOrSchedule, *, flip_sign: bool = True
) -> optax.GradientTransformationExtraArgs:
    """Turns a direction into a step: multiplies by minus the learning rate.

        u'_t = -learning_rate_t u_t

    The last link of every ready-made optimizer, and the one that compares the shapes
    of updates and parameters where `update` is given parameters.

    Args:
      learning_rate: >= 0, a number (may be traced) or a schedule, which sees 0 at the
        first update. (Optax also takes `None` for no scaling at all.)
      flip_sign: False leaves the sign, for gradient ascent.

    Returns:
      A transformation whose `metrics` have `learning_rate`.

    Raises:
      ValueError: `learning_rate` is negative or not finite; from `update`, an update
        has another shape than its parameter.
      TypeError: from `init`, a parameter is not floating.

    Example:
      >>> tx = scale_by_learning_rate(lambda step: 0.1 / (1 + step))
      >>> _, state = tx.update(jnp.ones(2), tx.init(jnp.ones(2)))
      >>> print(tx.update(jnp.ones(2), state)[0])
      [-0.05 -0.05]
    """
    rate_at = Scheduled("learning_rate", learning_rate, NON_NEGATIVE)
    sign = -1 if flip_sign else 1

    def init(params):
        tree.require_floating(params)
        count = rate_at.init()
        return LearningRateState(count, jnp.array(rate_at(count), float))

    def update(updates, state, params=None, **extra):
        rate = rate_at(state.count)
        scale = sign * rate
        read = () if params is None else (params,)
        updates = tree.map_rule(lambda u, p=None: scale * u, updates, read=read)
        rate = jnp.asarray(rate, state.learning_rate.dtype)
        return updates, LearningRateState(rate_at.next(state.count), rate)

    return optax.GradientTransformationExtraArgs(init, update)
