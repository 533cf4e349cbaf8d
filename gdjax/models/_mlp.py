"""The multi-layer perceptron: linear layers with a nonlinearity between them."""

import math
from collections.abc import Sequence

import jax
import jax.numpy as jnp

from gdjax.models._model import Model
from gdjax.models._parts import Parts, sized, widths


def mlp(
    features: Sequence[int],
    *,
    activation: str = "relu",
    initializer: str = "he_normal",
    normalization: str | None = None,
    dropout: float = 0.0,
    param_dtype: jax.typing.DTypeLike = jnp.float32,
) -> Model:
    """A multi-layer perceptron.

    h_0 = inputs, flattened to [batch, d];
    h_i = dropout(activation(norm_i(h_{i-1} W_i + b_i)));  outputs = h_n W + b.

    Inputs are [batch, ...] with at least one more axis, outputs [batch, features[-1]]
    in the wider of the inputs' dtype and `param_dtype` (with "batch" at least f32). The
    input width d is read from the inputs' shape. Parameters are `hidden_0/kernel`
    [d, features[0]], `hidden_0/bias`, `norm_0/scale`, `norm_0/bias`, `hidden_1/kernel`,
    ..., `output/kernel`, `output/bias`.

    Args:
      features: the widths of all layers after the input, each >= 1: of the hidden
        layers, then the number of outputs. A single one makes a linear model.
      activation: a function of `jax.nn`: relu, gelu, silu, tanh, sigmoid, identity, ...
      initializer: of the hidden kernels, a name that `initializer` knows. The output
        kernel is always "lecun_normal", because no activation follows it; biases
        start at 0.
      normalization: in front of each activation: None; "layer"; or "batch", with
        statistics of the batch in train mode and, in eval mode, their running
        averages (decay 0.9, as `norm_0/mean` and `norm_0/var` in `model_state`).
        Hidden layers then have no bias: the norm has one.
      dropout: the share of hidden units dropped in train mode, in [0, 1); the others
        are scaled by 1 / (1 - dropout).
      param_dtype: the dtype of all parameters.

    Returns:
      The model; its `model_state` is `{}` but for "batch".

    Raises:
      ValueError: an argument lies outside its range.
      TypeError: `features` are no integers, `dropout` is no number, or `param_dtype`
        no floating dtype.

    Example:
      >>> import jax
      >>> model = mlp([32, 10])
      >>> images = jax.numpy.ones((5, 8, 8))
      >>> params, model_state = model.init(jax.random.key(0), images)
      >>> jax.tree.map(jax.numpy.shape, params["hidden_0"])
      {'bias': (32,), 'kernel': (64, 32)}
      >>> outputs, _ = model.apply(params, model_state, images)
      >>> outputs.shape
      (5, 10)

    Reference: Rumelhart, Hinton and Williams 1986, Nature 323; Ba et al. 2016,
    arXiv:1607.06450 (layer norm); Ioffe and Szegedy 2015, arXiv:1502.03167 (batch
    norm); Srivastava et al. 2014, JMLR 15 (dropout).
    """
    from flax import nnx

    *hidden, num_outputs = widths("features", features)
    parts = Parts(
        activation=activation,
        initializer=initializer,
        normalization=normalization,
        dropout=dropout,
        param_dtype=param_dtype,
    )

    class MLP(nnx.Module):
        def __init__(self, width: int, rngs: nnx.Rngs):
            for i, next_width in enumerate(hidden):
                layer = parts.linear(width, next_width, rngs, bias=parts.biased)
                setattr(self, f"hidden_{i}", layer)
                setattr(self, f"norm_{i}", parts.norm(next_width, rngs))
                width = next_width
            self.output = parts.output(width, num_outputs, rngs)
            self.dropout = parts.dropout(rngs)

        def __call__(self, inputs: jax.Array) -> jax.Array:
            x = inputs.reshape(len(inputs), math.prod(inputs.shape[1:]))
            for i in range(len(hidden)):
                x = getattr(self, f"norm_{i}")(getattr(self, f"hidden_{i}")(x))
                x = self.dropout(parts.activate(x))
            return self.output(x)

    def width_of(inputs) -> int:
        if jnp.ndim(inputs) < 2:
            raise ValueError(
                "`inputs` must have a batch axis and at least one more, got shape "
                f"{jnp.shape(inputs)}."
            )
        return math.prod(jnp.shape(inputs)[1:])

    return sized(width_of, MLP)
