"""ZClip: clipping of gradient norms that stand out from the recent ones."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax

from gdjax import tree
from gdjax._checks import POSITIVE, UNIT, Number, integer, next_count, number
from gdjax.transforms._clip import clip_jointly, joint_state


class ZClipState(NamedTuple):
    unclipped_norm: jax.Array  # f32[], before clipping, at the last update
    clip_factor: jax.Array  # f32[], by which all was multiplied, 1 where not clipped
    num_clipped: jax.Array  # i32[], updates that were clipped
    count: jax.Array  # i32[], norms in mean and std
    norm_mean: jax.Array  # f32[], of the norms after clipping
    norm_std: jax.Array  # f32[], and their standard deviation

    def metrics(self) -> dict[str, jax.Array]:
        said = self._asdict()
        del said["count"]
        return said


def zclip(
    z_threshold: Number = 2.5, decay: Number = 0.97, *, warmup_steps: int = 25
) -> optax.GradientTransformationExtraArgs:
    """Direction: scales gradients down whose global norm is an outlier among the last.

        z_t = (n_t - m_{t-1}) / s_{t-1},   n_t = sqrt(sum over all leaves |g_t|^2)
        n*_t = m_{t-1} + s_{t-1} z_threshold^2 / z_t   where z_t > z_threshold,
        n*_t = n_t elsewhere;   u_t = g_t n*_t / n_t
        m_t = decay m_{t-1} + (1 - decay) n*_t
        s_t^2 = decay s_{t-1}^2 + (1 - decay) (n*_t - m_t)^2

    the paper's reciprocal form: the further out, the closer to the mean. The first
    `warmup_steps` norms are not clipped; m and s start as their mean and standard
    deviation. As only clipped norms enter, a level that jumps for good by many s is not
    learned, and an s that starts too small stays so: warm up over norms that vary.

    The authors' code adds 1e-6 to s and caps norms at 1 besides. Here z is a plain
    ratio, so that norms from 1e-30 to 1e30 are treated alike; where m is 0 nothing is
    clipped. A norm that is not finite enters neither m nor s; its update is
    that of `clip_by_global_norm`: inf leaves zeros and NaN after the warm-up.

    Args:
      z_threshold: > 0; may be traced.
      decay: of m and s^2, in [0, 1); may be traced.
      warmup_steps: >= 2.

    Returns:
      A transformation with state `ZClipState`, whose `metrics` are `unclipped_norm` and
      `clip_factor` of the last update, `num_clipped`, `norm_mean` m and `norm_std` s.

    Raises:
      ValueError: a number lies outside its range.
      TypeError: from `init`, a parameter is not floating.

    Example:
      >>> tx, g = zclip(warmup_steps=2), jnp.ones(1)
      >>> state = tx.init(g)
      >>> for size in (1.0, 3.0, 12.0):
      ...     u, state = tx.update(size * g, state)
      >>> print(f"{u[0]:.3f} {state.norm_mean:.3f}")  # m = 2, s = 1, z = 10
      2.625 2.019

    Reference: Kumar et al. (2025), arXiv:2504.02507.
    """
    z_threshold = number("z_threshold", z_threshold, POSITIVE)
    decay = number("decay", decay, UNIT)
    warmup_steps = integer("warmup_steps", warmup_steps, 2)

    def init(params):
        tree.require_floating(params)
        zero, one, count = joint_state(params)
        means = jnp.zeros_like(zero), jnp.zeros_like(zero)
        return ZClipState(zero, one, count, jnp.zeros_like(count), *means)

    def update(updates, state, params=None, **extra):
        norm, mean, std = tree.global_norm(updates), state.norm_mean, state.norm_std
        warm, reach = state.count < warmup_steps, z_threshold * std
        judged = ~warm & (mean > 0) & (norm - mean > reach)
        ahead = jnp.where(judged, norm - mean, 1)
        bound = jnp.where(judged, mean + reach * (reach / ahead), jnp.inf)
        updates, said = clip_jointly(updates, norm, bound, state)

        clipped = jnp.minimum(norm, bound)
        # In the warm-up the same recursion with 1 - 1 / count: Welford's.
        count = state.count.astype(norm.dtype)
        kept = jnp.where(warm, count / (count + 1), decay)
        gap = clipped - mean
        # Not of squares, which would overflow; n - m_t is decay times the gap.
        spread = jnp.sqrt((1 - kept) * jnp.where(warm, 1, kept)) * gap
        new = (
            next_count(state.count),
            tree.ema(mean, clipped, kept),
            jnp.sqrt(kept) * jnp.hypot(std, spread),
        )
        counts = jnp.isfinite(norm)
        old = state.count, mean, std
        keep = lambda x, y: jnp.where(counts, x, y).astype(y.dtype)
        return updates, ZClipState(*said, *map(keep, new, old))

    return optax.GradientTransformationExtraArgs(init, update)
