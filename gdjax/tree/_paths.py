"""Names of the leaves of a tree: the same for dicts, Linen, NNX and named tuples."""

import re
from collections.abc import Callable, Iterator
from typing import Any, TypeAlias

import jax
import optax
from jax.tree_util import GetAttrKey, KeyPath, tree_flatten_with_path

Tree: TypeAlias = Any  # an array, or containers of arrays: each model has its own


def is_absent(node: object) -> bool:
    """Whether a place of a tree holds nothing: `None` or `optax.MaskedNode`."""
    return node is None or isinstance(node, optax.MaskedNode)


def path_name(path: KeyPath) -> str:
    """`block_0/attention/kernel`.

    An `nnx.Variable` adds the attribute `value` at the end, which is dropped; a dict
    key "value", as in an attention layer, names that layer and stays.
    """
    if path and path[-1] == GetAttrKey("value"):
        path = path[:-1]
    return jax.tree_util.keystr(path, simple=True, separator="/")


def named_leaves(
    tree: Tree, is_leaf: Callable[[object], bool] = is_absent
) -> dict[str, Any]:
    """The leaves of `tree` by name, in flattening order, absent ones included."""
    leaves, _ = tree_flatten_with_path(tree, is_leaf)
    return {path_name(path): leaf for path, leaf in leaves}


def nodes(tree: Tree) -> Iterator[tuple[KeyPath, Any]]:
    """Every node of `tree` with its path: itself first, containers before children."""
    todo = [((), tree)]
    while todo:
        path, node = todo.pop()
        yield path, node
        children = tree_flatten_with_path(node, lambda x: x is not node)[0]
        todo += [((*path, *k), x) for k, x in reversed(children) if x is not node]


def select(tree: Tree, pattern: str) -> Tree:
    """A mask: tree of bools, whether `pattern` is found in the leaf's name."""
    return jax.tree.map_with_path(
        lambda path, _: re.search(pattern, path_name(path)) is not None, tree
    )
