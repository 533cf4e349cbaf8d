"""Images for convolutional networks: their shape, and a convolution fast on CPUs."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import jax
import jax.numpy as jnp

from gdjax._checks import integer
from gdjax.models._parts import Parts

if TYPE_CHECKING:
    from flax import nnx


class Images:
    """The images [n, h, w, c] in inputs that may be flat.

    Args:
      image_shape: (h, w, c) to give each input, or None to take them as they are.
      halvings: how often the sides will be halved.
    """

    def __init__(self, image_shape: Sequence[int] | None, halvings: int):
        if image_shape is not None:
            if not isinstance(image_shape, Sequence) or len(image_shape) != 3:
                raise ValueError(
                    "`image_shape` must be (height, width, channels) or None, got "
                    f"{image_shape!r}."
                )
            image_shape = tuple(integer("image_shape", n, 1) for n in image_shape)
        self._shape, self._halvings = image_shape, halvings

    def channels(self, inputs: jax.Array) -> int:
        """The channels of the images, large enough for all halvings."""
        given = jnp.shape(inputs)
        image_shape = given[1:] if self._shape is None else self._shape
        if len(image_shape) != 3:
            raise ValueError(
                "`inputs` must be images [n, height, width, channels], got shape "
                f"{given}; flat ones need `image_shape`."
            )
        if not given or math.prod(given[1:]) != math.prod(image_shape):
            raise ValueError(
                f"`inputs` must be [n, ...] with {math.prod(image_shape)} numbers "
                f"each, for `image_shape` {image_shape}, got shape {given}."
            )
        *sides, channels = image_shape
        smallest = 2 ** (self._halvings - 1) + 1 if self._halvings else 1
        if min(sides) < smallest:
            raise ValueError(
                f"`channels` has {self._halvings + 1} entries, so images must be at "
                f"least {smallest} x {smallest}, got {sides[0]} x {sides[1]}."
            )
        return channels

    def __call__(self, inputs: jax.Array) -> jax.Array:
        if self._shape is None:
            return inputs
        return inputs.reshape(len(inputs), *self._shape)


def convolution(
    parts: Parts,
    channels: int,
    outputs: int,
    rngs: "nnx.Rngs",
    *,
    kernel_size: int,
    stride: int,
) -> "nnx.Conv":
    """A convolution with zeros around the image, to one over `stride` of its sides."""
    from flax import nnx

    return nnx.Conv(
        channels,
        outputs,
        (kernel_size, kernel_size),
        strides=stride,
        use_bias=parts.biased,
        kernel_init=parts.kernel_init,
        param_dtype=parts.param_dtype,
        conv_general_dilated=_conv,
        rngs=rngs,
    )


def _conv(x: jax.Array, kernel: jax.Array, strides, padding, **options) -> jax.Array:
    """`lax.conv_general_dilated`; on a CPU one product of matrices.

    Inside `lax.scan` XLA's own convolutions are ten times slower on CPUs, and for small
    images they are slower outside of it as well.
    """
    del padding  # "SAME"

    def general(x, kernel):
        return jax.lax.conv_general_dilated(
            x, kernel, strides, "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")
        )

    def product(x, kernel):
        height, width, _, outputs = kernel.shape
        pads = jax.lax.padtype_to_pads(x.shape[1:3], kernel.shape[:2], strides, "SAME")
        rows, columns = (-(-n // s) for n, s in zip(x.shape[1:3], strides, strict=True))
        x = jnp.pad(x, ((0, 0), *pads, (0, 0)))
        down, right = strides
        patches = [
            x[:, i : i + down * rows : down, j : j + right * columns : right]
            for i in range(height)
            for j in range(width)
        ]
        return jnp.concatenate(patches, -1) @ kernel.reshape(-1, outputs)

    return jax.lax.platform_dependent(x, kernel, cpu=product, default=general)
