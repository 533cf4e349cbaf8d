"""The convolutional network: convolutions that halve the image, then its mean."""

import functools
from collections.abc import Sequence

import jax
import jax.numpy as jnp

from gdjax._checks import integer
from gdjax.models._images import Images, convolution
from gdjax.models._model import Model
from gdjax.models._parts import Parts, sized, widths


def conv_net(
    channels: Sequence[int],
    num_outputs: int,
    *,
    image_shape: Sequence[int] | None = None,
    kernel_size: int = 3,
    activation: str = "relu",
    initializer: str = "he_normal",
    normalization: str | None = "batch",
    dropout: float = 0.0,
    param_dtype: jax.typing.DTypeLike = jnp.float32,
) -> Model:
    """A convolutional network with batch norm and global average pooling.

    h_0 = inputs;   h_i = activation(norm_i(conv_i(h_{i-1})));
    outputs = dropout(mean of h_n over the image) W + b.

    All convolutions but the first have a stride of 2, which halves the sides (rounded
    up), and zeros around the image. Inputs are [n, height, width, channels], or flat
    with `image_shape`; outputs [n, num_outputs] in the wider of the inputs' dtype and
    `param_dtype` (with "batch" at least f32). Parameters are `conv_0/kernel`
    [kernel_size, kernel_size, c, channels[0]], `norm_0/scale`, `norm_0/bias`,
    `conv_1/kernel`, ..., `output/kernel`, `output/bias`; without a batch norm also
    `conv_0/bias`, ...

    On a CPU convolutions are computed as one product with all patches, which holds
    kernel_size^2 copies of a layer's input: evaluate large sets in batches.

    Args:
      channels: of each convolution, each >= 1.
      num_outputs: the number of outputs, >= 1.
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
      >>> model = conv_net([8, 16], 10, image_shape=(8, 8, 1))
      >>> variables = jax.eval_shape(model.init, jax.random.key(0), jnp.ones((5, 64)))
      >>> jax.tree.map(jnp.shape, variables[0]["conv_1"])
      {'kernel': (3, 3, 8, 16)}
      >>> jax.eval_shape(model.apply, *variables, jnp.ones((5, 64)))[0].shape
      (5, 10)

    Reference: LeCun et al. 1998, Proc. IEEE 86; Ioffe and Szegedy 2015,
    arXiv:1502.03167 (batch norm); Lin et al. 2013, arXiv:1312.4400 (global average
    pooling); Springenberg et al. 2014, arXiv:1412.6806 (strides in place of pooling).
    """
    from flax import nnx

    channels = widths("channels", channels)
    num_outputs = integer("num_outputs", num_outputs, 1)
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

    class ConvNet(nnx.Module):
        def __init__(self, width: int, rngs: nnx.Rngs):
            for i, next_width in enumerate(channels):
                stride = 2 if i else 1
                layer = conv(width, next_width, rngs, stride=stride)
                setattr(self, f"conv_{i}", layer)
                setattr(self, f"norm_{i}", parts.norm(next_width, rngs))
                width = next_width
            self.dropout = parts.dropout(rngs)
            self.output = parts.output(width, num_outputs, rngs)

        def __call__(self, inputs: jax.Array) -> jax.Array:
            x = images(inputs)
            for i in range(len(channels)):
                x = getattr(self, f"norm_{i}")(getattr(self, f"conv_{i}")(x))
                x = parts.activate(x)
            return self.output(self.dropout(x.mean((1, 2))))

    return sized(images.channels, ConvNet)
