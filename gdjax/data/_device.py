"""Arrays that stay on the device where they fit, and rows of them."""

from collections.abc import Sequence
from typing import TypeVar

import jax
import jax.numpy as jnp
import numpy as np

from gdjax._checks import Range, number

T = TypeVar("T")
_SHARE = Range("lie in (0, 1]", lambda x: 0 < x <= 1)


def on_device(arrays: T, *, share: float = 0.5) -> T:
    """The arrays moved to the default device where they fit, otherwise as they are.

    They fit where they take at most `share` of the memory that is free there. A device
    that does not tell, such as the CPU, whose memory is the host's, gets none. What is
    moved changes dtype as in `jax.device_put`: without x64 f64 becomes f32.

    `source` of what comes back is resident where it was moved; where it was not,
    `prefetch` hides the transfers.

    Args:
      arrays: a tree of numpy arrays; `jax.Array`s in it stay where they are.
      share: in (0, 1]; what is left is for parameters, state and activations.

    Returns:
      A tree like `arrays`, of `jax.Array`s where they were moved.

    Raises:
      ValueError: `share` lies outside (0, 1].
      TypeError: `share` is no number.

    Example:
      >>> arrays = {"x": np.ones((4, 2), np.float32)}
      >>> on_device(arrays)["x"].shape
      (4, 2)
    """
    number("share", share, _SHARE)
    leaves = jax.tree.leaves(arrays)
    hosts = [np.asarray(leaf) for leaf in leaves if not isinstance(leaf, jax.Array)]
    needed = sum(leaf.nbytes for leaf in hosts)
    return jax.device_put(arrays) if 0 < needed <= share * _free() else arrays


def _free() -> int:
    """Bytes that are free on the default device; 0 where it does not tell."""
    (device,) = jnp.zeros([]).devices()
    told = device.memory_stats() or {}
    return told.get("bytes_limit", 0) - told.get("bytes_in_use", 0)


@jax.jit
def rows(leaves: Sequence[jax.Array], indices: jax.Array) -> list[jax.Array]:
    """leaf[indices] of each, in one program for all indices of one length."""
    # They are those of a permutation: without this each would be compared with n.
    return [leaf.at[indices].get(mode="promise_in_bounds") for leaf in leaves]
