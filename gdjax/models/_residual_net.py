"""The residual network, whose skip connections can be taken away."""

import functools
from collections.abc import Sequence

import jax
import jax.numpy as jnp

from gdjax._checks import integer
from gdjax.models._images import Images, convolution
from gdjax.models._model import Model
from gdjax.models._parts import Parts, sized, widths


def residual_net(
    channels: Sequence[int],
    num_outputs: int,
    skips: bool = True,
    *,
    blocks: int = 1,
    image_shape: Sequence[int] | None = None,
    kernel_size: int = 3,
    activation: str = "relu",
    initializer: str = "he_normal",
    normalization: str | None = "batch",
    dropout: float = 0.0,
    param_dtype: jax.typing.DTypeLike = jnp.float32,
) -> Model:
    """A residual network of pre-activation blocks, with or without its skips.

    h_0 = conv(inputs);   h_i = skip(h_{i-1}) + f_i(h_{i-1}),
    f(h) = conv_1(activation(norm_1(conv_0(activation(norm_0(h))))));
    outputs = dropout(mean of activation(norm(h_n)) over the image) W + b.

    With `skips=False` h_i = f_i(h_{i-1}): the plain network of the same parameters, for
    comparison. Each entry of `channels` is a stage of `blocks` blocks; the first block
    of every stage but the first halves the sides (rounded up) by a stride of 2 in
    conv_0. A skip has no parameters: it is the identity, and where shapes change takes
    every second pixel and adds channels of zeros.

    Inputs are [n, height, width, channels], or flat with `image_shape`; outputs
    [n, num_outputs] in the wider of the inputs' dtype and `param_dtype` (with "batch"
    at least f32). Parameters are `stem/kernel`, `block_0/norm_0/scale`,
    `block_0/norm_0/bias`, `block_0/conv_0/kernel`, `block_0/norm_1/scale`, ...,
    `norm/scale`, `norm/bias`, `output/kernel`, `output/bias`; without a batch norm
    convolutions have a bias too. Convolutions cost what they do in `conv_net`.

    Args:
      channels: of each stage, each >= 1 and none below the one before.
      num_outputs: the number of outputs, >= 1.
      skips: whether the skip connections are there.
      blocks: of two convolutions each, in every stage, >= 1.
      image_shape: (height, width, channels) of one input, to which inputs [n, ...] are
        reshaped; None: inputs are images.
      kernel_size: the sides of the kernels, >= 1.
      activation: a function of `jax.nn`: relu, gelu, silu, tanh, sigmoid, identity, ...
      initializer: of the convolutions, a name that `initializer` knows. The output
        kernel is "lecun_normal"; biases start at 0.
      normalization: "batch", over batch and image, with running averages (decay 0.9) in
        `model_state` for eval mode; "layer", over the channels of each pixel; None.
      dropout: the share of the pooled features dropped in train mode, in [0, 1).
      param_dtype: the dtype of all parameters.

    Returns:
      The model.

    Raises:
      ValueError: an argument lies outside its range; from `init` and `apply`, inputs
        are no images, or too small to be halved so often.
      TypeError: a size is no integer, `dropout` no number, `param_dtype` no float.

    Example:
      >>> model = residual_net([8, 16], 10)
      >>> images = jnp.ones((5, 8, 8, 1))
      >>> variables = jax.eval_shape(model.init, jax.random.key(0), images)
      >>> sorted(variables[0])
      ['block_0', 'block_1', 'norm', 'output', 'stem']
      >>> plain = residual_net([8, 16], 10, skips=False)
      >>> jax.eval_shape(plain.apply, *variables, images)[0].shape
      (5, 10)

    Reference: He et al. 2015, arXiv:1512.03385 (skips without parameters are its option
    A); He et al. 2016, arXiv:1603.05027 (pre-activation).
    """
    from flax import nnx

    channels = widths("channels", channels)
    if channels != sorted(channels):
        raise ValueError(f"`channels` must not fall, got {channels}.")
    num_outputs = integer("num_outputs", num_outputs, 1)
    blocks = integer("blocks", blocks, 1)
    kernel_size = integer("kernel_size", kernel_size, 1)
    images = Images(image_shape, halvings=len(channels) - 1)
    parts = Parts(
        activation=activation,
        initializer=initializer,
        normalization=normalization,
        dropout=dropout,
        param_dtype=param_dtype,
    )
    conv = functools.partial(convolution, parts, kernel_size=kernel_size)

    class Block(nnx.Module):
        def __init__(self, width: int, outputs: int, stride: int, rngs: nnx.Rngs):
            self.norm_0 = parts.norm(width, rngs)
            self.conv_0 = conv(width, outputs, rngs, stride=stride)
            self.norm_1 = parts.norm(outputs, rngs)
            self.conv_1 = conv(outputs, outputs, rngs, stride=1)
            self.stride, self.added = stride, outputs - width

        def __call__(self, x: jax.Array) -> jax.Array:
            y = self.conv_0(parts.activate(self.norm_0(x)))
            y = self.conv_1(parts.activate(self.norm_1(y)))
            if not skips:
                return y
            x = x[:, :: self.stride, :: self.stride]
            return y + jnp.pad(x, ((0, 0), (0, 0), (0, 0), (0, self.added)))

    class ResidualNet(nnx.Module):
        def __init__(self, width: int, rngs: nnx.Rngs):
            self.stem = conv(width, channels[0], rngs, stride=1)
            width = channels[0]
            for i in range(len(channels) * blocks):
                outputs = channels[i // blocks]
                stride = 2 if i and i % blocks == 0 else 1
                setattr(self, f"block_{i}", Block(width, outputs, stride, rngs))
                width = outputs
            self.norm = parts.norm(width, rngs)
            self.dropout = parts.dropout(rngs)
            self.output = parts.output(width, num_outputs, rngs)

        def __call__(self, inputs: jax.Array) -> jax.Array:
            x = self.stem(images(inputs))
            for i in range(len(channels) * blocks):
                x = getattr(self, f"block_{i}")(x)
            x = parts.activate(self.norm(x))
            return self.output(self.dropout(x.mean((1, 2))))

    return sized(images.channels, ResidualNet)
