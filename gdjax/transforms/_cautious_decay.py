"""Weight decay where it does not work against the update."""

import jax.numpy as jnp
import optax

from gdjax._checks import NON_NEGATIVE, Mask, NumberOrSchedule, Scheduled
from gdjax.transforms._cautious import alignment
from gdjax.transforms._decay import link_that_adds


def cautious_weight_decay(
    weight_decay: NumberOrSchedule, mask: Mask = None
) -> optax.GradientTransformationExtraArgs:
    """Direction: adds the parameters, scaled, where an update shrinks them anyway.

        u'_t = u_t + weight_decay_t p_t   where u_t p_t >= 0,   u_t elsewhere

    In the place of `add_decayed_weights`: last before the learning rate. The loss keeps
    its own stationary points, as decay never holds an update back. Signs are compared,
    so that no product vanishes; where u_t is 0 there is decay. Of complex numbers
    the sign of Re(conj(u_t) p_t) decides.

    Args:
      weight_decay: >= 0, a number (may be traced) or a schedule.
      mask: as in `add_decayed_weights`.

    Returns:
      A transformation with state `DecayState` that needs `params` in `update`.

    Raises:
      ValueError: `weight_decay` is negative or not finite; from `update`, `params` is
        missing or differs in shape.
      TypeError: from `init`, a parameter is not floating.

    Example:
      >>> tx = cautious_weight_decay(0.5)
      >>> p, u = jnp.array([2.0, 2.0]), jnp.array([1.0, -1.0])
      >>> print(tx.update(u, tx.init(p), p)[0])
      [ 2. -1.]

    Reference: Chen et al. (2025), arXiv:2510.12402.
    """
    decay_at = Scheduled("weight_decay", weight_decay, NON_NEGATIVE)
    term = lambda u, p: jnp.where(alignment(u, p) >= 0, p, 0)
    return link_that_adds("cautious_weight_decay", decay_at, mask, term)
