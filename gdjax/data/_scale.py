"""Standardisation by the training split, without a copy of everything in f64."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

_AT_ONCE = 2**18  # entries in f64, 2 MB; what is smaller is summed at once


class Scale(NamedTuple):
    """Of each feature, an entry of the last axis."""

    mean: np.ndarray  # f64[features]
    std: np.ndarray  # f64[features], 0 for a constant


def fit(inputs: np.ndarray, rows: np.ndarray) -> Scale:
    """Mean and standard deviation over `rows` and all axes but the last.

    Two passes in f64, so that a large mean costs no digits.
    """
    features = inputs.shape[-1]
    repeats = inputs[0].size // features
    # Examples first, places in an example second: numpy is slow over a short last axis.
    lows, highs, sums = zip(
        *((x.min(axis=0), x.max(axis=0), x.sum(axis=0)) for x in _chunks(inputs, rows)),
        strict=True,
    )
    by_feature = lambda x: np.reshape(x, (-1, features))
    count = len(rows) * repeats
    mean = by_feature(sum(sums)).sum(axis=0) / count
    wide = np.tile(mean, repeats)
    squares = sum(np.square(x - wide).sum(axis=0) for x in _chunks(inputs, rows))
    std = np.sqrt(by_feature(squares).sum(axis=0) / count)
    # Not std == 0: rounding of the mean makes it 1e-17 for a constant of 0.1.
    constant = by_feature(lows).min(axis=0) == by_feature(highs).max(axis=0)
    return Scale(mean, np.where(constant, 0, std))


def standardize(inputs: np.ndarray, rows: np.ndarray, scale: Scale) -> np.ndarray:
    """(inputs - mean) / std of the examples `rows`, in f32.

    A constant feature carries nothing that could be learned and becomes 0, also in
    rows where it is another number.
    """
    repeats = inputs[0].size // inputs.shape[-1]
    mean = np.tile(scale.mean, repeats)
    std = np.tile(np.where(scale.std == 0, np.inf, scale.std), repeats)
    result = np.empty((len(rows), *inputs.shape[1:]), np.float32)
    flat, start = result.reshape(len(rows), -1), 0
    for x in _chunks(inputs, rows):
        x -= mean
        x /= std
        flat[start : start + len(x)] = x
        start += len(x)
    return result


def _chunks(inputs: np.ndarray, rows: np.ndarray) -> Iterator[np.ndarray]:
    """f64[examples, entries] of the rows, in their order, about _AT_ONCE entries."""
    size = max(1, _AT_ONCE // inputs[0].size)
    for start in range(0, len(rows), size):
        chunk = inputs[rows[start : start + size]].astype(np.float64)
        yield chunk.reshape(len(chunk), -1)
