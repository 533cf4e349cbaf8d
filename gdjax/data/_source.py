"""Batches as a pure function of seed and step: nothing to save, nothing to rewind."""

import functools
import hashlib
import operator
from typing import Generic, Literal, SupportsIndex, TypeVar

import jax
import numpy as np

from gdjax import tree
from gdjax._checks import integer
from gdjax.data._device import rows
from gdjax.data._digest import digest

T = TypeVar("T")


class Source(Generic[T]):
    """Batches of arrays, drawn without replacement; made by `source`."""

    def __init__(self, arrays: T, batch_size: int, steps_per_epoch: int, seed: int):
        self._leaves, self._treedef = jax.tree.flatten(arrays)
        self.num_examples = self._leaves[0].shape[0]
        self.batch_size = batch_size
        self.steps_per_epoch = steps_per_epoch
        self._seed = seed
        self._latest = -1, np.empty(0, np.int64)  # an epoch, its permutation

    def batch(self, step: SupportsIndex) -> T:
        """The batch of this step, a tree like the source's, of the same kind of arrays.

        It is the whole batch, whatever the number of hosts: each of them may take its
        part of what all of them see. A run that goes on at a step needs nothing else.

        Args:
          step: any int >= 0, in any order, from any thread.

        Raises:
          ValueError: `step` is negative.
        """
        epoch, place = divmod(operator.index(step), self.steps_per_epoch)
        if epoch < 0:
            raise ValueError(f"`step` must be >= 0, got {step}.")
        if self.batch_size == self.num_examples:
            leaves = self._leaves
        else:
            start = place * self.batch_size
            chosen = self._order(epoch)[start : start + self.batch_size]
            if isinstance(self._leaves[0], jax.Array):
                leaves = rows(self._leaves, chosen.astype(np.int32))
            else:
                leaves = [leaf.take(chosen, axis=0) for leaf in self._leaves]
        return self._treedef.unflatten(leaves)

    @functools.cached_property
    def digest(self) -> str:
        """SHA-256 of the arrays, hexadecimal."""
        return digest(self._treedef.unflatten(self._leaves))

    def _order(self, epoch: int) -> np.ndarray:
        # One read and one write of one attribute: threads need no lock.
        latest, order = self._latest
        if latest != epoch:
            order = _permutation(self.num_examples, self._seed, epoch)
            self._latest = epoch, order
        return order


def source(
    arrays: T,
    batch_size: int | Literal["full"],
    *,
    seed: int,
    remainder: Literal["drop", "keep"] = "drop",
) -> Source[T]:
    """Cuts arrays into batches, shuffled anew in each epoch.

    Step s belongs to epoch e = s // steps_per_epoch and takes the part number
    s - e steps_per_epoch of a permutation that depends on (seed, e) alone. In an epoch
    no example is drawn twice. A batch is a pure function of seed and step, the same on
    every machine, so that a run resumes from its step count alone.

    Args:
      arrays: a tree of numpy arrays [num_examples, ...], of any dtypes. They are not
        copied: leave them as they are. Or a tree of `jax.Array`s: they stay where they
        are, and batches are gathered there by one compiled program, the same bits.
      batch_size: from 1 to num_examples, or "full". A batch of all examples keeps their
        order and is not copied: it is read-only, and not to be donated.
      seed: of the permutations, >= 0.
      remainder: what happens to the last num_examples % batch_size examples of an
        epoch's permutation. "drop" leaves them out of this epoch, and all batches have
        one size; "keep" makes them a smaller batch.

    Returns:
      A source with `batch(step)`, `num_examples`, `batch_size`, `steps_per_epoch` and
      `digest`.

    Raises:
      ValueError: the arrays differ in their first axis, have none, or are empty, or
        some are on the device and some are not; or another argument lies outside its
        range.
      TypeError: `seed` or `batch_size` is no integer.

    Example:
      >>> numbers = source({"x": np.arange(6)}, 2, seed=0)
      >>> numbers.steps_per_epoch
      3
      >>> epoch = [numbers.batch(step)["x"] for step in range(3)]
      >>> sorted(np.concatenate(epoch).tolist())
      [0, 1, 2, 3, 4, 5]
    """
    arrays = jax.tree.map(_read_only, arrays)
    leaves, _ = jax.tree_util.tree_flatten_with_path(arrays)
    shapes = {tree.path_name(path): leaf.shape for path, leaf in leaves}
    lengths = {shape[:1] for shape in shapes.values()}
    if len(lengths) != 1 or lengths & {(), (0,)}:
        raise ValueError(
            "`arrays` must share a first axis of at least one example, got shapes "
            f"{shapes}."
        )
    if len({isinstance(leaf, jax.Array) for _, leaf in leaves}) > 1:
        raise ValueError(
            "`arrays` must be all of numpy or all of jax, got some of each."
        )
    num_examples = leaves[0][1].shape[0]
    if isinstance(batch_size, str):
        size = num_examples if batch_size == "full" else 0
    else:
        size = integer("batch_size", batch_size, 1)
    if not 1 <= size <= num_examples:
        raise ValueError(
            f"`batch_size` must be 'full' or lie in [1, {num_examples}], the number of "
            f"examples, got {batch_size!r}."
        )
    if remainder not in ("drop", "keep"):
        raise ValueError(f"`remainder` must be 'drop' or 'keep', got {remainder!r}.")
    steps = num_examples // size if remainder == "drop" else -(-num_examples // size)
    return Source(arrays, size, steps, integer("seed", seed, 0))


def _read_only(array: np.ndarray | jax.Array) -> np.ndarray | jax.Array:
    if isinstance(array, jax.Array):
        return array
    view = np.asarray(array).view()
    view.flags.writeable = False
    return view


def _permutation(n: int, seed: int, epoch: int) -> np.ndarray:
    """A permutation of range(n) that depends on (seed, epoch) alone.

    It sorts the raw stream of a counter-based generator: numpy promises the streams of
    its bit generators, not those of `Generator.permutation`.
    """
    key = hashlib.blake2b(f"{seed} {epoch}".encode(), digest_size=16).digest()
    noise = np.random.Philox(key=np.frombuffer(key, "<u8")).random_raw(n)
    return np.argsort(noise, kind="stable")
