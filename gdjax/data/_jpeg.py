"""Images kept as JPEG byte strings, end to end in one array."""

import io
from pathlib import Path

import numpy as np

from gdjax._extras import need
from gdjax.data._files import wrong


def decode(path: Path, data: np.ndarray, lengths: np.ndarray, name: str) -> np.ndarray:
    """Images u8 [n, h, w, channels] from their bytes u8 [sum of lengths].

    Raises:
      ValueError: the bytes are no images of one shape, or others than `lengths` says.
      ImportError: Pillow is not installed.
    """
    if data.dtype != np.uint8 or data.ndim != 1:
        raise wrong(path, f"bytes as `{name}`", f"{data.dtype} {data.shape}")
    if lengths.dtype.kind not in "iu" or lengths.ndim != 1 or (lengths <= 0).any():
        raise wrong(
            path, f"the lengths of the images in `{name}`", "no list of integers > 0"
        )
    ends = np.cumsum(lengths, dtype=np.int64)
    if not len(ends) or ends[-1] != len(data):
        total = int(ends[-1]) if len(ends) else 0
        raise wrong(
            path,
            f"{total} bytes in `{name}`, the sum of the lengths of {len(ends)} images",
            len(data),
        )
    open_image, whole = need("PIL.Image", "run").open, data.tobytes()
    images = np.empty(0, np.uint8)
    for i, end in enumerate(ends.tolist()):
        start = end - int(lengths[i])
        try:
            with open_image(io.BytesIO(whole[start:end]), formats=["JPEG"]) as image:
                pixels = np.atleast_3d(np.asarray(image))
        except Exception as error:  # whatever broken bytes make Pillow say
            raise wrong(
                path, f"a JPEG image as number {i} of `{name}`", error
            ) from error
        if i == 0:
            images = np.empty((len(ends), *pixels.shape), np.uint8)
        if pixels.shape != images.shape[1:]:
            raise wrong(
                path,
                f"images of shape {images.shape[1:]} in `{name}`",
                f"{pixels.shape} as number {i}",
            )
        images[i] = pixels
    return images
