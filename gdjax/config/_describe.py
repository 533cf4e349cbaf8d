"""What an optimizer consists of: the calls of a spec, or the states of a chain."""

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import TypeAlias

import jax
import numpy as np
import optax
from jax.tree_util import DictKey, tree_flatten_with_path

from gdjax.config._build import MODULES, Spec, build, function_of
from gdjax.config._call import name_of, signature
from gdjax.config._spec import optimizer_from_spec
from gdjax.config._types import shown

Row: TypeAlias = tuple[str, ...]

_SHAPES = 4  # different ones that are shown
_WIDEST = 40  # what columns after the first are padded to


def describe(optimizer: Spec, params: optax.Params | None = None) -> str:
    """A table of an optimizer's calls, or with `params` of its states.

    Without `params`, a line for each call that a spec stands for, those inside it
    indented: what is given, and every default. What Optax brings is marked.

    With `params`, a line for each field of each state: its leaves, dtypes, bytes and
    shapes. Nothing is allocated. Under the replicated plan each device holds all of it.

    Args:
      optimizer: a spec, see `gdjax.config.optimizer_from_spec`; with `params` also a
        transformation.
      params: the parameters, or their shapes and dtypes.

    Returns:
      The table.

    Raises:
      ValueError: as `optimizer_from_spec`.

    Example:
      >>> rate = {"name": "constant_schedule", "value": 0.1}
      >>> clip = {"name": "clip_by_global_norm", "max_norm": 1.0}
      >>> print(describe([clip, {"name": "yogi", "learning_rate": rate, "b2": 0.99}]))
      call                                  given         default
      chain
        clip_by_global_norm                 max_norm=1.0
        yogi                                b2=0.99       b1=0.9, eps=0.001
          learning_rate: constant_schedule  value=0.1
      >>> params = {"kernel": jnp.ones((64, 10)), "bias": jnp.ones(10)}
      >>> print(describe(gd.swa(gd.sgd(0.1, momentum=0.9), start_step=100), params))
      state                              leaves  dtype    bytes  shapes
      SwaState.count                          1  int32        4  ()
      SwaState.num_averaged                   1  int32        4  ()
      SwaState.average                        2  float32  2,600  (64, 10), (10,)
        TraceState.trace                      2  float32  2,600  (64, 10), (10,)
        LearningRateState.learning_rate       1  float32      4  ()
      total                                   7           5,212  8.0 bytes a parameter
                                                                 (650)
      Under the replicated plan every device holds all of it.
    """
    if params is not None:
        return _states(optimizer, params)
    if isinstance(optimizer, optax.GradientTransformation):
        raise ValueError("`params` must be given for a transformation, got None.")
    optimizer_from_spec(optimizer)
    return _table([("call", "given", "default"), *_calls(optimizer)])


def _calls(spec: Spec, label: str = "", depth: int = 0) -> Iterator[Row]:
    """A row for each call in a spec that can be built."""
    lead = "  " * depth + label
    if isinstance(spec, list) and _is_chain(spec):
        yield lead + "chain", "", ""
        for link in spec:
            yield from _calls(link, "", depth + 1)
    elif isinstance(spec, list):
        stem = label.removesuffix(": ")
        for i, entry in enumerate(spec):
            match entry:
                case [str(key), inner] if _has_calls(inner):
                    yield from _calls(inner, f"{stem} {key!r}: ", depth)
                case _ if _has_calls(entry):
                    yield from _calls(entry, f"{stem} {i}: ", depth)
    elif isinstance(spec, Mapping):
        yield from _call(spec, lead, depth)
    else:
        yield lead + _value(spec), "", ""


def _call(spec: Mapping[str, Spec], lead: str, depth: int) -> Iterator[Row]:
    how, function = function_of(spec, MODULES, path="optimizer")
    arguments = {key: value for key, value in spec.items() if key != how}
    if function is not None:
        name = str(spec[how]) if how else name_of(function)
        module = getattr(function, "func", function).__module__
        marks = ["optax"] if module.startswith("optax.") else []
        marks += ["function"] if how == "function" else []
        mark = f" ({', '.join(marks)})" if marks else ""
        defaults = {
            p.name: p.default
            for p in signature(function)
            if p.default is not p.empty and p.name not in arguments
        }
        given = {key: x for key, x in arguments.items() if not _has_calls(x)}
        yield lead + name + mark, _listed(given), _listed(defaults)
        depth += 1
    for key, value in arguments.items():
        if _has_calls(value):
            yield from _calls(value, f"{key}: ", depth)


def _is_chain(spec: list[Spec]) -> bool:
    return isinstance(build(spec, path="optimizer"), optax.GradientTransformation)


def _has_calls(spec: Spec) -> bool:
    """Whether a part of a spec has lines of its own."""
    if isinstance(spec, Mapping):
        called = not {"name", "function", "groups"}.isdisjoint(spec)
        return called or any(map(_has_calls, spec.values()))
    if isinstance(spec, list):
        return any(map(_has_calls, spec))
    return isinstance(spec, optax.GradientTransformation)


def _listed(arguments: Mapping[str, object]) -> str:
    return ", ".join(f"{key}={_value(value)}" for key, value in arguments.items())


def _value(value: object) -> str:
    name = getattr(value, "__name__", "<lambda>")
    return shown(value) if name == "<lambda>" else name


def _states(optimizer: Spec, params: optax.Params) -> str:
    if not isinstance(optimizer, optax.GradientTransformation):
        optimizer = optimizer_from_spec(optimizer, params)
    state = jax.eval_shape(optimizer.init, params)
    num_params = sum(math.prod(np.shape(x)) for x in jax.tree.leaves(params))
    num_bytes, leaves = _bytes(state), str(len(jax.tree.leaves(state)))
    share = "no parameters"
    if num_params:
        share = f"{num_bytes / num_params:.1f} bytes a parameter ({num_params:,})"
    rows = [
        ("state", "leaves", "dtype", "bytes", "shapes"),
        *_fields(state, params),
        ("total", leaves, "", f"{num_bytes:,}", share),
    ]
    where = "Under the replicated plan every device holds all of it."
    return f"{_table(rows, right=(1, 3))}\n{where}"


def _fields(state: optax.OptState, params: optax.Params) -> Iterator[Row]:
    """A row for each field of each state; states inside it come indented, after it."""
    # Parameters may stand in named tuples too, and so do their moments then.
    no_states: set[type] = {optax.MaskedNode}

    def note(node: object) -> bool:
        no_states.add(type(node))
        return False

    jax.tree.leaves(params, is_leaf=note)

    def is_state(node: object) -> bool:
        named = isinstance(node, tuple) and hasattr(node, "_fields")
        return named and type(node) not in no_states

    def rows(fields: Mapping[str, optax.OptState], depth: int) -> Iterator[Row]:
        inside = []
        for name, value in fields.items():
            found = tree_flatten_with_path(value, is_leaf=is_state)[0]
            inside += [(path, node) for path, node in found if is_state(node)]
            if leaves := [leaf for _, leaf in found if not is_state(leaf)]:
                dtypes = ", ".join(dict.fromkeys(str(x.dtype) for x in leaves))
                size = f"{_bytes(leaves):,}"
                lead = "  " * max(depth, 0) + name
                yield lead, str(len(leaves)), dtypes, size, _shapes(leaves)
        for path, node in inside:
            keys = [f"{key.key}: " for key in path if isinstance(key, DictKey)]
            kind = "".join(keys) + type(node).__name__
            inner = {f"{kind}.{name}": x for name, x in node._asdict().items()}
            yield from rows(inner, depth + 1)

    yield from rows({"state": state}, -1)


def _bytes(tree: optax.OptState) -> int:
    return sum(math.prod(x.shape) * x.dtype.itemsize for x in jax.tree.leaves(tree))


def _shapes(leaves: Sequence[jax.ShapeDtypeStruct]) -> str:
    """The largest first, equal ones counted: "12 x (64, 64), (64,) and 3 more"."""
    counts = Counter(x.shape for x in leaves)
    shapes = sorted(counts, key=math.prod, reverse=True)
    words = [f"{n} x {s}" if (n := counts[s]) > 1 else f"{s}" for s in shapes[:_SHAPES]]
    others = sum(counts[s] for s in shapes[_SHAPES:])
    return ", ".join(words) + (f" and {others} more" if others else "")


def _table(rows: Sequence[Row], right: Sequence[int] = ()) -> str:
    first, *others = [max(map(len, column)) for column in zip(*rows, strict=True)]
    widths = [first, *(min(width, _WIDEST) for width in others)]
    lines = (
        "  ".join(
            cell.rjust(width) if i in right else cell.ljust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in rows
    )
    return "\n".join(map(str.rstrip, lines))
