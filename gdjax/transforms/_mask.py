"""Masks of links: a change where the mask says so, absent gradients skipped."""

from collections.abc import Callable

import jax
import numpy as np
import optax

from gdjax import tree
from gdjax._checks import Mask


def change_where(
    mask: Mask,
    params: optax.Params,
    change: Callable[[optax.Updates], optax.Updates],
    updates: optax.Updates,
) -> optax.Updates:
    """`change(updates)` where the mask is True or `None`, `updates` elsewhere.

    The mask is a tree of bools, a prefix of both trees, or a function that makes it
    from the parameters. (`optax.masked` fails where a gradient is `None`.)
    """
    if mask is None:
        return change(updates)
    mask = require_mask(mask, params, updates)
    absent = jax.tree.map(lambda _: optax.MaskedNode(), updates)
    changed = change(_where(mask, updates, absent))
    return _where(mask, changed, updates)


def require_mask(
    mask: Mask, params: optax.Params, updates: optax.Updates | None = None
) -> Mask:
    """The tree of bools that `mask` is or makes, a prefix of `updates` or `params`.

    Raises:
      TypeError: a leaf is no bool.
      ValueError: it has another structure.
    """
    mask = mask(params) if callable(mask) else mask
    for path, leaf in tree.named_leaves(mask).items():
        is_bool = isinstance(leaf, bool) or getattr(leaf, "dtype", "") == "bool"
        if not tree.is_absent(leaf) and not (is_bool and np.ndim(leaf) == 0):
            where = f" at `{path}`" if path else ""
            raise TypeError(f"`mask` must be a tree of bools, got {leaf!r}{where}.")
    like = params if updates is None else updates
    try:
        if mask is not None:
            jax.tree.structure(mask).flatten_up_to(like)
    except ValueError:
        raise ValueError(
            "`mask` must have the structure of the parameters, or of their upper part; "
            f"it has the leaves {list(tree.named_leaves(mask))}, they have "
            f"{list(tree.named_leaves(like))}."
        ) from None
    return mask


def _where(mask, yes: optax.Updates, no: optax.Updates) -> optax.Updates:
    return jax.tree.map(lambda m, y, n: y if m else n, mask, yes, no)


def some(names: list[str]) -> str:
    """The first of the names, for an error."""
    more = f" and {len(names) - 5} more" if len(names) > 5 else ""
    return ", ".join(f"`{name}`" for name in names[:5]) + more
