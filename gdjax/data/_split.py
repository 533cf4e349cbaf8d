"""Splits that never change and never leak: hashed, stratified, scaled by the first."""

import hashlib
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np


class Split(NamedTuple):
    """Indices of examples, disjoint, ascending, together all of them."""

    train: np.ndarray  # i64[about 70 %]
    validation: np.ndarray  # i64[about 15 %]
    test: np.ndarray  # i64[about 15 %]


def split(targets: np.ndarray, seed: int) -> Split:
    """70 / 15 / 15 of each class, fixed for each `seed` on every machine.

    A class of n examples gives round(0.15 n) to validation, as many to test and the
    rest to training: each share within one example. Which ones they are is decided by
    the order of a hash of seed and index, because no random generator promises its
    stream for ever.
    """

    def rank(index: int) -> bytes:
        return hashlib.blake2b(f"{seed} {index}".encode(), digest_size=16).digest()

    parts: Sequence[list[int]] = [], [], []
    for label in np.unique(targets):
        members = sorted(np.flatnonzero(targets == label).tolist(), key=rank)
        held_out = (15 * len(members) + 50) // 100
        train, validation, test = parts
        validation += members[:held_out]
        test += members[held_out : 2 * held_out]
        train += members[2 * held_out :]
    return Split(*(np.array(sorted(part), np.int64) for part in parts))


def standardize(inputs: np.ndarray, train: np.ndarray) -> np.ndarray:
    """(inputs - mean) / std of each feature over the rows `train`, in f32.

    A feature that is constant in these rows carries nothing that could be learned and
    becomes 0 in all rows.
    """
    inputs = inputs.astype(np.float64)
    seen = inputs[train]
    # Not std == 0: rounding of the mean makes it 1e-17 for a constant of 0.1.
    constant = seen.min(axis=0) == seen.max(axis=0)
    scale = np.where(constant, np.inf, seen.std(axis=0))
    return ((inputs - seen.mean(axis=0)) / scale).astype(np.float32)
