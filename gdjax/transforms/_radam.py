"""RAdam's direction: Adam's, once enough squares are known to divide by their mean."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax

from gdjax import tree
from gdjax._checks import NON_NEGATIVE, UNIT, Number, Range, next_count, number

_THRESHOLD = Range("be finite and >= 4", lambda x: 4 <= x < float("inf"))


class ScaleByRadamState(NamedTuple):
    count: jax.Array  # i32[], updates made
    mu: optax.Updates  # like params, >= f32
    nu: optax.Updates  # like |params|, >= f32
    mu_weight: jax.Array  # f32[], the same average of ones: 1 - b1^count if b1 is fixed
    nu_weight: jax.Array  # f32[], and for nu
    nu_age: jax.Array  # f32[], the same average of the steps that have passed since


def scale_by_radam(
    b1: Number = 0.9,
    b2: Number = 0.999,
    eps: Number = 1e-8,
    eps_root: Number = 0.0,
    threshold: Number = 5.0,
    *,
    nesterov: bool = False,
) -> optax.GradientTransformationExtraArgs:
    """Direction: RAdam's, the mean alone until the mean square can be trusted.

        u_t = r_t m^_t / (sqrt(v^_t + eps_root) + eps)   where rho_t >= threshold
        u_t = m^_t                                       before
        r_t^2 = (rho_t - 4) (rho_t - 2) rho_inf / ((rho_inf - 4) (rho_inf - 2) rho_t)
        rho_t = rho_inf - 2 t b2^t / (1 - b2^t),   rho_inf = 2 / (1 - b2) - 1

    with m^, v^ and `nesterov` as in `scale_by_adam`; rho_t is how many squares v^_t
    rests on. Where b2 <= 0.66 there are never 5, and no mean square is used at all.

    rho_t is 1 + 2 (the mean age of the squares in v_t), of which the state keeps the
    sum. That is right where b2 changes from step to step, and loses nothing: the
    difference above makes Optax's first r_t 1.2 % wrong in f32 at b2 = 0.999, and
    meaningless at 0.9999. torch adds eps before the bias correction, sqrt(v_t) + eps:
    there eps / sqrt(1 - b2^t) counts.

    Args:
      b1, b2: decay of the mean and of the mean square, in [0, 1); may be traced.
      eps, eps_root: added outside and inside the root, >= 0; may be traced.
      threshold: >= 4, below which r_t is no number; may be traced. The paper has "> 4".
      nesterov: as in `scale_by_adam`.

    Returns:
      A transformation with state `ScaleByRadamState`, Optax's `ScaleByAdamState` and
      more; complex leaves have a real v.

    Raises:
      ValueError: a number lies outside its range.
      TypeError: from `init`, a parameter is not floating.

    Example:
      >>> tx = scale_by_radam()
      >>> print(tx.update(jnp.array([2.0, -0.5]), tx.init(jnp.ones(2)))[0])
      [ 2.  -0.5]

    Reference: Liu et al. (2019), arXiv:1908.03265.
    """
    b1, b2 = number("b1", b1, UNIT), number("b2", b2, UNIT)
    eps = number("eps", eps, NON_NEGATIVE)
    eps_root = number("eps_root", eps_root, NON_NEGATIVE)
    threshold = number("threshold", threshold, _THRESHOLD)

    def init(params):
        mu = tree.zeros_like(params)
        nu = tree.zeros_like(params, real=True)
        scalars = [jnp.zeros([], float) for _ in range(3)]
        return ScaleByRadamState(jnp.zeros([], jnp.int32), mu, nu, *scalars)

    def update(updates, state, params=None, **extra):
        c1 = tree.ema_weight(state.mu_weight, b1)
        c2 = tree.ema_weight(state.nu_weight, b2)
        # All that is there is a step older; the newest has no age.
        age = jnp.asarray(b2 * (state.nu_age + state.nu_weight), c2.dtype)
        mean, r2 = tree.unbiased(b1, c1, nesterov), 1 / c2
        rho, longest = 1 + 2 * age / c2, (1 + b2) / (1 - b2)
        above = (rho - 4) * (rho - 2) * longest
        square = above / ((longest - 4) * (longest - 2) * rho)
        trusted = rho >= threshold
        # A traced threshold is not checked: below 4 it might ask for a negative root.
        r = jnp.sqrt(jnp.where(trusted, jnp.maximum(square, 0), 1))

        def rule(g, mu, nu):
            mu = tree.ema(mu, g, b1)
            nu = tree.ema_sq(nu, g, b2)
            plain = mean(mu, g)
            adapted = r * tree.over_root(plain, r2 * nu, eps, eps_root)
            return jnp.where(trusted, adapted, plain), mu, nu

        direction, mu, nu = tree.map_rule(rule, updates, state.mu, state.nu)
        count = next_count(state.count)
        return direction, ScaleByRadamState(count, mu, nu, c1, c2, age)

    return optax.GradientTransformationExtraArgs(init, update)
