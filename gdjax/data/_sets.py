"""What a data set is: as it is read, and as it is handed out."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np


class Examples(NamedTuple):
    """Inputs with their targets; unpacks as a pair."""

    inputs: np.ndarray  # f32[n, ...]; of text i32[n, T], characters by number
    targets: np.ndarray  # i32[n], class from 0; f32[n, k]; i32[n, T], the next ones


class Info(NamedTuple):
    """What a data set is and where it comes from."""

    name: str
    sizes: dict[str, int]  # examples in "train", "validation", "test"
    num_classes: int | None  # the largest target + 1; None where targets are reals
    # SHA-256 of the raw data and of the splits' indices, hexadecimal; where the data
    # differ between versions of Python, that version after it.
    digest: str
    source: str
    licence: str
    alphabet: str | None = None  # of text: character i is number i of num_classes
    # Of real targets: y = target_std z + target_mean undoes their standardisation.
    # Tuples where a target has several entries.
    target_mean: float | tuple[float, ...] | None = None
    target_std: float | tuple[float, ...] | None = None  # 0 where it is constant


class Splits(NamedTuple):
    """A data set in three parts that share no example."""

    train: Examples
    validation: Examples
    test: Examples
    info: Info


class Raw(NamedTuple):
    """A data set as it is read, neither split nor standardised."""

    examples: Examples  # inputs [n, ...] in any real dtype
    num_test: int = 0  # the last ones, where the set says which are for testing
    alphabet: str | None = None  # of text
    documents: np.ndarray | None = None  # i64[n], of text: where a window is from


class DataSet(NamedTuple):
    """How to read a data set, and what to say of it."""

    read: Callable[..., Raw]  # of text: takes the length of a window
    source: str
    licence: str = "not stated"
    is_text: bool = False
    version: str = ""  # of what differs between machines: ends the digest
