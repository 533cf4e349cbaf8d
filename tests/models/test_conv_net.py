"""The convolutional network against its formula, and what its options change."""

import jax
import numpy as np
import pytest
from quick import QUICK

from gdjax import models

KEY = jax.random.key(0)
RNG = np.random.default_rng(3)
IMAGES = RNG.normal(size=(3, 5, 6, 2)).astype(np.float32)


def drawn(shapes):
    draw = lambda leaf: RNG.uniform(0.2, 1.2, leaf.shape).astype(np.float32)
    return jax.tree.map(draw, shapes)


def conv(x, kernel, stride):
    """Zeros around the image, one more behind than in front where they are odd."""
    size = len(kernel)
    starts = [range(0, n, stride) for n in x.shape[1:3]]
    pads = [max(s[-1] + size - n, 0) for s, n in zip(starts, x.shape[1:3], strict=True)]
    x = np.pad(x, ((0, 0), *((p // 2, p - p // 2) for p in pads), (0, 0)))
    return np.stack(
        [
            np.stack(
                [
                    np.einsum("nijc,ijco->no", x[:, i : i + size, j : j + size], kernel)
                    for j in starts[1]
                ],
                1,
            )
            for i in starts[0]
        ],
        1,
    )


@pytest.mark.parametrize("size", [2, 3, 5])
def test_outputs(size):
    options = {"activation": "tanh", "kernel_size": size}
    inputs = IMAGES
    if size == 3:
        inputs, options["image_shape"] = IMAGES.reshape(3, 60), [5, 6, 2]
    model = models.conv_net([4, 3], 2, **options)
    params, state = drawn(jax.eval_shape(model.init, KEY, inputs))
    got, _ = jax.jit(model.apply, compiler_options=QUICK)(params, state, inputs)
    x = IMAGES.astype(np.float64)
    for i, stride in enumerate((1, 2)):
        x = conv(x, params[f"conv_{i}"]["kernel"], stride)
        norm, stats = params[f"norm_{i}"], state[f"norm_{i}"]
        x = (x - stats["mean"]) / np.sqrt(stats["var"] + 1e-5)
        x = np.tanh(x * norm["scale"] + norm["bias"])
    want = x.mean((1, 2)) @ params["output"]["kernel"] + params["output"]["bias"]
    assert x.shape == (3, 3, 3, 3) and np.ptp(want) > 0.1
    np.testing.assert_allclose(got, want, rtol=1e-4, atol=1e-5)


def test_parameters():
    shapes = lambda **options: jax.tree.map(
        lambda leaf: leaf.shape,
        jax.eval_shape(models.conv_net([4], 2, **options).init, KEY, IMAGES),
    )
    norm = {"scale": (4,), "bias": (4,)}
    output = {"kernel": (4, 2), "bias": (2,)}
    stats = {"norm_0": {"mean": (4,), "var": (4,)}}
    conv = {"kernel": (3, 3, 2, 4)}
    biased = conv | {"bias": (4,)}
    assert shapes() == ({"conv_0": conv, "norm_0": norm, "output": output}, stats)
    layer = {"conv_0": biased, "norm_0": norm, "output": output}
    assert shapes(normalization="layer") == (layer, {})
    assert shapes(normalization=None) == ({"conv_0": biased, "output": output}, {})
