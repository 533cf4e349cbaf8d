"""The weights of one output, on the parameters of Flax's own layers."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen, nnx

import gdjax as gd
from gdjax import tree


class Nnx(nnx.Module):
    def __init__(self, rngs, bias=True):
        some = dict(use_bias=bias, rngs=rngs)
        self.dense = nnx.Linear(3, 4, **some)
        self.image = nnx.Conv(3, 4, (5, 5), **some)
        self.text = nnx.Conv(3, 4, (5,), **some)
        self.attention = nnx.MultiHeadAttention(2, 8, 16, **some)
        self.table = nnx.Embed(7, 4, rngs=rngs)
        self.norm = nnx.LayerNorm(4, rngs=rngs)
        self.cell = nnx.OptimizedLSTMCell(3, 4, rngs=rngs)


# Without a bias the names have to do, with one it tells.
@pytest.mark.parametrize("bias", [True, False])
def test_layers_of_nnx(bias):
    params = nnx.state(nnx.eval_shape(lambda: Nnx(nnx.Rngs(0), bias)), nnx.Param)
    axes = tree.unit_axes(params)
    assert set(axes) == set(tree.named_leaves(params))
    kernels = {k: v for k, v in axes.items() if v}
    assert kernels == {
        "dense/kernel": (0,),
        "image/kernel": (0, 1, 2),
        "text/kernel": (0, 1),
        "attention/query/kernel": (0,),
        "attention/key/kernel": (0,),
        "attention/value/kernel": (0,),
        "attention/out/kernel": (0, 1),
        "table/embedding": (1,),
        "cell/dense_i/kernel": (0,),
        "cell/dense_h/kernel": (0,),
    }


class Block(linen.Module):
    bias: bool = True

    @linen.compact
    def __call__(self, x):
        x = linen.LayerNorm()(x)
        x = linen.MultiHeadDotProductAttention(2, use_bias=self.bias)(x, x)
        x = linen.DenseGeneral((3, 5), use_bias=self.bias)(x) if self.bias else x
        shape = (-2, -1) if self.bias else -1
        return linen.DenseGeneral(8, axis=shape, use_bias=self.bias)(x)


class Linen(linen.Module):
    bias: bool = True
    layers: int = 0

    @linen.compact
    def __call__(self, tokens):
        x = linen.Embed(7, 8)(tokens)
        if not self.layers:
            return Block(self.bias)(x)
        options = dict(variable_axes={"params": 0}, split_rngs={"params": True})
        body = lambda block, x, _: (block(x), None)
        scan = linen.scan(body, length=self.layers, **options)
        return scan(Block(self.bias, name="blocks"), x, None)[0]


def axes_of(module):
    params = jax.eval_shape(module.init, jax.random.key(0), jnp.zeros((2, 6), int))
    return tree.unit_axes(params["params"])


def test_layers_of_linen():
    attention = "Block_0/MultiHeadDotProductAttention_0"
    assert {k: v for k, v in axes_of(Linen()).items() if v} == {
        "Embed_0/embedding": (1,),
        f"{attention}/query/kernel": (0,),
        f"{attention}/key/kernel": (0,),
        f"{attention}/value/kernel": (0,),
        f"{attention}/out/kernel": (0, 1),
        "Block_0/DenseGeneral_0/kernel": (0,),  # (8, 3, 5)
        "Block_0/DenseGeneral_1/kernel": (0, 1),  # (3, 5, 8)
    }


# The last has as many layers as a head has numbers.
@pytest.mark.parametrize(("bias", "layers"), [(True, 6), (False, 6), (False, 4)])
def test_a_scanned_stack_has_the_units_of_its_layers(bias, layers):
    """Its first axis lies in no unit."""
    one, many = axes_of(Linen(bias)), axes_of(Linen(bias, layers))
    moved = {
        name.replace("Block_0", "blocks"): tuple(i + 1 for i in axes)
        for name, axes in one.items()
        if name.startswith("Block_0")
    }
    assert moved and {k: v for k, v in many.items() if "Embed" not in k} == moved


@pytest.mark.parametrize(
    ("model", "inputs"),
    [
        (gd.models.mlp([6, 3], normalization="layer"), jnp.zeros((2, 5))),
        (gd.models.conv_net([4, 6], 3), jnp.zeros((2, 8, 8, 1))),
        (gd.models.recurrent("lstm", 4, 3), jnp.zeros((2, 5, 3))),
        (gd.models.transformer(9, 8, 1, 2), jnp.zeros((2, 5), int)),
    ],
)
def test_our_models(model, inputs):
    params, _ = jax.eval_shape(model.init, jax.random.key(0), inputs)
    leaves = tree.named_leaves(params)
    for name, axes in tree.unit_axes(params).items():
        rank, last = len(leaves[name].shape), name.rpartition("/")[2]
        if "kernel" in last:
            assert axes == tuple(range(rank - 1)), name
        else:
            assert axes == ((1,) if last == "embedding" else ()), name


def test_vectors_are_taken_together_in_each_layer():
    block = {"norm": {"scale": (4, 3)}, "d": {"kernel": (4, 3, 5), "bias": (4, 5)}}
    flat = {"kernel": (1, 5), "bias": (5,), "one": (), "conv": (3, 3, 1, 2)}
    shapes = {"blocks": block, "flat": flat, "heads": {"bias": (2, 3)}}
    is_shape = lambda x: isinstance(x, tuple)
    params = jax.tree.map(jnp.zeros, shapes, is_leaf=is_shape)
    assert tree.unit_axes(params, join=True) == {
        "blocks/d/bias": (1,),
        "blocks/d/kernel": (1,),
        "blocks/norm/scale": (1,),
        "flat/bias": (0,),
        "flat/conv": (0, 1, 2),
        "flat/kernel": (0, 1),
        "flat/one": (),
        "heads/bias": (0, 1),
    }


@pytest.mark.parametrize(
    ("kernel", "bias", "axes"),
    [
        ((3, 3, 3, 16, 16), (3, 16), (1, 2, 3)),  # three layers of 3 x 3 pixels
        ((3, 3, 5, 4), (3, 4), (1, 2)),
        ((3, 2, 4, 5), (3, 2, 5), (2,)),  # layers of layers
        ((4, 3), (4,), (1,)),  # outputs first
        ((4, 4), (4,), (0,)),
        ((4, 3), (2,), (0,)),  # fits nowhere
    ],
)
def test_a_bias_says_what_outputs_and_layers_are(kernel, bias, axes):
    params = {"kernel": np.empty(kernel), "bias": np.empty(bias)}
    assert tree.unit_axes(params)["kernel"] == axes


@pytest.mark.parametrize(
    ("kernel", "bias", "alone", "stacked"),
    [
        ((4, 4, 8), (4, 8), (0,), (1,)),
        ((4, 3, 3, 4, 4), (4, 4), (0, 1, 2), (1, 2, 3)),
    ],
)
def test_a_norm_decides_where_a_bias_fits_both(kernel, bias, alone, stacked):
    params = {"dense": {"kernel": np.empty(kernel), "bias": np.empty(bias)}}
    assert tree.unit_axes(params)["dense/kernel"] == alone
    params["norm"] = {"scale": np.empty((4, 6))}
    assert tree.unit_axes(params)["dense/kernel"] == stacked


def test_units_can_be_said():
    params = {"torch": jnp.zeros((4, 3)), "dense": jnp.zeros((3, 4)), "none": None}
    units = lambda name, shape: (-1,) if name == "torch" else None
    assert tree.unit_axes(params, units) == {"dense": (0,), "torch": (1,)}
    with pytest.raises(TypeError, match=r"`units` must give a tuple of axes, got \[0]"):
        tree.unit_axes(params, lambda name, shape: [0])
    with pytest.raises(ValueError, match=r"leaf `dense` of shape \(3, 4\) has no axes"):
        tree.unit_axes(params, lambda name, shape: (2,))
    with pytest.raises(
        ValueError, match=r"^the array of shape \(2,\) has no axes \(5,"
    ):
        tree.unit_axes(jnp.zeros(2), lambda name, shape: (5,))
