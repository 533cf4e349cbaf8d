"""What all schedules are made of: integer steps, the ramp, exact powers, tables."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from gdjax._checks import Number

_FEW = 8  # so many comparisons stay in the kernel around them, a search may not


class Ramp(NamedTuple):
    """How much of a way is done and how much is left: each right where it is small."""

    done: jax.Array  # in [0, 1]
    left: jax.Array  # 1 - done


def count(step: jax.typing.ArrayLike) -> jax.Array:
    """`step` in 32 bits (64 under x64): below them it counts as 0, above as the last.

    Raises:
      TypeError: it is no integer: f32 has no integers of its own beyond 2^24.
    """
    step = step if isinstance(step, jax.Array) else np.asarray(step)
    if not jnp.issubdtype(step.dtype, jnp.integer):
        raise TypeError(f"`step` must be an integer, got {step.dtype}.")
    kind = jax.dtypes.canonicalize_dtype(int)
    last = min(np.iinfo(kind).max, np.iinfo(step.dtype).max)
    return jnp.asarray(step.clip(0, last)).astype(kind)


def past(step: jax.Array, begin: int | jax.Array) -> jax.Array:
    """Steps since `begin`, 0 before it; nothing overflows."""
    at_once = isinstance(begin, int) and begin == 0
    return step if at_once else jnp.maximum(step, begin) - begin


def divided(step: jax.Array, by: int | jax.Array) -> tuple[jax.Array, jax.Array]:
    """Quotient and remainder of what is never negative, so as XLA has them."""
    by = jnp.broadcast_to(jnp.asarray(by, step.dtype), step.shape)
    quotient = jax.lax.div(step, by)
    return quotient, step - quotient * by


def ramp(step: jax.Array, begin: int | jax.Array, steps: int | jax.Array) -> Ramp:
    """The way from `begin` to `begin + steps`; with steps = 0 a jump at `begin`.

    It is subtracted and clipped as integers. The smaller part is divided, the larger is
    1 less that: so both ends are exact, which steps / steps need not be, as it is
    compiled to a product with a reciprocal.
    """
    if isinstance(steps, int) and steps == 0:
        done = (step >= begin).astype(float)
        return Ramp(done, 1 - done)
    done = jnp.minimum(past(step, begin), steps)
    left = steps - done
    early = done < left
    small = jnp.minimum(done, left).astype(float) / steps
    return Ramp(jnp.where(early, small, 1 - small), jnp.where(early, 1 - small, small))


def log2(base: Number) -> Number:
    """The logarithm to base 2, in f64 where the number is known."""
    return jnp.log2(base) if isinstance(base, Tracer) else math.log2(base)


def exp2(slope: Number, times: jax.Array) -> jax.Array:
    """2^(slope times) for integers >= 0, to the last bits also where it is large.

    A rounded exponent would cost as many last bits as it is large. So the first 8 bits
    of the slope are multiplied by 15 and by 16 bits of the integer, which f32 does
    exactly, and their whole parts leave before anything is added. By all of the integer
    is multiplied the rest only, which is small and of the same sign. A traced slope is
    all rest.
    """
    coarse = 0.0
    if not isinstance(slope, Tracer):
        mantissa, exponent = math.frexp(slope)
        coarse = math.ldexp(int(256 * mantissa), exponent - 8)
    low = times & 0xFFFF
    first, second = (part.astype(float) * coarse for part in (times - low, low))
    third = times.astype(float) * (slope - coarse)
    whole = jnp.round(first) + jnp.round(second)
    part = (first - jnp.round(first)) + (second - jnp.round(second)) + third
    return jnp.exp(math.log(2) * part) * _two_to_the(whole)


def _two_to_the(whole: jax.Array) -> jax.Array:
    """2^whole from its bits, exactly; 0 and infinity where it is no normal number."""
    kind = jnp.finfo(whole.dtype)
    bias = kind.maxexp - 1
    bits = jnp.clip(whole + bias, 0, 2 * bias + 1).astype(f"int{kind.bits}")
    return jax.lax.bitcast_convert_type(bits << kind.nmant, whole.dtype)


def row(
    step: jax.Array,
    starts: Sequence[int] | np.ndarray,
    *columns: Sequence[Number] | np.ndarray,
) -> list[jax.Array]:
    """Of the row in which a step lies its first step, and its entry in each column.

    Args:
      step: from `count`.
      starts: the first steps of the rows: 0 and on, not falling. Of rows that start
        together the last counts.
      columns: arrays, which keep their dtype, or lists of numbers.
    """
    table = jnp.asarray(starts, step.dtype)
    if len(starts) <= _FEW:
        passed = ((step >= int(start)).astype(int) for start in starts[1:])
        at = sum(passed, jnp.zeros_like(step))
    else:
        at = jnp.searchsorted(table, step, side="right", method="scan_unrolled") - 1
    entry = lambda column: column.at[at].get(
        mode="promise_in_bounds", wrap_negative_indices=False
    )
    arrays = (jnp.asarray(c, float if isinstance(c, list) else None) for c in columns)
    return [entry(table), *map(entry, arrays)]
