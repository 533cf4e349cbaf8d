"""The part of a tree that a wrapped transformation sees, and the way back."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.tree_util import tree_flatten_with_path, tree_map_with_path

from gdjax import tree


class Shown:
    """The leaves that have a gradient, each through `see`; the others are masked.

    A leaf of a state belongs to the parameter whose path is the end of its own.
    """

    def __init__(
        self,
        updates: optax.Updates,
        params: optax.Params | None,
        see: Callable[[jax.Array], jax.Array],
    ):
        self._see = see
        grads, self._treedef = jax.tree.flatten(updates, is_leaf=tree.is_absent)
        held = grads if params is None else self._beside(updates, grads, params)
        absent = [tree.is_absent(g) for g in grads]
        # Where both are absent, so is the state; an empty array has none either.
        self._masked = [
            (params is None or not tree.is_absent(p)) if gone else np.size(g) == 0
            for g, p, gone in zip(grads, held, absent, strict=True)
        ]
        self.is_nothing = all(map(max, self._masked, absent))
        self._paths, self._skipped = [], []
        if any(map(min, absent, self._masked)):
            named, _ = tree_flatten_with_path(updates, tree.is_absent)
            self._paths = [path for path, _ in named]
            gone = zip(self._paths, self._masked, absent, strict=True)
            self._skipped = [path for path, m, a in gone if m and a]

    def _beside(self, updates, grads, params):
        """The parameters in the order of the gradients, whose shapes they have."""
        try:
            held = self._treedef.flatten_up_to(params)
        except ValueError:
            held = []
        fine = len(held) == len(grads) and all(map(_belongs, grads, held))
        if not fine:
            tree.map_rule(lambda g, p: g, updates, read=(params,))  # says where
        return held

    def of(self, values: tree.Tree) -> tree.Tree:
        """Of a tree like the gradients."""
        leaves = zip(self._treedef.flatten_up_to(values), self._masked, strict=True)
        return self._treedef.unflatten(
            optax.MaskedNode() if masked else x if tree.is_absent(x) else self._see(x)
            for x, masked in leaves
        )

    def put(self, values: tree.Tree, old: tree.Tree) -> tree.Tree:
        """`values`, such as `of` makes them, in the dtypes of `old` and beside it."""
        rows = map(self._treedef.flatten_up_to, (values, old))
        return self._treedef.unflatten(
            y if masked or tree.is_absent(y) else _fitted(x, y)
            for x, y, masked in zip(*rows, self._masked, strict=True)
        )

    def of_state(self, state: optax.OptState) -> optax.OptState:
        """The state of what is shown."""
        if not self._skipped:
            return state
        skipped = self._skipped_in(state)
        hide = lambda path, x: optax.MaskedNode() if skipped(path) else x
        return tree_map_with_path(hide, state, is_leaf=skipped, is_leaf_takes_path=True)

    def put_state(self, new: optax.OptState, old: optax.OptState) -> optax.OptState:
        """The new state in the dtypes of the old one, which stays where not shown."""
        if not self._skipped:
            return jax.tree.map(tree.stored, new, old)
        skipped = self._skipped_in(old)
        put = lambda path, y, x: y if skipped(path) else tree.stored(x, y)
        return tree_map_with_path(
            put, old, new, is_leaf=skipped, is_leaf_takes_path=True
        )

    def _skipped_in(self, state):
        """Whether a node of the state belongs to a parameter that is not shown.

        All the parameters have one beside it, unless it is called so by chance.
        """
        leaves, _ = tree_flatten_with_path(state, tree.is_absent)
        nodes = {path[:i] for path, _ in leaves for i in range(len(path) + 1)}

        def skipped(path, node=None):
            cuts = [len(path) - len(end) for end in self._skipped if _ends(path, end)]
            return any(
                all(path[:cut] + other in nodes for other in self._paths)
                for cut in cuts
            )

        return skipped


def _ends(path, end):
    return path[len(path) - len(end) :] == end


def _belongs(g, p):
    """Whether `g`, if it is there, is the gradient of such a parameter."""
    if tree.is_absent(g):
        return True
    if tree.is_absent(p) or np.shape(g) != np.shape(p):
        return False
    kind, of = jnp.result_type(g), jnp.result_type(p)
    real = jnp.issubdtype(kind, jnp.floating)
    return kind == of or real or (jnp.iscomplexobj(g) and jnp.iscomplexobj(p))


def _fitted(new, old):
    # Some rules make an array of one element of a scalar.
    new = tree.stored(new, old)
    return new if new.shape == np.shape(old) else new.reshape(np.shape(old))
