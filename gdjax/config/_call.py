"""Calls whose mistakes are named by the place in a config at which they stand."""

import dataclasses
import inspect
import re
import typing
from collections.abc import Callable, Iterable, Mapping
from typing import TypeVar

from gdjax._checks import nearest
from gdjax.config._types import fitted, in_words, shown

T = TypeVar("T")

_LONGEST = 300  # characters of a message

# What functions raise that are given nonsense; Optax's check little.
MISTAKES = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    LookupError,
    # Caught, not raised: so JAX and Optax refuse arguments that they do not take.
    NotImplementedError,
    TypeError,
    ValueError,
)


def call(
    function: Callable[..., T], arguments: Mapping[str, object], *, path: str
) -> T:
    """`function(**arguments)`, with mistakes reported by their place in a config.

    Types are compared with the function's hints where these are plain, an int given as
    1e3 becomes one, and a dict for a dataclass becomes that.

    Args:
      function: or a class: whatever has a signature.
      arguments: by name.
      path: what the arguments are called in messages.

    Returns:
      What the function returns.

    Raises:
      ValueError: an argument does not exist, is missing, of a wrong type or refused.

    Example:
      >>> call(pow, {"base": 2, "exp": 3}, path="power")
      8
      >>> call(gd.swa, {"inner": gd.sgd(0.1), "start_step": -1}, path="config.average")
      Traceback (most recent call last):
      ValueError: `config.average.start_step` must lie in [0, 2**31 - 1], got -1.
    """
    arguments = checked(function, arguments, path=path)
    try:
        return function(**arguments)
    except MISTAKES as error:
        raise at(path, error, arguments) from error


def checked(
    function: Callable[..., object],
    arguments: Mapping[str, object],
    *,
    path: str,
    partly: bool = False,
) -> dict[str, object]:
    """The arguments as `function` is to get them; all of them, or some (`partly`)."""
    parameters = signature(function)
    takes_any = any(p.kind is p.VAR_KEYWORD for p in parameters)
    named = {
        p.name: p
        for p in parameters
        if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)
    }
    for key in arguments:
        if key not in named and not takes_any:
            part = _part(function) is not None
            why = "unknown" if part else f"no argument of `{name_of(function)}`"
            raise ValueError(f"`{path}.{key}` is {why}{nearest(key, named)}.")
    for key, parameter in named.items():
        if parameter.default is parameter.empty and key not in arguments and not partly:
            words = _part(parameter.annotation) and "a dict"
            words = words or in_words(parameter.annotation)
            needed = f"; it must be {words}" if words else ""
            raise ValueError(f"`{path}.{key}` is missing{needed}.")
    return {
        key: _argument(named[key].annotation, value, path=f"{path}.{key}")
        if key in named
        else value
        for key, value in arguments.items()
    }


def _argument(hint: object, value: object, *, path: str) -> object:
    part = _part(hint)
    if part is None:
        return fitted(hint, value, path=path)
    optional = part is not hint
    if optional and value is None:
        return None
    if isinstance(value, Mapping):
        return call(part, value, path=path)
    if not isinstance(value, part):
        words = "a dict or None" if optional else "a dict"
        raise ValueError(f"`{path}` must be {words}, got {shown(value)}.")
    return value


def _part(hint: object) -> type | None:
    """The dataclass that a hint is (or `None`), which a dict may stand for."""
    for member in typing.get_args(hint) or (hint,):
        if isinstance(member, type) and dataclasses.is_dataclass(member):
            return member
    return None


def signature(function: Callable[..., object]) -> list[inspect.Parameter]:
    try:
        return [*inspect.signature(function, eval_str=True).parameters.values()]
    except (
        AttributeError,
        NameError,
        SyntaxError,
        TypeError,
    ):  # for type checkers alone
        return [*inspect.signature(function).parameters.values()]


def name_of(function: Callable[..., object]) -> str:
    return getattr(function, "func", function).__name__


def at(path: str, error: Exception, names: Iterable[str] = ()) -> ValueError:
    """The error with its place in a config in front, in one line.

    A message that starts with one of `names`, or a place in it such as `groups[0]`,
    gets the path of that.
    """
    text = " ".join(str(error).split("\n\n")[0].split())
    first = re.match(r"`(\w+)((?:\[\d+\])*)(?=[`.])", text)
    if first and first[1] in names:
        place = re.sub(r"\[(\d+)\]", r".\1", first[2])
        text = f"`{path}.{first[1]}{place}{text[first.end() :]}"
    else:
        kind = type(error).__name__
        known = isinstance(error, (TypeError, ValueError)) and text
        text = f"`{path}`: {text if known else f'{kind}: {text}'.removesuffix(': ')}"
    if len(text) > _LONGEST:
        return ValueError(f"{text[: _LONGEST - 3]}...")
    return ValueError(f"{text.removesuffix('.')}.")
