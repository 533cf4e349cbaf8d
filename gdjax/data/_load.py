"""Data sets by name, split, standardised and ready to train on."""

import os
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from gdjax._checks import integer, nearest, one_of
from gdjax._extras import need
from gdjax.data import _files as files
from gdjax.data._digest import digest
from gdjax.data._split import split, standardize


class Examples(NamedTuple):
    """Inputs with their targets; unpacks as a pair."""

    inputs: np.ndarray  # f32[n, ...]
    targets: np.ndarray  # i32[n], class from 0


class Info(NamedTuple):
    """What a data set is and where it comes from."""

    name: str
    sizes: dict[str, int]  # examples in "train", "validation", "test"
    num_classes: int  # the largest target + 1
    digest: str  # SHA-256 of the raw data and of the splits' indices, hexadecimal
    source: str
    licence: str


class Splits(NamedTuple):
    """A data set in three parts that share no example."""

    train: Examples
    validation: Examples
    test: Examples
    info: Info


class _DataSet(NamedTuple):
    read: Callable[[], Examples]  # raw: inputs [n, ...] in any real dtype
    source: str
    licence: str


def _digits() -> Examples:
    inputs, targets = need("sklearn.datasets", "run").load_digits(return_X_y=True)
    return Examples(inputs, targets.astype(np.int32))


_DATA_SETS = {
    "digits": _DataSet(
        _digits,
        source="scikit-learn load_digits, the test part of E. Alpaydin and C. Kaynak, "
        "Optical Recognition of Handwritten Digits, 1998, doi:10.24432/C50P49",
        licence="CC BY 4.0",
    ),
}


def load(
    name: str, data_dir: str | os.PathLike[str] | None = None, *, seed: int = 0
) -> Splits:
    """The data set called `name`, split and standardised.

    Of each class 70 % of the examples are for training, 15 % for validation and 15 %
    for testing, each share within one example; a class of fewer than 4 is for training
    alone. Which ones is fixed for each `seed`, on every version of Python and numpy.
    Each feature is standardised, z = (x - mean) / std, with mean and std of the
    training split alone, computed in f64; a feature that is constant there becomes 0.

    Inputs are numpy f32 [n, ...] without unit, targets i32 [n].

    Args:
      name: "digits": 1797 images of 8 x 8 pixels as 64 features, ten classes (needs
        scikit-learn). Any other name is that of a file in `data_dir`.
      data_dir: the folder with the file `NAME.npz`, which holds two arrays: `inputs`
        [n, ...], finite real numbers, and `targets` [n], integers, the classes from 0.
        Others that it holds are not read, nor is anything pickled.
      seed: which split, >= 0.

    Returns:
      `(train, validation, test, info)`, the first three pairs `(inputs, targets)`.

    Raises:
      ValueError: there is no data set of this name, or its file is broken or holds
        something else: the message has the path, what is expected and what is found.
      ImportError: the package that brings the data is not installed.
      OSError: the file cannot be opened.

    Example:
      >>> train, validation, test, info = load("digits")
      >>> info.sizes
      {'train': 1259, 'validation': 269, 'test': 269}
      >>> inputs, targets = train
      >>> inputs.shape, inputs.dtype
      ((1259, 64), dtype('float32'))

    Reference: Alpaydin and Kaynak 1998, doi:10.24432/C50P49 (digits).
    """
    data_set = _find(name, data_dir)
    raw = data_set.read()
    indices = split(raw.targets, integer("seed", seed, 0))
    inputs = standardize(raw.inputs, indices.train)
    info = Info(
        name=name,
        sizes={part: len(where) for part, where in indices._asdict().items()},
        num_classes=int(raw.targets.max()) + 1,
        digest=digest((raw, indices)),
        source=data_set.source,
        licence=data_set.licence,
    )
    train, validation, test = (
        Examples(inputs[where], raw.targets[where]) for where in indices
    )
    return Splits(train, validation, test, info)


def _find(name: str, data_dir: str | os.PathLike[str] | None) -> _DataSet:
    if data_dir is None:
        return _DATA_SETS[one_of("name", name, _DATA_SETS)]
    there = files.find(data_dir)
    if name not in [*_DATA_SETS, *there]:
        raise ValueError(
            f"`name` must be one of {', '.join(_DATA_SETS)} (built in) or of the .npz "
            f"files in {data_dir} ({files.names(there)}), got {name!r}"
            f"{nearest(name, [*_DATA_SETS, *there])}."
        )
    if name not in there:
        return _DATA_SETS[name]
    path = there[name]
    if name in _DATA_SETS:
        raise ValueError(f"`name`: {name!r} is built in: give {path} another name.")
    read = lambda: Examples(*files.read(path))
    return _DataSet(read, source=f"the file {path}", licence="not stated")
