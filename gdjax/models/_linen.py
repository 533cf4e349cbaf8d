"""How a Flax Linen module becomes a model."""

import inspect
from typing import TYPE_CHECKING

import jax
import jax.numpy as jnp

from gdjax.models._model import Model

if TYPE_CHECKING:
    from flax import linen


def from_linen(module: "linen.Module") -> Model:
    """A model from a Flax Linen module.

    `params` is the collection of that name, and `model_state` holds all others that
    `module.init` makes, keyed by their names: `{"batch_stats": ...}`, or `{}`. Both are
    plain nested dicts without metadata of partitioning.

    The module is called as `module(inputs)`, with those of these arguments that its
    `__call__` names: `train`, `training` and `is_training` are True in train mode,
    `deterministic` and `use_running_average` in eval mode; `init` calls it in eval
    mode. In train mode all of `model_state` may change; in eval mode nothing may, which
    Flax watches.

    `key` feeds every random stream, whatever its name. What the module sows is not
    kept.

    Args:
      module: an unbound module. What else it needs than its inputs and the mode must be
        attributes.

    Returns:
      The model. Its `apply` raises a ValueError where the module draws random numbers
      and `key` is None, as dropout does in train mode, and where it would change the
      structure or the shapes of `model_state`; of parameters that do not fit Flax's own
      errors tell.

    Raises:
      TypeError: `module` is something else.

    Example:
      >>> from flax import linen
      >>> model = from_linen(linen.BatchNorm())
      >>> inputs = jnp.array([[1.0], [3.0]])
      >>> params, model_state = model.init(jax.random.key(0), inputs)
      >>> sorted(params), sorted(model_state["batch_stats"])
      (['bias', 'scale'], ['mean', 'var'])
      >>> outputs, model_state = model.apply(params, model_state, inputs, train=True)
      >>> f"{model_state['batch_stats']['mean'][0]:.2f}"
      '0.02'

    Reference: Flax Linen, https://flax-linen.readthedocs.io.
    """
    from flax import core, errors, linen

    if not isinstance(module, linen.Module):
        raise TypeError(f"`module` must be a linen.Module, got {module!r}.")
    named = inspect.signature(type(module).__call__).parameters

    def mode(train: bool) -> dict:
        flags = dict.fromkeys(("train", "training", "is_training"), train)
        flags |= dict.fromkeys(("deterministic", "use_running_average"), not train)
        return {name: flag for name, flag in flags.items() if name in named}

    def init(key, inputs):
        variables = module.init(key, inputs, **mode(False))
        model_state = dict(core.unfreeze(linen.meta.unbox(variables)))
        return model_state.pop("params", {}), model_state

    def apply(params, model_state, inputs, *, train=False, key=None):
        rngs = None
        if key is not None:
            # Streams of other names draw from "params"; some modules look whether there
            # is a "dropout".
            first, second = jax.random.split(key)
            rngs = {"params": first, "dropout": second}
        try:
            outputs, new_state = module.apply(
                {"params": params, **model_state},
                inputs,
                rngs=rngs,
                mutable=list(model_state) if train else [],
                **mode(bool(train)),
            )
        except errors.InvalidRngError as error:
            if key is not None:
                raise
            raise ValueError(
                "`key` must be given, because the model draws random numbers in "
                f"{'train' if train else 'eval'} mode, got None."
            ) from error
        if train:
            model_state = _like(model_state, core.unfreeze(new_state))
        return outputs, model_state

    return Model(init, apply)


def _like(old: dict, new: dict) -> dict:
    """`new`, which must have the structure and the shapes of `old`, in its dtypes."""
    for name in old:
        before, after = (jax.tree.map(jnp.shape, x.get(name)) for x in (old, new))
        if before != after:
            raise ValueError(
                "`module` must keep the structure and the shapes of its variables, but "
                f"its call changes those of `{name}`."
            )
    return jax.tree.map(lambda x, y: jnp.asarray(x, jnp.result_type(y)), new, old)
