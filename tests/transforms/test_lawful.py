"""`lawful`: what it changes of anybody's transformation, and what it leaves."""

import functools
import inspect
import pickle

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from oracles import lifted as oracles
from registry.lifted import CHECKS
from test_laws import BROKEN

import gdjax as gd
from gdjax.testing import fields

OFF_IN_F32 = [n for n, law in BROKEN if law == "8" and n in CHECKS]


@pytest.mark.parametrize("name", OFF_IN_F32)
def test_what_f32_cannot_hold_follows_its_oracle_in_f64(name):
    """The eighth law fails only at the ends of the range, or by Optax's rounding."""
    call, rng = CHECKS[name], np.random.default_rng(0)
    p, grads, kept = rng.normal(size=5), rng.normal(size=(20, 5)), {}
    tolerance = 1e-7 if "madgrad" in name else 1e-12  # its count's root is f32
    with jax.enable_x64(True):
        tx = call["make"](**call["numbers"])
        _, got = jax.lax.scan(
            lambda state, g: tx.update(g, state, p)[::-1], tx.init(p), grads
        )
    want = [
        call["oracle"](g, p, kept, t + 1, **call["numbers"])
        for t, g in enumerate(grads)
    ]
    np.testing.assert_allclose(got, want, atol=tolerance * np.abs(want).max(), rtol=0)


def square_norm(params=None):
    """A transformation of somebody who thought of nothing: no extra arguments."""

    def update(g, state, params=None):
        total = state["n"] + sum(jnp.sum(x * x) for x in jax.tree.leaves(g))
        seen = jax.tree.map(lambda s, x: s + x, state["seen"], g)
        return jax.tree.map(lambda x: x / total, g), {"seen": seen, "n": total}

    init = lambda p: {"seen": jax.tree.map(jnp.zeros_like, p), "n": 0.0}
    return optax.GradientTransformation(init, update)


def test_state_and_arithmetic_are_f32():
    tx = gd.lawful(square_norm())
    p = {"a": jnp.ones(2, jnp.bfloat16), "b": jnp.ones(2, jnp.float16)}
    g = jax.tree.map(lambda x: 300 * x, p)  # 4 * 9e4 is inf in f16
    state = tx.init(p)
    assert {x.dtype.name for x in jax.tree.leaves(state)} == {"float32"}
    u, new = tx.update(g, state, p, unknown=1)
    assert jax.tree.map(jnp.result_type, u) == jax.tree.map(jnp.result_type, g)
    assert new["n"] == 4 * 300**2 and not new["n"].weak_type
    np.testing.assert_allclose(u["b"].astype(float), 300 / (4 * 300**2), rtol=1e-3)


def test_what_has_no_gradient_is_neither_seen_nor_changed():
    """Also not by what the others' update reads of the whole tree."""
    tx = gd.lawful(square_norm)()
    p = {"a": jnp.ones(2), "b": {"c": jnp.ones(3)}, "e": jnp.ones((0, 2)), "n": None}
    start = tx.init(p)
    g = dict(p, b={"c": 2 * p["b"]["c"]})
    _, state = tx.update(g, start, p)
    skipped = dict(g, b={"c": None})
    for params in (p, None):
        u, new = tx.update(skipped, state, params)
        assert u["b"] == {"c": None} and u["n"] is None and u["e"].shape == (0, 2)
        np.testing.assert_array_equal(new["seen"]["b"]["c"], state["seen"]["b"]["c"])
        np.testing.assert_array_equal(new["seen"]["a"], 2 * g["a"])
        assert new["n"] == 2 + 12 + 2
        assert jax.tree.structure(new) == jax.tree.structure(state)
    alone, same = tx.update(
        {"a": None, "b": {"c": None}, "e": None, "n": None}, state, p
    )
    assert alone["a"] is None and same is state


def test_a_parameter_may_be_called_like_a_field_of_the_state():
    p = {"scale": jnp.ones(2), "w": jnp.ones(2)}
    tx = gd.cocob()  # its state has a field `scale`
    state = tx.init(p)
    u, new = tx.update({"scale": None, "w": 2 * p["w"]}, state, p)
    assert u["scale"] is None and u["w"].shape == (2,)
    np.testing.assert_array_equal(new[2].scale["scale"], state[2].scale["scale"])
    np.testing.assert_array_equal(new[2].scale["w"], [2, 2])


def test_a_leaf_is_named_that_does_not_fit():
    tx = gd.lawful(optax.sgd)(0.1, momentum=0.9)
    p = {"layer": {"w": jnp.ones(3), "b": jnp.ones(2)}}
    state = tx.init(p)
    for change, words in (
        ({"w": jnp.ones((4, 3)), "b": p["layer"]["b"]}, r"`layer/w`.*\(4, 3\).*\(3,\)"),
        ({"w": p["layer"]["w"]}, "`layer/b`"),
    ):
        with pytest.raises(ValueError, match=words):
            tx.update({"layer": change}, state, p)
    for wrong in (jnp.ones(3, int), jnp.ones(3) * 1j):
        with pytest.raises(TypeError, match="`layer/w`"):
            tx.update({"layer": dict(p["layer"], w=wrong)}, state, p)
    with pytest.raises(TypeError, match="`layer/n`"):
        tx.init({"layer": {"n": jnp.ones(2, int)}})
    with pytest.raises(TypeError, match="`layer/w`.*complex|complex.*`layer/w`"):
        gd.sm3(0.1).init({"layer": {"w": jnp.ones(2) * 1j}})


def test_a_state_that_grows_is_refused():
    grows = optax.GradientTransformation(
        lambda p: {}, lambda g, s, p=None: (g, {"n": g})
    )
    with pytest.raises(ValueError, match="n"):
        gd.lawful(grows).update(jnp.ones(2), {}, jnp.ones(2))


def test_no_buffer_stands_twice():
    p = {"w": jnp.ones(3)}
    state = gd.cocob().init(p)  # Optax keeps the parameters and three times one zero
    buffers = [x.unsafe_buffer_pointer() for x in jax.tree.leaves((state, p))]
    assert len(set(buffers)) == len(buffers) == 6


def test_state_lies_where_its_parameter_does_and_is_compiled_for_once():
    mesh = jax.make_mesh((2,), ("x",), (jax.sharding.AxisType.Auto,))
    place = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec("x"))
    forgets = optax.GradientTransformation(
        lambda p: {"m": {"w": jnp.zeros(p["w"].shape)}}, lambda g, s, p=None: (g, s)
    )
    tx = gd.lawful(forgets)
    p = {"w": jnp.ones(4)}
    assert tx.init(jax.device_put(p, place))["m"]["w"].sharding == place
    step, state = jax.jit(tx.update), tx.init(p)
    for _ in range(2):
        p, state = step(p, state, p)
    assert step._cache_size() == 1
    shape = {"w": jax.ShapeDtypeStruct((4,), jnp.bfloat16)}
    (trace,) = jax.tree.leaves(gd.noisy_sgd(0.1, key=0).init(shape)[0].count)
    assert trace == 0


def test_our_own_are_as_they_were():
    p = {"w": jnp.array([0.5 - 1j, 2.0]), "h": jnp.ones(3, jnp.bfloat16)}
    g = {"w": jnp.array([1.0 + 2j, 0.1]), "h": jnp.array([0.3, -1.0, 2.0])}
    for make in (
        lambda: gd.adamw(0.1),
        lambda: gd.sgd(0.1, 0.9),
    ):
        tx, ours = make(), gd.lawful(make)()
        got = ours.update(g, ours.init(p), p)
        want = tx.update(g, tx.init(p), p)
        jax.tree.map(np.testing.assert_array_equal, got, want)
        assert jax.tree.structure(got) == jax.tree.structure(want)


def test_a_factory_keeps_its_signature_and_says_what_it_is():
    for ours, theirs in (gd.sm3, optax.sm3), (gd.dog, optax.contrib.dog):
        assert inspect.signature(ours) == inspect.signature(theirs)
        assert ours.__name__ == theirs.__name__
    assert gd.sm3.__doc__.startswith("Step: The SM3 optimizer.\n")
    assert gd.scale_by_sm3.__doc__.startswith("Direction: Scale updates by `sm3`.\n")
    assert "SM3 (Square-root of Minima" in gd.sm3.__doc__
    assert pickle.loads(pickle.dumps(gd.sm3)) is gd.sm3


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: gd.sm3(-0.1), "`learning_rate` must be finite and >= 0, got -0.1"),
        (lambda: gd.sm3(lambda t: 0.1), "`learning_rate` must be a number"),
        (lambda: gd.scale_by_lbfgs(0), r"`memory_size` must lie in \[1, "),
        (lambda: gd.scale_by_lbfgs(2.0), "`memory_size` must be a Python integer"),
        (lambda: gd.polyak_sgd(variant="sp"), "`variant` must be one of sps, sps+"),
        (lambda: gd.dog(init_step=("near", 1.0)), "`init_step` must be one of"),
        (lambda: gd.dadapt_adamw(betas=(0.9, 1.0)), "`betas` must lie in"),
        (lambda: gd.momo(beta=1.5), "`beta` must lie in"),
        (lambda: gd.lawful(optax.adam)(0.1, b1=1.0), "`b1` must lie in"),
        (lambda: gd.lawful(3), "`inner` must be a transformation or a factory"),
        (lambda: gd.lawful(lambda: 3)(), "`inner` must make a transformation"),
    ],
)
def test_bad_arguments_are_named(call, words):
    with pytest.raises((ValueError, TypeError), match=words):
        call()


def test_good_arguments_pass():
    gd.optimistic_gradient_descent(lambda t: 0.1, beta=1.5)
    gd.scale_by_sm3(b2=1.0)  # the default, though no other number from 1 on
    gd.lbfgs(None)
    gd.scale_by_zoom_linesearch(5, approx_dec_rtol=None, curv_rtol=float("inf"))
    gd.lawful(functools.partial(optax.adam, b1=0.8))(0.1)
    jax.eval_shape(lambda x: gd.fromage(x).init(jnp.ones(2)), 0.1)


def test_value_fn_gets_parameters_as_they_are_and_what_it_knows():
    seen = []

    def value_fn(params, batch):
        seen.append((params["w"].dtype, params["frozen"] is not None))
        return jnp.sum((params["w"].astype(jnp.float32) - batch) ** 2)

    p = {"w": jnp.array([3.0, -2.0], jnp.bfloat16), "frozen": jnp.ones(2)}
    g = {"w": 2 * p["w"], "frozen": None}
    search = gd.scale_by_backtracking_linesearch(3, store_grad=True)
    tx = gd.lawful(gd.chain(gd.scale(-0.5), search))
    more = dict(value=jnp.float32(13.0), grad=g, value_fn=value_fn, batch=0.0)
    grad_fn = jax.grad(lambda p: value_fn(p, 0.0))
    u, state = tx.update(g, tx.init(p), p, grad_fn=grad_fn, unknown="x", **more)
    assert set(seen) == {(jnp.dtype(jnp.bfloat16), True)}
    assert u["frozen"] is None and u["w"].dtype == jnp.bfloat16
    np.testing.assert_array_equal(p["w"] + u["w"], [0, 0])
    (grad,) = fields(state, "grad")
    assert grad["w"].dtype == jnp.float32 and not grad["frozen"].any()


@pytest.mark.long
def test_lbfgs_minimises_and_trains():
    problem = gd.problems.rosenbrock()
    found = gd.minimize(problem.fun, problem.init, gd.lbfgs(), num_steps=60)
    np.testing.assert_allclose(found.params, problem.minimizer, atol=1e-4)

    def loss_fn(params, model_state, batch, key):
        x, y = batch
        return jnp.mean((x @ params["w"] - y) ** 2), (model_state, {})

    x = jax.random.normal(jax.random.key(0), (64, 3))
    y = x @ jnp.array([1.0, -2.0, 0.5])
    tx, params = gd.lbfgs(), {"w": jnp.zeros(3)}
    step = gd.make_train_step(loss_fn, tx)
    start = jnp.zeros([], jnp.int32), params, {}, tx.init(params), jax.random.key(0)
    state = gd.TrainState(*start)
    for _ in range(6):
        state, metrics = step(state, (x, y))
    assert metrics["loss"] < 1e-8


def test_a_scalar_is_a_vector_for_sm3():
    p = {"s": jnp.float32(2.0), "v": jnp.array([2.0])}
    tx = gd.sm3(0.1)
    u, state = tx.update(p, tx.init(p), p)
    assert u["s"].shape == () and u["s"] == u["v"][0]
    want = oracles.sm3_step(np.array([2.0]), 0, {}, 1, 0.1, 0.9)
    np.testing.assert_allclose(u["v"], want, rtol=1e-6)
