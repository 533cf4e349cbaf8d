"""Groups of parameters by their paths, each with a transformation of its own."""

import functools
from collections.abc import Sequence
from typing import NamedTuple

import optax
from jax.tree_util import tree_flatten_with_path

from gdjax import tree
from gdjax._checks import regex
from gdjax._wrapping import sign_of
from gdjax.transforms._mask import some


class PartitionByPathState(NamedTuple):
    inner_states: tuple[optax.OptState, ...]  # one a group; others' leaves are masked


def partition_by_path(
    groups: Sequence[tuple[str, optax.GradientTransformation]],
) -> optax.GradientTransformationExtraArgs:
    """Direction or step: for each group of parameters that of its own transformation.

    A parameter belongs to the first group whose pattern is found (`re.search`) in its
    path, such as `block_0/attention/kernel`; a last pattern "" takes the rest. So no
    tree of labels has to mirror the parameters. All groups are of one kind, all
    directions or all steps. What a transformation reads of the whole tree, such as a
    global norm, is that of its group. A `None` gradient skips its leaf.

    Args:
      groups: ordered pairs (regex, transformation), at least one. `optax.set_to_zero()`
        freezes its group.

    Returns:
      A transformation whose state has the states of the groups, in their order.
      Further arguments of `update` reach all of them as they are.

    Raises:
      ValueError: there is no group, an entry is no such pair, a regex is invalid, or a
        direction stands beside a step, where that can be told; from `init`, no pattern
        is found in a parameter's path, or a group gets no parameter (a tree without any
        parameter is fine).
      TypeError: from `init`, a parameter is not floating.

    Example:
      >>> tx = partition_by_path([("bias$", gd.sgd(0.5)), ("", gd.sgd(0.1))])
      >>> p = {"dense": {"kernel": jnp.ones(2), "bias": jnp.ones(2)}}
      >>> u, _ = tx.update(p, tx.init(p), p)
      >>> print(u["dense"]["kernel"], u["dense"]["bias"])
      [-0.1 -0.1] [-0.5 -0.5]
    """
    if not isinstance(groups, (list, tuple)) or not groups:
        raise ValueError(
            "`groups` must be a list of pairs (regex, transformation), at least one, "
            f"got {groups!r}."
        )
    pairs = [_pair(i, entry) for i, entry in enumerate(groups)]
    patterns = [pattern for pattern, _ in pairs]
    compiled = [regex(f"groups[{i}]", pattern) for i, pattern in enumerate(patterns)]
    signs = [sign_of("partition_by_path", tx) for _, tx in pairs]
    if {1, -1} <= set(signs):
        direction, step = (patterns[signs.index(sign)] for sign in (1, -1))
        raise ValueError(
            "`groups` must be all directions or all steps, got a direction for "
            f"{direction!r} and a step for {step!r}."
        )

    @functools.cache
    def group_of(name: str) -> int | None:
        found = (i for i, x in enumerate(compiled) if x.search(name))
        return next(found, None)

    # Not by `optax.masked`: its mask has a leaf where a gradient may be `None`.
    def split(values):
        """(leaf, group) of every leaf, and `values` as each group sees them."""
        named, treedef = tree_flatten_with_path(values, tree.is_absent)
        leaves = []
        for path, leaf in named:
            name = tree.path_name(path)
            group = group_of(name)
            if group is None and not tree.is_absent(leaf):
                raise ValueError(
                    f"parameter `{name}`: no pattern of {patterns} is found in this "
                    'path; a last group with the pattern "" takes the rest.'
                )
            leaves.append((leaf, group))
        views = [
            treedef.unflatten(
                leaf if group in (None, i) else optax.MaskedNode()
                for leaf, group in leaves
            )
            for i in range(len(pairs))
        ]
        return leaves, views, treedef

    def init(params):
        tree.require_floating(params)
        leaves, views, _ = split(params)
        taken = {group for leaf, group in leaves if not tree.is_absent(leaf)}
        for i, pattern in enumerate(patterns):
            if taken and i not in taken:
                raise ValueError(
                    f"`groups[{i}]`: the pattern {pattern!r} gets no parameter: it is "
                    "found in no path, or only in those that earlier groups take, of "
                    f"{some(list(tree.named_leaves(params)))}."
                )
        states = (tx.init(view) for (_, tx), view in zip(pairs, views, strict=True))
        return PartitionByPathState(tuple(states))

    def update(updates, state, params=None, **extra):
        leaves, views, treedef = split(updates)
        read = [None] * len(pairs) if params is None else split(params)[1]
        columns, states = [], []
        for (_, tx), view, inner_state, p in zip(
            pairs, views, state.inner_states, read, strict=True
        ):
            new, inner_state = tx.update(view, inner_state, p, **extra)
            columns.append(treedef.flatten_up_to(new))
            states.append(inner_state)
        merged = (
            leaf if tree.is_absent(leaf) else columns[group][k]
            for k, (leaf, group) in enumerate(leaves)
        )
        return treedef.unflatten(merged), PartitionByPathState(tuple(states))

    return optax.GradientTransformationExtraArgs(init, update)


def _pair(
    index: int, entry: object
) -> tuple[str, optax.GradientTransformationExtraArgs]:
    match entry:
        case (str(pattern), optax.GradientTransformation() as tx):
            pass
        case _:
            raise ValueError(
                f"`groups[{index}]` must be a pair (regex, transformation), got "
                f"{entry!r}."
            )
    return pattern, optax.with_extra_args_support(tx)
