"""Names of leaves: one spelling for dicts, Linen, NNX, named tuples and lists."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax
from flax import nnx
from flax.core import freeze

from gdjax import tree


class Layer(NamedTuple):
    kernel: jax.Array
    bias: jax.Array | None


class Block(nnx.Module):
    def __init__(self, rngs: nnx.Rngs):
        self.attention = nnx.MultiHeadAttention(2, 4, decode=False, rngs=rngs)
        self.norm = nnx.LayerNorm(4, rngs=rngs)
        self.layers = nnx.List([nnx.Linear(4, 4, rngs=rngs) for _ in range(2)])


BLOCK_NAMES = [
    *(
        f"attention/{layer}/{leaf}"
        for layer in ("key", "out", "query", "value")
        for leaf in ("bias", "kernel")
    ),
    "layers/0/bias",
    "layers/0/kernel",
    "layers/1/bias",
    "layers/1/kernel",
    "norm/bias",
    "norm/scale",
]


def test_an_nnx_state_and_its_pure_dict_have_the_same_names():
    block = nnx.eval_shape(lambda: Block(nnx.Rngs(0)))
    state = nnx.state(block, nnx.Param)
    assert list(tree.named_leaves(state)) == BLOCK_NAMES
    assert list(tree.named_leaves(nnx.to_pure_dict(state))) == BLOCK_NAMES


def test_linen_trees_frozen_or_not():
    params = {"params": {"Dense_0": {"kernel": 1.0, "bias": 2.0}}}
    want = {"params/Dense_0/bias": 2.0, "params/Dense_0/kernel": 1.0}
    assert tree.named_leaves(params) == tree.named_leaves(freeze(params)) == want


def test_named_tuples_lists_and_haiku():
    params = {"mlp/~/linear_0": {"w": 1.0}, "stack": [Layer(2.0, 3.0), (4.0,)]}
    assert tree.named_leaves(params) == {
        "mlp/~/linear_0/w": 1.0,
        "stack/0/kernel": 2.0,
        "stack/0/bias": 3.0,
        "stack/1/0": 4.0,
    }
    assert tree.named_leaves(5.0) == {"": 5.0}


def test_a_dict_key_value_stays():
    params = {"query": 1.0, "key": 2.0, "value": 3.0, "heads": {"value": {"w": 4.0}}}
    assert set(tree.named_leaves(params)) == {"query", "key", "value", "heads/value/w"}


def test_absent_leaves_are_named_in_flattening_order():
    params = [Layer(1.0, None), {"z": optax.MaskedNode(), "a": 2.0}]
    names = tree.named_leaves(params)
    assert list(names) == ["0/kernel", "0/bias", "1/a", "1/z"]
    assert [tree.is_absent(leaf) for leaf in names.values()] == [False, True] * 2
    whole = tree.named_leaves(params, is_leaf=lambda x: isinstance(x, Layer))
    assert whole == {"0": Layer(1.0, None), "1/a": 2.0}


def test_select_searches_whole_names_and_keeps_the_structure():
    params = {
        "encoder": [Layer(jnp.ones(2), None)],
        "decoder": {"kernel": jnp.ones(2), "masked": optax.MaskedNode()},
    }
    kernels = {
        "encoder": [Layer(True, None)],
        "decoder": {"kernel": True, "masked": optax.MaskedNode()},
    }
    assert tree.select(params, "kernel$") == kernels
    encoder = tree.select(params, "^encoder/0/")
    assert encoder["encoder"][0].kernel and not encoder["decoder"]["kernel"]
    assert jax.tree.structure(encoder) == jax.tree.structure(params)
