"""JSON data as calls of named functions, looked up in modules."""

import difflib
import functools
import inspect
import types
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TypeAlias

import optax

from gdjax import averaging, optimizers, schedules, transforms
from gdjax._checks import nearest
from gdjax.config._call import call, checked, signature
from gdjax.config._types import fitted, shown

# JSON data; in place of a part of it, what that part would build may stand.
Spec: TypeAlias = object
Modules: TypeAlias = Sequence[types.ModuleType]
Function: TypeAlias = Callable[..., object]

MODULES = (optimizers, averaging, transforms, schedules, optax, optax.contrib)
_GROUPS = "partition_by_path"


def build(spec: Spec, modules: Modules = MODULES, *, path: str) -> object:
    """What JSON data describes in terms of the public functions of `modules`.

    Args:
      spec: a dict with a "name": that function, called with the other entries; with a
        "function": that function itself, the other entries bound to it; with "groups":
        `partition_by_path`, called; a list: what its entries describe, chained if all
        are transformations; else itself. `inject_hyperparams` takes the arguments of
        its "inner_factory" too, and is called with them.
      modules: where names are looked up, the first that has one wins; by default those
        of `optimizer_from_spec`.
      path: what the data is called in messages.

    Returns:
      What the function returns.

    Raises:
      ValueError: as `optimizer_from_spec`.

    Example:
      >>> model = build({"name": "mlp", "features": [8, 2]}, [gd.models], path="model")
    """
    if isinstance(spec, list):
        parts = [build(x, modules, path=f"{path}.{i}") for i, x in enumerate(spec)]
        links = [x for x in parts if isinstance(x, optax.GradientTransformation)]
        return optax.chain(*links) if parts and len(links) == len(parts) else parts
    if not isinstance(spec, Mapping):
        return fitted(object, spec, path=path)
    how, function = function_of(spec, modules, path=path)
    arguments = {
        key: build(value, modules, path=f"{path}.{key}")
        for key, value in spec.items()
        if key != how
    }
    if function is None:
        return arguments
    if how == "function":
        bound = checked(function, arguments, path=path, partly=True)
        return functools.partial(function, **bound) if bound else function
    inject = transforms.inject_hyperparams
    if function is inject:  # the other entries are for the factory that it returns
        own = {p.name for p in signature(inject)} & set(arguments)
        factory = call(inject, {key: arguments.pop(key) for key in own}, path=path)
        return call(factory, arguments, path=path)
    return call(function, arguments, path=path)


def resolve(name: object, modules: Modules = MODULES, *, path: str) -> Function:
    """The public function called `name`.

    Args:
      name: of a function.
      modules: where it is looked up, as in `build`.
      path: what the name is called in messages.

    Returns:
      The function.

    Raises:
      ValueError: there is none; the message has the nearest name.

    Example:
      >>> resolve("swa", path="config.average.name") is gd.swa
      True
      >>> resolve("adamq", path="config.optimizer.name")
      Traceback (most recent call last):
      ValueError: `config.optimizer.name`: 'adamq' is unknown; the nearest is 'adam'.
    """
    if not isinstance(name, str):
        raise ValueError(f"`{path}` must be a string, got {shown(name)}.")
    known = _functions(modules)
    if name not in known:
        near = nearest(name.lower(), _suggestions(name.lower(), known))
        raise ValueError(f"`{path}`: {name!r} is unknown{near}.")
    return known[name]


def function_of(
    spec: Mapping[str, Spec], modules: Modules, *, path: str
) -> tuple[str | None, Function | None]:
    """The key that names the function of a dict, and the function."""
    for key in ("name", "function"):
        if key in spec:
            return key, resolve(spec[key], modules, path=f"{path}.{key}")
    return None, _functions(modules).get(_GROUPS) if "groups" in spec else None


def _functions(modules: Modules) -> dict[str, Function]:
    kinds = (types.FunctionType, functools.partial)
    return {
        name: value
        for module in reversed(modules)
        for name, value in vars(module).items()
        if isinstance(value, kinds) and not name.startswith("_")
    }


def _suggestions(name: str, known: Mapping[str, Function]) -> Iterable[str]:
    """Among which names to look for the nearest.

    Where none is close, what starts like it comes first, and what makes something to
    train with: "cosine" is a schedule and no loss.
    """
    if close := difflib.get_close_matches(name, known, n=1, cutoff=0.8):
        return close
    alike = {n: f for n, f in known.items() if n.startswith(name)} or known
    makes = lambda f: str(inspect.signature(f).return_annotation)
    words = ("Transformation", "Callable", "Model")
    makers = [n for n, f in alike.items() if any(word in makes(f) for word in words)]
    return makers or alike
