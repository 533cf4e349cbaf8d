"""A fingerprint of arrays, the same on every machine."""

import hashlib

import jax
import numpy as np
import optax


def digest(arrays: optax.Params) -> str:
    """SHA-256 over each leaf's path, dtype, shape and values, in hexadecimal."""
    total = hashlib.sha256()
    leaves, _ = jax.tree_util.tree_flatten_with_path(arrays)
    for path, leaf in leaves:
        leaf = np.asarray(leaf)
        name = jax.tree_util.keystr(path)
        total.update(f"{name} {leaf.dtype.name} {leaf.shape}\n".encode())
        total.update(leaf.tobytes())
    return total.hexdigest()
