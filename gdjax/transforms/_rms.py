"""RMSprop's directions: the gradient over its root mean square, centred or not."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax

from gdjax import tree
from gdjax._checks import NON_NEGATIVE, UNIT, Number, next_count, number


class ScaleByRmsState(NamedTuple):
    nu: optax.Updates  # like |params|, >= f32


class ScaleByRmsWithCountState(NamedTuple):
    count: jax.Array  # i32[], updates made
    nu: optax.Updates  # like |params|, >= f32
    nu_weight: jax.Array  # f32[], the same average of ones


class ScaleByRStdDevState(NamedTuple):
    mu: optax.Updates  # like params, >= f32
    nu: optax.Updates  # like |params|, >= f32, of what is left without the mean


class ScaleByRStdDevWithCountState(NamedTuple):
    count: jax.Array  # i32[], updates made
    mu: optax.Updates  # like params, >= f32
    nu: optax.Updates  # like |params|, >= f32, of what is left without the mean
    weight: jax.Array  # f32[], the same average of ones, for both


def scale_by_rms(
    decay: Number = 0.9,
    eps: Number = 1e-8,
    initial_scale: Number = 0.0,
    eps_in_sqrt: bool = True,
    bias_correction: bool = False,
) -> optax.GradientTransformationExtraArgs:
    """Direction: RMSprop's, the gradient over the root of its mean square.

        v_t = decay v_{t-1} + (1 - decay) |g_t|^2,   u_t = g_t / sqrt(v_t + eps)

    from v_0 = initial_scale; with `eps_in_sqrt=False`, as in torch,
    u_t = g_t / (sqrt(v_t) + eps). With `bias_correction` v_t / (1 - decay^t) stands
    for v_t, kept as in `scale_by_adam`; without it the first step from v_0 = 0 is
    1 / sqrt(1 - decay) times as long. v overflows beyond |g| = 1e19 in f32: the
    direction is then zero.

    Args:
      decay: in [0, 1); may be traced. torch's default is 0.99.
      eps, initial_scale: >= 0; may be traced.
      eps_in_sqrt: whether eps stands inside the root.
      bias_correction: as above; it divides a decayed initial_scale too.

    Returns:
      A transformation with state `ScaleByRmsState(nu)`, or with `bias_correction`
      `ScaleByRmsWithCountState`.

    Raises:
      ValueError: a number lies outside its range.
      TypeError: from `init`, a parameter is not floating.

    Example:
      >>> tx = scale_by_rms(bias_correction=True)
      >>> print(tx.update(jnp.array([2.0, -3.0]), tx.init(jnp.ones(2)))[0])
      [ 1. -1.]

    Reference: Tieleman and Hinton (2012), Coursera lecture 6.5.
    """
    decay, start, outside, inside = _numbers(decay, eps, initial_scale, eps_in_sqrt)

    def init(params):
        nu = tree.full_like(params, start, real=True)
        if not bias_correction:
            return ScaleByRmsState(nu)
        return ScaleByRmsWithCountState(
            jnp.zeros([], jnp.int32), nu, jnp.zeros([], float)
        )

    def update(updates, state, params=None, **extra):
        one = jnp.ones([])
        weight = tree.ema_weight(state.nu_weight, decay) if bias_correction else one
        factor = 1 / weight

        def rule(g, nu):
            nu = tree.ema_sq(nu, g, decay)
            return tree.over_root(g, factor * nu, outside, inside), nu

        direction, nu = tree.map_rule(rule, updates, state.nu)
        if not bias_correction:
            return direction, ScaleByRmsState(nu)
        count = next_count(state.count)
        return direction, ScaleByRmsWithCountState(count, nu, weight)

    return optax.GradientTransformationExtraArgs(init, update)


def scale_by_stddev(
    decay: Number = 0.9,
    eps: Number = 1e-8,
    initial_scale: Number = 0.0,
    eps_in_sqrt: bool = True,
    bias_correction: bool = False,
) -> optax.GradientTransformationExtraArgs:
    """Direction: centred RMSprop's, the gradient over its standard deviation.

        m_t = decay m_{t-1} + (1 - decay) g_t
        v_t = decay v_{t-1} + (1 - decay) |g_t|^2
        u_t = g_t / sqrt(v_t - |m_t|^2 + eps)

    from m_0 = 0 and v_0 = initial_scale; with `eps_in_sqrt=False`, as in torch,
    u_t = g_t / (sqrt(v_t - |m_t|^2) + eps). With `bias_correction` both averages are
    divided by 1 - decay^t: the first step is then g / sqrt(eps), as one gradient has
    no deviation.

    The difference is kept itself, in `nu`, as a sum without cancellation,

        s_t = decay (s_{t-1} + (1 - decay) |g_t - m_{t-1}|^2)

    (or that of the corrected averages). Where a gradient hardly changes, v - |m|^2 of
    Optax and torch is rounding alone, and NaN where it is negative.

    Args:
      decay, eps, initial_scale, eps_in_sqrt, bias_correction: as in `scale_by_rms`.

    Returns:
      A transformation with state `ScaleByRStdDevState(mu, nu)`, or with
      `bias_correction` `ScaleByRStdDevWithCountState`.

    Raises:
      ValueError: a number lies outside its range.
      TypeError: from `init`, a parameter is not floating.

    Example:
      >>> tx = scale_by_stddev(0.5, eps=0.0)
      >>> print(tx.update(jnp.array([2.0, -3.0]), tx.init(jnp.ones(2)))[0])
      [ 2. -2.]

    Reference: Graves (2013), arXiv:1308.0850; the sum, Welford (1962), Technometrics
      4(3).
    """
    decay, start, outside, inside = _numbers(decay, eps, initial_scale, eps_in_sqrt)

    def init(params):
        mu = tree.zeros_like(params)
        nu = tree.full_like(params, start, real=True)
        if not bias_correction:
            return ScaleByRStdDevState(mu, nu)
        return ScaleByRStdDevWithCountState(
            jnp.zeros([], jnp.int32), mu, nu, jnp.zeros([], float)
        )

    def update(updates, state, params=None, **extra):
        before = state.weight if bias_correction else jnp.ones([])
        weight = tree.ema_weight(before, decay) if bias_correction else before
        factor, share = 1 / weight, before / weight
        past = tree.ratio(jnp.ones([]), before)

        def rule(g, mu, nu):
            off = tree.abs_sq(g - past * mu, (1 - decay) * share)
            mu, nu = tree.ema(mu, g, decay), decay * (nu + off)
            return tree.over_root(g, factor * nu, outside, inside), mu, nu

        direction, mu, nu = tree.map_rule(rule, updates, state.mu, state.nu)
        if not bias_correction:
            return direction, ScaleByRStdDevState(mu, nu)
        count = next_count(state.count)
        return direction, ScaleByRStdDevWithCountState(count, mu, nu, weight)

    return optax.GradientTransformationExtraArgs(init, update)


def _numbers(decay, eps, initial_scale, eps_in_sqrt: bool) -> tuple[Number, ...]:
    """decay, initial_scale, and eps outside and inside the root."""
    decay, eps = number("decay", decay, UNIT), number("eps", eps, NON_NEGATIVE)
    start = number("initial_scale", initial_scale, NON_NEGATIVE)
    return (decay, start, 0.0, eps) if eps_in_sqrt else (decay, start, eps, 0.0)
