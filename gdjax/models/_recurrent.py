"""Recurrent networks over sequences: plain, LSTM and GRU."""

from collections.abc import Callable
from typing import Literal, TypeAlias

import jax
import jax.numpy as jnp

from gdjax._checks import integer, one_of
from gdjax.models._initializers import NAMES
from gdjax.models._initializers import initializer as kernel_initializer
from gdjax.models._model import Model
from gdjax.models._parts import Layer, Parts, check_tokens, sized

Carry: TypeAlias = tuple[jax.Array, ...]  # h [n, width] first; the LSTM's c behind it
# (carry, x W + b, h U, activation) -> carry
Cell: TypeAlias = Callable[[Carry, jax.Array, jax.Array, Layer], Carry]


def recurrent(
    cell: Literal["rnn", "lstm", "gru"],
    width: int,
    num_outputs: int,
    *,
    vocabulary: int | None = None,
    depth: int = 1,
    outputs: Literal["all", "last"] = "all",
    activation: str = "tanh",
    initializer: str = "lecun_normal",
    recurrent_initializer: str = "orthogonal",
    normalization: str | None = None,
    dropout: float = 0.0,
    param_dtype: jax.typing.DTypeLike = jnp.float32,
) -> Model:
    """A recurrent network: layers that carry a state h along a sequence, from h = 0.

    With s the sigmoid, * elementwise, x the input at one time and h, c the old state:

        "rnn"    h' = activation(x W + h U + b)
        "lstm"   i, f, o = s(x W_k + h U_k + b_k), k = i, f, o
                 c' = f * c + i * activation(x W_g + h U_g + b_g)
                 h' = o * activation(c')
        "gru"    r, z = s(x W_k + h U_k + b_k), k = r, z
                 h' = z * h + (1 - z) * activation(x W_n + r * (h U_n) + b_n)

    Outputs are dropout(norm(h)) W + b of the last layer's h; each layer's
    dropout(norm(h)) is the next one's input.

    Inputs are [n, T, d], or with `vocabulary` integer tokens [n, T], which an embedding
    of `width` numbers stands for (drawn with variance 1; dropped out as h is). Outputs
    are [n, T, num_outputs] or, of the last time, [n, num_outputs], in the wider of the
    inputs' dtype and `param_dtype`. Parameters are `embedding/embedding`
    [vocabulary, width], `layer_0/kernel` [d, g width], `layer_0/recurrent_kernel`
    [width, g width], `layer_0/bias` [g width], `norm_0/scale`, `norm_0/bias`,
    `layer_1/kernel`, ..., `output/kernel`, `output/bias`. The g parts stand side by
    side: one, four in the order i, f, g, o, or three in the order r, z, n. The bias of
    the forget gate f starts at 1, all others at 0.

    Args:
      cell: "rnn", "lstm" or "gru".
      width: of h, >= 1.
      num_outputs: the number of outputs, >= 1.
      vocabulary: how many tokens there are, >= 1; None: inputs are numbers.
      depth: the number of layers, >= 1.
      outputs: "all", at each time, or "last".
      activation: a function of `jax.nn`: tanh, relu, identity, ...
      initializer: of each part of the kernels, a name that `initializer` knows. The
        output kernel is "lecun_normal".
      recurrent_initializer: of each part of the recurrent kernels.
      normalization: None, or "layer" for a layer norm of what each layer gives. A batch
        norm would tell each time of later ones.
      dropout: the share of inputs to the next layer or to the outputs dropped in train
        mode, in [0, 1), anew at each time; never within the recurrence.
      param_dtype: the dtype of all parameters.

    Returns:
      The model; its `model_state` is `{}`.

    Raises:
      ValueError: an argument lies outside its range; from `init` and `apply`, inputs
        are not of the shape or the kind that they must have.
      TypeError: a size is no integer, `dropout` no number, `param_dtype` no float.

    Example:
      >>> model = recurrent("lstm", 16, 2, outputs="last")
      >>> inputs = jnp.ones((5, 7, 3))
      >>> params, _ = jax.eval_shape(model.init, jax.random.key(0), inputs)
      >>> jax.tree.map(jnp.shape, params["layer_0"])
      {'bias': (64,), 'kernel': (3, 64), 'recurrent_kernel': (16, 64)}
      >>> jax.eval_shape(model.apply, params, {}, inputs)[0].shape
      (5, 2)

    Reference: Elman 1990, Cognitive Science 14; Hochreiter and Schmidhuber 1997, Neural
    Computation 9; Gers et al. 2000, Neural Computation 12, and Jozefowicz et al. 2015,
    ICML (forget gate and its bias of 1); Cho et al. 2014, arXiv:1406.1078 (GRU; here r
    acts behind U, as in cuDNN and Flax); Zaremba et al. 2014, arXiv:1409.2329
    (dropout); Saxe et al. 2014, arXiv:1312.6120 (orthogonal).
    """
    from flax import nnx

    step, gates, carried = _CELLS[one_of("cell", cell, _CELLS)]
    width = integer("width", width, 1)
    num_outputs = integer("num_outputs", num_outputs, 1)
    depth = integer("depth", depth, 1)
    one_of("outputs", outputs, ("all", "last"))
    if vocabulary is not None:
        vocabulary = integer("vocabulary", vocabulary, 1)
    recurrent_init = kernel_initializer(
        one_of("recurrent_initializer", recurrent_initializer, NAMES)
    )
    parts = Parts(
        activation=activation,
        initializer=initializer,
        normalization=normalization,
        normalizations=("layer",),
        dropout=dropout,
        param_dtype=param_dtype,
    )

    class Recurrence(nnx.Module):
        def __init__(self, inputs: int, rngs: nnx.Rngs):
            def kernel(init, rows):
                draw = lambda: init(rngs.params(), (rows, width), parts.param_dtype)
                return nnx.Param(jnp.concatenate([draw() for _ in range(gates)], -1))

            self.kernel = kernel(parts.kernel_init, inputs)
            self.recurrent_kernel = kernel(recurrent_init, width)
            bias = jnp.zeros((gates, width), parts.param_dtype)
            bias = bias.at[1].set(1) if cell == "lstm" else bias
            self.bias = nnx.Param(bias.reshape(-1))

        def __call__(self, x: jax.Array) -> jax.Array:
            kernel, bias = self.kernel[...], self.bias[...]
            recurrent_kernel = self.recurrent_kernel[...]

            def body(carry, x):
                given, recurrence = x @ kernel + bias, carry[0] @ recurrent_kernel
                carry = step(carry, given, recurrence, parts.activate)
                return carry, carry[0]

            zeros = jnp.zeros((len(x), width), jnp.result_type(x, kernel))
            _, states = jax.lax.scan(body, (zeros,) * carried, jnp.swapaxes(x, 0, 1))
            return jnp.swapaxes(states, 0, 1)

    class Recurrent(nnx.Module):
        def __init__(self, inputs: int | None, rngs: nnx.Rngs):
            if vocabulary is not None:
                self.embedding = parts.embedding(vocabulary, width, rngs)
            for i in range(depth):
                rows = width if i or inputs is None else inputs
                setattr(self, f"layer_{i}", Recurrence(rows, rngs))
                setattr(self, f"norm_{i}", parts.norm(width, rngs))
            self.dropout = parts.dropout(rngs)
            self.output = parts.output(width, num_outputs, rngs)

        def __call__(self, inputs: jax.Array) -> jax.Array:
            x = inputs
            if vocabulary is not None:
                x = self.dropout(self.embedding(inputs))
            for i in range(depth):
                x = getattr(self, f"norm_{i}")(getattr(self, f"layer_{i}")(x))
                if outputs == "last" and i == depth - 1:
                    x = x[:, -1]
                x = self.dropout(x)
            return self.output(x)

    def width_of(inputs) -> int | None:
        if vocabulary is not None:
            return check_tokens(inputs)
        if jnp.ndim(inputs) != 3:
            raise ValueError(
                "`inputs` must be sequences [n, T, d], got shape "
                f"{jnp.shape(inputs)}; tokens [n, T] need `vocabulary`."
            )
        return jnp.shape(inputs)[-1]

    return sized(width_of, Recurrent)


def _rnn(carry: Carry, x: jax.Array, recurrence: jax.Array, activate: Layer) -> Carry:
    return (activate(x + recurrence),)


def _lstm(carry: Carry, x: jax.Array, recurrence: jax.Array, activate: Layer) -> Carry:
    i, f, g, o = jnp.split(x + recurrence, 4, -1)
    c = jax.nn.sigmoid(f) * carry[1] + jax.nn.sigmoid(i) * activate(g)
    return jax.nn.sigmoid(o) * activate(c), c


def _gru(carry: Carry, x: jax.Array, recurrence: jax.Array, activate: Layer) -> Carry:
    (x_r, x_z, x_n), (h_r, h_z, h_n) = jnp.split(x, 3, -1), jnp.split(recurrence, 3, -1)
    z = jax.nn.sigmoid(x_z + h_z)
    n = activate(x_n + jax.nn.sigmoid(x_r + h_r) * h_n)
    return (z * carry[0] + (1 - z) * n,)


# The function, how many parts a kernel has, how many arrays are carried.
_CELLS: dict[str, tuple[Cell, int, int]] = {
    "rnn": (_rnn, 1, 1),
    "lstm": (_lstm, 4, 2),
    "gru": (_gru, 3, 1),
}
