"""The data sets that need no file: those of scikit-learn, and the standard library."""

import functools

import numpy as np

from gdjax._extras import need
from gdjax.data._sets import DataSet, Examples, Raw
from gdjax.data._stdlib import data_set as stdlib

_UCI = "CC BY 4.0"  # what the UCI repository puts its data sets under
_TABLES = {
    "digits": (
        "the test part of E. Alpaydin and C. Kaynak, Optical Recognition of "
        "Handwritten Digits, 1998, doi:10.24432/C50P49",
        _UCI,
    ),
    "breast_cancer": (
        "W. Wolberg, O. Mangasarian, N. Street and W. Street, Breast Cancer Wisconsin "
        "(Diagnostic), 1995, doi:10.24432/C5DW2B",
        _UCI,
    ),
    "wine": ("S. Aeberhard and M. Forina, Wine, 1991, doi:10.24432/C5PC7J", _UCI),
    "iris": (
        "R. A. Fisher, Iris, 1936, as in R: two examples differ from those of UCI, "
        "doi:10.24432/C56C76",
        _UCI,
    ),
    "diabetes": (
        "B. Efron, T. Hastie, I. Johnstone and R. Tibshirani, Least Angle Regression, "
        "Annals of Statistics 32, 2004, doi:10.1214/009053604000000067",
        "not stated",
    ),
}
NAMES = (*_TABLES, "stdlib")


def data_set(name: str) -> DataSet:
    if name == "stdlib":
        return stdlib()
    source, licence = _TABLES[name]
    read = functools.partial(_read, name)
    return DataSet(read, f"scikit-learn load_{name}, {source}", licence)


def _read(name: str) -> Raw:
    load = getattr(need("sklearn.datasets", "run"), f"load_{name}")
    if name == "diabetes":
        # Otherwise scaled by all examples, those held out too.
        inputs, targets = load(return_X_y=True, scaled=False)
        return Raw(Examples(inputs, targets.astype(np.float64)[:, None]))
    inputs, targets = load(return_X_y=True)
    return Raw(Examples(inputs, targets.astype(np.int32)))
