"""Gaussian noise: annealed, and at a temperature."""

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from gdjax import tree
from gdjax._checks import (
    NON_NEGATIVE,
    Count,
    Number,
    NumberOrSchedule,
    Scheduled,
    integer,
    next_count,
    number,
)


class AddNoiseState(NamedTuple):
    count: jax.Array  # i32[], updates made
    rng_key: jax.Array  # key[], of the next update


def add_noise(
    eta: Number,
    gamma: Number,
    key: jax.Array | int | None = None,
    *,
    seed: int | None = None,
) -> optax.GradientTransformationExtraArgs:
    """Direction: adds Gaussian noise that fades.

        u_t = g_t + sqrt(eta / (1 + t)^gamma) xi_t,   xi_t ~ N(0, 1), t from 0

    Drawn in at least f32; complex noise has |xi|^2 = 1 in the mean. The numbers are
    Optax's, but for leaves of 16 bits. Under `jit` they depend on the key and the
    update alone, not on how parameters are sharded; every part of a `shard_map` draws
    the same, so keep them replicated there.

    Args:
      eta: >= 0, the variance at the first update; may be traced.
      gamma: >= 0, how fast it fades (0.55 in the paper); may be traced.
      key: a seed >= 0 or a random key, typed or raw. (Optax takes none for 0 and warns:
        here it is needed.)
      seed: Optax's older name of `key`.

    Returns:
      A transformation with state `AddNoiseState`.

    Raises:
      ValueError: `eta` or `gamma` is negative or not finite; neither or both of `key`
        and `seed` are given.
      TypeError: `key` is neither; from `init`, a parameter is not floating.

    Example:
      >>> tx = add_noise(0.01, 0.55, key=0)
      >>> u, state = tx.update(jnp.zeros(3), tx.init(jnp.zeros(3)))
      >>> print(u, state.count)
      [...] 1

    Reference: Neelakantan et al. (2015), arXiv:1511.06807.
    """
    eta = number("eta", eta, NON_NEGATIVE)
    gamma = number("gamma", gamma, NON_NEGATIVE)
    if key is None:
        key, seed = seed, None
    if key is None or seed is not None:
        raise ValueError("`add_noise` needs `key`, or `seed` in its place.")
    key = _checked_key(key)

    def init(params):
        tree.require_floating(params)
        return AddNoiseState(jnp.zeros([], jnp.int32), _own_key(key))

    def update(updates, state, params=None, **extra):
        count = next_count(state.count)
        deviation = jnp.sqrt(eta / count.astype(float) ** gamma)
        updates, rng_key = _with_noise(updates, state.rng_key, deviation)
        return updates, AddNoiseState(count, rng_key)

    return optax.GradientTransformationExtraArgs(init, update)


class LangevinState(NamedTuple):
    count: Count  # i32[], () unless lr is a schedule
    rng_key: jax.Array  # key[], of the next update


def langevin(
    temperature: Number, lr: NumberOrSchedule, key: jax.Array | int
) -> optax.GradientTransformationExtraArgs:
    """Direction: noise that makes gradient descent draw from exp(-loss / temperature).

        u_t = g_t + sqrt(2 temperature / lr_t) xi_t,   xi_t ~ N(0, 1)

    so that `scale_by_learning_rate` with the same rate, right behind, steps by
    -lr g + sqrt(2 lr temperature) xi. For the posterior of a model the loss is the
    mean over n examples and the temperature 1 / n. Where the loss has curvature h, the
    variance settles at temperature / (h (1 - lr h / 2)). At lr_t = 0 nothing moves.
    Each part of a complex number has noise of its own. As to sharding and dtypes see
    `add_noise`.

    Args:
      temperature: >= 0; may be traced.
      lr: >= 0, the learning rate of the chain, a number (may be traced) or a schedule.
      key: a seed >= 0 or a random key, typed or raw.

    Returns:
      A transformation with state `LangevinState`.

    Raises:
      ValueError: `temperature` or `lr` is negative or not finite.
      TypeError: one of them is no number, or `key` no key; from `init`, a parameter is
        not floating.

    Example:
      >>> tx = gd.chain(langevin(1.0, 0.1, key=0), gd.scale_by_learning_rate(0.1))
      >>> u, _ = tx.update(jnp.zeros(10_000), tx.init(jnp.zeros(10_000)))
      >>> print(f"{u.std():.2f}")
      0.45

    Reference: Welling and Teh (2011), Bayesian learning via stochastic gradient
    Langevin dynamics.
    """
    temperature = number("temperature", temperature, NON_NEGATIVE)
    rate_at = Scheduled("lr", lr, NON_NEGATIVE)
    key = _checked_key(key)

    def init(params):
        tree.require_floating(params)
        return LangevinState(rate_at.init(), _own_key(key))

    def update(updates, state, params=None, **extra):
        # Where the rate is 0 the ratio only has to be finite: a zero multiplies it.
        rate = jnp.asarray(rate_at(state.count), float)
        deviation = jnp.sqrt(tree.ratio(jnp.asarray(2 * temperature), rate))
        updates, rng_key = _with_noise(updates, state.rng_key, deviation, per_part=True)
        return updates, LangevinState(rate_at.next(state.count), rng_key)

    return optax.GradientTransformationExtraArgs(init, update)


def _with_noise(
    updates: optax.Updates, key: jax.Array, deviation: jax.Array, per_part: bool = False
) -> tuple[optax.Updates, jax.Array]:
    """`updates` with noise, and the key of the next update.

    The deviation is that of a whole complex number, or with `per_part` of its parts.
    """
    following, now = jax.random.split(key)
    leaves, treedef = jax.tree.flatten(updates, is_leaf=tree.is_absent)
    # A key for every place, so that no gradient's noise depends on which are absent.
    keys = jax.random.split(now, len(leaves))

    def draw(key, x):
        if tree.is_absent(x):
            return x
        dtype, sharding = tree.compute_dtype(x.dtype), jax.typeof(x).sharding
        return jax.random.normal(key, x.shape, dtype, out_sharding=sharding)

    def rule(g, noise):
        parts = math.sqrt(2) if per_part and jnp.iscomplexobj(g) else 1
        return g + (parts * deviation) * noise

    noise = treedef.unflatten(map(draw, keys, leaves))
    return tree.map_rule(rule, updates, read=(noise,)), following


def _checked_key(key: jax.Array | int) -> jax.Array | int:
    """`key`: a seed, a typed key or a raw one.

    Raises:
      TypeError: it is none of them.
      ValueError: it is a negative seed, or several keys.
    """
    if not isinstance(key, (jax.Array, np.ndarray)):
        return integer("key", key, 0)
    if jnp.issubdtype(key.dtype, jax.dtypes.prng_key):
        if key.ndim:
            raise ValueError(f"`key` must be one key, got {key.shape} of them.")
    elif not (key.dtype == jnp.uint32 and key.ndim == 1) and not (
        key.ndim == 0 and jnp.issubdtype(key.dtype, jnp.integer)
    ):
        raise TypeError(f"`key` must be a seed or a random key, got {key!r}.")
    return key


def _own_key(key: jax.Array | int) -> jax.Array:
    """A typed key in a buffer of its own, which a donated state may give away."""
    if isinstance(key, (jax.Array, np.ndarray)):
        if jnp.issubdtype(key.dtype, jax.dtypes.prng_key):
            return jnp.copy(key)
        if key.ndim:
            return jax.random.wrap_key_data(jnp.copy(key))
    return jax.random.key(key)
