"""AdaGrad's direction: the gradient over the root of the sum of all its squares."""

from typing import NamedTuple

import optax

from gdjax import tree
from gdjax._checks import NON_NEGATIVE, Number, number


class ScaleByRssState(NamedTuple):
    sum_of_squares: optax.Updates  # like |params|, >= f32


def scale_by_rss(
    initial_accumulator_value: Number = 0.1,
    eps: Number = 1e-7,
    *,
    eps_in_sqrt: bool = True,
) -> optax.GradientTransformationExtraArgs:
    """Direction: AdaGrad's, the gradient over the root of the sum of its squares.

        G_t = G_{t-1} + |g_t|^2,   u_t = g_t / sqrt(G_t + eps)

    from G_0 = initial_accumulator_value; with `eps_in_sqrt=False`, as in the paper and
    in torch, u_t = g_t / (sqrt(G_t) + eps). torch's numbers are 0 and 1e-10. The sum
    only grows, so steps only shrink: like 1 / sqrt(t) for each number by itself, and
    one that seldom has a gradient keeps large steps. It overflows beyond |g| = 1e19 in
    f32: the direction is then zero, for good.

    Args:
      initial_accumulator_value, eps: >= 0; may be traced.
      eps_in_sqrt: whether eps stands inside the root.

    Returns:
      A transformation with state `ScaleByRssState(sum_of_squares)`.

    Raises:
      ValueError: a number lies outside its range.
      TypeError: from `init`, a parameter is not floating.

    Example:
      >>> tx = scale_by_rss(0.0, 0.0)
      >>> u, state = tx.update(jnp.array([3.0, -0.1]), tx.init(jnp.ones(2)))
      >>> print(u, tx.update(jnp.array([4.0, 0.0]), state)[0])
      [ 1. -1.] [0.8 0. ]

    Reference: Duchi, Hazan and Singer (2011), JMLR 12, 2121-2159.
    """
    start = number("initial_accumulator_value", initial_accumulator_value, NON_NEGATIVE)
    eps = number("eps", eps, NON_NEGATIVE)
    outside, inside = (0.0, eps) if eps_in_sqrt else (eps, 0.0)

    def rule(g, sum_of_squares):
        total = sum_of_squares + tree.abs_sq(g)
        return tree.over_root(g, total, outside, inside), total

    def init(params):
        return ScaleByRssState(tree.full_like(params, start, real=True))

    def update(updates, state, params=None, **extra):
        direction, total = tree.map_rule(rule, updates, state.sum_of_squares)
        return direction, ScaleByRssState(total)

    return optax.GradientTransformationExtraArgs(init, update)
