"""The lift of a rule: dtypes, absent leaves, traces, and errors that name the leaf."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax.core import freeze

from gdjax import tree


def average(g, mu, p):
    return g - p, (mu + g) / 2


def test_n_trees_in_n_trees_out_each_in_its_own_dtype():
    seen = []

    def rule(g, mu, p):
        seen.append((g.dtype, mu.dtype, p.dtype))
        return average(g, mu, p)

    g = {"a": np.ones(2, jnp.bfloat16), "b": np.ones(3, np.float32)}
    mu = {"a": np.zeros(2, np.float32), "b": np.zeros(3, np.float16)}
    p = {"a": np.ones(2, np.float16), "b": np.full(3, 0.25, jnp.bfloat16)}
    update = jax.jit(lambda g, mu, p: tree.map_rule(rule, g, mu, read=(p,)))
    u, mu = update(g, mu, p)
    assert set(seen) == {(jnp.dtype("float32"),) * 3}
    assert [u["a"].dtype, u["b"].dtype] == [jnp.bfloat16, jnp.float32]
    assert [mu["a"].dtype, mu["b"].dtype] == [jnp.float32, jnp.float16]
    np.testing.assert_array_equal(u["a"], [0, 0])
    np.testing.assert_array_equal(u["b"], [0.75] * 3)
    np.testing.assert_array_equal(mu["b"], [0.5] * 3)


def test_sixteen_bits_are_computed_in_f32():
    # 300^2 overflows f16; 1 + 2^-8 is lost in bf16.
    half = tree.map_rule(lambda g: g * g / g, jnp.full(2, 300.0, jnp.float16))
    brain = tree.map_rule(lambda g: (g + 2**-8 - 1) * 2**8, jnp.ones(2, jnp.bfloat16))
    assert half.dtype == jnp.float16 and half.tolist() == [300.0, 300.0]
    assert brain.dtype == jnp.bfloat16 and brain.tolist() == [1.0, 1.0]


def test_f64_and_complex_stay():
    with jax.enable_x64(True):
        wide = tree.map_rule(lambda g: g / 3, jnp.ones(1))
        assert wide.dtype == jnp.float64 and wide[0] == 1 / 3
        both = tree.map_rule(lambda g: g * 1j, jnp.ones(1, jnp.complex64))
        assert both.dtype == jnp.complex64 and both[0] == 1j


def test_python_and_numpy_leaves_become_arrays():
    u = tree.map_rule(lambda g: g / 4, {"a": 1.0, "b": np.ones(2), "c": np.float32(2)})
    assert {k: v.dtype for k, v in u.items()} == dict.fromkeys("abc", jnp.float32)
    assert u["a"] == 0.25 and u["b"].tolist() == [0.25, 0.25] and u["c"] == 0.5


class Pair(NamedTuple):
    one: object
    two: object


def test_an_absent_leaf_keeps_what_every_tree_has():
    masked = optax.MaskedNode()
    g = Pair(None, {"w": jnp.ones(2), "m": masked})
    mu = Pair(jnp.full(2, 7.0), {"w": jnp.ones(2), "m": jnp.full(3, 8.0)})
    p = Pair(jnp.ones(4), {"w": jnp.zeros(2), "m": None})
    u, new = tree.map_rule(average, g, mu, read=(p,))
    assert u.one is None and u.two["m"] is masked
    assert new.one is mu.one and new.two["m"] is mu.two["m"]
    assert u.two["w"].tolist() == [1, 1] and new.two["w"].tolist() == [1, 1]


@pytest.mark.parametrize("empty", [{}, (), None, [], optax.MaskedNode()])
def test_empty_trees_come_back(empty):
    assert tree.map_rule(average, empty, empty, read=(empty,)) == (empty, empty)
    assert tree.map_rule(lambda g: g, empty) == empty


def test_one_trace_for_each_set_of_shapes():
    calls = []

    def rule(g, mu):
        calls.append(g.shape)
        return g, mu + g

    g = [jnp.ones(2), jnp.ones(3), jnp.ones(2), jnp.ones(3), jnp.ones((2, 1))]
    jax.eval_shape(lambda g: tree.map_rule(rule, g, g), g)
    assert sorted(calls) == [(2,), (2, 1), (3,)]
    calls.clear()
    dtypes = [jnp.ones(5), jnp.ones(5, jnp.bfloat16)]  # both reach the rule as f32
    jax.eval_shape(lambda g: tree.map_rule(rule, g, g), dtypes)
    assert calls == [(5,)]
    calls.clear()
    tree.map_rule(rule, g, g)  # eagerly a fresh closure would compile anew each time
    assert len(calls) == 5


def refused(*trees, read=()):
    with pytest.raises(ValueError) as error:
        tree.map_rule(lambda g, mu, p: (g, mu), *trees, read=read)
    return str(error.value)


W, B = jnp.ones(3), jnp.ones(2)
GOOD = {"layer": {"w": W, "b": B}}


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (
            {"layer": {"w": jnp.ones((4, 3)), "b": B}},
            "leaf `layer/w`: the gradient has shape (3,), {} has shape (4, 3).",
        ),
        (
            {"layer": {"w": W}},
            "leaf `layer/b`: the gradient has shape (2,), {} has no such leaf.",
        ),
        (
            {"layer": {"w": W, "b": B, "c": B}},
            "leaf `layer/c`: the gradient has no such leaf, {} has shape (2,).",
        ),
        (
            {"layer": {"w": None, "b": B}},
            "leaf `layer/w`: the gradient has shape (3,), {} has nothing.",
        ),
        (
            {"layer": {"w": {"deep": W}, "b": B}},
            "leaf `layer/w`: the gradient has shape (3,), {} has no such leaf.",
        ),
        (
            {"layer": {"w": W, "b": optax.MaskedNode()}},
            "leaf `layer/b`: the gradient has shape (2,), {} has nothing.",
        ),
    ],
)
def test_trees_that_differ_are_named_with_leaf_and_both_shapes(wrong, message):
    assert refused(GOOD, wrong, read=(GOOD,)) == message.format("`mu`")
    assert refused(GOOD, GOOD, read=(wrong,)) == message.format("the parameter")


def test_trees_of_other_types_are_refused():
    assert "trees of different types" in refused(GOOD, freeze(GOOD), read=(GOOD,))
    assert "trees of different types" in refused([W, B], (W, B), read=([W, B],))


def test_a_complex_result_for_a_real_tree_is_refused():
    g, nu = jnp.ones(2, jnp.complex64), jnp.ones(2)
    with pytest.raises(
        TypeError, match=r"cannot be stored as float32: .*`abs_sq\(g\)`"
    ):
        tree.map_rule(lambda g, nu: (g, nu + g * g), g, nu)
    _, nu = tree.map_rule(lambda g, nu: (g, nu + tree.abs_sq(g, 0.5)), g * (3 + 4j), nu)
    assert nu.dtype == jnp.float32 and nu.tolist() == [13.5, 13.5]


@pytest.mark.parametrize("returned", [1, 3])
def test_a_rule_returns_as_many_arrays_as_trees(returned):
    """Neither may a tree be lost, nor one that is only read be written."""
    with pytest.raises(ValueError):
        tree.map_rule(lambda g, mu, p: (g,) * returned, GOOD, GOOD, read=(GOOD,))


def test_abs_sq_is_finite_wherever_its_result_is():
    assert tree.abs_sq(jnp.float32(1e20), 1e-3) == pytest.approx(1e37, rel=1e-6)
    z = jnp.array([3e18 + 4e18j, 0j], jnp.complex64)
    np.testing.assert_allclose(tree.abs_sq(z, 0.5), [1.25e37, 0], rtol=1e-6)


def test_zeros_like():
    params = {
        "half": jnp.ones(2, jnp.float16),
        "brain": np.ones(2, jnp.bfloat16),
        "complex": jnp.ones(2, jnp.complex64),
        "python": 1.0,
        "none": None,
    }
    dtypes = lambda zeros: {
        k: z if z is None else z.dtype.name for k, z in zeros.items()
    }
    f32 = dict.fromkeys(params, "float32") | {"none": None}
    assert dtypes(tree.zeros_like(params)) == f32 | {"complex": "complex64"}
    assert dtypes(tree.zeros_like(params, real=True)) == f32
    brain = {k: v for k, v in params.items() if k != "complex"}
    want = dict.fromkeys(brain, "bfloat16") | {"none": None}
    assert dtypes(tree.zeros_like(brain, jnp.bfloat16)) == want
    assert not any(x.any() for x in jax.tree.leaves(tree.zeros_like(params)))


@pytest.mark.parametrize(
    ("leaf", "dtype"),
    [(jnp.ones(2, jnp.int32), "int32"), (np.ones(1, bool), "bool"), (3, "int32")]
    + [(jax.random.key(0), r"key<fry>")],
)
def test_parameters_without_a_gradient_are_refused_by_name(leaf, dtype):
    params = {"a": None, "layer": [jnp.ones(2), {"n": leaf}]}
    for check in (tree.require_floating, tree.zeros_like):
        with pytest.raises(TypeError, match=f"leaf `layer/1/n` is {dtype}:"):
            check(params)


def test_a_rule_may_answer_with_numpy_arrays_and_numbers():
    assert tree.map_rule(lambda g: np.sign(g), jnp.array([2.0, -3.0])).tolist() == [
        1,
        -1,
    ]
    one = tree.map_rule(lambda g: 1.0, jnp.float32(5.0))
    assert one.dtype == jnp.float32 and not one.weak_type and one == 1


def test_statistics_keep_shapes_of_their_own():
    """A mean over an axis, and a number; in the order of trees, statistics, read."""

    def rule(g, row, total, p):
        return g * p, row + g.mean(1), total + g.sum()

    g = {"w": jnp.ones((2, 3), jnp.bfloat16), "none": None}
    row = {"w": jnp.zeros(2), "none": jnp.ones(5)}
    total = {"w": jnp.float32(1), "none": jnp.float32(7)}
    p = {"w": jnp.full((2, 3), 2.0), "none": jnp.ones(4)}
    map_rule = lambda *x: tree.map_rule(rule, x[0], statistics=x[1:3], read=(x[3],))
    for run in (map_rule, jax.jit(map_rule)):
        u, new_row, new_total = run(g, row, total, p)
        assert u["w"].dtype == jnp.bfloat16 and np.all(u["w"] == 2)
        assert new_row["w"].tolist() == [1, 1] and new_total["w"] == 7
        assert u["none"] is None and new_row["none"].shape == (5,)
    with pytest.raises(ValueError, match=r"leaf `w`: the gradient .*parameter .*\(3,"):
        map_rule(g, row, total, {**p, "w": jnp.ones((3, 2))})
    with pytest.raises(ValueError, match=r"shape \(2, 3\), shape \(2,\); it"):
        tree.map_rule(lambda g, row: (g, g), g, statistics=(row,))
