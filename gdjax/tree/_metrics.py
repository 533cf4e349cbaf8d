"""What the pieces of an optimizer have to say, collected from its state."""

from collections import Counter
from collections.abc import Iterator
from typing import Any

import jax
import optax
from jax.tree_util import KeyPath, tree_flatten_with_path

from gdjax.tree._paths import path_name


def metrics(opt_state: optax.OptState) -> dict[str, jax.Array]:
    """Scalars by name from every state inside `opt_state` that has something to say.

    A state says it with a method `metrics() -> dict[str, scalar]`. A name that two
    states use is preceded by their paths. Works inside and outside jit; what is not
    read costs nothing.

    Args:
      opt_state: any optimizer's state, at any depth.

    Returns:
      {name: scalar}, such as the learning rate of the last step and the gradient norm
      before clipping.

    Example:
      >>> import gdjax as gd
      >>> tx = gd.chain(gd.clip_by_global_norm(1.0), gd.sgd(0.1))
      >>> sorted(metrics(tx.init({"w": jnp.ones(2)})))
      ['clip_factor', 'learning_rate', 'unclipped_norm']
    """
    said = list(_collect((), opt_state))
    uses = Counter(name for _, name, _ in said)
    return {
        name if uses[name] == 1 or not path else f"{path_name(path)}/{name}": value
        for path, name, value in said
    }


def _collect(path: KeyPath, node: Any) -> Iterator[tuple[KeyPath, str, jax.Array]]:
    """(path, name, value) of `node` and of every state inside it."""
    if callable(getattr(node, "metrics", None)):
        for name, value in node.metrics().items():
            yield path, name, value
    # One level at a time, so that a state inside a state that speaks is heard too.
    below = lambda child: child is not node
    for key, child in tree_flatten_with_path(node, is_leaf=below)[0]:
        if child is not node:
            yield from _collect((*path, *key), child)
