"""Text as windows of characters, each with the characters that follow."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from gdjax._checks import integer
from gdjax.data._files import contents, wrong
from gdjax.data._sets import Examples, Raw

LENGTH = 128  # of a window
_PIECES = 20  # of a single text: 14 for training, 3 and 3 held out


def characters(path: Path) -> str:
    """The text of a UTF-8 file, a mark of its byte order left out.

    Raises:
      ValueError: it is something else: path, expected, found.
      OSError: it cannot be read.
    """
    data = contents(path, "a text file")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        found = f"the byte {error.object[error.start]:#04x} at {error.start}"
        raise wrong(path, "text in UTF-8", found) from error


def read(path: Path, length: int | None) -> Raw:
    """The windows of a text file, which is cut into 20 documents of equal length."""
    text = characters(path)
    cuts = [i * len(text) // _PIECES for i in range(_PIECES + 1)]
    pieces = [text[a:b] for a, b in zip(cuts[:-1], cuts[1:], strict=True)]
    least = _PIECES * (_length(length) + 1)
    if len(text) < least:
        raise wrong(
            path, f"at least {least} characters for this `sequence_length`", len(text)
        )
    return windows(pieces, length)


def windows(texts: Sequence[str], length: int | None) -> Raw:
    """Inputs and targets i32 [n, length], characters by their place in the alphabet.

    Each text, a document, is cut into windows that do not overlap; the targets are the
    inputs one place on. What is left at its end, less than a window, is not used.
    """
    length = _length(length)
    codes = [np.frombuffer(text.encode("utf-32-le"), "<u4") for text in texts]
    alphabet = np.unique(np.concatenate(codes))
    inputs, targets, counts = [], [], []
    for code in codes:
        numbers = np.searchsorted(alphabet, code).astype(np.int32)
        count = max(0, len(numbers) - 1) // length
        inputs.append(numbers[: count * length].reshape(count, length))
        targets.append(numbers[1 : count * length + 1].reshape(count, length))
        counts.append(count)
    return Raw(
        Examples(np.concatenate(inputs), np.concatenate(targets)),
        alphabet="".join(map(chr, alphabet.tolist())),
        documents=np.repeat(np.arange(len(texts)), counts),
    )


def _length(length: int | None) -> int:
    return LENGTH if length is None else integer("sequence_length", length, 1)
