"""Ready-made chains against Optax's in f64, where Optax is right."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import gdjax as gd

STEPS = 50
RATE = optax.cosine_decay_schedule(0.1, 60)
PAIRS = {
    "heavy ball": (gd.sgd, optax.sgd, dict(learning_rate=RATE, momentum=0.9)),
    "Nesterov": (
        gd.sgd,
        optax.sgd,
        dict(learning_rate=0.1, momentum=0.8, nesterov=True),
    ),
    "adam": (gd.adam, optax.adam, dict(learning_rate=RATE)),
    "NAdam": (
        gd.adam,
        optax.adam,
        dict(learning_rate=0.1, b1=0.8, b2=0.9, eps=0.1, eps_root=1e-3, nesterov=True),
    ),
    "adamw": (gd.adamw, optax.adamw, dict(learning_rate=0.1)),
    "adamw, mask": (
        gd.adamw,
        optax.adamw,
        dict(learning_rate=RATE, weight_decay=0.3, mask=gd.decay_mask),
    ),
    "adagrad": (gd.adagrad, optax.adagrad, dict(learning_rate=RATE)),
    "rmsprop, momentum": (
        gd.rmsprop,
        optax.rmsprop,
        dict(learning_rate=RATE, initial_scale=0.1, momentum=0.9, bias_correction=True),
    ),
    "rmsprop, centred": (
        gd.rmsprop,
        optax.rmsprop,
        dict(learning_rate=0.1, centered=True, momentum=0.9, nesterov=True),
    ),
    # From one gradient Optax's deviation is rounding, which a small eps would show.
    "rmsprop, centred and corrected": (
        gd.rmsprop,
        optax.rmsprop,
        dict(
            learning_rate=RATE,
            eps=0.1,
            eps_in_sqrt=False,
            centered=True,
            initial_scale=0.1,
            bias_correction=True,
        ),
    ),
    "adadelta": (
        gd.adadelta,
        optax.adadelta,
        dict(learning_rate=RATE, weight_decay=0.1, weight_decay_mask=gd.decay_mask),
    ),
    "amsgrad": (gd.amsgrad, optax.amsgrad, dict(learning_rate=RATE)),
    "amsgrad, not corrected": (
        gd.amsgrad,
        optax.amsgrad,
        dict(
            learning_rate=0.1,
            b2=0.9,
            bias_correction_mu=False,
            bias_correction_nu=False,
        ),
    ),
    "adamaxw": (
        gd.adamaxw,
        optax.adamaxw,
        dict(learning_rate=RATE, b2=0.9, mask=gd.decay_mask),
    ),
}


def trajectories(ours, theirs):
    """Both on the same noisy quadratic, in one program."""
    rng = np.random.default_rng(0)
    draw = lambda *lead: {
        name: jnp.asarray(rng.normal(size=(*lead, 3))) for name in ("kernel", "bias")
    }

    def run(tx, start, noise):
        def step(carry, noise):
            params, state = carry
            grads = jax.tree.map(jnp.add, params, noise)
            updates, state = tx.update(grads, state, params)
            params = gd.apply_updates(params, updates)
            return (params, state), params

        return jax.lax.scan(step, (start, tx.init(start)), noise)[1]

    both = jax.jit(lambda p, noise: (run(ours, p, noise), run(theirs, p, noise)))
    return both(draw(), draw(STEPS))


@pytest.mark.parametrize("pair", PAIRS)
def test_trajectories_are_those_of_optax(pair):
    ours, theirs, arguments = PAIRS[pair]
    with jax.enable_x64(True):
        got, want = trajectories(ours(**arguments), theirs(**arguments))
        for a, b in zip(jax.tree.leaves(got), jax.tree.leaves(want), strict=True):
            assert a.dtype == jnp.float64
            np.testing.assert_allclose(a, b, rtol=0, atol=1e-12 * np.abs(b).max())


def test_states_are_tuples_of_the_links():
    p = jnp.ones(2)
    links = [type(s).__name__ for s in gd.adamw(0.1).init(p)]
    assert links == ["ScaleByAdamState", "DecayState", "LearningRateState"]
    assert [type(s).__name__ for s in gd.sgd(0.1).init(p)] == ["LearningRateState"]
    assert gd.sgd(0.1, 0.9).init(p)[0].trace.tolist() == [0, 0]


def test_hyperparameters_that_live_in_a_state():
    """Optax's wrapper, with f32 parameters: no new program for a new rate."""
    tx = optax.inject_hyperparams(gd.adamw)(learning_rate=0.1, weight_decay=0.5)
    p = jnp.array([1.0, -2.0])
    state, update = tx.init(p), jax.jit(tx.update)
    for rate in (0.1, 0.02):
        state.hyperparams["learning_rate"] = jnp.float32(rate)
        u, new = update(p, tx.init(p)._replace(hyperparams=state.hyperparams), p)
        np.testing.assert_allclose(u, -rate * (np.sign(p) + 0.5 * p), rtol=1e-6)
    assert update._cache_size() == 1
    assert gd.metrics(new)["learning_rate"] == np.float32(0.02)


@pytest.mark.parametrize(
    ("make", "bad", "name"),
    [
        (gd.adamw, dict(learning_rate=0.1, b1=lambda step: 0.9), "b1"),
        (gd.sgd, dict(learning_rate=0.1, momentum="0.9"), "momentum"),
        (gd.sgd, dict(learning_rate=None), "learning_rate"),
        (gd.adam, dict(learning_rate=0.1, mu_dtype="nonsense"), "mu_dtype"),
        (gd.sgd, dict(learning_rate=0.1, momentum=0.9, accumulator_dtype="x"), "accum"),
    ],
)
def test_bad_arguments_are_named_when_built(make, bad, name):
    with pytest.raises((TypeError, ValueError), match=f"`{name}"):
        make(**bad)
