"""The units of a parameter: which of its numbers belong to one output."""

import math
import re
from collections.abc import Callable, Mapping
from typing import TypeAlias

import jax
import jax.numpy as jnp
import numpy as np

from gdjax.tree._numerics import compute_dtype, real_dtype
from gdjax.tree._paths import Tree, is_absent, named_leaves, path_name, select

Axes: TypeAlias = tuple[int, ...]
Units: TypeAlias = Callable[[str, tuple[int, ...]], Axes | None] | None

# The parameter's own name says it, or that of the layer which holds it.
_BARE = r"(^|/)(b|(\w+_)?(bias|scale|offset|shift|beta|gamma)|bias_\w+)$"
_NORM = r"(?i)(^|[/_])(layer|batch|group|rms|instance)?_?(norm|ln|bn)(\d+|_\w+)?/[^/]+$"
_TABLE = r"(?i)(^|[/_])(emb\w*|w[tp]e)$"
_HEADS = r"(^|/)(query|key|value)/kernel$"


def biases_and_scales(params: Tree) -> Tree:
    """A mask: biases, and all that a normalisation layer holds, by name.

    Ranks mislead: a bias of several heads is a matrix, a scanned stack of biases too.
    """
    bare, norms = select(params, _BARE), select(params, _NORM)
    return jax.tree.map(lambda a, b: a or b, bare, norms)


def unit_axes(params: Tree, units: Units = None, *, join: bool = False) -> dict:
    """{name: axes} of all leaves: the axes that lie inside of one output's weights.

    A sum over them leaves one number for each output. Found by name and shape, for
    Flax's layouts, in which outputs are last:

        kernel of a dense layer or a convolution    all but the last
        with `bias` (or `b`) beside it              those that the bias has not
        `query|key|value/kernel` without a bias     those in front of (heads, head_dim)
        embedding table                             the last: a unit is a row
        bias, scale, any vector or scalar           none: each number is a unit

    The bias tells a `DenseGeneral` of several output axes, and scanned stacks of
    layers; a stack is also known by a norm in the same block whose scale is a matrix.
    Its first axis is none of a unit. Where a bias fits both, as (4, 8) does a kernel
    (4, 4, 8), it is a `DenseGeneral` unless such a norm says that it is a stack.

    Args:
      params: arrays, or what else has a shape; `None` and masked leaves are left out.
      units: (name, shape) -> axes, asked first; `None` from it means as above.
      join: units of a single number are taken together: a whole vector, in a stack
        that of each layer.

    Raises:
      TypeError: `units` is no function, or returns something else.
      ValueError: it returns an axis that the leaf has not.

    Example:
      >>> dense = {"kernel": jnp.ones((4, 2, 3)), "bias": jnp.ones((2, 3))}
      >>> unit_axes({"query": dense, "out": {"kernel": jnp.ones((2, 3, 4))}})
      {'out/kernel': (0, 1), 'query/bias': (), 'query/kernel': (0,)}
    """
    if units is not None and not callable(units):
        raise TypeError(f"`units` must be a function or None, got {units!r}.")
    leaves = named_leaves(params).items()
    shapes = {name: np.shape(leaf) for name, leaf in leaves if not is_absent(leaf)}
    stacks = _stacks(shapes)
    table = {}
    for name, shape in shapes.items():
        given = None if units is None else units(name, shape)
        if given is not None:
            table[name] = _counted(given, name, shape)
            continue
        num_layers = int(name.startswith(stacks) and len(shape) > 1)
        axes = _inside(name, shapes, num_layers)
        if join and math.prod(shape[i] for i in axes) == 1:
            axes = tuple(range(num_layers, len(shape)))
        table[name] = axes
    return table


def per_unit(params: Tree, axes: Mapping[str, Axes]) -> Tree:
    """A tree of zeros, one for each unit, shaped to be broadcast to the leaves.

    Statistics for `map_rule`; a rule finds the axes again by `reduced`.
    """

    def zeros(path, leaf):
        inside = axes[path_name(path)]
        shape = [1 if i in inside else n for i, n in enumerate(np.shape(leaf))]
        return jnp.zeros(shape, real_dtype(compute_dtype(jnp.result_type(leaf))))

    return jax.tree.map_with_path(zeros, params)


def reduced(x: jax.Array, unit: jax.Array) -> Axes:
    """The axes along which `unit`, a leaf of `per_unit`, is shorter than `x`."""
    sizes = enumerate(zip(x.shape, unit.shape, strict=True))
    return tuple(i for i, (long, short) in sizes if long != short)


def _counted(axes: object, name: str, shape: tuple) -> Axes:
    """`axes` of a leaf, counted from its first."""
    rank = len(shape)
    if not isinstance(axes, tuple) or any(type(i) is not int for i in axes):
        raise TypeError(f"`units` must give a tuple of axes, got {axes!r}.")
    if any(not -rank <= i < rank for i in axes):
        leaf = f"leaf `{name}`" if name else "the array"
        raise ValueError(f"{leaf} of shape {shape} has no axes {axes!r}.")
    return tuple(sorted({i % rank for i in axes}))


def _inside(name: str, shapes: Mapping[str, tuple], num_layers: int) -> Axes:
    shape, rank = shapes[name], len(shapes[name])
    if rank < 2 or re.search(_BARE, name) or re.search(_NORM, name):
        return ()
    if re.search(_TABLE, name):
        return (rank - 1,)
    layer = name[: name.rfind("/") + 1]
    bias = shapes.get(f"{layer}bias", shapes.get(f"{layer}b", ()))
    outputs = _outputs(bias, shape, num_layers)
    if not outputs:
        heads = 2 if re.search(_HEADS, name) and rank - num_layers > 2 else 1
        outputs = {*range(num_layers), *range(rank - heads, rank)}
    return tuple(i for i in range(rank) if i not in outputs)


def _outputs(bias: tuple, shape: tuple, num_layers: int) -> set[int]:
    """The axes of a kernel that its bias has: layers are first, outputs last.

    None where the bias does not fit. Tried first is the known number of axes of layers.
    """
    rank, num_both = len(shape), len(bias)
    if num_both >= rank:
        return set()
    for first in sorted(range(num_both + 1), key=lambda i: i != num_layers):
        last = rank - num_both + first
        if shape[:first] + shape[last:] == bias:
            return {*range(first), *range(last, rank)}
    return set()


def _stacks(shapes: Mapping[str, tuple]) -> tuple[str, ...]:
    """Paths of blocks whose leaves all have a leading axis of layers, norms too."""
    blocks = {
        re.sub(r"[^/]+/[^/]+$", "", name)
        for name, shape in shapes.items()
        if len(shape) == 2 and re.search(_NORM, name)
    }

    def is_stack(block):
        below = {shape[:1] for name, shape in shapes.items() if name.startswith(block)}
        return len(below) == 1

    return tuple(filter(is_stack, sorted(blocks)))
