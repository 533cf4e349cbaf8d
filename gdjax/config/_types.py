"""Whether JSON data is what the type hint of an argument asks for, in words."""

import itertools
import sys
import types
import typing
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Annotated, Literal

import jax
import numpy as np
import optax

from gdjax._checks import MAX_INT, nearest

_WORDS: dict[object, str] = {
    types.NoneType: "None",
    bool: "a bool",
    int: "an int",
    float: "a number",
    str: "a string",
    jax.Array: "an array",
    optax.GradientTransformation: "a transformation",
    Callable: "a function",
    Sequence: "a list",
    Mapping: "a dict",
}
_SCALARS = (bool, int, float, str, types.NoneType)
_ARRAYS = (jax.Array, np.ndarray, np.generic, complex)
_CONTAINERS = {list: Sequence, tuple: Sequence, dict: Mapping}
_WHOLE = 2**53  # beyond it every float is whole


def fitted(hint: object, value: object, *, path: str) -> object:
    """`value` as the argument that has this type hint.

    A whole number such as 1e3 becomes an int where no float is asked for, and so do the
    keys of a dict, which JSON has as strings. Not checked are hints of other than plain
    types, and values that are neither JSON data nor functions nor transformations.

    Args:
      hint: an annotation whose strings are evaluated.
      value: what the argument is to be.
      path: what the argument is called in messages.

    Raises:
      ValueError: `value` is not finite, or not what the hint asks for.
    """
    if isinstance(value, (int, float)) and not abs(value) <= sys.float_info.max:
        raise ValueError(f"`{path}` must be finite, got {shown(value)}.")
    members, of = _members(hint), _kind_of(value)
    if members is None or of is None:
        return value
    fits = [member for member in members if _takes(member, value)]
    if not fits:
        near = nearest(value, _literals(members)) if of is str else ""
        raise ValueError(
            f"`{path}` must be {in_words(hint)}, got {shown(value)}{near}."
        )
    kinds = [_kind(member) for member in fits]
    if isinstance(value, float) and float not in kinds:
        return int(value)
    if of is int and isinstance(value, int) and float in kinds and abs(value) > MAX_INT:
        return float(value)  # as an int it overflows in the arithmetic of Optax
    inner = typing.get_args(fits[0])
    if isinstance(value, (list, tuple)) and inner:
        hints = inner if _is_fixed(fits[0]) else itertools.repeat(inner[0])
        parts = enumerate(zip(hints, value, strict=False))
        return [fitted(hint, x, path=f"{path}.{i}") for i, (hint, x) in parts]
    if isinstance(value, Mapping) and inner:
        return {
            _key(inner[0], key): fitted(inner[1], x, path=f"{path}.{key}")
            for key, x in value.items()
        }
    return value


def in_words(hint: object) -> str:
    """What a hint asks for, as in "a number or a schedule"; "" if that is not known."""
    members = _members(hint)
    if members is None:
        return ""
    literals = _literals(members)
    if len(literals) > 1 and all(_kind(member) is Literal for member in members):
        return f"one of {', '.join(literals)}"
    words = []
    for member in members:
        if _kind(member) is Literal:
            words += map(repr, typing.get_args(member))
        elif member == optax.Schedule:
            words.append("a schedule")
        elif _is_fixed(member):
            words.append(f"a list of {len(typing.get_args(member))}")
        else:
            words.append(_WORDS[_kind(member)])
    *most, last = dict.fromkeys(words)
    return f"{', '.join(most)} or {last}" if most else last


def shown(value: object) -> str:
    """`value` as it is to stand in a message: short, without addresses."""
    text = repr(value)
    if " at 0x" in text:
        text = _WORDS.get(_kind_of(value), text)
    return text if len(text) <= 80 else f"{text[:77]}..."


def _members(hint: object) -> list[object] | None:
    """The types that a hint allows, without those that another one includes."""
    members = list(_flat(hint))
    kinds = set(map(_kind, members))
    if None in kinds:
        return None
    # An array stands for the numbers that may be traced, `ArrayLike` for all of them.
    included = {bool, int, jax.Array} if float in kinds else set()
    included |= {jax.Array} if int in kinds else set()
    return [member for member in members if _kind(member) not in included]


def _flat(hint: object) -> Iterator[object]:
    origin = typing.get_origin(hint)
    if origin in (typing.Union, types.UnionType):
        for member in typing.get_args(hint):
            yield from _flat(member)
    elif origin is Annotated:
        yield from _flat(typing.get_args(hint)[0])
    else:
        yield hint


def _kind(member: object) -> object:
    """The key of `_WORDS` that a type belongs to, or `Literal`; `None` if to none."""
    origin = typing.get_origin(member) or member
    if origin is Literal:
        return Literal
    if not isinstance(origin, type):
        return None
    if origin in _CONTAINERS:
        return _CONTAINERS[origin]
    if origin in (*_SCALARS, Callable, Sequence, Mapping):
        return origin
    if issubclass(origin, optax.GradientTransformation):
        return optax.GradientTransformation
    return jax.Array if issubclass(origin, _ARRAYS) else None


def _kind_of(value: object) -> object:
    """The key of `_WORDS` that a value belongs to; `None` if to none."""
    for kind in (*_SCALARS, optax.GradientTransformation):
        if isinstance(value, kind):
            return kind
    if isinstance(value, (list, tuple)):
        return Sequence
    if isinstance(value, Mapping):
        return Mapping
    return Callable if callable(value) else None


def _takes(member: object, value: object) -> bool:
    kind, of = _kind(member), _kind_of(value)
    if kind is Literal:
        return value in typing.get_args(member)
    if kind is int and isinstance(value, float):
        return value.is_integer() and abs(value) <= _WHOLE
    if _is_fixed(member) and isinstance(value, (list, tuple)):
        return len(value) == len(typing.get_args(member))
    return kind is of or (kind is float and of is int)


def _is_fixed(member: object) -> bool:
    """Whether it is a tuple with a hint for each place."""
    inner = typing.get_args(member)
    return typing.get_origin(member) is tuple and Ellipsis not in inner


def _literals(members: Sequence[object]) -> list[str]:
    inner = [typing.get_args(x) for x in members if _kind(x) is Literal]
    return [str(literal) for literals in inner for literal in literals]


def _key(hint: object, key: object) -> object:
    if hint is int and isinstance(key, str) and key.isdecimal():
        return int(key)
    return key
