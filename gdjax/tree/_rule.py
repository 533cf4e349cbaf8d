"""The lift: a rule written for one array becomes a map from trees to trees."""

import inspect
from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from gdjax.tree._numerics import compute_dtype, real_dtype
from gdjax.tree._paths import Tree, is_absent, named_leaves


def map_rule(
    rule: Callable[..., jax.Array | tuple[jax.Array, ...]],
    *trees: Tree,
    statistics: tuple[Tree, ...] = (),
    read: tuple[Tree, ...] = (),
    names: Sequence[str] | None = None,
):
    """Rewrites trees leaf by leaf with a rule that is written for one array.

    `rule(*leaves)` gets one leaf of each of `trees`, `statistics` and `read`: arrays of
    one shape, in f32 where the tree holds f16 or bf16. It returns the new leaves of
    `trees` and `statistics`, stored in the dtype in which they came. Where the first
    tree is absent (`None`, `optax.MaskedNode`) every tree keeps what it has.

    Args:
      rule: pure.
      *trees: rewritten; one structure, one shape a leaf.
      statistics: rewritten too; each leaf keeps a shape of its own.
      read: trees that are only read.
      names: what errors call the trees, by default as `rule` calls its parameters;
        g, u and p are spelled out.

    Returns:
      As many trees as `trees` and `statistics`; the tree itself where that is one.

    Raises:
      ValueError: two trees differ in structure or in a leaf's shape, or the rule does
        not return an array of the old one's shape for each of those rewritten.
      TypeError: a leaf of the first tree is not floating, or complex where one that is
        read is real; a complex result for a real tree: write `abs_sq(g)` for |g|^2.

    Example:
      >>> g, mu = {"w": jnp.ones(2)}, {"w": jnp.zeros(2)}
      >>> print(map_rule(lambda g, mu: (g - mu, mu + g), g, mu)[1]["w"])
      [1. 1.]
    """
    names = list(inspect.signature(rule).parameters) if names is None else list(names)
    alike, rewritten = len(trees), len(trees) + len(statistics)
    compared = names[:alike] + names[rewritten:]
    first, treedef = jax.tree.flatten(trees[0], is_leaf=is_absent)
    try:
        others = (*trees[1:], *statistics, *read)
        rest = [treedef.flatten_up_to(tree) for tree in others]
    except ValueError:
        raise ValueError(_difference(compared, *trees, *read)) from None
    # Traced once for each set of shapes: dearer than a rule of an operation or two,
    # such as a stateless one; eagerly a fresh closure would compile anew.
    once = rewritten > 1 and any(isinstance(x, Tracer) for x in first)
    lifted = jax.jit(rule) if once else rule
    rows = []
    for leaves in zip(first, *rest, strict=True):
        kept = leaves[:rewritten]
        if is_absent(leaves[0]):
            rows.append(kept)
            continue
        _refuse_other_kinds(names, leaves, rewritten, trees[0], len(rows))
        shapes = [None if is_absent(leaf) else np.shape(leaf) for leaf in leaves]
        wanted = shapes[:rewritten]
        if any(x != shapes[0] for x in shapes[1:alike] + shapes[rewritten:]):
            raise ValueError(_difference(compared, *trees, *read))
        new = lifted(*map(widened, leaves))
        new = new if isinstance(new, tuple) else (new,)
        if [np.shape(x) for x in new] != wanted:
            raise ValueError(
                f"the rule must return {rewritten} array(s), for "
                f"{', '.join(names[:rewritten])}, of {_shapes(wanted)}; it returned "
                f"{_shapes([np.shape(x) for x in new])}."
            )
        try:
            rows.append(tuple(map(stored, new, kept)))
        except TypeError as error:
            path = list(named_leaves(trees[0]))[len(rows)]
            raise TypeError(f"leaf `{path}`: {error}") from None
    columns = zip(*rows, strict=True) if rows else [()] * rewritten
    results = [treedef.unflatten(column) for column in columns]
    return tuple(results) if len(results) > 1 else results[0]


# The next three run once a leaf in every trace: they touch what has to change alone.


def _refuse_other_kinds(names, leaves, num_kept: int, tree: Tree, place: int) -> None:
    leaf = leaves[0]
    kind = leaf.dtype if isinstance(leaf, jax.Array) else jnp.result_type(leaf)
    if jnp.issubdtype(kind, jnp.floating):
        return
    read = [jnp.result_type(x) for x in leaves[num_kept:] if not is_absent(x)]
    real = [x for x in read if not jnp.issubdtype(x, jnp.complexfloating)]
    if jnp.issubdtype(kind, jnp.complexfloating) and not real:
        return
    word = _WORDS.get(names[0], f"`{names[0]}`")
    other = f"complex only where the parameter is, which is {real[0]}" if real else ""
    raise TypeError(
        f"leaf `{list(named_leaves(tree))[place]}`: {word} must be "
        f"{other if jnp.issubdtype(kind, jnp.inexact) else 'floating'}, got {kind}."
    )


def widened(leaf: jax.typing.ArrayLike) -> jax.Array:
    """`leaf` as it is computed with: f16 and bf16 as f32, all else as it is."""
    array = leaf if isinstance(leaf, jax.Array) else jnp.asarray(leaf)
    small = array.dtype in (jnp.bfloat16, jnp.float16)
    return array.astype(jnp.float32) if small else array


def stored(new: jax.typing.ArrayLike, old: jax.typing.ArrayLike) -> jax.Array:
    """`new` in the dtype of `old`, not weakly typed; no complex one as real."""
    new = new if isinstance(new, jax.Array) else jnp.asarray(new)
    dtype = old.dtype if isinstance(old, jax.Array) else jnp.asarray(old).dtype
    if new.dtype == dtype and not getattr(new, "weak_type", False):  # no key has it
        return new
    if jnp.iscomplexobj(new) and not jnp.issubdtype(dtype, jnp.complexfloating):
        raise TypeError(
            f"a complex result cannot be stored as {dtype}: |g|^2 is `abs_sq(g)`."
        )
    return new.astype(dtype)


def _shapes(shapes: Sequence[object]) -> str:
    return ", ".join(f"shape {shape}" for shape in shapes)


_WORDS = {"g": "the gradient", "u": "the update", "p": "the parameter"}


def _difference(names: Sequence[str], *trees: Tree) -> str:
    """One sentence on the first place where the trees differ."""
    words = [_WORDS.get(name, f"`{name}`") for name in names]
    tables = [
        {
            path: "nothing" if is_absent(leaf) else f"shape {np.shape(leaf)}"
            for path, leaf in named_leaves(tree).items()
        }
        for tree in trees
    ]
    one, *others = tables
    for word, other in zip(words[1:], others, strict=False):
        for path in {**one, **other}:
            here, there = one.get(path, "no such leaf"), other.get(path, "no such leaf")
            if here != there and here != "nothing":
                return f"leaf `{path}`: {words[0]} has {here}, {word} has {there}."
    return f"trees of different types: {[jax.tree.structure(tree) for tree in trees]}"


def require_floating(params: Tree) -> None:
    """Refuses parameters that no gradient can belong to.

    Raises:
      TypeError: a leaf is neither real nor complex floating; its name is given.
    """
    for path, leaf in named_leaves(params).items():
        if is_absent(leaf):
            continue
        dtype = jnp.result_type(leaf)
        if not jnp.issubdtype(dtype, jnp.inexact):
            raise TypeError(
                f"parameters must be real or complex floats, leaf `{path}` is {dtype}: "
                "keep it out of `params`, or mask it."
            )


def require_scalar(name: str, returned: object) -> None:
    """Refuses what a function `name` returned if it is no real floating scalar.

    Raises:
      ValueError: with what it is.
    """
    if not isinstance(returned, (jax.Array, jax.ShapeDtypeStruct)):
        kind = type(returned).__name__
        raise ValueError(f"`{name}` must return a real scalar, got a {kind}.")
    if returned.shape or not jnp.issubdtype(returned.dtype, jnp.floating):
        raise ValueError(
            f"`{name}` must return a real scalar, got {returned.dtype} of shape "
            f"{returned.shape}."
        )


def zeros_like(
    params: Tree,
    dtype: jax.typing.DTypeLike | None = None,
    *,
    real: bool = False,
) -> Tree:
    """State for `params`: zeros in at least f32 unless `dtype` says otherwise.

    Each leaf is sharded like its parameter. With `real` a complex parameter gets a
    real leaf: second moments.

    Raises:
      TypeError: a parameter is not floating.
    """
    return full_like(params, 0, dtype, real=real)


def full_like(
    params: Tree,
    value: jax.typing.ArrayLike,
    dtype: jax.typing.DTypeLike | None = None,
    *,
    real: bool = False,
) -> Tree:
    """State for `params` as `zeros_like` makes it, that starts at `value`."""
    require_floating(params)

    def full(p):
        kind = jnp.dtype(dtype) if dtype else compute_dtype(jnp.result_type(p))
        return jnp.full_like(p, value, dtype=real_dtype(kind) if real else kind)

    return jax.tree.map(full, params)
