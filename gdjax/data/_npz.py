"""Data sets in .npz files, under the names of arrays that people give them."""

import zipfile
from pathlib import Path
from typing import BinaryIO

import numpy as np

from gdjax.data._arrays import Part, combine
from gdjax.data._files import what, wrong
from gdjax.data._jpeg import decode
from gdjax.data._sets import Raw

_SPLIT = (
    ("train_x", "train_y", "test_x", "test_y"),
    ("x_train", "y_train", "x_test", "y_test"),
)
_JPEG = ("train_jpeg", "train_len", "train_y", "test_jpeg", "test_len", "test_y")
_WHOLE = ("inputs", "targets")
_LAYOUTS = (_WHOLE, *_SPLIT, _JPEG)


def read(path: Path) -> Raw:
    """The examples of a .npz file.

    It holds `inputs` and `targets`; or a training and a test part as `train_x,
    train_y, test_x, test_y` or `x_train, y_train, x_test, y_test`; or JPEG images, end
    to end as bytes, with the length of each: `train_jpeg, train_len, train_y` and the
    same for `test`. Nothing that is pickled is read.

    Raises:
      ValueError: the file is broken or holds something else: path, expected, found.
      OSError: it cannot be opened.
    """
    if path.is_dir():
        raise wrong(path, "a .npz file", what(path))
    with open(path, "rb") as file:
        layout, arrays = _arrays(path, file)
    if layout == _WHOLE:
        return combine(path, Part(arrays[0], arrays[1]))
    if layout == _JPEG:
        train, test = (
            decode(path, arrays[i], arrays[i + 1], layout[i]) for i in (0, 3)
        )
        return combine(
            path,
            Part(train, arrays[2], ("train_jpeg", "train_y")),
            Part(test, arrays[5], ("test_jpeg", "test_y")),
        )
    train_x, train_y, test_x, test_y = layout
    return combine(
        path,
        Part(arrays[0], arrays[1], (train_x, train_y)),
        Part(arrays[2], arrays[3], (test_x, test_y)),
    )


def _arrays(path: Path, file: BinaryIO) -> tuple[tuple[str, ...], list[np.ndarray]]:
    """The first layout of which all names are there, and its arrays."""
    if not zipfile.is_zipfile(file):
        file.seek(0)
        start = file.read(4)
        found = "a truncated one" if start == b"PK\3\4" else "no zip of arrays"
        raise wrong(path, "a .npz file", found if start else "an empty file")
    file.seek(0)
    name = "inputs"
    try:
        with np.load(file, allow_pickle=False) as members:
            there = list(members)
            for layout in _LAYOUTS:
                if set(layout) <= set(there):
                    break
            else:
                layout = ()
            arrays = []
            for name in layout:
                arrays.append(members[name])
    except Exception as error:  # whatever broken bytes make zipfile and numpy say
        raise wrong(path, f"a readable array `{name}`", error) from error
    if not layout or {type(array) for array in arrays} != {np.ndarray}:
        listed = ", ".join(f"`{name}`" for name in there) or "none"
        raise wrong(
            path,
            "arrays `inputs` and `targets`, or `train_x`, `train_y`, `test_x` and "
            "`test_y`",
            listed,
        )
    return layout, arrays
