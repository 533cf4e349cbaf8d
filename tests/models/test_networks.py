"""What every ready-made network keeps: it learns, has no idle parameter, and more."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from quick import QUICK

from gdjax import config, models

KEY = jax.random.key(0)
RNG = np.random.default_rng(0)
LABELS = np.arange(8, dtype=np.int32) % 3
IMAGES = RNG.normal(size=(8, 5, 6, 2)).astype(np.float32)
IMAGES[..., 0] += LABELS[:, None, None]
SERIES = RNG.normal(size=(8, 5, 2)).astype(np.float32)
SERIES[..., 0] += LABELS[:, None]
TOKENS = RNG.integers(0, 7, (8, 5)).astype(np.int32)

# As a config has them: a name, lists and strings; then inputs and targets.
CASES = {
    "mlp": (
        {"name": "mlp", "features": [12, 3], "normalization": "batch"},
        IMAGES,
        LABELS,
        (60 * 12 + 2 * 12) + (12 * 3 + 3),
    ),
    "conv_net": (
        {"name": "conv_net", "channels": [6, 8], "num_outputs": 3},
        IMAGES,
        LABELS,
        (9 * 2 * 6 + 2 * 6) + (9 * 6 * 8 + 2 * 8) + (8 * 3 + 3),
    ),
    "conv_net, flat": (
        {
            "name": "conv_net",
            "channels": [8],
            "num_outputs": 3,
            "image_shape": [5, 6, 2],
            "kernel_size": 2,
            "normalization": "layer",
            "activation": "silu",
            "initializer": "lecun_uniform",
        },
        IMAGES.reshape(8, 60),
        LABELS,
        (4 * 2 * 8 + 8 + 2 * 8) + (8 * 3 + 3),
    ),
    "residual_net": (
        {"name": "residual_net", "channels": [6, 8], "num_outputs": 3},
        IMAGES,
        LABELS,
        (9 * 2 * 6)
        + 2 * (9 * 6 * 6 + 2 * 6)
        + (9 * 6 * 8 + 2 * 6 + 9 * 8 * 8 + 2 * 8)
        + 2 * 8
        + (8 * 3 + 3),
    ),
    "rnn": (
        {
            "name": "recurrent",
            "cell": "rnn",
            "width": 8,
            "num_outputs": 7,
            "vocabulary": 7,
            "normalization": "layer",
        },
        TOKENS,
        TOKENS,
        7 * 8 + (2 * 8 * 8 + 8) + 2 * 8 + (8 * 7 + 7),
    ),
    "lstm": (
        {
            "name": "recurrent",
            "cell": "lstm",
            "width": 8,
            "num_outputs": 3,
            "outputs": "last",
        },
        SERIES,
        LABELS,
        4 * (2 * 8 + 8 * 8 + 8) + (8 * 3 + 3),
    ),
    "gru": (
        {"name": "recurrent", "cell": "gru", "width": 8, "num_outputs": 3},
        SERIES,
        np.repeat(LABELS[:, None], 5, 1),
        3 * (2 * 8 + 8 * 8 + 8) + (8 * 3 + 3),
    ),
    "transformer": (
        {"name": "transformer", "vocabulary": 7, "width": 8, "depth": 1, "heads": 2},
        TOKENS,
        TOKENS,
        7 * 8
        + (4 * 8 + 3 * 8 * 8 + (8 * 8 + 8) + (8 * 32 + 32) + (32 * 8 + 8))
        + 2 * 8
        + (8 * 7 + 7),
    ),
}
# The others differ from these by what their own tests compare with a formula.
TRAINED = ["mlp", "conv_net, flat", "residual_net", "rnn", "lstm", "transformer"]


def build(name, **options):
    spec = {**CASES[name][0], **options}
    return config.build(spec, [models], path="config.model")


def drawn(shapes):
    """Kernels of variance 1 / inputs, and what else there is near 1."""
    rng = np.random.default_rng(1)

    def draw(leaf):
        if leaf.ndim < 2:
            return rng.uniform(0.5, 1.5, leaf.shape).astype(np.float32)
        scale = np.prod(leaf.shape[:-1]) ** -0.5
        return (scale * rng.normal(size=leaf.shape)).astype(np.float32)

    return jax.tree.map(draw, shapes)


@functools.cache
def eval_outputs(name):
    apply = jax.jit(build(name, dropout=0.1).apply, compiler_options=QUICK)
    return lambda *arguments: jax.tree.map(np.asarray, apply(*arguments))


@functools.cache
def trained(name):
    """100 steps of gradient descent, and outputs in train mode for two keys."""
    model = build(name, dropout=0.1)
    _, inputs, targets, _ = CASES[name]

    def step(params, state, key):
        def loss(params):
            outputs, new = model.apply(params, state, inputs, train=True, key=key)
            losses = optax.softmax_cross_entropy_with_integer_labels(outputs, targets)
            return losses.mean(), (new, outputs)

        (loss, (new, outputs)), grads = jax.value_and_grad(loss, has_aux=True)(params)
        return new, grads, loss, outputs

    step = jax.jit(step, compiler_options=QUICK)
    params, start = drawn(jax.eval_shape(model.init, KEY, inputs))
    keys = jax.random.split(KEY, 100)
    outputs = [step(params, start, key)[-1] for key in keys[:2]]
    _, first, *_ = step(params, start, KEY)
    losses, state = [], start
    for key in keys:
        state, grads, loss, _ = step(params, state, key)
        params = jax.tree.map(lambda p, g: p - 0.3 * np.asarray(g), params, grads)
        losses.append(loss)
    return jax.tree.map(np.asarray, (params, (start, state), losses, first, outputs))


@pytest.mark.parametrize("name", TRAINED)
def test_it_learns(name):
    *_, losses, _, _ = trained(name)
    assert np.mean(losses[-5:]) < 0.6 * losses[0]


@pytest.mark.parametrize("name", TRAINED)
def test_every_parameter_has_a_gradient(name):
    *_, grads, _ = trained(name)
    largest = jax.tree.map(lambda leaf: float(abs(leaf).max()), grads)
    # Rounding, as of a bias in front of a batch norm, would be below 1e-6.
    assert min(jax.tree.leaves(largest)) > 1e-4, largest


@pytest.mark.parametrize("name", TRAINED)
def test_dropout_and_statistics_move_in_train_mode_alone(name):
    params, (start, state), *_, (first, second) = trained(name)
    inputs = CASES[name][1]
    assert np.abs(first - second).max() > 1e-3
    outputs, kept = eval_outputs(name)(params, state, inputs)
    jax.tree.map(np.testing.assert_array_equal, kept, state)
    assert outputs.shape == first.shape and np.isfinite(outputs).all()
    assert bool(state) == (name in ("mlp", "residual_net"))
    moved = jax.tree.map(lambda a, b: bool((a != b).all()), start, state)
    assert jax.tree.all(moved)
    train = lambda **options: jax.eval_shape(
        lambda: build(name, **options).apply(params, state, inputs, train=True)
    )
    with pytest.raises(ValueError, match="`key` must be given in train mode"):
        train(dropout=0.1)
    train()  # there is nothing random in it


@pytest.mark.parametrize(
    ("name", "dtype"),
    [(name, "float64") for name in CASES]
    + [(name, "bfloat16") for name in ("conv_net", "gru", "transformer")],
)
def test_dtypes(name, dtype):
    """Of parameters, statistics and outputs: traced, not computed."""
    model, inputs = build(name, param_dtype=dtype), CASES[name][1]

    x = inputs if inputs.dtype == np.int32 else inputs.astype(dtype)

    def step(params, state, key):
        return model.apply(params, state, x, train=True, key=key)

    with jax.enable_x64(dtype == "float64"):
        params, state = jax.eval_shape(model.init, KEY, x)
        jaxpr, shapes = jax.make_jaxpr(step, return_shape=True)(params, state, KEY)
    outputs, new = shapes
    assert dtype != "float64" or "f32[" not in str(jaxpr)  # not even on the way
    kinds = lambda tree: {str(leaf.dtype) for leaf in jax.tree.leaves(tree)}
    assert kinds(params) == {dtype}
    wide = {"bfloat16": "float32"}.get(dtype, dtype)
    assert kinds((state, new)) == ({wide} if state else set())
    assert str(outputs.dtype) == (wide if state else dtype)


@pytest.mark.parametrize("name", CASES)
def test_number_of_parameters(name):
    _, inputs, _, count = CASES[name]
    params, _ = jax.eval_shape(build(name).init, KEY, inputs)
    assert sum(leaf.size for leaf in jax.tree.leaves(params)) == count


@pytest.mark.parametrize("name", ["rnn", "transformer"])
def test_no_output_sees_later_inputs(name):
    params, inputs = trained(name)[0], CASES[name][1]
    outputs = lambda x: eval_outputs(name)(params, {}, x)[0]
    before = outputs(inputs)
    for t in (2, 4):
        later = inputs.copy()
        later[:, t] = (later[:, t] + 1) % 7
        after = outputs(later)
        np.testing.assert_array_equal(after[:, :t], before[:, :t])
        assert (np.abs(after[:, t:] - before[:, t:]).max((0, 2)) > 1e-4).all()
    # A shorter sequence, with the same parameters, is the start of a longer one.
    short = outputs(inputs[:, :3])
    np.testing.assert_allclose(short, before[:, :3], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("name", "message", "options"),
    [
        ("conv_net", "`channels` must be a list of widths, got 8", {"channels": 8}),
        ("conv_net", r"`channels` must lie in \[1, ", {"channels": [8, 0]}),
        ("conv_net", r"`num_outputs` must lie in \[1, ", {"num_outputs": 0}),
        ("conv_net", r"`kernel_size` must lie in \[1, ", {"kernel_size": 0}),
        ("conv_net", r"`image_shape` must be \(height", {"image_shape": [8, 8]}),
        ("conv_net", "`activation` .*nearest is 'gelu'", {"activation": "gleu"}),
        (
            "conv_net",
            "`normalization` must be None, 'batch' or 'layer', got 'group'",
            {"normalization": "group"},
        ),
        ("residual_net", "`channels` must not fall", {"channels": [8, 4]}),
        ("residual_net", r"`blocks` must lie in \[1, ", {"blocks": 0}),
        ("lstm", "`cell` must be one of rnn, lstm, gru, got 'gro'", {"cell": "gro"}),
        ("lstm", "`outputs` must be one of all, last", {"outputs": "first"}),
        ("lstm", r"`depth` must lie in \[1, ", {"depth": 0}),
        ("lstm", r"`vocabulary` must lie in \[1, ", {"vocabulary": 0}),
        (
            "lstm",
            "`recurrent_initializer` .*nearest is 'orthogonal'",
            {"recurrent_initializer": "orthogonl"},
        ),
        (
            "lstm",
            "`normalization` must be None or 'layer', got 'batch'",
            {"normalization": "batch"},
        ),
        (
            "transformer",
            "`width` must be a multiple of twice `heads`, 6, got 8",
            {"heads": 3},
        ),
        ("transformer", r"`mlp_ratio` must lie in \[1, ", {"mlp_ratio": 0}),
        ("transformer", r"`dropout` must lie in \[0, 1\), got 1", {"dropout": 1}),
    ],
)
def test_bad_arguments(name, message, options):
    spec = {**CASES[name][0], **options}
    factory = getattr(models, spec.pop("name"))
    with pytest.raises(ValueError, match=message):
        factory(**spec)


def test_a_param_dtype_is_a_floating_one():
    with pytest.raises(TypeError, match="`param_dtype` must be a floating dtype"):
        models.mlp([3], param_dtype=int)


@pytest.mark.parametrize(
    ("name", "message", "shape", "dtype"),
    [
        ("conv_net", r"be images \[n, height, .*need `image_shape`", (5, 9), float),
        ("conv_net", "has 2 entries, .*least 2 x 2, got 1", (5, 1, 9, 3), float),
        ("conv_net, flat", r"60 numbers each, .*got shape \(5, 59\)", (5, 59), float),
        ("lstm", r"must be sequences \[n, T, d\], .*need `vocabulary`", (5, 4), int),
        ("rnn", r"must be integer tokens \[n, T\], got float32", (5, 4), float),
        ("rnn", r"must be integer tokens \[n, T\], got int32 of .*\(4,\)", (4,), int),
        ("transformer", r"must be integer tokens \[n, T\]", (5, 4, 3), int),
    ],
)
def test_bad_inputs(name, message, shape, dtype):
    model, good = build(name), CASES[name][1]
    bad = jnp.ones(shape, dtype)
    with pytest.raises(ValueError, match=message):
        params, state = jax.eval_shape(model.init, KEY, good)
        jax.eval_shape(model.apply, params, state, bad)
