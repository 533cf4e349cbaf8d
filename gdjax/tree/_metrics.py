"""What the pieces of an optimizer have to say, collected from its state."""

from collections import Counter

import jax
import optax

from gdjax.tree._paths import nodes, path_name


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
      ['clip_factor', 'learning_rate', 'num_clipped', 'unclipped_norm']
    """
    said = [
        (path, name, value)
        for path, node in nodes(opt_state)
        if callable(getattr(node, "metrics", None))
        for name, value in node.metrics().items()
    ]
    uses = Counter(name for _, name, _ in said)
    return {
        name if uses[name] == 1 or not path else f"{path_name(path)}/{name}": value
        for path, name, value in said
    }
