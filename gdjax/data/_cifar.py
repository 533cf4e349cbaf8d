"""CIFAR-10 in its binary batches: colour images of 32 x 32 pixels, ten classes."""

from pathlib import Path

import numpy as np

from gdjax.data._arrays import Part, combine
from gdjax.data._files import contents, wrong
from gdjax.data._sets import Raw

FILES = (*(f"data_batch_{i}.bin" for i in range(1, 6)), "test_batch.bin")
FOLDER = "cifar-10-batches-bin"  # where they may be, too
_RECORD = 1 + 3 * 32 * 32  # the class, then red, green and blue, each row by row


def read(folder: Path) -> Raw:
    """Images u8 [n, 32, 32, 3] and classes i32 [n] from the six files in a folder.

    Raises:
      ValueError: one is missing, broken or something else.
      OSError: one cannot be read.
    """
    *train, test = (_batch(folder / name) for name in FILES)
    images, labels = zip(*train, strict=True)
    whole = Part(np.concatenate(images), np.concatenate(labels))
    return combine(folder, whole, Part(*test))


def _batch(path: Path) -> tuple[np.ndarray, np.ndarray]:
    data = contents(path, "a batch of CIFAR-10")
    if not data or len(data) % _RECORD:
        size = f"one or more records of {_RECORD} bytes, a class and an image each"
        raise wrong(path, size, f"{len(data)} bytes")
    records = np.frombuffer(data, np.uint8).reshape(-1, _RECORD)
    labels, images = records[:, 0], records[:, 1:].reshape(-1, 3, 32, 32)
    if labels.max() > 9:
        raise wrong(path, "classes from 0 to 9", labels.max())
    return images.transpose(0, 2, 3, 1), labels
