"""Updates that shrink from layer to layer, towards the input."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import optax
from jax.tree_util import tree_map_with_path

from gdjax import tree
from gdjax._checks import Number, Range, integer, number, regex
from gdjax._wrapping import ordered, require_transformation

_DECAY = Range("lie in (0, 1]", lambda x: 0 < x <= 1)


class LayerwiseDecayState(NamedTuple):
    inner_state: optax.OptState


def layerwise_decay(
    inner: optax.GradientTransformation,
    decay: Number,
    depth_of: Callable[[str], int] | Sequence[str],
) -> optax.GradientTransformationExtraArgs:
    """Direction or step: that of `inner`, smaller the further from the output.

        u' = decay^(D - d) u

    for the leaves of depth d, where D is the largest depth. For fine-tuning: layers
    near the input, which are general, move less. Around an optimizer it scales the
    learning rate of a layer, and decoupled weight decay with it; around a direction it
    does so wherever nothing behind it normalises.

    Args:
      inner: of either kind.
      decay: in (0, 1]; may be traced.
      depth_of: a function from the path of a parameter, such as `block_3/bias`, to its
        depth, an int >= 0; or a list of patterns from the input to the output, where
        the depth is the place of the first that is found (`re.search`) in the path.

    Returns:
      A transformation with state `LayerwiseDecayState`.

    Raises:
      ValueError: `decay` is outside (0, 1], or a pattern is no regular expression; from
        `init`, a depth is negative, or a parameter has none.
      TypeError: `inner` is no transformation, `depth_of` neither function nor patterns;
        from `init`, a depth is no int, or a parameter is not floating.

    Example:
      >>> p = {"embed": jnp.ones(1), "block_0": jnp.ones(1), "head": jnp.ones(1)}
      >>> tx = layerwise_decay(gd.sgd(1.0), 0.5, ["embed", "block_0", "head"])
      >>> u, _ = tx.update(p, tx.init(p), p)
      >>> print(u["embed"], u["block_0"], u["head"])
      [-0.25] [-0.5] [-1.]

    Reference: Clark et al. (2020), arXiv:2003.10555; Bao et al. (2021),
      arXiv:2106.08254.
    """
    inner = require_transformation("layerwise_decay", inner)
    decay = number("decay", decay, _DECAY)
    depth = depth_of if callable(depth_of) else _first_found(depth_of)

    def depths(values):
        """{path: depth}, and the largest depth."""
        found = {}
        for name, leaf in tree.named_leaves(values).items():
            if (d := depth(name)) is not None:
                found[name] = integer(f"depth_of({name!r})", d, 0)
            elif not tree.is_absent(leaf):  # which may be another group's
                raise ValueError(f"`depth_of` finds no depth for parameter `{name}`.")
        return found, max(found.values(), default=0)

    def init(params):
        tree.require_floating(params)
        depths(params)
        return LayerwiseDecayState(ordered("layerwise_decay", inner.init(params)))

    def update(updates, state, params=None, **extra):
        new, inner_state = inner.update(updates, state.inner_state, params, **extra)
        found, largest = depths(updates)

        def shrunk(path, u):
            scale = decay ** (largest - found[tree.path_name(path)])
            return tree.stored(scale * tree.widened(u), u)

        return tree_map_with_path(shrunk, new), LayerwiseDecayState(inner_state)

    return optax.GradientTransformationExtraArgs(init, update)


def _first_found(patterns: Sequence[str]) -> Callable[[str], int | None]:
    if not isinstance(patterns, (list, tuple)) or not patterns:
        raise TypeError(
            "`depth_of` must be a function from a path to an int, or a list of "
            f"patterns, at least one, got {patterns!r}."
        )
    compiled = [regex("depth_of", x) for x in patterns]

    def depth(name: str) -> int | None:
        return next((i for i, x in enumerate(compiled) if x.search(name)), None)

    return depth
