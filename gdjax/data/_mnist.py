"""MNIST: digits of 28 x 28 pixels, in mnist.npz or in its four idx files."""

from pathlib import Path

import numpy as np

from gdjax.data import _idx as idx
from gdjax.data import _npz as npz
from gdjax.data._arrays import Part, combine
from gdjax.data._files import wrong
from gdjax.data._sets import Raw

_NAMES = (
    "train-images-idx3-ubyte",
    "train-labels-idx1-ubyte",
    "t10k-images-idx3-ubyte",
    "t10k-labels-idx1-ubyte",
)
FILES = (*_NAMES, *(f"{name}.gz" for name in _NAMES))
FOLDER = "mnist"  # where they may be, too


def read(path: Path) -> Raw:
    """Images u8 [n, 28, 28, 1] and digits i32 [n] from a .npz file or a folder.

    Raises:
      ValueError: something is missing, broken or another set.
      OSError: a file cannot be read.
    """
    raw = _read_folder(path) if path.is_dir() else npz.read(path)
    inputs, targets = raw.examples
    if inputs.shape[1:] not in ((28, 28), (28, 28, 1)):
        raise wrong(path, "images of shape [n, 28, 28]", f"{inputs.shape}")
    if targets.dtype != np.int32 or targets.max() > 9:
        found = targets.dtype if targets.dtype != np.int32 else targets.max()
        raise wrong(path, "digits from 0 to 9 as targets", found)
    examples = raw.examples._replace(inputs=inputs.reshape(-1, 28, 28, 1))
    return raw._replace(examples=examples)


def _read_folder(folder: Path) -> Raw:
    paths = [folder / name for name in _NAMES]
    # Who unpacks a file may keep the packed one: the plain one is read.
    paths = [p if p.is_file() else p.with_name(f"{p.name}.gz") for p in paths]
    arrays = [idx.read(path, 3 - 2 * (i % 2)) for i, path in enumerate(paths)]
    names = [path.name for path in paths]
    return combine(
        folder,
        Part(*arrays[:2], names=(names[0], names[1])),
        Part(*arrays[2:], names=(names[2], names[3])),
    )
