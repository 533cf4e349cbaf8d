"""The transformer: a small causal decoder over tokens."""

import jax
import jax.numpy as jnp

from gdjax._checks import integer
from gdjax.models._model import Model, from_nnx
from gdjax.models._parts import Parts, check_tokens
from gdjax.tree import compute_dtype


def transformer(
    vocabulary: int,
    width: int,
    depth: int,
    heads: int,
    *,
    mlp_ratio: int = 4,
    activation: str = "gelu",
    initializer: str = "lecun_normal",
    normalization: str | None = "layer",
    dropout: float = 0.0,
    param_dtype: jax.typing.DTypeLike = jnp.float32,
) -> Model:
    """A causal transformer: what comes next after each token of a sequence.

    h = dropout(embedding[tokens]); then `depth` times
    h = h + dropout(attention(norm_0(h)));
    h = h + dropout(activation(norm_1(h) W_in + b_in) W_out + b_out);
    logits = norm(h) W + b.

    attention(x): queries, keys and values are x W_qkv, cut into `heads`; each head
    takes the mean of the values at its own and all earlier places with the weights
    softmax(q k / sqrt(width / heads)); `attention_out` joins the heads. Places are told
    apart by rotation: each pair of numbers of a query or a key is turned by the angle
    place * rate, with rates from 1 down to 1e-4, so that a weight depends on the
    distance alone. There is no table of places: sequences may have any length, though
    longer ones than in training are not learned.

    Inputs are integer tokens [n, T] in [0, vocabulary), outputs logits
    [n, T, vocabulary] in `param_dtype`. Parameters are `embedding/embedding`
    [vocabulary, width], drawn with variance 1, `block_0/norm_0/scale`,
    `block_0/norm_0/bias`, `block_0/attention_in/kernel` W_qkv [width, 3 width],
    `block_0/attention_out/kernel`, `block_0/attention_out/bias`,
    `block_0/norm_1/scale`, ..., `block_0/mlp_in/kernel` [width, mlp_ratio width],
    `block_0/mlp_out/kernel`, ..., `norm/scale`, `norm/bias`, `output/kernel`,
    `output/bias`. W_qkv has no bias.

    Args:
      vocabulary: how many tokens there are, >= 1.
      width: of h; a multiple of 2 `heads`.
      depth: the number of blocks, >= 1.
      heads: of each attention, >= 1.
      mlp_ratio: the hidden width of a block's MLP in units of `width`, >= 1.
      activation: a function of `jax.nn`: gelu, relu, silu, ...
      initializer: of the kernels in the blocks, a name that `initializer` knows. Those
        that end a branch, `attention_out` and `mlp_out`, are divided by
        sqrt(2 depth) as in GPT-2; the output kernel is "lecun_normal"; biases start at
        0.
      normalization: "layer", or None. A batch norm would tell each place of later ones.
      dropout: the share of the embedding and of what each branch adds that is dropped
        in train mode, in [0, 1); never of the weights of an attention.
      param_dtype: the dtype of all parameters.

    Returns:
      The model; its `model_state` is `{}`.

    Raises:
      ValueError: an argument lies outside its range; from `apply`, inputs are no
        integers [n, T].
      TypeError: a size is no integer, `dropout` no number, `param_dtype` no float.

    Example:
      >>> model = transformer(20, width=16, depth=1, heads=2)
      >>> tokens = jnp.zeros((5, 7), int)
      >>> params, _ = jax.eval_shape(model.init, jax.random.key(0), tokens)
      >>> jax.eval_shape(model.apply, params, {}, tokens)[0].shape
      (5, 7, 20)

    Reference: Vaswani et al. 2017, arXiv:1706.03762; Radford et al. 2019, Language
    Models are Unsupervised Multitask Learners (GPT-2: norms in front, scaled branches);
    Su et al. 2021, arXiv:2104.09864 (rotation).
    """
    from flax import nnx

    vocabulary = integer("vocabulary", vocabulary, 1)
    width = integer("width", width, 1)
    depth = integer("depth", depth, 1)
    heads = integer("heads", heads, 1)
    mlp_ratio = integer("mlp_ratio", mlp_ratio, 1)
    if width % (2 * heads):
        raise ValueError(
            f"`width` must be a multiple of twice `heads`, {2 * heads}, got {width}."
        )
    parts = Parts(
        activation=activation,
        initializer=initializer,
        normalization=normalization,
        normalizations=("layer",),
        dropout=dropout,
        param_dtype=param_dtype,
    )

    def residual(inputs: int, rngs: nnx.Rngs) -> nnx.Linear:
        """The end of a branch; 2 `depth` of them add up along the network."""
        layer = parts.linear(inputs, width, rngs)
        layer.kernel[...] = layer.kernel[...] / (2 * depth) ** 0.5
        return layer

    class Block(nnx.Module):
        def __init__(self, rngs: nnx.Rngs):
            self.norm_0 = parts.norm(width, rngs)
            self.attention_in = parts.linear(width, 3 * width, rngs, bias=False)
            self.attention_out = residual(width, rngs)
            self.norm_1 = parts.norm(width, rngs)
            self.mlp_in = parts.linear(width, mlp_ratio * width, rngs)
            self.mlp_out = residual(mlp_ratio * width, rngs)
            self.dropout = parts.dropout(rngs)

        def __call__(self, x: jax.Array) -> jax.Array:
            split = (*x.shape[:2], 3, heads, width // heads)
            queries, keys, values = jnp.moveaxis(
                self.attention_in(self.norm_0(x)).reshape(split), 2, 0
            )
            mixed = _attention(_rotated(queries), _rotated(keys), values)
            x = x + self.dropout(self.attention_out(mixed.reshape(x.shape)))
            hidden = parts.activate(self.mlp_in(self.norm_1(x)))
            return x + self.dropout(self.mlp_out(hidden))

    class Transformer(nnx.Module):
        def __init__(self, rngs: nnx.Rngs):
            self.embedding = parts.embedding(vocabulary, width, rngs)
            for i in range(depth):
                setattr(self, f"block_{i}", Block(rngs))
            self.norm = parts.norm(width, rngs)
            self.output = parts.output(width, vocabulary, rngs)
            self.dropout = parts.dropout(rngs)

        def __call__(self, inputs: jax.Array) -> jax.Array:
            check_tokens(inputs)
            x = self.dropout(self.embedding(inputs))
            for i in range(depth):
                x = getattr(self, f"block_{i}")(x)
            return self.output(self.norm(x))

    return from_nnx(Transformer)


def _attention(queries: jax.Array, keys: jax.Array, values: jax.Array) -> jax.Array:
    """Means of the values at the own and all earlier places, [n, T, heads, d] each.

    `jax.nn.dot_product_attention` computes weights in f32 also where all is f64.
    """
    dtype = compute_dtype(queries.dtype)
    products = jnp.einsum(
        "nqhd,nkhd->nhqk", queries, keys, preferred_element_type=dtype
    )
    places = jnp.arange(queries.shape[1])
    earlier = places[:, None] >= places
    products = jnp.where(earlier, products / queries.shape[-1] ** 0.5, -jnp.inf)
    weights = jax.nn.softmax(products).astype(values.dtype)
    return jnp.einsum("nhqk,nkhd->nqhd", weights, values)


def _rotated(x: jax.Array) -> jax.Array:
    """x [n, T, heads, d], each pair of numbers turned by an angle, position * rate."""
    first, second = jnp.split(x, 2, axis=-1)
    dtype = jnp.promote_types(x.dtype, jnp.float32)
    rates = 10_000 ** -jnp.linspace(0, 1, first.shape[-1], endpoint=False, dtype=dtype)
    angles = jnp.arange(x.shape[1], dtype=dtype)[:, None, None] * rates
    cos, sin = jnp.cos(angles).astype(x.dtype), jnp.sin(angles).astype(x.dtype)
    return jnp.concatenate(
        [first * cos - second * sin, first * sin + second * cos], axis=-1
    )
