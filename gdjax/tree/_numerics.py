"""Arithmetic that keeps what the plain form loses: small squares, norms, roundings."""

import functools
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import optax

from gdjax.tree._paths import is_absent


def compute_dtype(dtype: jax.typing.DTypeLike) -> jnp.dtype:
    """The dtype in which a leaf is computed with: at least f32."""
    return jnp.promote_types(dtype, jnp.float32)


def real_dtype(dtype: jax.typing.DTypeLike) -> jnp.dtype:
    """The dtype of the absolute value: f32 for complex64."""
    return jnp.finfo(dtype).dtype


def abs_sq(x: jax.Array, weight: jax.typing.ArrayLike = 1.0) -> jax.Array:
    """weight |x|^2, real where x is complex, never the square of x alone.

    (weight x) x is finite wherever the result is: x^2 overflows sooner.
    """
    if jnp.iscomplexobj(x):
        re, im = jnp.real(x), jnp.imag(x)
        return (weight * re) * re + (weight * im) * im
    return (weight * x) * x


@jax.jit  # eagerly the branch would compile at every call
def global_norm(tree: optax.Params) -> jax.Array:
    """sqrt(sum |x|^2) over all leaves, right from 1e-30 to 1e30 and beyond.

    Computed in at least f32. The plain sum of squares serves wherever it neither
    overflows nor lets a term vanish that it could feel; only otherwise a second pass
    first divides by a power of two near the largest |x|. Usual gradients thus cost
    what `optax.global_norm` costs. Under `vmap` both passes run.

    Args:
      tree: real or complex arrays; `None` and masked leaves count as empty.

    Returns:
      A scalar, f32 (f64 if a leaf is): inf if a leaf holds an inf, NaN for a NaN.

    Example:
      >>> print(f"{global_norm({'w': jnp.array([3e25, 4e25])}):.3g}")
      5e+25
    """
    leaves = [jnp.asarray(leaf).ravel() for leaf in jax.tree.leaves(tree)]
    leaves = [leaf.astype(compute_dtype(leaf.dtype)) for leaf in leaves if leaf.size]
    dtype = jnp.result_type(jnp.float32, *[real_dtype(leaf.dtype) for leaf in leaves])
    zero, limits = jnp.zeros([], dtype), jnp.finfo(dtype)
    total, size = _sum_of_squares(leaves, zero), sum(leaf.size for leaf in leaves)

    def scaled():
        peaks = [jnp.max(_largest_part(leaf)) for leaf in leaves]
        largest = functools.reduce(jnp.maximum, peaks, zero)
        # A power of two scales without rounding; its inverse must be normal too.
        exponent = jnp.clip(jnp.frexp(largest)[1], limits.minexp + 1, limits.maxexp - 3)
        down = jnp.ldexp(jnp.ones_like(zero), -exponent)
        shrunk = [leaf * down.astype(real_dtype(leaf.dtype)) for leaf in leaves]
        norm = jnp.ldexp(jnp.sqrt(_sum_of_squares(shrunk, zero)), exponent)
        return jnp.where(jnp.isfinite(largest), norm, largest)

    safe = size * float(limits.tiny / limits.eps)
    plain = (total > safe) & (total < jnp.inf)
    return jax.lax.cond(plain, lambda: jnp.sqrt(total), scaled)


def _sum_of_squares(leaves: Sequence[jax.Array], zero: jax.Array) -> jax.Array:
    return sum((jnp.real(jnp.vdot(leaf, leaf)) for leaf in leaves), zero)


def _largest_part(x: jax.Array) -> jax.Array:
    if jnp.iscomplexobj(x):  # |x| itself may overflow
        return jnp.maximum(jnp.abs(jnp.real(x)), jnp.abs(jnp.imag(x)))
    return jnp.abs(x)


def next_params(params: optax.Params, updates: optax.Updates) -> optax.Params:
    """The parameters after `updates`, rounded as the caller's will be.

    Inside one program XLA drops the rounding of a bf16 sum that is used in f32: an
    average of the iterates would then be one of numbers that no one ever held.
    A parameter with an absent update stays.
    """

    def rounded(p, u):
        if is_absent(p) or is_absent(u):
            return p
        x = optax.apply_updates(p, u)
        if x.dtype not in (jnp.bfloat16, jnp.float16):
            return x
        bits = jnp.finfo(x.dtype)
        return jax.lax.reduce_precision(x, bits.nexp, bits.nmant)

    return jax.tree.map(rounded, params, updates, is_leaf=is_absent)
