"""Data sets by name, split, standardised and ready to train on."""

import os

import numpy as np

from gdjax._checks import integer
from gdjax.data._digest import digest
from gdjax.data._named import find
from gdjax.data._scale import Scale, fit, standardize
from gdjax.data._sets import Examples, Info, Raw, Splits
from gdjax.data._split import Split, split, split_documents


def load(
    name: str,
    data_dir: str | os.PathLike[str] | None = None,
    *,
    seed: int = 0,
    sequence_length: int | None = None,
) -> Splits:
    """The data set called `name`, split and standardised.

    Of each class 70 % of the examples are for training, 15 % for validation and 15 %
    for testing, each share within one example; a class of fewer than 4 is for training
    alone. Where targets are reals, all examples count as one class. A set that brings
    a test part keeps it; 15 % of each class of the others are for validation. Which
    ones is fixed for each `seed`, on every version of Python and numpy.

    Each feature, an entry of the last axis, is standardised, z = (x - mean) / std, with
    mean and std over all other axes of the training split alone, computed in f64: the
    columns of a table, the channels of images. One that is constant there becomes 0.
    So are targets that are reals: y = target_std z + target_mean gives them back.

    Text is windows of characters that do not overlap, each character by its place in
    the alphabet, the sorted characters of the whole text; targets are the characters
    that follow each. Windows of one document are in one split: documents are shared out
    whole, in the order of a hash, so that shares are near 70 / 15 / 15. A document is a
    module of the standard library, or a twentieth of a text file.

    Inputs are numpy f32 [n, ...] without unit, targets i32 [n], or f32 [n, k] where
    they are reals; of text, both are i32 [n, sequence_length].

    Args:
      name: built in (all but the last need scikit-learn):
        "digits": 1797 images of 8 x 8 pixels as 64 features, ten classes;
        "breast_cancer": 569 x 30, two classes; "wine": 178 x 13, three classes;
        "iris": 150 x 4, three classes; "diabetes": 442 x 10, targets [n, 1] are reals;
        "stdlib": 1.1 MB of source of Python's standard library, which differs between
        versions of Python. Any other name is one of `data_dir`.
      data_dir: a folder that holds for the name
        "mnist": `mnist.npz`, or the four idx files, plain or with .gz, in it or in its
        folder mnist; inputs are [n, 28, 28, 1];
        "cifar10": `data_batch_1.bin` to `data_batch_5.bin` and `test_batch.bin` in it
        or in its folder cifar-10-batches-bin; inputs are [n, 32, 32, 3];
        NAME: `NAME.txt`, text in UTF-8, or `NAME.npz` with the arrays `inputs`
        [n, ...], finite real numbers, and `targets`, the classes from 0 as integers
        [n], or reals [n] or [n, k]; or with a training and a test part of such arrays,
        `train_x, train_y, test_x, test_y` or `x_train, y_train, x_test, y_test`; or
        with JPEG images for `train_x`: their bytes `train_jpeg`, end to end, and the
        length of each, `train_len`; the same for `test_x` (needs Pillow). Other arrays
        are not read, nor is anything pickled.
      seed: which split, >= 0.
      sequence_length: of a window of text, >= 1; by default 128.

    Returns:
      `(train, validation, test, info)`, the first three pairs `(inputs, targets)`.

    Raises:
      ValueError: there is no data set of this name, or its file is broken or holds
        something else: the message has the path, what is expected and what is found;
        or `sequence_length` is for no text, or longer than what is there.
      ImportError: the package that brings or reads the data is not installed.
      OSError: the file cannot be opened.

    Example:
      >>> train, validation, test, info = load("digits")
      >>> info.sizes
      {'train': 1259, 'validation': 269, 'test': 269}
      >>> inputs, targets = train
      >>> inputs.shape, inputs.dtype
      ((1259, 64), dtype('float32'))

    Reference: Alpaydin and Kaynak 1998, doi:10.24432/C50P49 (digits); `info.source`
      names that of each set.
    """
    seed = integer("seed", seed, 0)
    data_set = find(name, data_dir)
    if not data_set.is_text and sequence_length is not None:
        raise ValueError(
            f"`sequence_length` must be None for {name!r}, which is no text, got "
            f"{sequence_length!r}."
        )
    raw = data_set.read(sequence_length) if data_set.is_text else data_set.read()
    indices = _split(raw, seed)
    sizes = {part: len(where) for part, where in indices._asdict().items()}
    if not all(sizes.values()):
        raise ValueError(
            "`sequence_length` must leave windows for each split of the text, got "
            f"{sequence_length}, which leaves {sizes}."
        )
    (train, validation, test), scale = _scaled(raw, indices)
    classes = int(raw.examples.targets.max()) + 1 if scale is None else None
    info = Info(
        name=name,
        sizes=sizes,
        num_classes=classes if raw.alphabet is None else len(raw.alphabet),
        digest=_digest(raw, indices, data_set.version),
        source=data_set.source,
        licence=data_set.licence,
        alphabet=raw.alphabet,
        target_mean=None if scale is None else _plain(scale.mean),
        target_std=None if scale is None else _plain(scale.std),
    )
    return Splits(train, validation, test, info)


def _split(raw: Raw, seed: int) -> Split:
    if raw.documents is not None:
        return split_documents(raw.documents, seed)
    targets = raw.examples.targets
    one_class = np.zeros(len(targets), np.int32)
    classes = targets if targets.dtype == np.int32 else one_class
    return split(classes, seed, raw.num_test)


def _scaled(raw: Raw, indices: Split) -> tuple[list[Examples], Scale | None]:
    """The examples of each split, and the scale of targets that are reals."""
    inputs, targets = raw.examples
    if raw.alphabet is not None:
        return [Examples(inputs[where], targets[where]) for where in indices], None
    of_inputs, of_targets = fit(inputs, indices.train), None
    if targets.dtype != np.int32:
        of_targets = fit(targets, indices.train)
    parts = [
        Examples(
            standardize(inputs, where, of_inputs),
            targets[where]
            if of_targets is None
            else standardize(targets, where, of_targets),
        )
        for where in indices
    ]
    return parts, of_targets


def _digest(raw: Raw, indices: Split, version: str) -> str:
    arrays = (raw.examples, indices)
    if raw.alphabet is not None:
        letters = np.frombuffer(raw.alphabet.encode(), np.uint8)
        arrays = (raw.examples, indices, letters)
    return " ".join(filter(None, [digest(arrays), version]))


def _plain(values: np.ndarray) -> float | tuple[float, ...]:
    return float(values[0]) if len(values) == 1 else tuple(values.tolist())
