"""One idx file of bytes, the format of MNIST, plain or compressed by gzip."""

import gzip
import math
import zlib
from pathlib import Path

import numpy as np

from gdjax.data._files import contents, wrong

_BYTES = 8  # the code of unsigned bytes, the only values that are read


def read(path: Path, ndim: int) -> np.ndarray:
    """The array u8 of `ndim` axes in an idx file.

    Two zero bytes, the code of the dtype, the number of axes, each axis as a big-endian
    u32, the values.

    Raises:
      ValueError: the file is broken or holds something else: path, expected, found.
      OSError: it cannot be read.
    """
    data = contents(path, "an idx file")
    if data[:2] == b"\x1f\x8b":
        try:
            data = gzip.decompress(data)
        except (OSError, EOFError, zlib.error) as error:
            raise wrong(path, "a whole gzip file", error) from error
    magic, head = bytes([0, 0, _BYTES, ndim]), 4 + 4 * ndim
    if data[:4] != magic:
        expected = f"an idx file, which starts with the bytes {magic.hex(' ')},"
        raise wrong(path, expected, data[:4].hex(" ") or "an empty file")
    if len(data) < head:
        raise wrong(path, f"a head of {head} bytes", f"{len(data)} bytes")
    shape = tuple(np.frombuffer(data, ">u4", ndim, offset=4).tolist())
    if len(data) != head + math.prod(shape):
        size = f"{math.prod(shape)} bytes of values after the head, of shape {shape}"
        raise wrong(path, size, len(data) - head)
    return np.frombuffer(data, np.uint8, offset=head).reshape(shape)
