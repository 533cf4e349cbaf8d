"""Hyperparameters in an optimizer's state: read and set between two steps."""

from collections.abc import Mapping

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.core import Tracer
from jax.tree_util import GetAttrKey, KeyPath, tree_flatten_with_path

from gdjax import tree
from gdjax._checks import FINITE, nearest, number
from gdjax.transforms._ranges import BY_NAME


def get_hyperparams(opt_state: optax.OptState) -> dict[str, jax.Array]:
    """What `inject_hyperparams` keeps inside an optimizer's state, by path.

    Args:
      opt_state: the state of an optimizer, `inject_hyperparams` (ours or Optax's) in it
        at any depth.

    Returns:
      {path: value}: the name alone where the state is that of `inject_hyperparams`, and
      behind the place of that state where it stands inside, as in "0/learning_rate" in
      a chain.

    Example:
      >>> tx = gd.chain(gd.inject_hyperparams(gd.trace)(0.9), gd.scale(-0.1))
      >>> for path, value in get_hyperparams(tx.init(jnp.ones(2))).items():
      ...     print(path, value)
      0/decay 0.9
    """
    leaves, _ = tree_flatten_with_path(opt_state)
    return {name: leaf for path, leaf in leaves if (name := _name(path))}


def set_hyperparams(
    opt_state: optax.OptState,
    by_path: Mapping[str, float | jax.Array] | None = None,
    /,
    **by_name: float | jax.Array,
) -> optax.OptState:
    """The optimizer's state with new values of what `inject_hyperparams` keeps there.

    Pure, inside and outside jit; a compiled step is not compiled anew, as each value
    gets the dtype and the place of the old one. Values are checked by name, as a
    compiled step cannot refuse what the factory would: where two functions have an
    argument of that name, what either takes is allowed; of other names, what is finite.
    Traced values are not checked.

    Args:
      opt_state: the state of an optimizer.
      by_path: {path: value} by the paths of `get_hyperparams`, or their ends.
      **by_name: values by the last part of the path, which must be the only one. Each
        is a real scalar, or has the shape of the old one (under `vmap`).

    Returns:
      The new state; all else in it is the same.

    Raises:
      ValueError: there is no such hyperparameter, or more than one, or it follows a
        schedule; a value is out of its range or of another shape.
      TypeError: a value is no number; `by_path` is no mapping.

    Example:
      >>> tx = gd.chain(gd.clip_by_global_norm(1.0), gd.inject_hyperparams(gd.sgd)(0.1))
      >>> state = set_hyperparams(tx.init(jnp.ones(2)), learning_rate=0.2)
      >>> state = set_hyperparams(state, {"1/learning_rate": 0.3})
      >>> print(tx.update(jnp.array([1.0, 0.0]), state)[0])
      [-0.3 -0. ]
      >>> set_hyperparams(state, learning_rate=-1.0)
      Traceback (most recent call last):
      ValueError: `learning_rate` must be finite and >= 0, got -1.0.
    """
    by_path = {} if by_path is None else by_path
    if not isinstance(by_path, Mapping):
        raise TypeError(f"`by_path` must be a dict {{path: value}}, got {by_path!r}.")
    leaves, treedef = tree_flatten_with_path(opt_state)
    known = {name: leaf for path, leaf in leaves if (name := _name(path))}
    scheduled = {_name(path, "hyperparams_states") for path, _ in leaves}
    if not known:
        raise ValueError(
            "`opt_state` holds no hyperparameters: make its optimizer by "
            "`inject_hyperparams(gd.adamw)(...)` or the like."
        )
    new = {}
    exact = {key: [key] for key in by_path if key in known}
    for key, value in [*by_path.items(), *by_name.items()]:
        ends = [path for path in known if f"/{path}".endswith(f"/{key}")]
        paths = exact.pop(key, ends)
        if not paths:
            names = {x for path in known for x in (path, path.split("/")[-1])}
            raise ValueError(
                f"`{key}` is no hyperparameter in `opt_state`{nearest(key, names)}."
            )
        if len(paths) > 1:
            raise ValueError(
                f"`{key}` is the name of {len(paths)} hyperparameters, {paths}: choose "
                f"by path, `set_hyperparams(opt_state, {{{paths[0]!r}: ...}})`."
            )
        (path,) = paths
        if path in scheduled:
            raise ValueError(
                f"`{key}` follows a schedule, which would replace it at the next step."
            )
        if path in new:
            raise ValueError(f"`{key}` is given twice, as {path!r}.")
        new[path] = _filled(path.split("/")[-1], value, known[path])
    return treedef.unflatten(new.get(_name(path), leaf) for path, leaf in leaves)


def _name(path: KeyPath, field: str = "hyperparams") -> str:
    """The path of the hyperparameter that a leaf belongs to; "" of other leaves."""
    places = [i for i, key in enumerate(path) if key == GetAttrKey(field)]
    return tree.path_name((*path[: places[-1]], path[places[-1] + 1])) if places else ""


def _filled(
    name: str, value: jax.typing.ArrayLike, old: jax.typing.ArrayLike
) -> jax.typing.ArrayLike:
    """`value` as it is to stand in place of `old`: for a compiled step the same."""
    shape, dtype = np.shape(old), jnp.result_type(old)
    if np.shape(value) not in ((), shape):
        old_shape = f" or have the old shape {shape}" if shape else ""
        raise ValueError(
            f"`{name}` must be a scalar{old_shape}, got shape {np.shape(value)}."
        )
    if isinstance(value, Tracer):
        return jnp.full_like(old, value, dtype)
    allowed = BY_NAME.get(name, FINITE)
    given = np.asarray(value)
    for x in given.ravel().tolist():
        number(name, x, allowed)
    with np.errstate(over="ignore"):
        new = np.full(shape, given, dtype)
    for x in new.ravel().tolist():  # may be 1 or inf where the value was almost
        number(name, x, allowed)
    if isinstance(old, Tracer):
        return jnp.full_like(old, new)
    place = old.sharding if isinstance(old, jax.Array) and old.committed else None
    return jax.device_put(new, place)
