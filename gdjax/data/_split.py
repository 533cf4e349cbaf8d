"""Splits that never change and never leak: hashed, and stratified where they can be."""

import hashlib
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np


class Split(NamedTuple):
    """Indices of examples, disjoint, ascending, together all of them."""

    train: np.ndarray  # i64[about 70 %]
    validation: np.ndarray  # i64[about 15 %]
    test: np.ndarray  # i64[about 15 %]


def split(targets: np.ndarray, seed: int, num_test: int = 0) -> Split:
    """70 / 15 / 15 of each class, fixed for each `seed` on every machine.

    A class of n examples gives round(0.15 n) to validation, as many to test and the
    rest to training: each share within one example. Which ones they are is decided by
    the order of a hash of seed and index, because no random generator promises its
    stream for ever.

    Where the last `num_test` examples are the test part already, the others are split
    alike into training and validation.
    """
    parts: Sequence[list[int]] = [], [], []
    train, validation, test = parts
    n = len(targets) - num_test
    test += range(n, len(targets))
    for label in np.unique(targets[:n]):
        members = _shuffled(np.flatnonzero(targets[:n] == label), seed)
        held_out = (15 * len(members) + 50) // 100
        tested = 0 if num_test else held_out
        validation += members[:held_out]
        test += members[held_out : held_out + tested]
        train += members[held_out + tested :]
    return Split(*(np.array(sorted(part), np.int64) for part in parts))


def split_documents(documents: np.ndarray, seed: int) -> Split:
    """About 70 / 15 / 15 of the windows of a text, those of a document together.

    The documents are laid end to end in the order of their hashes. Those whose middle
    lies in the first 15 % of the windows are for validation, those in the next 15 % for
    testing: a share is right within the longest document, and no part is empty where
    each has less than 15 %.
    """
    sizes = np.bincount(documents)
    order = np.array(_shuffled(np.arange(len(sizes)), seed), np.int64)
    middles = np.cumsum(sizes[order]) - sizes[order] / 2
    part = np.empty(len(sizes), np.int64)
    part[order] = np.searchsorted([0.15, 0.3], middles / len(documents), side="right")
    validation, test, train = (np.flatnonzero(part[documents] == i) for i in range(3))
    return Split(train, validation, test)


def _shuffled(indices: np.ndarray, seed: int) -> list[int]:
    def rank(index: int) -> bytes:
        return hashlib.blake2b(f"{seed} {index}".encode(), digest_size=16).digest()

    return sorted(indices.tolist(), key=rank)
