"""Data sets that users bring: the arrays of a .npz file, checked before use."""

import os
import zipfile
from pathlib import Path
from typing import BinaryIO

import numpy as np

from gdjax._checks import MAX_INT

_SHOWN = 20  # names in a message


def find(data_dir: str | os.PathLike[str]) -> dict[str, Path]:
    """The .npz files of a folder, by name.

    Raises:
      ValueError: there is no such folder.
      OSError: it cannot be read.
    """
    folder = Path(data_dir)
    if not folder.is_dir():
        found = "a file" if folder.exists() else "nothing"
        raise ValueError(f"{folder}: expected a folder as `data_dir`, found {found}.")
    paths = [path for path in folder.iterdir() if path.suffix == ".npz"]
    return {path.stem: path for path in sorted(paths)}


def names(files: dict[str, Path]) -> str:
    """The names of `files` in words, a long list cut."""
    more = len(files) - _SHOWN
    listed = ", ".join(list(files)[:_SHOWN]) or "none"
    return f"{listed} and {more} more" if more > 0 else listed


def read(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """The arrays `inputs` [n, ...], real numbers, and `targets` i32 [n] of a .npz file.

    Raises:
      ValueError: the file is broken or holds something else: path, expected, found.
      OSError: it cannot be opened.
    """
    if path.is_dir():
        raise ValueError(f"{path}: expected a .npz file, found a folder.")
    with open(path, "rb") as file:
        inputs, targets = _arrays(path, file)
    found = _wrong(inputs, targets)
    if found:
        raise ValueError(f"{path}: expected {found[0]}, found {found[1]}.")
    return inputs, targets.astype(np.int32)


def _arrays(path: Path, file: BinaryIO) -> list[np.ndarray]:
    if not zipfile.is_zipfile(file):
        file.seek(0)
        start = file.read(4)
        found = "a truncated one" if start == b"PK\3\4" else "no zip of arrays"
        found = found if start else "an empty file"
        raise ValueError(f"{path}: expected a .npz file, found {found}.")
    file.seek(0)
    name, arrays = "inputs", []
    try:
        with np.load(file, allow_pickle=False) as members:
            there = list(members)
            for name in ("inputs", "targets"):
                arrays += [members[name]] if name in there else []
    except Exception as error:  # whatever broken bytes make zipfile and numpy say
        found = str(error).rstrip(".") or type(error).__name__
        raise ValueError(
            f"{path}: expected a readable array `{name}`, found: {found}."
        ) from error
    if [type(array) for array in arrays] != [np.ndarray, np.ndarray]:
        listed = ", ".join(f"`{name}`" for name in there) or "none"
        raise ValueError(
            f"{path}: expected arrays `inputs` and `targets`, found {listed}."
        )
    return arrays


def _wrong(inputs: np.ndarray, targets: np.ndarray) -> tuple[str, str] | None:
    """The first condition that the arrays break, and what there is instead."""
    n = len(inputs) if inputs.ndim else 0
    if inputs.dtype.kind not in "biuf":
        return "numbers as `inputs`", f"{inputs.dtype}"
    if inputs.ndim < 2 or not inputs.size:
        return (
            "`inputs` of shape [n, ...], one or more examples of one or more features",
            f"shape {inputs.shape}",
        )
    if targets.shape != (n,):
        return f"`targets` of shape ({n},), as there are {n} inputs", f"{targets.shape}"
    if targets.dtype.kind not in "iu":
        return "integers as `targets`, the classes from 0", f"{targets.dtype}"
    low, high = int(targets.min()), int(targets.max())
    if low < 0 or high >= MAX_INT:
        return "`targets` in [0, 2**31 - 1)", f"{low if low < 0 else high}"
    _, counts = np.unique(targets, return_counts=True)
    if counts.max() < 4:
        return (
            "a class of at least 4 examples, or validation and test are empty",
            f"{counts.max()} in the largest",
        )
    with np.errstate(over="ignore"):
        finite = np.isfinite(inputs.astype(np.float32))
    if not finite.all():
        where = tuple(np.argwhere(~finite)[0].tolist())
        return (
            "`inputs` that are finite in f32",
            f"{inputs[where]} at {list(where)}",
        )
    return None
