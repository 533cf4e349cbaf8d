"""Modules of Flax as pure functions: what is learned, what is kept, what is random."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from quick import QUICK

from gdjax import models


class Normed(nnx.Module):
    """A batch norm between two linear layers that stand in a list."""

    def __init__(self, rngs):
        self.layers = nnx.List([nnx.Linear(3, 3, rngs=rngs) for _ in range(2)])
        self.norm = nnx.BatchNorm(3, momentum=0.9, rngs=rngs)
        self.rngs = rngs  # many modules keep them, although nothing is drawn

    def __call__(self, x):
        first, last = self.layers
        return last(self.norm(first(x)))


class Dropped(nnx.Module):
    """Two dropouts with random streams of their own."""

    def __init__(self, rngs):
        self.first = nnx.Dropout(0.25, rngs=rngs)
        self.second = nnx.Dropout(0.5, rngs=rngs)

    def __call__(self, x):
        return self.first(x), self.second(x)


BATCHES = np.random.default_rng(0).normal(2.0, 3.0, (4, 16, 3)).astype(np.float32)
KEY = jax.random.key(7)
NORMED = models.from_nnx(Normed)
DROPPED = models.from_nnx(Dropped)


@functools.cache
def variables():
    return NORMED.init(KEY, BATCHES[0])


def test_init_draws_what_the_module_draws():
    params, model_state = variables()
    layer = {"kernel": (3, 3), "bias": (3,)}
    assert jax.tree.map(jnp.shape, params) == {
        "layers": {"0": layer, "1": layer},
        "norm": {"scale": (3,), "bias": (3,)},
    }
    assert jax.tree.map(jnp.shape, model_state) == {"norm": {"mean": (3,), "var": (3,)}}
    module = Normed(nnx.Rngs(KEY))
    for i in range(2):
        np.testing.assert_array_equal(
            params["layers"][str(i)]["kernel"], module.layers[i].kernel[...]
        )


def test_init_needs_no_values():
    want = variables()
    shape = jax.ShapeDtypeStruct((16, 3), jnp.float32)
    abstract = jax.eval_shape(NORMED.init, KEY, shape)
    same = lambda a, b: a.shape == b.shape and a.dtype == b.dtype
    assert jax.tree.all(jax.tree.map(same, abstract, want))
    several = jax.jit(jax.vmap(NORMED.init, in_axes=(0, None)))
    keys = jnp.stack([KEY, jax.random.key(8)])
    got = several(keys, np.full((16, 3), np.nan, np.float32))
    # The compiled program may round otherwise than one operation at a time.
    close = lambda a, b: np.testing.assert_allclose(np.asarray(a)[0], b, rtol=1e-6)
    jax.tree.map(close, got, want)


def reference(params, x, stats=()):
    """`Normed` in numpy, in f64; with the statistics of `x` where none are given."""
    p = jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), params)
    first, last, norm = p["layers"]["0"], p["layers"]["1"], p["norm"]
    x = x @ first["kernel"] + first["bias"]
    mean, var = stats or (x.mean(0), x.var(0))
    x = (x - mean) / np.sqrt(var + 1e-5) * norm["scale"] + norm["bias"]
    return x @ last["kernel"] + last["bias"], mean, var


def test_batch_statistics_come_back_in_train_mode_only():
    params, model_state = variables()
    restored = models.from_nnx(Normed)  # `init` never ran: first seen in a trace

    @jax.jit
    def train(params, model_state, batches):
        def body(state, x):
            outputs, state = restored.apply(params, state, x, train=True, key=KEY)
            return state, outputs

        return jax.lax.scan(body, model_state, batches)

    trained, outputs = train(params, model_state, BATCHES)
    mean, var = np.zeros(3), np.ones(3)
    for x, got in zip(BATCHES, outputs, strict=True):
        want, batch_mean, batch_var = reference(params, x)
        np.testing.assert_allclose(got, want, rtol=1e-4, atol=1e-5)
        mean = 0.9 * mean + 0.1 * batch_mean
        var = 0.9 * var + 0.1 * batch_var
    np.testing.assert_allclose(trained["norm"]["mean"], mean, rtol=1e-5)
    np.testing.assert_allclose(trained["norm"]["var"], var, rtol=1e-5)

    outputs, after = jax.jit(NORMED.apply)(params, trained, BATCHES[0])
    want, *_ = reference(params, BATCHES[0], (mean, var))
    np.testing.assert_allclose(outputs, want, rtol=1e-4, atol=1e-5)
    jax.tree.map(np.testing.assert_array_equal, after, trained)


def test_gradients_flow_through_the_batch_statistics():
    params, model_state = variables()

    def loss(params):
        outputs, state = NORMED.apply(
            params, model_state, BATCHES[0], train=True, key=KEY
        )
        return jnp.mean(outputs**2), state

    grads, state = jax.jit(jax.grad(loss, has_aux=True))(params)
    assert jax.tree.structure(grads) == jax.tree.structure(params)
    assert jax.tree.structure(state) == jax.tree.structure(model_state)
    # A bias in front of a batch norm moves nothing; the kernel does.
    assert np.abs(grads["layers"]["0"]["bias"]).max() < 1e-6
    values = []
    for step in (1e-4, -1e-4):
        moved = jax.tree.map(lambda leaf: np.array(leaf, np.float64), params)
        moved["layers"]["0"]["kernel"] += step * np.eye(3)
        outputs, *_ = reference(moved, BATCHES[0])
        values.append(np.mean(np.square(outputs)))
    got = np.trace(np.asarray(grads["layers"]["0"]["kernel"]))
    np.testing.assert_allclose(got, (values[0] - values[1]) / 2e-4, rtol=1e-3)


def test_vmap_over_models():
    rng = np.random.default_rng(1)
    draw = lambda leaf: rng.uniform(0.5, 1.5, (3, *leaf.shape)).astype(np.float32)
    stacked = jax.tree.map(draw, variables())
    several = jax.vmap(lambda p, s, x: NORMED.apply(p, s, x)[0], in_axes=(0, 0, None))
    outputs = jax.jit(several)(*stacked, BATCHES[0])
    for i in range(3):
        params, model_state = jax.tree.map(lambda leaf, i=i: leaf[i], stacked)
        norm = model_state["norm"]
        want, *_ = reference(params, BATCHES[0], (norm["mean"], norm["var"]))
        np.testing.assert_allclose(outputs[i], want, rtol=1e-4, atol=1e-5)


def test_arguments_are_left_as_they_are():
    # A batch norm would write into numpy arrays.
    old_params, old_state = jax.tree.map(np.array, variables())
    run = lambda: NORMED.apply(old_params, old_state, BATCHES[0], train=True, key=KEY)
    want, *_ = reference(old_params, BATCHES[0])
    for _ in range(2):
        np.testing.assert_allclose(run()[0], want, rtol=1e-4, atol=1e-5)
    old = (old_params, old_state)
    jax.tree.map(np.testing.assert_array_equal, old, variables())


def test_dropout_is_seeded_by_the_key():
    x = jnp.ones((200, 100))
    assert jax.eval_shape(DROPPED.init, KEY, x) == ({}, {})
    run = jax.jit(lambda key: DROPPED.apply({}, {}, x, train=True, key=key)[0])
    train = lambda key: jax.tree.map(np.asarray, run(key))
    first, second = train(KEY)
    for out, rate in ((first, 0.25), (second, 0.5)):
        np.testing.assert_allclose(np.unique(out), [0, 1 / (1 - rate)], rtol=1e-6)
        # 20,000 draws: one standard deviation is at most 0.0036.
        assert abs(np.mean(out == 0) - rate) < 0.015
    # Streams of their own: dropped by both is a product of shares.
    assert abs(np.mean((first == 0) & (second == 0)) - 0.125) < 0.015
    np.testing.assert_array_equal(first, train(KEY)[0])
    other, _ = train(jax.random.key(8))
    assert abs(np.mean((first == 0) & (other == 0)) - 0.0625) < 0.01


def test_stacked_streams_get_keys_of_their_own():
    class Stacked(nnx.Module):
        def __init__(self, rngs):
            self.stream = rngs.noise.split(3)

        def __call__(self, x):
            return jax.vmap(jax.random.uniform)(self.stream.key[...])

    model = models.from_nnx(Stacked)
    draw = lambda key: model.apply({}, {}, None, train=True, key=key)[0].tolist()
    assert len({*draw(KEY), *draw(jax.random.key(8))}) == 6


def test_dropout_rests_in_eval_mode():
    x = jnp.ones((2, 3))
    for key in (None, KEY):
        outputs, model_state = DROPPED.apply({}, {}, x, key=key)
        np.testing.assert_array_equal(outputs[0], x)
        assert model_state == {}


def test_train_mode_without_a_key_is_refused():
    with pytest.raises(ValueError, match="`key` must be given in train mode"):
        DROPPED.apply({}, {}, jnp.ones((2, 3)), train=True)


def test_wrong_parameters_are_named():
    params, model_state = variables()
    with pytest.raises(ValueError, match="`norm/mean` is missing"):
        NORMED.apply(params, {}, BATCHES[0])
    odd = params | {"head": {"kernel": jnp.ones(3)}}
    with pytest.raises(ValueError, match="`head/kernel` is not one of them"):
        NORMED.apply(odd, model_state, BATCHES[0])


def test_only_modules_are_accepted():
    model = models.from_nnx(lambda rngs: 3)  # pyright: ignore
    with pytest.raises(
        TypeError, match="`make_model` must return an nnx.Module, got 3"
    ):
        model.init(KEY, BATCHES[0])


def test_modules_of_flax_itself():
    """A chain of its layers, and its attention: nothing of them is known here."""
    chain = models.from_nnx(
        lambda rngs: nnx.Sequential(
            nnx.Linear(3, 4, rngs=rngs),
            nnx.BatchNorm(4, momentum=0.9, rngs=rngs),
            nnx.relu,
            nnx.Dropout(0.5, rngs=rngs),
            nnx.Linear(4, 4, rngs=rngs),
        )
    )
    attention = models.from_nnx(
        lambda rngs: nnx.MultiHeadAttention(
            2, 4, dropout_rate=0.5, decode=False, rngs=rngs
        )
    )

    def step(state, key):
        def loss(params):
            x, new = chain.apply(params[0], state, BATCHES[0], train=True, key=key)
            x, none = attention.apply(params[1], {}, x, train=True, key=key)
            return jnp.sum(x**2), (new, none)

        grads, (new, none) = jax.grad(loss, has_aux=True)(params)
        assert none == {}
        return new, grads

    shapes = jax.ShapeDtypeStruct((16, 3), jnp.float32)
    first, state = jax.eval_shape(chain.init, KEY, shapes)
    second, none = jax.eval_shape(attention.init, KEY, shapes)
    assert none == {}
    assert jax.tree.map(jnp.shape, state) == {
        "layers": {"1": {"mean": (4,), "var": (4,)}}
    }
    rng = np.random.default_rng(3)
    draw = lambda leaf: rng.uniform(0.5, 1.5, leaf.shape).astype(np.float32)
    params, state = jax.tree.map(draw, ((first, second), state))
    scan = lambda state, keys: jax.lax.scan(step, state, keys)
    scan = jax.jit(scan, compiler_options=QUICK)
    new, grads = jax.tree.map(np.asarray, scan(state, jax.random.split(KEY, 3)))
    moved = jax.tree.map(lambda a, b: bool((a != b).any()), new, state)
    assert jax.tree.all(moved)
    kernel = grads[0]["layers"]["4"]["kernel"]  # behind the dropout
    assert np.abs(kernel[0] - kernel[1]).max() > 1e-3
