"""From plain JSON data to transformations and schedules: calls of named functions."""

import functools
import inspect
import types
from collections.abc import Callable, Mapping, Sequence
from typing import TypeAlias, TypeVar, cast

import optax

from gdjax import averaging, optimizers, schedules, transforms
from gdjax._checks import nearest

T = TypeVar("T")

# JSON data; in place of a part of it, what that part would build may stand.
Spec: TypeAlias = object

_MODULES = (optimizers, averaging, transforms, schedules, optax)


def optimizer_from_spec(
    spec: Spec, *, path: str = "optimizer"
) -> optax.GradientTransformationExtraArgs:
    """The transformation that JSON data describes.

    A dict with a "name" is a call of the function of that name, in gdjax or else in
    Optax, with the dict's other entries as its arguments. They are built in the same
    way, so a schedule may stand where a number is expected, and an optimizer inside its
    wrapper. A list of transformations is their `chain`.

    Args:
      spec: the data. Parts of it may already be built: a schedule, an optimizer.
      path: what the data is called in messages.

    Returns:
      The transformation.

    Raises:
      ValueError: a name or an argument does not exist, an argument is refused, or the
        result is no transformation; with the dotted path and the nearest right name.

    Example:
      >>> clip = {"name": "clip_by_global_norm", "max_norm": 1.0}
      >>> rate = {"name": "constant_schedule", "value": 0.5}
      >>> tx = optimizer_from_spec([clip, {"name": "sgd", "learning_rate": rate}])
      >>> print(tx.update(jnp.array([3.0, 4.0]), tx.init(jnp.ones(2)))[0])
      [-0.3 -0.4]
      >>> optimizer_from_spec({"name": "sgd", "learning_rat": 0.1})
      Traceback (most recent call last):
      ValueError: `optimizer.learning_rat` is no argument of `sgd`; the nearest is ...
    """
    built = build(spec, _MODULES, path=path)
    if not isinstance(built, optax.GradientTransformation):
        raise ValueError(f"`{path}` must describe a transformation, got {spec!r}.")
    return optax.with_extra_args_support(built)


def schedule_from_spec(spec: Spec, *, path: str = "schedule") -> optax.Schedule:
    """The schedule that JSON data describes, see `optimizer_from_spec`.

    Args:
      spec: a dict with a "name", or a number, which stays as it is at every step.
      path: what the data is called in messages.

    Returns:
      step -> value.

    Raises:
      ValueError: as `optimizer_from_spec`.

    Example:
      >>> print(schedule_from_spec({"name": "constant_schedule", "value": 0.1})(0))
      0.1
    """
    built = build(spec, _MODULES, path=path)
    if isinstance(built, (int, float)) and not isinstance(built, bool):
        return schedules.constant_schedule(built)
    if not callable(built):
        raise ValueError(f"`{path}` must describe a schedule, got {spec!r}.")
    return cast(optax.Schedule, built)


def build(spec: Spec, modules: Sequence[types.ModuleType], *, path: str) -> object:
    """What JSON data describes in terms of the public functions of `modules`.

    Args:
      spec: a dict with a "name": that function, called with the other entries; a list:
        what its entries describe, chained if all are transformations; else itself.
      modules: where names are looked up, the first that has one wins.
      path: what the data is called in messages.

    Returns:
      What the function returns.

    Raises:
      ValueError: a name or an argument does not exist, or an argument is refused.

    Example:
      >>> model = build({"name": "mlp", "features": [8, 2]}, [gd.models], path="model")
    """
    if isinstance(spec, list):
        parts = [build(x, modules, path=f"{path}.{i}") for i, x in enumerate(spec)]
        links = [x for x in parts if isinstance(x, optax.GradientTransformation)]
        return optax.chain(*links) if parts and len(links) == len(parts) else parts
    if not isinstance(spec, dict):
        return spec
    arguments = {
        key: build(value, modules, path=f"{path}.{key}") for key, value in spec.items()
    }
    if "name" not in spec:
        return arguments
    name = arguments.pop("name")
    known = {}
    for module in reversed(modules):
        known |= _functions(module)
    if name not in list(known):
        raise ValueError(f"`{path}.name`: {name!r} is unknown{nearest(name, known)}.")
    return call(known[name], arguments, path=path)


def call(
    function: Callable[..., T], arguments: Mapping[str, object], *, path: str
) -> T:
    """`function(**arguments)`, with mistakes reported by their place in a config.

    Args:
      function: or a class: whatever has a signature.
      arguments: by name.
      path: what the arguments are called in messages.

    Returns:
      What the function returns.

    Raises:
      ValueError: an argument does not exist, is missing or is refused.

    Example:
      >>> call(pow, {"base": 2, "exp": 3}, path="power")
      8
    """
    parameters = inspect.signature(function).parameters.values()
    takes_any = any(p.kind is p.VAR_KEYWORD for p in parameters)
    named = {
        p.name: p
        for p in parameters
        if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)
    }
    for key in arguments:
        if key not in named and not takes_any:
            name = getattr(function, "func", function).__name__
            raise ValueError(
                f"`{path}.{key}` is no argument of `{name}`{nearest(key, named)}."
            )
    for key, parameter in named.items():
        if parameter.default is parameter.empty and key not in arguments:
            raise ValueError(f"`{path}.{key}` is missing.")
    try:
        return function(**arguments)
    except (TypeError, ValueError) as error:
        raise ValueError(f"`{path}`: {error}") from error


def _functions(module: types.ModuleType) -> dict[str, Callable[..., object]]:
    kinds = (types.FunctionType, functools.partial)
    return {
        name: value
        for name, value in vars(module).items()
        if isinstance(value, kinds) and not name.startswith("_")
    }
