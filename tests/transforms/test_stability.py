"""What clips are for: networks that die without them, and learn with them."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from quick import QUICK

import gdjax as gd

NEVER = 3e38  # a threshold that no norm reaches


def losses(clip, threshold, rate, loss, params, batches):
    """Of each step of SGD behind a clip, and the last parameters."""
    tx = gd.chain(clip(threshold), gd.sgd(rate))

    def step(carry, batch):
        params, state = carry
        value, grads = jax.value_and_grad(loss)(params, batch)
        updates, state = tx.update(grads, state, params)
        return (optax.apply_updates(params, updates), state), value

    (params, _), values = jax.lax.scan(step, (params, tx.init(params)), batches)
    return values, params


def for_thresholds_and_seeds(run, thresholds, seeds):
    keys = jax.vmap(jax.random.key)(jnp.arange(seeds))
    mapped = jax.vmap(jax.vmap(run, (None, 0)), (0, None))
    return jax.jit(mapped, compiler_options=QUICK)(jnp.array(thresholds), keys)


@pytest.mark.long
def test_a_recurrent_net_with_exploding_gradients_lives_by_the_global_clip():
    """Relu, 30 steps, recurrent kernels 1.3 times orthogonal: 1.3^30 = 2620.

    Rate and scale are chosen for it: at a rate of 0.1 one net in five lives without.
    """
    model = gd.models.recurrent("rnn", 16, 1, outputs="last", activation="relu")
    loss = gd.training.freeze(gd.training.supervised(model, "mse"), {})

    def run(max_norm, key):
        first, rest = jax.random.split(key)
        x = jax.random.uniform(rest, (150, 32, 30, 1))
        params, _ = model.init(first, x[0])
        params["layer_0"]["recurrent_kernel"] *= 1.3
        batches = x, x[:, :, -1]  # the number seen last
        return losses(gd.clip_by_global_norm, max_norm, 0.3, loss, params, batches)[0]

    without, clipped = for_thresholds_and_seeds(run, [NEVER, 1.0], seeds=5)
    assert np.isfinite(without[:, 0]).all()
    lives = lambda values: values[:, -20:].mean(1) < 0.01  # a constant guess has 0.083
    assert np.isnan(without[:, -1]).sum() >= 4 and not lives(without).any()
    assert lives(clipped).all()


@pytest.mark.long
def test_agc_trains_twelve_residual_blocks_without_normalisation():
    """At batch 512 and rate 0.1, where plain SGD fails: 2102.06171, on the digits."""
    from sklearn.datasets import load_digits

    images, labels = load_digits(return_X_y=True)
    images = jnp.array(images / 16, jnp.float32)
    width, blocks = 64, 12

    def layer(key, inputs, outputs):
        kernel = jax.random.normal(key, (inputs, outputs)) * jnp.sqrt(2 / inputs)
        return {"kernel": kernel, "bias": jnp.zeros(outputs)}

    def init(key):
        keys = iter(jax.random.split(key, 2 + 2 * blocks))
        params = {"input": layer(next(keys), 64, width)}
        for i in range(blocks):
            up, down = (layer(next(keys), width, width) for _ in range(2))
            params[f"block_{i}"] = {"up": up, "down": down}
        return params | {"output": layer(next(keys), width, 10)}

    def apply(params, x):
        dense = lambda layer, x: x @ layer["kernel"] + layer["bias"]
        x = dense(params["input"], x)
        for i in range(blocks):
            block = params[f"block_{i}"]
            x += dense(block["down"], jax.nn.relu(dense(block["up"], x)))
        return dense(params["output"], x)

    def loss(params, batch):
        return optax.softmax_cross_entropy_with_integer_labels(
            apply(params, images[batch]), labels[batch]
        ).mean()

    labels = jnp.array(labels)

    def run(clipping, key):
        first, rest = jax.random.split(key)
        batches = jax.random.randint(rest, (100, 512), 0, len(images))
        args = gd.adaptive_grad_clip, clipping, 0.1, loss, init(first), batches
        values, params = losses(*args)
        return values, jnp.mean(apply(params, images).argmax(-1) == labels)

    values, accuracy = for_thresholds_and_seeds(run, [NEVER, 0.05], seeds=2)
    assert np.isnan(values[0, :, -1]).all() and accuracy[0].max() < 0.15
    assert accuracy[1].min() > 0.9
