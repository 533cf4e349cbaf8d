"""Early stopping against a plain Python loop over random values, and its refusals."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

import gdjax as gd
from gdjax.training import EarlyStopping


def by_hand(values, patience, min_delta, mode):
    """(place of the best value or None, evaluations until it stops or None)."""
    best, where, stale = None, None, 0
    for place, value in enumerate(values):
        gain = -math.inf if math.isnan(value) else value if mode == "max" else -value
        if gain > (-math.inf if best is None else best + min_delta):
            best, where, stale = gain, place, 0
        else:
            stale += 1
        if stale >= patience:
            return where, place + 1
    return where, None


grid = st.integers(-8, 8).map(lambda x: x / 4) | st.just(math.nan)


@settings(max_examples=40, deadline=None)
@given(
    values=st.lists(grid, min_size=1, max_size=12),
    patience=st.integers(1, 4),
    min_delta=st.sampled_from([0.0, 0.25, 1.0]),
    mode=st.sampled_from(["min", "max"]),
)
@example(values=[math.nan] * 3, patience=2, min_delta=0.0, mode="min")
@example(values=[-1.0, -1.25, -1.5], patience=1, min_delta=0.25, mode="min")
@example(values=[math.inf, 1.0, math.inf], patience=9, min_delta=0.0, mode="min")
def test_it_is_the_rule(values, patience, min_delta, mode):
    stopping = EarlyStopping(patience, min_delta, mode)
    where, stopped = by_hand(values, patience, min_delta, mode)
    state = stopping.init(np.int32(-1))
    for place, value in enumerate(values):
        state = stopping.update(state, value, np.int32(place))
        if stopping.should_stop(state):
            assert stopped == place + 1
            break
    else:
        assert stopped is None
    assert int(state.best) == (-1 if where is None else where)


def test_it_is_pure_keeps_copies_of_anything_and_runs_compiled():
    stopping = EarlyStopping(1, mode="max")
    tree = {"w": jnp.arange(3.0), "key": jax.random.key(1), "none": None}
    state = stopping.init(tree)
    update = jax.jit(stopping.update)
    first = update(state, 0.5, tree)
    second = update(
        first, 0.25, jax.tree.map(lambda x: x, {**tree, "w": tree["w"] + 1})
    )
    assert not stopping.should_stop(first) and stopping.should_stop(second)
    np.testing.assert_array_equal(second.best["w"], [0, 1, 2])
    assert second.best["key"] == tree["key"] and second.best["none"] is None
    assert second.best["w"] is not tree["w"]
    assert jax.tree.structure(state) == jax.tree.structure(second)
    del first, state
    tree["w"].delete()  # as a step that donates it does
    assert second.best["w"].sum() == 3
    assert EarlyStopping(1, restore_best=False).init(tree).best == ()


def test_overfitting_ends_and_the_best_weights_come_back_exactly():
    """Noise that a net can learn by heart: validation gets worse from some step on."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(60, 5)).astype(np.float32)
    y = x[:, :1] + 2 * rng.normal(size=(60, 1)).astype(np.float32)
    train, validation = (x[:30], y[:30]), (x[30:], y[30:])
    model, tx = gd.models.mlp([64, 1]), gd.adam(1e-2)
    loss_fn = gd.training.supervised(model, "mse")
    step = gd.training.make_train_step(loss_fn, tx)
    evaluate_on = gd.training.make_eval_step(loss_fn)
    seen = []

    def evaluate(state):
        value = evaluate_on(state, validation)["loss"]
        seen.append((float(value), jax.device_get(state.params), int(state.step)))
        return {"validation_loss": value}

    result = gd.fit(
        step,
        gd.training.init_state(model, tx, jax.random.key(0), x[:1]),
        gd.data.source(train, 10, seed=0),
        num_steps=2000,
        log_every=5,
        evaluate=evaluate,
        stop=EarlyStopping(patience=20),
        progress=False,
    )
    values = [value for value, _, _ in seen]
    best = int(np.argmin(values))
    assert len(values) == best + 1 + 20 and values[-1] > 1.2 * values[best]
    assert result.stopped == f"converged at step {seen[-1][2]}"
    assert int(result.state.step) == seen[best][2]
    jax.tree.map(np.testing.assert_array_equal, result.state.params, seen[best][1])
    assert evaluate_on(result.state, validation)["loss"] == values[best]


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"patience": 0}, r"`patience` must lie in \[1, "),
        ({"patience": 1.5}, "`patience` must be a Python integer"),
        ({"patience": 1, "min_delta": -0.1}, "`min_delta` must be finite and >= 0"),
        ({"patience": 1, "min_delta": math.nan}, "`min_delta` must be finite"),
        ({"patience": 1, "mode": "mim"}, "`mode` must be one of min, max, .* 'min'"),
    ],
)
def test_what_is_refused(arguments, message):
    with pytest.raises((ValueError, TypeError), match=message):
        EarlyStopping(**arguments)
