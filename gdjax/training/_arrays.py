"""A state as plain arrays under the names of its leaves, and a state again."""

import itertools
from pathlib import Path
from typing import TypeVar

import jax
import jax.numpy as jnp
import numpy as np

from gdjax import tree
from gdjax.tree import Tree

T = TypeVar("T")


@jax.jit
def copy_of(state: Tree) -> Tree:
    """Its arrays in buffers of their own, random keys as their data."""

    def copy(leaf):
        key = jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)
        return jax.random.key_data(leaf) if key else jnp.copy(leaf)

    return jax.tree.map(copy, state)


def named(state: Tree) -> Tree:
    """Nested dicts of numpy arrays, by path; empty ones, unknown to Orbax, left out."""
    from flax.traverse_util import unflatten_dict

    leaves, _ = jax.tree_util.tree_flatten_with_path(state)
    arrays = [(tree.path_name(path), np.asarray(leaf)) for path, leaf in leaves]
    for one, other in itertools.pairwise(sorted(f"{name}/" for name, _ in arrays)):
        if other.startswith(one):
            raise ValueError(f"two leaves of the state have the path `{one[:-1]}`.")
    return unflatten_dict({name: x for name, x in arrays if x.size}, sep="/")


def placed(saved: dict[str, np.ndarray], like: T, path: Path) -> T:
    """`saved` in the structure of `like`, on its devices."""
    leaves, treedef = jax.tree_util.tree_flatten_with_path(like)
    plain = jax.eval_shape(copy_of, like)  # keys as their data
    wanted = {
        tree.path_name(where): (leaf.shape, leaf.dtype)
        for (where, _), leaf in zip(leaves, jax.tree.leaves(plain), strict=True)
    }
    found = {name: (x.shape, x.dtype) for name, x in saved.items()}
    for name in {**wanted, **found}:
        shape, _ = wanted.get(name, ((), None))
        if wanted.get(name) != found.get(name) and 0 not in shape:
            raise ValueError(
                f"checkpoint {path} is of another model or optimizer: `{name}` is "
                f"{_words(found.get(name))} there and {_words(wanted.get(name))} here."
            )

    def place(name, leaf):
        shape, dtype = wanted[name]
        value = saved.get(name, np.zeros(shape, dtype))
        if getattr(leaf, "committed", False):
            value = jax.device_put(value, leaf.sharding)
        elif getattr(leaf, "weak_type", False) and not shape:
            value = jnp.asarray(value.item())  # weak, as it was: it promotes no other
        else:
            value = jnp.asarray(value)
        if jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key):
            value = jax.random.wrap_key_data(value, impl=_impl(leaf))
        return value

    pairs = zip(wanted, leaves, strict=True)
    return treedef.unflatten(place(name, leaf) for name, (_, leaf) in pairs)


def _impl(leaf: jax.Array | jax.ShapeDtypeStruct):
    """The implementation of a random key, of an abstract one too."""
    found = []
    jax.eval_shape(lambda key: found.append(jax.random.key_impl(key)), leaf)
    return found[0]


def _words(found: tuple | None) -> str:
    return "missing" if found is None else f"{found[1]}{list(found[0])}"
