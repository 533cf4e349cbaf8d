"""Modules of Flax Linen, in the shape of Flax's own examples, as pure functions."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import errors
from flax import linen as nn
from quick import QUICK

from gdjax import models


class CNN(nn.Module):
    """A convolutional network, as in Flax's guides to batch norm and dropout."""

    rate: float = 0.5

    @nn.compact
    def __call__(self, x, training: bool):
        x = nn.Conv(features=4, kernel_size=(3, 3))(x)
        x = nn.BatchNorm(use_running_average=not training, momentum=0.9)(x)
        x = nn.relu(x)
        x = nn.avg_pool(x, window_shape=(2, 2), strides=(2, 2))
        x = x.reshape((x.shape[0], -1))
        x = nn.Dropout(rate=self.rate, deterministic=not training)(x)
        return nn.Dense(features=3)(x)


KEY = jax.random.key(7)
IMAGES = np.random.default_rng(0).normal(1.0, 2.0, (3, 8, 4, 4, 1)).astype(np.float32)
MODEL = models.from_linen(CNN())


@functools.cache
def variables():
    return jax.jit(MODEL.init, compiler_options=QUICK)(KEY, IMAGES[0])


def test_variables_are_plain_dicts():
    params, model_state = variables()
    assert jax.tree.map(jnp.shape, params) == {
        "Conv_0": {"kernel": (3, 3, 1, 4), "bias": (4,)},
        "BatchNorm_0": {"scale": (4,), "bias": (4,)},
        "Dense_0": {"kernel": (16, 3), "bias": (3,)},
    }
    stats = {"BatchNorm_0": {"mean": (4,), "var": (4,)}}
    assert jax.tree.map(jnp.shape, model_state) == {"batch_stats": stats}
    init = lambda key, x: CNN().init(key, x, training=False)
    want = jax.jit(init, compiler_options=QUICK)(KEY, IMAGES[0])
    jax.tree.map(np.testing.assert_array_equal, params, want["params"])
    assert type(params) is dict and type(params["Conv_0"]) is dict


def test_partitioning_metadata_are_taken_off():
    kernel_init = nn.with_partitioning(nn.initializers.ones, ("data", None))
    model = models.from_linen(nn.Dense(2, kernel_init=kernel_init))
    params, _ = model.init(KEY, np.ones((1, 3)))
    assert isinstance(params["kernel"], jax.Array)
    outputs, _ = model.apply(params, {}, np.ones((1, 3)))
    np.testing.assert_array_equal(outputs, [[3, 3]])


@functools.cache
def trained():
    """Three steps under jit, scan, vmap over two keys, and grad."""

    def one(params, model_state, key):
        def step(state, x):
            def loss(params):
                outputs, new = MODEL.apply(params, state, x, train=True, key=key)
                return jnp.mean(outputs**2), new

            grads, new = jax.grad(loss, has_aux=True)(params)
            return new, grads

        return jax.lax.scan(step, model_state, IMAGES)

    keys = jnp.stack([KEY, jax.random.key(8)])
    run = jax.vmap(one, in_axes=(None, None, 0))
    run = jax.jit(run, compiler_options=QUICK)
    return jax.tree.map(np.asarray, run(*variables(), keys))


def test_statistics_move_in_train_mode():
    params, _ = variables()
    state, _ = trained()
    mean, var = np.zeros(4), np.ones(4)
    for x in IMAGES:
        z = nn.Conv(4, (3, 3)).apply({"params": params["Conv_0"]}, x)
        z = np.asarray(z, np.float64).reshape(-1, 4)
        mean, var = 0.9 * mean + 0.1 * z.mean(0), 0.9 * var + 0.1 * z.var(0)
    stats = state["batch_stats"]["BatchNorm_0"]
    for i in range(2):  # dropout comes behind: the keys change nothing
        np.testing.assert_allclose(stats["mean"][i], mean, rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(stats["var"][i], var, rtol=1e-4)


def test_gradients_depend_on_the_key():
    _, grads = trained()
    kernel = grads["Dense_0"]["kernel"]
    assert kernel.shape == (2, 3, 16, 3)
    # A feature that one key drops has no gradient for all examples but by chance.
    assert np.abs(kernel[0] - kernel[1]).max() > 1e-3
    assert min(np.abs(leaf).max() for leaf in jax.tree.leaves(grads["Dense_0"])) > 1e-3


def test_eval_mode_is_the_module_s_own():
    params, _ = variables()
    state = jax.tree.map(lambda leaf: leaf[0], trained()[0])
    outputs, after = jax.jit(MODEL.apply, compiler_options=QUICK)(
        params, state, IMAGES[0]
    )
    assert after.keys() == state.keys()
    jax.tree.map(np.testing.assert_array_equal, after, state)
    module = lambda v, x: CNN().apply(v, x, training=False)
    module = jax.jit(module, compiler_options=QUICK)
    want = module({"params": params, **state}, IMAGES[0])
    np.testing.assert_array_equal(outputs, want)


def test_train_mode_without_a_key_is_refused():
    params, state = variables()
    with pytest.raises(ValueError, match="`key` must be given, .* train mode, got N"):
        MODEL.apply(params, state, IMAGES[0], train=True)
    still = models.from_linen(CNN(rate=0.0))
    jax.eval_shape(lambda: still.apply(params, state, IMAGES[0], train=True))


@pytest.mark.parametrize(
    ("flag", "in_train_mode"),
    [
        ("train", True),
        ("training", True),
        ("is_training", True),
        ("deterministic", False),
        ("use_running_average", False),
    ],
)
def test_the_mode_goes_to_the_argument_that_asks_for_it(flag, in_train_mode):
    source = f"def __call__(self, x, *, {flag}): return x, {flag}"
    names = {}
    exec(source, names)
    module = type("Told", (nn.Module,), {"__call__": names["__call__"]})()
    model = models.from_linen(module)
    x = np.ones(2)
    assert model.init(KEY, x) == ({}, {})
    assert model.apply({}, {}, x, train=True)[0][1] is in_train_mode
    assert model.apply({}, {}, x)[0][1] is not in_train_mode


class Noise(nn.Module):
    """Streams of two names, one of them unusual."""

    @nn.compact
    def __call__(self, x, train=False):
        if not train:
            return x, x
        assert self.has_rng("dropout")
        first = jax.random.uniform(self.make_rng("dropout"))
        return first, jax.random.uniform(self.make_rng("noise"))


def test_every_stream_is_fed_from_the_key():
    model = models.from_linen(Noise())
    draw = lambda key: model.apply({}, {}, np.ones(1), train=True, key=key)[0]
    values = [*draw(KEY), *draw(jax.random.key(8))]
    assert len({float(value) for value in values}) == 4
    assert draw(KEY) == draw(jax.random.wrap_key_data(jax.random.key_data(KEY)))
    raw = jax.random.PRNGKey(7)  # still in wide use
    np.testing.assert_array_equal(draw(raw), draw(KEY))


class Sown(nn.Module):
    """Sows what is not kept, and what may not grow."""

    collection: str

    @nn.compact
    def __call__(self, x, train=False):
        self.sow(self.collection, "seen", x)
        return x


def test_the_structure_of_the_state_is_fixed():
    model = models.from_linen(Sown("intermediates"))
    assert model.init(KEY, np.ones(2)) == ({}, {})
    assert model.apply({}, {}, np.ones(2), train=True)[1] == {}
    grows = models.from_linen(Sown("losses"))
    params, state = grows.init(KEY, np.ones(2))
    with pytest.raises(ValueError, match="`module` must keep .* those of `losses`"):
        grows.apply(params, state, np.ones(2), train=True)


class Wide(nn.Module):
    """Would turn its f32 state into f64."""

    @nn.compact
    def __call__(self, x):
        mean = self.variable("stats", "mean", jnp.zeros, (), jnp.float32)
        if not self.is_initializing():
            mean.value = x.mean()
        return x


def test_the_dtypes_of_the_state_are_fixed():
    with jax.enable_x64(True):
        model, x = models.from_linen(Wide()), jnp.full(3, 2.5, jnp.float64)
        params, state = model.init(jax.random.key(0), x)
        _, new = model.apply(params, state, x, train=True)
    assert new["stats"]["mean"].dtype == jnp.float32
    assert new["stats"]["mean"] == 2.5
    with pytest.raises(errors.ModifyScopeVariableError):  # eval mode changes nothing
        model.apply(params, state, np.ones(3))


def test_only_modules_are_accepted():
    with pytest.raises(TypeError, match="`module` must be a linen.Module, got 3"):
        models.from_linen(3)  # pyright: ignore
