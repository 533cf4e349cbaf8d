"""Data sets by name, split, standardised and ready to train on."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from gdjax._checks import integer, one_of
from gdjax._extras import need
from gdjax.data._digest import digest
from gdjax.data._split import split, standardize


class Examples(NamedTuple):
    """Inputs with their targets; unpacks as a pair."""

    inputs: np.ndarray  # f32[n, d]
    targets: np.ndarray  # i32[n], class from 0


class Info(NamedTuple):
    """What a data set is and where it comes from."""

    name: str
    sizes: dict[str, int]  # examples in "train", "validation", "test"
    num_classes: int
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
    read: Callable[[], Examples]  # raw: inputs [n, d] in any dtype
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


def load(name: str, *, seed: int = 0) -> Splits:
    """The data set called `name`, split and standardised.

    Of each class 70 % of the examples are for training, 15 % for validation and 15 %
    for testing, each share within one example. Which ones is fixed for each `seed`, on
    every version of Python and numpy. Each feature is standardised,
    z = (x - mean) / std, with mean and std of the training split alone, computed in
    f64; a feature that is constant there becomes 0.

    Inputs are numpy f32 [n, d] without unit, targets i32 [n].

    Args:
      name: "digits": 1797 images of 8 x 8 pixels, ten classes (needs scikit-learn).
      seed: which split, >= 0.

    Returns:
      `(train, validation, test, info)`, the first three pairs `(inputs, targets)`.

    Raises:
      ValueError: there is no data set of this name.
      ImportError: the package that brings the data is not installed.

    Example:
      >>> train, validation, test, info = load("digits")
      >>> info.sizes
      {'train': 1259, 'validation': 269, 'test': 269}
      >>> inputs, targets = train
      >>> inputs.shape, inputs.dtype
      ((1259, 64), dtype('float32'))

    Reference: Alpaydin and Kaynak 1998, doi:10.24432/C50P49 (digits).
    """
    data_set = _DATA_SETS[one_of("name", name, _DATA_SETS)]
    raw = data_set.read()
    indices = split(raw.targets, integer("seed", seed, 0))
    inputs = standardize(raw.inputs, indices.train)
    info = Info(
        name=name,
        sizes={part: len(where) for part, where in indices._asdict().items()},
        num_classes=len(np.unique(raw.targets)),
        digest=digest((raw, indices)),
        source=data_set.source,
        licence=data_set.licence,
    )
    train, validation, test = (
        Examples(inputs[where], raw.targets[where]) for where in indices
    )
    return Splits(train, validation, test, info)
