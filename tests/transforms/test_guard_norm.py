"""`guard` where the norm of the gradient suffices: for which rules, what it costs."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from quick import QUICK

import gdjax as gd

LARGEST = float(np.finfo(np.float32).max)
LIMIT = 2.0**63.5  # of |g|
PARAMS = {
    "w": jnp.array([[0.5, -LARGEST, 0.0], [LARGEST, 1.0, -2.0]]),
    "b": jnp.ones(3),
}
COSINE = gd.warmup_cosine_decay_schedule(0.0, 1e-3, 3, 9)


def scaled(updates, c, params=None):
    """By a product of the old state, the new state, and the gradient."""
    new = 0.9 * c + 0.1
    return jax.tree.map(lambda g: -0.1 * (c * new) * g, updates), new


PROVED = {
    "sgd": gd.sgd(0.1),
    "heavy ball": gd.sgd(0.1, momentum=0.9, nesterov=True),
    "signum": gd.signum(1e-3),
    "lion": gd.lion(1e-3),
    "rmsprop": gd.rmsprop(1e-3),
    "adam": gd.adam(1e-3),
    "nadam": gd.nadam(1e-3),
    "adamax": gd.adamax(1e-3),
    "ademamix": gd.ademamix(1e-3),
    "adamw": gd.adamw(COSINE, weight_decay=0.1),
    "adamw of Optax": optax.adamw(COSINE, weight_decay=0.1),
    "linear": gd.sgd(gd.linear_schedule(0.1, 0.0, 5)),
    "with the last gradient": optax.GradientTransformation(
        lambda params: jax.tree.map(jnp.zeros_like, params),
        lambda g, state, params=None: (jax.tree.map(lambda g: -0.1 * g, g), g),
    ),
    "by a number": optax.GradientTransformation(
        lambda params: jnp.float32(0.5), scaled
    ),
    "clipped": gd.chain(gd.clip_by_global_norm(1.0), gd.adamw(1e-3)),
}


def looks(tx, params=PARAMS):
    """Whether every entry is looked at."""
    traced = jax.make_jaxpr(tx.update)(params, tx.init(params), params)
    return "is_finite" in str(traced)


@jax.jit
def global_norm(updates):
    return sum(1 / jnp.sum(x) for x in jax.tree.leaves(updates))


def by_another_norm(updates, state, params=None):
    del params
    return jax.tree.map(lambda g: -1e-25 * g * global_norm(updates), updates), state


OTHERS = {
    "f16": (gd.adam(1e-3), jax.tree.map(lambda p: jnp.ones(3, jnp.float16), PARAMS)),
    "complex": (gd.sgd(0.1), jnp.ones(2, jnp.complex64)),
    "too long": (gd.sgd(1e13), PARAMS),
    "eps = 0": (gd.adam(1e-3, eps=0.0), PARAMS),
    "sum of squares": (gd.adagrad(0.1), PARAMS),
    "grows": (optax.sgd(0.1, momentum=1.5), PARAMS),
    "average": (gd.swa(gd.sgd(0.1), 0), PARAMS),
    "hyperparameters": (gd.inject_hyperparams(gd.sgd)(0.1), PARAMS),
    "a norm of its name": (
        optax.GradientTransformation(lambda p: (), by_another_norm),
        PARAMS,
    ),
    "against the decay": (gd.chain(gd.sgd(0.1), gd.add_decayed_weights(0.1)), PARAMS),
}


def test_of_which_rules_the_norm_suffices():
    assert [name for name, tx in PROVED.items() if looks(gd.guard(tx))] == []
    assert [n for n, (tx, p) in OTHERS.items() if not looks(gd.guard(tx), p)] == []
    f64, bf16 = jnp.float64, jnp.bfloat16
    cast = lambda dtype: jax.tree.map(lambda p: jnp.ones_like(p, dtype), PARAMS)
    assert not looks(gd.guard(PROVED["adamw"]), cast(bf16))
    with jax.enable_x64(True):
        assert not looks(gd.guard(PROVED["adamw"]), cast(f64))
    assert "is_finite" in str(jax.make_jaxpr(step)(0.1))


def step(rate):
    tx = gd.guard(gd.sgd(rate))
    return tx.update(PARAMS, tx.init(PARAMS), PARAMS)


@pytest.mark.parametrize("name", PROVED)
def test_no_gradient_below_the_limit_breaks_a_proved_rule(name):
    """From the largest parameters, through what is nearly too large, tiny, or zero."""
    inner, size = PROVED[name], sum(p.size for p in jax.tree.leaves(PARAMS))
    tx, random = gd.guard(inner), np.random.default_rng(0)
    alone = LIMIT * 0.999 * (np.arange(size) == 3)
    together = LIMIT * 0.999 / np.sqrt(size) * np.ones(size)
    rows = [alone, 1e-30 * alone, together, 0 * together, -alone, 1e-45 * alone, alone]
    rows += [together * random.choice([-1, 1], size) for _ in range(3)]
    rows += [1e-22 * together, -together, alone]
    bad = [1.002 * alone, alone * np.nan]

    def grads(row):
        row = jnp.asarray(row, jnp.float32)
        return {"w": row[:6].reshape(2, 3), "b": row[6:]}

    def run(tx, rows):
        def body(carry, g):
            params, state = carry
            u, state = tx.update(g, state, params)
            return (optax.apply_updates(params, u), state), None

        start = PARAMS, tx.init(PARAMS)
        return jax.lax.scan(body, start, jax.tree.map(lambda *x: jnp.stack(x), *rows))[
            0
        ]

    compiled = jax.jit(run, static_argnums=0, compiler_options=QUICK)
    params, state = compiled(tx, [grads(row) for row in rows + bad])
    assert state.num_skipped == state.num_consecutive == 2
    leaves = jax.tree.leaves((params, state.inner_state))
    assert all(np.isfinite(leaf).all() for leaf in leaves)
    want = compiled(inner, [grads(row) for row in rows])
    for a, b in zip(leaves, jax.tree.leaves(want), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5)


@pytest.mark.parametrize("compiled", [True, False])
@pytest.mark.parametrize("inner", [gd.adam(1e-3), gd.adagrad(1e-3)])
def test_squares_that_only_together_are_too_large(compiled, inner):
    """Each of them is below 2^127, so that no place is bad by itself."""
    tx, params = gd.guard(inner), {"a": jnp.ones(2), "b": jnp.ones(3)}
    grads = {"a": jnp.full(2, LIMIT / 2), "b": jnp.full(3, LIMIT * 0.5)}
    update = jax.jit(tx.update) if compiled else tx.update
    _, state = update(grads, tx.init(params), params)
    assert state.num_skipped == 1 and state.first_bad(params) == "params/b"
    grads = {"a": jnp.full(2, 2 * LIMIT), "b": jnp.full(3, jnp.nan)}
    _, state = update(grads, state, params)
    assert state.num_skipped == 2 and state.first_bad(params) == "params/a"


@pytest.mark.parametrize("live", ["argument", "hyperparameter"])
def test_a_rate_from_outside_is_not_trusted(live):
    def skipped(rate):
        if live == "argument":
            tx = gd.guard(gd.sgd(rate))
            state = tx.init(PARAMS)
        else:
            tx = gd.guard(gd.inject_hyperparams(gd.sgd)(0.1))
            state = gd.set_hyperparams(tx.init(PARAMS), learning_rate=rate)
        ones = jax.tree.map(jnp.ones_like, PARAMS)
        return tx.update(ones, state, PARAMS)[1].num_skipped

    assert [int(jax.jit(skipped)(rate)) for rate in (0.1, 1e38)] == [0, 1]


def cost(tx, params):
    """(bytes, copies of arrays) of a step that may write over what it is given."""

    def step(params, state, g):
        u, state = tx.update(g, state, params)
        return optax.apply_updates(params, u), state

    args = params, tx.init(params), params
    compiled = jax.jit(step, donate_argnums=(0, 1)).lower(*args).compile()
    entry = compiled.as_text().partition("ENTRY")[2]
    large = [line for line in entry.splitlines() if " copy(" in line and "64," in line]
    return compiled.cost_analysis()["bytes accessed"], len(large)


@pytest.mark.parametrize(
    "inner", [gd.sgd(0.1, momentum=0.9), gd.adamw(1e-3)], ids=["sgd", "adamw"]
)
def test_it_costs_a_pass_over_the_gradient(inner):
    params = {k: jnp.ones((64, n)) for k, n in (("a", 96), ("b", 65), ("c", 33))}
    size = 4 * sum(p.size for p in jax.tree.leaves(params))
    alone, copies = cost(inner, params)
    guarded, more = cost(gd.guard(inner), params)
    assert size <= guarded - alone < 1.5 * size and copies == more == 0


@pytest.mark.parametrize("name", ["adam", "by a number"])
def test_under_shard_map_what_varies_and_what_does_not(name):
    """A count of all devices becomes one of each where each decides for itself."""
    mesh = jax.make_mesh((4,), ("x",), (jax.sharding.AxisType.Auto,))
    tx, p, P = gd.guard(PROVED[name]), jnp.ones(4), jax.sharding.PartitionSpec

    def update(g, state, p):
        u, state = tx.update(g, state, p)
        return u, state.num_skipped[None]

    for apart in True, False:
        of_g = P("x") if apart else P()
        specs = {"in_specs": (of_g, P(), of_g), "out_specs": P("x")}
        g = jnp.array([1.0, jnp.nan, -2.0, 1e20]) if apart else jnp.ones(4)
        state = tx.init(p[:1] if apart else p)
        u, skipped = jax.jit(jax.shard_map(update, mesh=mesh, **specs))(g, state, p)
        assert skipped.tolist() == ([0, 1, 0, 1] if apart else [0] * 4)
        assert np.all((u == 0) == np.array(skipped.repeat(u.size // 4), bool))


@pytest.mark.parametrize(
    "kind", [jax.sharding.AxisType.Auto, jax.sharding.AxisType.Explicit]
)
@pytest.mark.parametrize("eps", [1e-8, 0.0])
def test_shards_stay_where_they_are(kind, eps):
    """Explicit ones, which an array of zeros does not have by itself, too."""
    mesh = jax.make_mesh((4,), ("x",), (kind,))
    spec = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec(None, "x"))
    tx = gd.guard(gd.adamw(1e-3, eps=eps))
    with jax.set_mesh(mesh):
        p = jax.device_put(jnp.ones((2, 8)), spec)
        u, state = jax.jit(tx.update)(p, tx.init(p), p)
    assert u.sharding == state.inner_state[0].mu.sharding == spec
    assert state.num_skipped == 0 and np.all(u < 0)
