"""Arithmetic that keeps what the plain form loses: small squares, norms, roundings."""

import functools

import jax
import jax.numpy as jnp
import optax

from gdjax.tree._paths import Tree, is_absent


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
        re, im = _real_parts(x)
        return jnp.asarray((weight * re) * re + (weight * im) * im)
    return jnp.asarray((weight * x) * x)


@jax.jit  # eagerly the branch would compile at every call
def global_norm(tree: Tree) -> jax.Array:
    """sqrt(sum |x|^2) over all leaves, right from 1e-30 to 1e30 and beyond.

    Computed in at least f32. The plain sum of squares serves wherever it neither
    overflows nor lets a term vanish that it could feel; only otherwise a second pass
    scales by a power of two first. Usual gradients thus cost what `optax.global_norm`
    costs. Under `vmap` both passes run.

    Args:
      tree: real or complex arrays; `None` and masked leaves count as empty.

    Returns:
      A scalar, f32 (f64 if a leaf is): inf if a leaf holds an inf, NaN for a NaN.

    Example:
      >>> print(f"{global_norm({'w': jnp.array([3e25, 4e25])}):.3g}")
      5e+25
    """
    leaves = [jnp.asarray(leaf) for leaf in jax.tree.leaves(tree)]
    wide = [compute_dtype(leaf.dtype) for leaf in leaves]
    dtype = jnp.result_type(jnp.float32, *map(real_dtype, wide))

    def sum_of_squares(unit: jax.typing.ArrayLike = 1):
        total = jnp.zeros([], dtype)
        for leaf, kind in zip(leaves, wide, strict=True):
            for part in _real_parts(leaf.astype(kind)):
                # Of a product XLA makes unit^2 x^2 where x is constant: inf 0, NaN.
                total += jnp.sum(jnp.square(part.astype(dtype) / unit))
        return total

    total, limits = sum_of_squares(), jnp.finfo(dtype)
    size = sum(leaf.size for leaf in leaves)

    def scaled():
        # Exact, and far enough: 2^90 in f32, so that squares of 1e-38 and of 1e38 fit.
        power = 2.0 ** (90 if dtype == jnp.float32 else 600)
        unit = jnp.where(total < 1, 1 / power, power).astype(dtype)
        return jnp.sqrt(sum_of_squares(unit)) * unit

    plain = (total > size * float(limits.tiny / limits.eps)) & (total < jnp.inf)
    return jax.lax.cond(plain, lambda: jnp.sqrt(total), scaled)


@functools.partial(jax.jit, static_argnames="axes")  # eagerly: several programs
def leaf_norm(x: jax.Array, axes: tuple[int, ...] | None = None) -> jax.Array:
    """sqrt(sum |x|^2) of one array, right wherever the result is; inf for an inf.

    Over `axes` alone, which stay with length 1, if they are given.

    For rules: the largest entry is taken out first, which is a second pass but no
    branch: one in every leaf would cost a GPU more.
    """
    over = {"axis": axes, "keepdims": axes is not None}
    parts = _real_parts(x)
    largest = functools.reduce(
        jnp.maximum, [jnp.max(jnp.abs(part), initial=0, **over) for part in parts]
    )
    usual = (largest > 0) & (largest < jnp.inf)
    scale = jnp.where(usual, largest, 1)
    squares = [jnp.sum(jnp.square(part / scale), **over) for part in parts]
    return scale * jnp.sqrt(sum(squares))


@jax.jit
def leaf_norms(tree: Tree) -> Tree:
    """`leaf_norm` of every leaf, in at least f32, as a tree of scalars.

    One pass and one branch for all: where in every leaf the squares neither overflow
    nor vanish, their sums serve. A leaf of zeros makes it two.
    """
    leaves, treedef = jax.tree.flatten(tree)
    wide = [jnp.asarray(x, compute_dtype(jnp.result_type(x))) for x in leaves]
    square = lambda x: sum(jnp.sum(jnp.square(part)) for part in _real_parts(x))
    totals = [jnp.asarray(square(x)) for x in wide]
    limits = [jnp.finfo(total.dtype) for total in totals]
    plain = [
        (total >= x.size * float(limit.tiny / limit.eps)) & (total < jnp.inf)
        for total, x, limit in zip(totals, wide, limits, strict=True)
    ]
    norms = jax.lax.cond(
        jnp.all(jnp.array(plain)),
        lambda: [jnp.sqrt(total) for total in totals],
        lambda: [leaf_norm(x) for x in wide],
    )
    return treedef.unflatten(norms)


def _real_parts(x: jax.Array) -> tuple[jax.Array, ...]:
    # Apart, as an inf times a real factor is NaN in complex arithmetic.
    return (jnp.real(x), jnp.imag(x)) if jnp.iscomplexobj(x) else (x,)


def next_params(params: Tree, updates: Tree) -> Tree:
    """The parameters after `updates`, rounded as the caller's will be.

    Inside one program XLA drops the rounding of a bf16 sum that is used in f32: an
    average of the iterates would then be one of numbers that no one ever held.
    A parameter with an absent update stays.
    """

    def rounded(p, u):
        if is_absent(p) or is_absent(u):
            return p
        x = jnp.asarray(optax.apply_updates(p, u))
        if x.dtype not in (jnp.bfloat16, jnp.float16):
            return x
        bits = jnp.finfo(x.dtype)
        return jax.lax.reduce_precision(x, bits.nexp, bits.nmant)

    return jax.tree.map(rounded, params, updates, is_leaf=is_absent)


def as_wide_as(params: Tree, updates: Tree) -> Tree:
    """`updates`, in wider dtypes where their parameters are: then p + (0 - p) is 0."""

    def wide(p, u):
        absent = is_absent(p) or is_absent(u)
        return u if absent else u.astype(jnp.result_type(p, u))

    return jax.tree.map(wide, params, updates, is_leaf=is_absent)
