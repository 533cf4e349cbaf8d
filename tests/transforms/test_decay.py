"""Weight decay, and its usual mask on the names that real modules give."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import linen, nnx

import gdjax as gd
from gdjax import tree


class Block(nnx.Module):
    def __init__(self, rngs: nnx.Rngs):
        self.embed = nnx.Embed(5, 8, rngs=rngs)
        self.attention = nnx.MultiHeadAttention(
            2, 8, normalize_qk=True, decode=False, rngs=rngs
        )
        self.ln_1 = nnx.LayerNorm(8, rngs=rngs)
        self.post_norm = nnx.RMSNorm(8, rngs=rngs)
        self.groups = nnx.GroupNorm(8, 2, rngs=rngs)
        self.bn = nnx.BatchNorm(8, rngs=rngs)
        self.conv = nnx.Conv(8, 8, (3,), rngs=rngs)
        self.lora = nnx.LoRA(8, 2, 8, rngs=rngs)
        self.layers = nnx.List(
            [nnx.Linear(8, 8, rngs=rngs), nnx.Linear(8, 1, rngs=rngs)]
        )
        self.slope = nnx.PReLU()
        self.cell = nnx.LSTMCell(8, 8, rngs=rngs)


def decayed(params):
    """Names of the leaves that decay."""
    return {
        name
        for name, decays in tree.named_leaves(gd.decay_mask(params)).items()
        if decays
    }


def test_an_nnx_module():
    block = nnx.eval_shape(lambda: Block(nnx.Rngs(0)))
    params = nnx.state(block, nnx.Param)
    names = set(tree.named_leaves(params))
    kernels = {
        n for n in names if n.endswith(("kernel", "embedding", "lora_a", "lora_b"))
    }
    assert {"attention/value/kernel", "cell/hf/kernel", "conv/kernel"} < kernels
    assert {"bn/scale", "attention/query_ln/scale", "slope/negative_slope"} < names
    assert decayed(params) == kernels
    assert decayed(nnx.to_pure_dict(params)) == kernels


class Encoder(linen.Module):
    @linen.compact
    def __call__(self, x):
        x = linen.Embed(5, 6)(x)
        x = linen.DenseGeneral((2, 3))(x)  # its bias is a matrix
        x = linen.LayerNorm()(x)
        x = linen.DenseGeneral(6, axis=(-2, -1), name="out")(x)
        x = linen.BatchNorm(use_running_average=False)(x)
        x = linen.GroupNorm(2)(x)
        x = linen.MultiHeadDotProductAttention(2)(x)
        return linen.Dense(1, name="norm_of_the_output")(x)


def test_a_linen_module():
    init = Encoder().init_with_output
    shapes = jax.eval_shape(init, jax.random.key(0), jnp.zeros((4, 3), jnp.int32))
    params = shapes[1]["params"]
    names = set(tree.named_leaves(params))
    assert {
        "DenseGeneral_0/bias",
        "MultiHeadDotProductAttention_0/query/kernel",
    } < names
    # A layer that is only called after a norm is taken for one.
    ends = ("kernel", "embedding")
    kernels = {n for n in names if n.endswith(ends)} - {"norm_of_the_output/kernel"}
    assert decayed(params) == kernels


@pytest.mark.parametrize(
    "path",
    [
        "mlp/~/linear_0/w",  # Haiku
        "embed/embeddings",
        "transformer/h/0/attn/c_attn/weight",  # torch
        "wte/weight",
        "in_proj_weight",
        "dense/kernel",  # Keras
        "lstm/recurrent_kernel",
        "attention/value",
        "lora_b",
        "kernel_b/kernel",
        "bneck/kernel",  # begins like `bn`
        "lnet/weight",
        "normal_dense/kernel",
        "prenorm_block/dense/kernel",
        "norm1/linear/kernel",  # adaptive: a linear layer inside a norm
        "shift_predictor/kernel",
        "bias_network/dense/kernel",
    ],
)
def test_kernels_and_embeddings_decay(path):
    assert decayed(nested(path)) == {path}


@pytest.mark.parametrize(
    "path",
    [
        "mlp/~/linear_0/b",  # Haiku
        "layer_norm/scale",
        "layer_norm_1/offset",
        "batch_norm/~/scale",
        "transformer/h/0/ln_1/weight",  # torch
        "transformer/ln_f/weight",
        "encoder/layer1/0/bn2/weight",
        "layers/3/input_layernorm/weight",
        "layers/3/post_attention_layernorm/weight",
        "final_layer_norm/weight",
        "attention/q_norm/weight",
        "norm/weight",
        "norm1/weight",
        "norm_out/weight",
        "layernorm_embedding/weight",
        "attention_norm/kernel",  # an RMSNorm of EasyLM
        "rnn/bias_ih_l0",
        "in_proj_bias",
        "layer_normalization_1/gamma",  # Keras
        "batch_normalization/beta",
        "RMSNorm_0/scale",
        "InstanceNorm_2/scale",
        "GroupNorm_0/bias",
        "query/query_bias",
        "block/layer_scale",
        "logit_scale",
    ],
)
def test_biases_and_norms_do_not(path):
    assert decayed(nested(path)) == set()


def nested(path):
    leaf = jnp.ones((2, 3))  # ranks mislead: a bias of several heads, a scanned stack
    for key in reversed(path.split("/")):
        leaf = {key: leaf}
    return leaf


def test_single_elements_absent_and_abstract_leaves():
    params = {
        "scalar": jnp.float32(1),
        "one": {"kernel": np.ones((1, 1))},
        "python": 0.5,
        "none": None,
        "masked": optax.MaskedNode(),
        "kernel": jax.ShapeDtypeStruct((2, 2), jnp.float32),
    }
    assert gd.decay_mask(params) == {
        "scalar": False,
        "one": {"kernel": False},
        "python": False,
        "none": None,
        "masked": optax.MaskedNode(),
        "kernel": True,
    }
    assert gd.decay_mask({}) == {}


PARAMS = {
    "dense": {"kernel": jnp.full((2, 2), 2.0), "bias": jnp.full(2, 2.0)},
    "norm": {"scale": jnp.full(2, 2.0)},
}
ZERO = jax.tree.map(jnp.zeros_like, PARAMS)


@pytest.mark.parametrize(
    "tx",
    [
        gd.add_decayed_weights(0.25, mask=gd.decay_mask),
        gd.add_decayed_weights(0.25, mask=gd.decay_mask(PARAMS)),
        gd.masked(gd.add_decayed_weights(0.25), gd.decay_mask),
        optax.add_decayed_weights(0.25, mask=gd.decay_mask),
        gd.chain(
            gd.adamw(0.5, weight_decay=0.25, mask=gd.decay_mask), optax.scale(-2.0)
        ),
    ],
)
def test_masks(tx):
    updates, _ = jax.jit(tx.update)(ZERO, tx.init(PARAMS), PARAMS)
    assert np.all(updates["dense"]["kernel"] == 0.5)
    assert not np.any(updates["dense"]["bias"]) and not np.any(updates["norm"]["scale"])


def test_a_gradient_that_is_absent_under_a_mask():
    params = {"seen": {"kernel": jnp.ones(2)}, "unseen": {"kernel": jnp.ones(3)}}
    gradient = {"seen": {"kernel": jnp.zeros(2)}, "unseen": {"kernel": None}}
    tx = gd.add_decayed_weights(0.25, mask=gd.decay_mask)
    updates, _ = tx.update(gradient, tx.init(params), params)
    assert updates["seen"]["kernel"].tolist() == [0.25, 0.25]
    assert updates["unseen"]["kernel"] is None


def test_a_schedule_of_decay():
    tx = gd.add_decayed_weights(lambda count: 0.5 * 2.0**-count)
    state, seen = tx.init(jnp.ones(1)), []
    for _ in range(3):
        u, state = tx.update(jnp.zeros(1), state, jnp.ones(1))
        seen.append(u.item())
    assert seen == [0.5, 0.25, 0.125] and state.count == 3


def test_parameters_are_needed():
    tx = gd.add_decayed_weights(0.1)
    with pytest.raises(ValueError, match="`add_decayed_weights` needs `params`"):
        tx.update(ZERO, tx.init(PARAMS))
