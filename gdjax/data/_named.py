"""Which data set a name means: one that is built in, or files in a folder."""

import functools
import os
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from gdjax._checks import nearest, one_of
from gdjax.data import _builtin as builtin
from gdjax.data import _cifar as cifar
from gdjax.data import _files as files
from gdjax.data import _mnist as mnist
from gdjax.data import _npz as npz
from gdjax.data import _text as text
from gdjax.data._sets import DataSet, Raw


class _Format(NamedTuple):
    """A data set that people have in files of their own."""

    read: Callable[[Path], Raw]  # from the folder with them
    files: tuple[str, ...]
    folder: str  # where they may be inside `data_dir`
    words: str  # what is looked for
    source: str
    licence: str


_FORMATS = {
    "mnist": _Format(
        mnist.read,
        mnist.FILES,
        mnist.FOLDER,
        "mnist.npz or the four idx files, train-images-idx3-ubyte and so on",
        "MNIST of Y. LeCun, C. Cortes and C. Burges, 1998",
        "CC BY-SA 3.0, as Keras and TensorFlow state it",
    ),
    "cifar10": _Format(
        cifar.read,
        cifar.FILES,
        cifar.FOLDER,
        "cifar10.npz or the six binary batches, data_batch_1.bin and so on",
        "CIFAR-10 of A. Krizhevsky, Learning Multiple Layers of Features from Tiny "
        "Images, 2009",
        "not stated",
    ),
}


def find(name: str, data_dir: str | os.PathLike[str] | None) -> DataSet:
    """The data set called `name`.

    Raises:
      ValueError: there is none, or more than one.
      OSError: the folder cannot be read.
    """
    if data_dir is None:
        if name in list(_FORMATS):
            raise ValueError(
                f"`data_dir` must be the folder with {_FORMATS[name].words}, got None."
            )
        return builtin.data_set(one_of("name", name, builtin.NAMES))
    there = files.find(data_dir)
    for known, kind in _FORMATS.items():
        if folders := files.folder_with(kind.files, data_dir, kind.folder):
            there.setdefault(known, []).extend(folders)
    if name in builtin.NAMES and name not in there:
        return builtin.data_set(name)
    if name in builtin.NAMES:
        path = there[name][0]
        raise ValueError(f"`name`: {name!r} is built in: give {path} another name.")
    if name in list(_FORMATS) and name not in there:
        raise files.wrong(Path(data_dir), _FORMATS[name].words, "none of them")
    if name not in list(there):
        raise ValueError(
            f"`name` must be one of {', '.join(builtin.NAMES)} (built in) or of the "
            f"files in {data_dir} ({files.names(there)}), got {name!r}"
            f"{nearest(name, [*builtin.NAMES, *there])}."
        )
    if len(there[name]) > 1:
        paths = ", ".join(map(str, there[name]))
        raise ValueError(f"`name`: {name!r} could be each of {paths}: keep one.")
    return _in_files(name, there[name][0])


def _in_files(name: str, path: Path) -> DataSet:
    if path.name == f"{name}.txt":
        read = functools.partial(text.read, path)
        return DataSet(read, f"the file {path}", is_text=True)
    kind = _FORMATS.get(name)
    if kind is None:
        return DataSet(functools.partial(npz.read, path), f"the file {path}")
    # CIFAR-10 in a .npz file is read like any other.
    read = npz.read if path.name == "cifar10.npz" else kind.read
    return DataSet(
        functools.partial(read, path), f"{kind.source}: {path}", kind.licence
    )
