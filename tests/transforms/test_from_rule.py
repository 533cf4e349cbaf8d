"""An optimizer from one function: slots, their order, and what is refused."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import gdjax as gd


def rms_and_momentum(g, p, step, square, momentum):
    """Slots that are not in alphabetical order, with weights apart."""
    square = 0.9 * square + 0.1 * g * g
    momentum = 0.5 * momentum + g / jnp.sqrt(square + 1e-3)
    return momentum + 0.01 * p / step, square, momentum


def by_hand(g, p, steps):
    square, momentum, seen = 0.0, 0.0, []
    for t in range(1, steps + 1):
        square = 0.9 * square + 0.1 * g * g
        momentum = 0.5 * momentum + g / np.sqrt(square + 1e-3)
        seen.append(momentum + 0.01 * p / t)
    return np.array(seen), square, momentum


@pytest.mark.parametrize("jit", [False, True])
def test_slots_keep_their_order_when_a_state_goes_through_jax(jit):
    """jax sorts the keys of a dict."""
    tx = gd.from_rule(rms_and_momentum, square=jnp.zeros_like, momentum=jnp.zeros_like)
    g, p = np.array([0.3, -2.0]), np.array([1.0, 5.0])
    update = jax.jit(tx.update) if jit else tx.update
    state, seen = tx.init(jnp.asarray(p)), []
    for _ in range(4):
        u, state = update(jnp.asarray(g), state, jnp.asarray(p))
        state = jax.tree.map(lambda x: x, state)
        seen.append(u)
    want, square, momentum = by_hand(g, p, 4)
    np.testing.assert_allclose(seen, want, rtol=1e-6)
    np.testing.assert_allclose(state.slots["square"], square, rtol=1e-6)
    np.testing.assert_allclose(state.slots["momentum"], momentum, rtol=1e-6)
    assert state.count == 4


def test_slots_and_arithmetic_are_f32_for_bf16():
    seen = []

    def rule(g, p, step, total):
        seen.append({g.dtype.name, p.dtype.name, total.dtype.name})
        return total + g, total + g

    p = {"w": jnp.ones(2, jnp.bfloat16), "h": jnp.ones(2, jnp.float16)}
    tx = gd.from_rule(rule, total=jnp.zeros_like)
    state = tx.init(p)
    assert {x.dtype.name for x in jax.tree.leaves(state.slots)} == {"float32"}
    small = jax.tree.map(lambda x: x * 2**-9, p)
    _, state = tx.update(p, state, p)
    u, state = tx.update(small, state, p)
    assert seen == [{"float32"}] * 4
    assert {k: v.dtype.name for k, v in u.items()} == {"w": "bfloat16", "h": "float16"}
    assert state.slots["total"]["w"].tolist() == [1 + 2**-9] * 2


def test_a_slot_keeps_the_dtype_that_its_function_gave():
    make = lambda p: jnp.zeros_like(p, jnp.bfloat16)
    tx = gd.from_rule(lambda g, p, step, m: (g, m + g), m=make)
    _, state = tx.update(jnp.ones(2), tx.init(jnp.ones(2)))
    assert state.slots["m"].dtype == jnp.bfloat16


def test_no_slots_a_lone_array_and_no_parameters():
    seen = []

    def rule(g, p, step):
        seen.append(p)
        return jnp.sign(g) * step

    tx = gd.from_rule(rule)
    state = tx.init({"w": jnp.ones(2), "none": None})
    g = {"w": jnp.array([-3.0, 2.0]), "none": None}
    for t in (1, 2):
        u, state = tx.update(g, state)
        assert u["w"].tolist() == [-t, t] and u["none"] is None
    assert seen == [None, None] and state.slots == {}


def test_python_and_numpy_parameters():
    tx = gd.from_rule(lambda g, p, step, m: (g + m, m + g), m=jnp.zeros_like)
    params = {"a": 1.0, "b": np.ones(2, np.float32)}
    u, state = tx.update(params, tx.init(params), params)
    assert u["a"] == 1 and state.slots["m"]["b"].tolist() == [1, 1]


@pytest.mark.parametrize("make", [lambda p: p, lambda p: p.reshape(p.shape)])
def test_a_slot_that_remembers_the_start_can_be_donated(make):
    """One buffer in the parameters and in the state cannot be."""
    tx = gd.from_rule(lambda g, p, step, start: (p - start, start), start=make)
    params = jnp.ones(2)
    state = tx.init(params)
    step = jax.jit(lambda p, s: (p + 1, tx.update(p, s, p)), donate_argnums=(0, 1))
    params, (u, state) = step(params, state)
    assert u.tolist() == [0, 0] and state.slots["start"].tolist() == [1, 1]


def test_one_program_for_every_step_also_with_slots_of_constants():
    """A weakly typed slot would be another program at the second step."""
    constant = lambda p: jnp.where(p > 0, 1.0, 0.5)
    rule = lambda g, p, step, m, v: (constant(g), m * g, constant(g))
    tx = gd.from_rule(rule, m=constant, v=jnp.zeros_like)
    step, state = jax.jit(tx.update), tx.init(jnp.ones(2))
    for _ in range(3):
        u, state = step(jnp.ones(2), state, jnp.ones(2))
        assert not any(x.weak_type for x in jax.tree.leaves((u, state)))
    assert step._cache_size() == 1


W = jnp.ones(3)
TWO = dict(m=jnp.zeros_like, v=jnp.zeros_like)


@pytest.mark.parametrize(("name", "slot"), [("m", 0.0), ("v", W)])
def test_slots_that_are_no_functions_are_refused(name, slot):
    with pytest.raises(TypeError, match=f"slot `{name}` must be a function .* got"):
        gd.from_rule(lambda g, p, step, *slots: g, **{**TWO, name: slot})


def test_a_rule_that_is_no_function_is_refused():
    with pytest.raises(TypeError, match="rule"):
        gd.from_rule(0.1)


@pytest.mark.parametrize(
    ("returned", "count"),
    [(lambda g: g, 1), (lambda g: (g,) * 2, 2), (lambda g: (g,) * 4, 4)],
)
def test_a_wrong_number_of_results_is_refused(returned, count):
    tx = gd.from_rule(lambda g, p, step, m, v: returned(g), **TWO)
    words = rf"must return 3 arrays, .* slots \['m', 'v'\], got {count}\."
    with pytest.raises(ValueError, match=words):
        tx.update(W, tx.init(W), W)


@pytest.mark.parametrize("slots", [{}, dict(m=jnp.zeros_like), TWO])
def test_shapes_that_differ_are_named(slots):
    tx = gd.from_rule(lambda g, p, step, *slots: (g, *slots), **slots)
    params = {"layer": {"w": W}}
    state, wide = tx.init(params), {"layer": {"w": jnp.ones((4, 3))}}
    with pytest.raises(ValueError) as error:
        tx.update(params, state, wide)
    assert str(error.value) == (
        "leaf `layer/w`: the gradient has shape (3,), the parameter has shape (4, 3)."
    )
    first = next(iter(slots), "p")
    name = {"p": "the parameter"}.get(first, f"`{first}`")
    with pytest.raises(ValueError) as error:
        tx.update(wide, state, params)
    assert str(error.value) == (
        f"leaf `layer/w`: the gradient has shape (4, 3), {name} has shape (3,)."
    )


def test_a_slot_of_another_shape_is_named():
    tx = gd.from_rule(
        lambda g, p, step, m, v: (g, m, v), m=jnp.zeros_like, v=lambda p: jnp.zeros(())
    )
    with pytest.raises(ValueError, match=r"leaf `w`: .* `v` has shape \(\)"):
        tx.update({"w": W}, tx.init({"w": W}), {"w": W})


@pytest.mark.parametrize("where", [0, 1])
def test_a_rule_that_returns_another_shape_is_refused(where):
    """Broadcast, a mean would become the step of every element, or end a scan."""

    def rule(g, p, step, m):
        new = [g, m]
        new[where] = g.mean()
        return tuple(new)

    tx = gd.from_rule(rule, m=jnp.zeros_like)
    with pytest.raises(ValueError, match=r"shape \(\).*\(3,\)|\(3,\).*shape \(\)"):
        tx.update({"w": W}, tx.init({"w": W}), {"w": W})


def test_integer_parameters_are_refused_by_name():
    tx = gd.from_rule(lambda g, p, step: g)
    with pytest.raises(TypeError, match="leaf `layer/n` is int32"):
        tx.init({"layer": {"n": jnp.ones(2, int)}})
