"""Statistics of batch norms against a pass over the data in float64 numpy."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from averaging.recorded import wide

import gdjax as gd
from gdjax import recalibrate_batch_stats
from gdjax.averaging import _recalibrate

RNG = np.random.default_rng(0)
X = [(2 + 3 * RNG.normal(size=(n, 4))).astype(np.float32) for n in (32, 9, 32)]
KEY = jax.random.key(7)
MOMENTA = (0.9, 0.123)


def nnx_model(use=(False, False), momenta=MOMENTA, rate=0.0):
    """A norm of the inputs, one of a hidden layer, and dropout in between."""
    from flax import nnx

    class Net(nnx.Module):
        def __init__(self, rngs):
            one, two = momenta
            self.one = nnx.BatchNorm(4, momentum=one, rngs=rngs)
            self.dense = nnx.Linear(4, 5, rngs=rngs)
            self.two = nnx.BatchNorm(5, momentum=two, rngs=rngs)
            self.dropout = nnx.Dropout(rate, rngs=rngs) if rate else None

        def __call__(self, x):
            frozen = [True if flag else None for flag in use]
            x = self.one(x, use_running_average=frozen[0])
            x = self.dropout(x) if self.dropout else x
            x = nnx.relu(self.dense(x))
            return self.two(x, use_running_average=frozen[1])

    return gd.models.from_nnx(Net)


def linen_model(use=(False, False), momenta=MOMENTA):
    from flax import linen

    class Net(linen.Module):
        @linen.compact
        def __call__(self, x, train):
            norm = lambda k, name: linen.BatchNorm(
                use[k] or not train, momentum=momenta[k], name=name
            )
            x = linen.Dense(5, name="dense")(norm(0, "one")(x))
            return norm(1, "two")(linen.relu(x))

    return gd.models.from_linen(Net())


def started(make, *args, **more):
    """(apply, params, model_state), the latter nothing like what it must become."""
    model = make(*args, **more)
    params, state = model.init(jax.random.key(0), X[0])
    params["one"]["scale"] = jnp.asarray(RNG.uniform(1, 2, 4), jnp.float32)
    return model.apply, params, jax.tree.map(lambda s: 7 + s, state)


def norms(state):
    return state.get("batch_stats", state)


def moments(batches):
    """Mean and variance of all rows; and batches normalised each by its own."""
    rows = np.concatenate(batches)
    scaled = [(x - x.mean(0)) / np.sqrt(x.var(0) + 1e-5) for x in batches]
    return rows.mean(0), rows.var(0), scaled


def hidden(params, scaled):
    one, dense = (jax.tree.map(wide, params[k]) for k in ("one", "dense"))
    inputs = [x * one["scale"] + one["bias"] for x in scaled]
    return [np.maximum(x @ dense["kernel"] + dense["bias"], 0) for x in inputs]


def close(norm, mean, var, rtol):
    np.testing.assert_allclose(norm["mean"], mean, rtol=rtol)
    np.testing.assert_allclose(norm["var"], var, rtol=rtol)


@pytest.mark.parametrize(
    "make", [nnx_model, pytest.param(linen_model, marks=pytest.mark.long)]
)
def test_they_are_those_of_all_examples(make):
    """Of the inputs exactly; of the hidden layer as train mode sees it."""
    apply, params, old = started(make)
    before = jax.tree.map(np.array, (params, old))
    new = norms(recalibrate_batch_stats(apply, params, old, X))
    mean, var, scaled = moments([wide(x) for x in X])
    close(new["one"], mean, var, 1e-6)
    close(new["two"], *moments(hidden(params, scaled))[:2], 1e-4)
    assert jax.tree.structure(new) == jax.tree.structure(norms(old))
    jax.tree.map(np.testing.assert_array_equal, (params, old), before)  # not in place


@pytest.mark.long
def test_whatever_the_decay_of_the_norms():
    from flax import nnx

    class Norms(nnx.Module):
        def __init__(self, rngs):
            norm = lambda m: nnx.BatchNorm(4, momentum=m, rngs=rngs)
            self.norms = nnx.List([norm(m) for m in (0.0, 0.5, 0.99, 0.999, 0.123)])

        def __call__(self, x):
            return sum(norm(x) for norm in self.norms)

    model = gd.models.from_nnx(Norms)
    params, old = model.init(KEY, X[0])
    new = recalibrate_batch_stats(model.apply, params, old, X[:2])
    for k in range(5):
        close(new["norms"][str(k)], *moments([wide(x) for x in X[:2]])[:2], 1e-6)


@pytest.mark.parametrize(
    "make", [nnx_model, pytest.param(linen_model, marks=pytest.mark.long)]
)
def test_a_norm_in_evaluation_mode_stays_and_is_used(make):
    """The first is frozen, as of a backbone: the second sees what it makes."""
    apply, params, old = started(make, use=(True, False))
    new = norms(recalibrate_batch_stats(apply, params, old, X))
    jax.tree.map(np.testing.assert_array_equal, new["one"], norms(old)["one"])
    kept = norms(old)["one"]
    scaled = [(wide(x) - wide(kept["mean"])) for x in X]
    scaled = [x / np.sqrt(wide(kept["var"]) + 1e-5) for x in scaled]
    close(new["two"], *moments(hidden(params, scaled))[:2], 1e-4)


@pytest.mark.long
def test_what_train_mode_does_not_change_stays():
    apply, params, old = started(nnx_model, momenta=(1.0, 0.9))
    new = recalibrate_batch_stats(apply, params, old, X)
    jax.tree.map(np.testing.assert_array_equal, new["one"], old["one"])
    _, _, scaled = moments([wide(x) for x in X])
    close(new["two"], *moments(hidden(params, scaled))[:2], 1e-4)
    apply, params, old = started(nnx_model, use=(True, True))
    new = recalibrate_batch_stats(apply, params, old, X)
    jax.tree.map(np.testing.assert_array_equal, new, old)


@pytest.mark.long
def test_dropout_stays_on_and_needs_a_key():
    apply, params, old = started(nnx_model, rate=0.5)
    with pytest.raises(ValueError, match="`key`"):
        recalibrate_batch_stats(apply, params, old, X)
    one, two = (
        recalibrate_batch_stats(apply, params, old, X[:1] * 2, key=jax.random.key(k))
        for k in (0, 1)
    )
    assert np.abs(one["two"]["mean"] - two["two"]["mean"]).max() > 1e-3
    close(one["one"], *moments([wide(X[0])])[:2], 1e-6)  # before it
    # each batch has a key of its own: the second is not the first again
    alone = recalibrate_batch_stats(apply, params, old, X[:1], key=jax.random.key(0))
    assert np.abs(one["two"]["mean"] - alone["two"]["mean"]).max() > 1e-3


def test_one_program_for_each_shape_and_one_forward_pass():
    traces = []
    apply, params, old = started(nnx_model)

    def counted(*args, **kwargs):
        traces.append(1)
        return apply(*args, **kwargs)

    for _ in range(2):
        recalibrate_batch_stats(counted, params, old, X[:1] * 3)
    once = len(traces)
    recalibrate_batch_stats(counted, params, old, X[:1])
    assert len(traces) == once
    recalibrate_batch_stats(counted, params, old, X[:2])  # a second shape
    assert len(traces) == 2 * once

    lowered = _recalibrate._of_batch.lower(apply, params, old, X[0], None)
    assert len(re.findall(r" dot\(", lowered.compile().as_text())) == 1


@pytest.mark.long
def test_under_jit_and_vmap_as_sweeps_do_it():
    apply, params, old = started(nnx_model)
    two = jax.tree.map(lambda p: jnp.stack([p, 2 * p]), params)
    many = jax.jit(jax.vmap(lambda p: recalibrate_batch_stats(apply, p, old, X[:2])))(
        two
    )
    for k in range(2):
        alone = recalibrate_batch_stats(
            apply, jax.tree.map(lambda p, k=k: p[k], two), old, X[:2]
        )
        jax.tree.map(
            lambda a, b, k=k: np.testing.assert_allclose(a[k], b, rtol=2e-5),
            many,
            alone,
        )


def test_what_is_missing_is_said():
    apply, params, old = started(nnx_model)
    with pytest.raises(ValueError, match="`batches` is empty: at least one is needed"):
        recalibrate_batch_stats(apply, params, old, [])
    words = "holds no leaf called `mean` or `var`, but counts/seen, sum."
    with pytest.raises(ValueError, match=words):
        state = {"counts": {"seen": jnp.ones(2)}, "sum": jnp.ones(2)}
        recalibrate_batch_stats(apply, params, state, X)
    plain = gd.models.mlp([3])
    params, state = plain.init(KEY, X[0])
    assert recalibrate_batch_stats(plain.apply, params, state, X) == {}


def test_other_leaves_stay():
    """A state with a count beside the statistics, changed by every step."""

    def apply(params, state, x, *, train, key):
        mean = 0.9 * state["mean"] + 0.1 * x.mean(0)
        return x, {"mean": mean, "count": state["count"] + 1}

    old = {"mean": jnp.ones(4), "count": jnp.int32(3)}
    new = recalibrate_batch_stats(apply, {}, old, X)
    np.testing.assert_allclose(new["mean"], wide(np.concatenate(X)).mean(0), rtol=1e-6)
    assert new["count"] == 3 and new["count"].dtype == jnp.int32
