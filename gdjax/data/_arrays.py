"""Arrays that a file holds, checked and put together before anything is done."""

from pathlib import Path
from typing import NamedTuple

import numpy as np

from gdjax._checks import MAX_INT
from gdjax.data._files import wrong
from gdjax.data._sets import Examples, Raw


class Part(NamedTuple):
    """All examples of a set, or those that it calls its training or its test part."""

    inputs: np.ndarray
    targets: np.ndarray
    names: tuple[str, str] = ("inputs", "targets")  # in messages


def combine(path: Path, train: Part, test: Part | None = None) -> Raw:
    """The examples of one part or two: real inputs [n, ...], targets i32 [n] or reals.

    Raises:
      ValueError: they are something else: path, expected, found.
    """
    parts = [train] if test is None else [train, test]
    for part in parts:
        if found := _inputs(part) or _targets(part):
            raise wrong(path, *found)
    if found := _too_few(train) or (_differ(train, test) if test else None):
        raise wrong(path, *found)
    inputs = [part.inputs for part in parts]
    targets = [part.targets for part in parts]
    examples = Examples(
        inputs[0] if test is None else np.concatenate(inputs),
        targets[0] if test is None else np.concatenate(targets),
    )
    if examples.targets.dtype.kind in "iu":
        examples = examples._replace(targets=examples.targets.astype(np.int32))
    else:
        n = len(examples.targets)
        examples = examples._replace(targets=examples.targets.reshape(n, -1))
    return Raw(examples, num_test=0 if test is None else len(test.targets))


_Found = tuple[str, str] | None  # what is expected, what there is instead


def _inputs(part: Part) -> _Found:
    inputs, (name, _) = part.inputs, part.names
    if inputs.dtype.kind not in "biuf":
        return f"numbers as `{name}`", f"{inputs.dtype}"
    if inputs.ndim < 2 or not inputs.size:
        return (
            f"`{name}` of shape [n, ...], one or more examples of one or more features",
            f"shape {inputs.shape}",
        )
    return _not_finite(inputs, name)


def _targets(part: Part) -> _Found:
    n, targets, (inputs, name) = len(part.inputs), part.targets, part.names
    if targets.dtype.kind == "f":
        if targets.ndim not in (1, 2) or len(targets) != n or not targets.size:
            return (
                f"`{name}` of shape ({n},) or ({n}, k), as there are {n} `{inputs}`",
                f"{targets.shape}",
            )
        return _not_finite(targets, name)
    if targets.dtype.kind not in "iu":
        return f"integers, the classes from 0, or reals as `{name}`", f"{targets.dtype}"
    if targets.shape != (n,):
        return (
            f"`{name}` of shape ({n},), as there are {n} `{inputs}`",
            f"{targets.shape}",
        )
    low, high = int(targets.min()), int(targets.max())
    if low < 0 or high >= MAX_INT:
        return f"`{name}` in [0, 2**31 - 1)", f"{low if low < 0 else high}"
    return None


def _not_finite(array: np.ndarray, name: str) -> _Found:
    # Extremes first: they need no copy of the array.
    with np.errstate(over="ignore"):
        ends = np.array([array.min(), array.max()]).astype(np.float32)
        if np.isfinite(ends).all():
            return None
        finite = np.isfinite(array.astype(np.float32))
    where = tuple(np.argwhere(~finite)[0].tolist())
    return f"`{name}` that are finite in f32", f"{array[where]} at {list(where)}"


def _too_few(train: Part) -> _Found:
    if train.targets.dtype.kind == "f":
        most = len(train.targets)
        return None if most >= 4 else ("4 or more examples", f"{most}")
    _, counts = np.unique(train.targets, return_counts=True)
    if counts.max() >= 4:
        return None
    return (
        f"a class of at least 4 examples in `{train.names[1]}`, or nothing is held out",
        f"{counts.max()} in the largest",
    )


def _differ(train: Part, test: Part) -> _Found:
    """Whether the test part has examples of another kind than the training part."""
    kinds = [
        (part.targets.dtype.kind == "f", part.targets.shape[1:])
        for part in (train, test)
    ]
    if kinds[0] != kinds[1]:
        return (
            f"`{test.names[1]}` like `{train.names[1]}`",
            f"{test.targets.dtype} of shape {test.targets.shape} and "
            f"{train.targets.dtype} of shape {train.targets.shape}",
        )
    if test.inputs.shape[1:] != train.inputs.shape[1:]:
        return (
            f"`{test.names[0]}` like `{train.names[0]}`, of shape {train.inputs.shape}",
            f"{test.inputs.shape}",
        )
    return None
