"""Masks by the paths of parameters."""

from collections.abc import Callable

import optax

from gdjax import tree
from gdjax._checks import regex
from gdjax.transforms._mask import some


def mask_by_path(pattern: str) -> Callable[[optax.Params], optax.Params]:
    """A mask: True for the parameters in whose path a pattern is found.

    For `mask=` of links and optimizers, and for `masked`: no tree of bools has to
    mirror the parameters. The opposite is a pattern too: "^(?!.*kernel$)".

    Args:
      pattern: a regular expression, searched for (`re.search`) in paths such as
        `block_0/attention/kernel`.

    Returns:
      A function from parameters to a tree of bools. It raises a ValueError, from
      `init`, where the pattern is found in no path.

    Raises:
      ValueError: `pattern` is no regular expression.
      TypeError: it is no string.

    Example:
      >>> p = {"dense": {"kernel": jnp.ones((2, 3)), "bias": jnp.ones(3)}}
      >>> mask_by_path("kernel$")(p)
      {'dense': {'bias': False, 'kernel': True}}
      >>> tx = gd.adamw(0.1, mask=mask_by_path("kernel$"))
    """
    found = regex("pattern", pattern)

    def mask(params: optax.Params) -> optax.Params:
        leaves = tree.named_leaves(params)
        is_empty = all(map(tree.is_absent, leaves.values()))
        if not is_empty and not any(map(found.search, leaves)):
            raise ValueError(
                f"the pattern {pattern!r} of `mask_by_path` is found in no path of "
                f"{some(list(leaves))}."
            )
        return tree.select(params, pattern)

    return mask
