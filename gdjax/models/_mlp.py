"""The multi-layer perceptron: linear layers with a nonlinearity between them."""

import functools
import math
from collections.abc import Sequence

import jax
import jax.numpy as jnp

from gdjax._checks import UNIT, integer, number, one_of
from gdjax.models._initializers import initializer as kernel_initializer
from gdjax.models._model import Model, from_nnx

_ACTIVATIONS = (
    "relu",
    "gelu",
    "silu",
    "tanh",
    "sigmoid",
    "identity",
    "elu",
    "selu",
    "celu",
    "leaky_relu",
    "softplus",
    "soft_sign",
    "mish",
    "relu6",
    "hard_tanh",
    "hard_sigmoid",
    "hard_silu",
)


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
    in the wider of the inputs' dtype and `param_dtype`. The input width d is read from
    the inputs' shape. Parameters are `hidden_0/kernel` [d, features[0]],
    `hidden_0/bias`, `norm_0/scale`, `norm_0/bias`, `hidden_1/kernel`, ...,
    `output/kernel`, `output/bias`.

    Args:
      features: the widths of all layers after the input, each >= 1: of the hidden
        layers, then the number of outputs. A single one makes a linear model.
      activation: a function of `jax.nn`: relu, gelu, silu, tanh, sigmoid, identity, ...
      initializer: of the hidden kernels, a name that `initializer` knows. The output
        kernel is always "lecun_normal", because no activation follows it; biases
        start at 0.
      normalization: None, or "layer" for a layer norm in front of each activation.
      dropout: the share of hidden units dropped in train mode, in [0, 1); the others
        are scaled by 1 / (1 - dropout).
      param_dtype: the dtype of all parameters.

    Returns:
      The model; its `model_state` is `{}`.

    Raises:
      ValueError: an argument lies outside its range.
      TypeError: `features` are no integers, or `dropout` is no number.

    Example:
      >>> import jax
      >>> model = mlp([32, 10])
      >>> images = jax.numpy.ones((5, 8, 8))
      >>> params, model_state = jax.jit(model.init)(jax.random.key(0), images)
      >>> jax.tree.map(jax.numpy.shape, params["hidden_0"])
      {'bias': (32,), 'kernel': (64, 32)}
      >>> outputs, _ = jax.jit(model.apply)(params, model_state, images)
      >>> outputs.shape
      (5, 10)

    Reference: Rumelhart, Hinton and Williams 1986, Nature 323; Ba et al. 2016,
    arXiv:1607.06450 (layer norm); Srivastava et al. 2014, JMLR 15 (dropout).
    """
    from flax import nnx

    if not isinstance(features, Sequence) or not features:
        raise ValueError(f"`features` must be a list of widths, got {features!r}.")
    *hidden, num_outputs = [integer("features", width, 1) for width in features]
    activate = getattr(jax.nn, one_of("activation", activation, _ACTIVATIONS))
    kernel_init = kernel_initializer(initializer)
    if normalization not in (None, "layer"):
        raise ValueError(
            f"`normalization` must be None or 'layer', got {normalization!r}."
        )
    dropout = float(number("dropout", dropout, UNIT))

    class MLP(nnx.Module):
        def __init__(self, width: int, rngs: nnx.Rngs):
            linear = functools.partial(nnx.Linear, param_dtype=param_dtype, rngs=rngs)
            for i, next_width in enumerate(hidden):
                layer = linear(width, next_width, kernel_init=kernel_init)
                setattr(self, f"hidden_{i}", layer)
                if normalization == "layer":
                    norm = nnx.LayerNorm(next_width, param_dtype=param_dtype, rngs=rngs)
                    setattr(self, f"norm_{i}", norm)
                width = next_width
            self.output = linear(
                width, num_outputs, kernel_init=kernel_initializer("lecun_normal")
            )
            if dropout:
                self.dropout = nnx.Dropout(dropout, rngs=rngs)

        def __call__(self, inputs: jax.Array) -> jax.Array:
            x = inputs.reshape(len(inputs), math.prod(inputs.shape[1:]))
            for i in range(len(hidden)):
                x = getattr(self, f"hidden_{i}")(x)
                if normalization == "layer":
                    x = getattr(self, f"norm_{i}")(x)
                x = activate(x)
                if dropout:
                    x = self.dropout(x)
            return self.output(x)

    @functools.cache
    def for_width(width: int) -> Model:
        return from_nnx(lambda rngs: MLP(width, rngs))

    def sized(inputs) -> Model:
        if jnp.ndim(inputs) < 2:
            raise ValueError(
                "`inputs` must have a batch axis and at least one more, got shape "
                f"{jnp.shape(inputs)}."
            )
        return for_width(math.prod(jnp.shape(inputs)[1:]))

    def init(key, inputs):
        return sized(inputs).init(key, inputs)

    def apply(params, model_state, inputs, *, train=False, key=None):
        model = sized(inputs)
        return model.apply(params, model_state, inputs, train=train, key=key)

    return Model(init, apply)
