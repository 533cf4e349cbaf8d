"""Norms over the whole range of floats against `math.hypot`, and kept roundings."""

import math
import re

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from jax.sharding import AxisType, NamedSharding
from jax.sharding import PartitionSpec as P

from gdjax import tree

FEW = settings(max_examples=80, deadline=None, derandomize=True)
TINY, HUGE = 1.2e-38, 3.3e38  # XLA on CPU flushes what is smaller


def sizes(low, high):
    """Floats of either sign with an exponent of ten between the two, and zeros."""
    size = st.builds(
        lambda m, e: m * 10.0**e, st.floats(1.2, 3.3), st.floats(low, high)
    )
    signed = st.builds(lambda x, sign: sign * x, size, st.sampled_from((-1, 1)))
    return st.one_of(st.just(0.0), signed)


def hypot(*leaves):
    """sqrt(sum |x|^2) in f64 without overflow."""
    parts = [np.asarray(x).astype(np.complex128).ravel() for x in leaves]
    return math.hypot(*(part for x in parts for part in (*x.real, *x.imag)))


@FEW
@given(st.lists(sizes(-38, 38), min_size=7, max_size=7))
@example([1e20] * 7)  # squares overflow
@example([3e38] * 7)  # and so does the norm: inf
@example([1e-23] * 7)  # squares vanish
@example([TINY] * 7)
@example([HUGE, -TINY, 0, 0, 0, 0, 0])
@example([1.9e19, 1e10, 0, 0, 0, 0, 0])  # the largest square is in range, just
@example([2e-16, 3e-16, 1.1e-19, -1e-19, 1e-19, 1e-19, 1e-19])  # the plain sum's end
@example([1.1e-19, 1.05e-19, 1e-19, 1e-19, 1e-19, 1e-19, 1e-19])  # only some vanish
@example([0.0] * 7)
def test_global_norm_in_f32(values):
    x = np.array(values, np.float32)
    norm = tree.global_norm({"a": x[:4], "b": [x[4:].reshape(3, 1)]})
    assert norm.dtype == jnp.float32
    with np.errstate(over="ignore"):
        want = np.float32(hypot(x))
    np.testing.assert_allclose(norm, want, rtol=1e-6)


@FEW
@given(
    st.lists(sizes(-300, 300), min_size=2, max_size=2),
    st.lists(sizes(-37, 37), min_size=4, max_size=4),
    st.lists(sizes(-4, 4), min_size=2, max_size=2),
)
@example([1e-200, 0.0], [0.0] * 4, [0.0] * 2)  # a scale for f64 is inf in f32
@example([1e-25, 0.0], [1e-20] * 4, [0.0] * 2)  # the square of the f32 leaf vanishes
@example([1e-25, 0.0], [1e30] * 4, [0.0] * 2)  # or overflows
@example([1e300, 1e300], [1e30] * 4, [1e4] * 2)
@example([0.0] * 2, [0.0] * 4, [1e-4] * 2)
def test_global_norm_of_mixed_dtypes(wide, single, half):
    with jax.enable_x64(True):
        leaves = {
            "f64": np.array(wide),
            "c64": np.array(single[:2], np.float32).view(np.complex64),
            "f32": np.array(single[2:], np.float32),
            "f16": np.array(half[:1], np.float16),
            "bf16": np.array(half[1:], jnp.bfloat16),
        }
        norm = tree.global_norm(leaves)
        assert norm.dtype == jnp.float64
        want = hypot(*leaves.values())
        np.testing.assert_allclose(norm, want, rtol=1e-6)
        if not np.any(single) and not np.any(half):
            np.testing.assert_allclose(norm, want, rtol=1e-14)


@pytest.mark.parametrize(
    ("leaves", "want"),
    [
        ({}, 0.0),
        ({"a": None, "b": optax.MaskedNode(), "c": np.zeros((0, 3))}, 0.0),
        ({"a": None, "b": 3.0, "c": np.full((), 4, np.int32)}, 5.0),
        (np.full(4, 60000.0, np.float16), 120000.0),
        (np.full(4, 2.0**127, jnp.bfloat16), math.inf),
        (np.array([math.inf, 1]), math.inf),
        (np.array([-math.inf, 1e-30]), math.inf),
        (np.array([math.nan, 1]), math.nan),
        ([np.array([math.nan, 1]), np.array([math.inf, 1e30])], math.nan),
        (np.array([3e30 + 4e30j], np.complex64), 5e30),
        (np.array([complex(1e-30, math.inf)], np.complex64), math.inf),
        (np.array([math.nan + 1j], np.complex64), math.nan),
    ],
)
def test_global_norm_of_special_trees(leaves, want):
    norm = tree.global_norm(leaves)
    assert norm.dtype == jnp.float32
    np.testing.assert_allclose(norm, np.float32(want), rtol=1e-6)


@pytest.mark.parametrize("value", [0.0, 1e-30, 1e30])
def test_norms_of_constants_survive_the_folding_of_xla(value):
    """(f x)^2 as f^2 x^2 would be inf 0: gradients of what nothing depends on."""
    x = jnp.full(4, value)

    @jax.jit
    def norms():
        found = tree.global_norm(x), tree.leaf_norm(x), tree.leaf_norms([x])[0]
        return found, [norm == 0 for norm in found]

    np.testing.assert_allclose(norms()[0], 2 * x[:3], rtol=1e-6)


def test_lanes_of_vmap_are_scaled_apart():
    scales = np.array([1e-30, 1.0, 0.0, 1e30, math.inf, math.nan, 1e-10], np.float32)
    x = np.outer(scales, [3.0, 4.0]).astype(np.float32)
    norms = jax.vmap(tree.global_norm)({"w": x})
    np.testing.assert_allclose(norms, 5 * scales, rtol=1e-6)


def test_the_gradient_of_the_norm_is_the_unit_vector():
    x = np.outer([1e-25, 1.0, 1e25], [3.0, -4.0]).astype(np.float32)
    gradients = jax.jit(jax.vmap(jax.grad(tree.global_norm)))(x)
    np.testing.assert_allclose(gradients, [[0.6, -0.8]] * 3, rtol=1e-6)


def leaves_of(dtype):
    return [jnp.ones((64, 32), dtype), jnp.ones((64, 33), dtype)]


def cost(fun, *args):
    # A new function, for jax remembers the traces of an old one.
    compiled = jax.jit(lambda *args: fun(*args)).lower(*args).compile()
    analysis = compiled.cost_analysis()
    return analysis["bytes accessed"], analysis["flops"], compiled.as_text()


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_a_usual_norm_costs_what_optax_norm_costs(dtype, monkeypatch):
    """Bytes and fusions of all that runs where the sum of squares is in range."""
    leaves, norm = leaves_of(dtype), tree.global_norm.__wrapped__
    _, _, whole = cost(norm, leaves)
    entry = whole[whole.index("ENTRY") :]
    monkeypatch.setattr(jax.lax, "cond", lambda plain, usual, rare: usual())
    ours, flops, text = cost(norm, leaves)
    wide = lambda t: optax.tree.norm([x.astype(jnp.float32) for x in t])
    theirs, optax_flops, optax_text = cost(wide, leaves)
    assert ours <= 1.001 * theirs and flops <= optax_flops + 10
    assert text.count(" fusion(") <= optax_text.count(" fusion(")
    # The branch that is cold takes the leaves as they are, and no copy of them.
    assert " copy(" not in entry and "conditional(" in entry
    assert entry.count(" fusion(") <= optax_text.count(" fusion(") + 1


def test_the_norm_does_not_depend_on_the_precision_of_matrix_products():
    """On a TPU or GPU the default one is that of bf16 or tf32: 1e-3."""
    text = lambda: jax.jit(tree.global_norm.__wrapped__).lower(jnp.ones(3)).as_text()
    with jax.default_matmul_precision("float32"):
        highest = text()
    assert text() == highest


@pytest.mark.parametrize("axes", [AxisType.Auto, AxisType.Explicit])
@pytest.mark.parametrize("spec", [P("x"), P(None, "x")])
def test_a_sharded_leaf_is_not_gathered(axes, spec):
    mesh = jax.make_mesh((4,), ("x",), axis_types=(axes,))
    x = jnp.arange(128.0).reshape(8, 16)
    x = jax.device_put(x, NamedSharding(mesh, spec))
    with jax.set_mesh(mesh):
        compiled = jax.jit(tree.global_norm.__wrapped__).lower(x).compile()
    moved = set(
        re.findall(r"(all-\w+|collective-\w+|reduce-scatter)\(", compiled.as_text())
    )
    assert moved == {"all-reduce"}
    np.testing.assert_allclose(compiled(x), hypot(x), rtol=1e-6)


def test_next_params_are_rounded_like_the_callers():
    """In one program the f32 view of an iterate has no more bits than the iterate."""
    brain = np.array([1.0, -3.0], jnp.bfloat16)
    half = np.array([1.0, 3e-5], np.float16)  # the second is subnormal
    u = np.array([1e-4, 1.234e-6], np.float32)
    p = {"brain": brain, "half": half, "brain, f32": brain, "half, f32": half}
    us = {"brain": u.astype(brain.dtype), "half": u.astype(half.dtype)}
    us |= {"brain, f32": u, "half, f32": u}
    # The view apart: beside the iterate itself XLA may read that.
    iterate = jax.jit(tree.next_params)(p, us)
    view = jax.jit(lambda p, u: jax.tree.map(jnp.float32, tree.next_params(p, u)))(
        p, us
    )
    for name, x in p.items():
        caller = (x.astype(np.float32) + us[name].astype(np.float32)).astype(x.dtype)
        assert iterate[name].dtype == x.dtype
        np.testing.assert_array_equal(iterate[name], caller)
        np.testing.assert_array_equal(view[name], caller.astype(np.float32))
    assert view["brain"].tolist() == [1, -3] and view["half"][1] > 3e-5


def test_next_params_leave_absent_leaves():
    masked, one = optax.MaskedNode(), jnp.ones(1)
    p = {"a": one, "b": one, "c": None, "d": masked, "e": one}
    u = {"a": one, "b": None, "c": None, "d": masked, "e": masked}
    new = tree.next_params(p, u)
    assert new["a"] == 2 and new["b"] is one and new["e"] is one
    assert new["c"] is None and new["d"] is masked
    complex_sum = tree.next_params(jnp.ones(1, jnp.complex64), jnp.full(1, 2j))
    assert complex_sum.dtype == jnp.complex64 and complex_sum[0] == 1 + 2j


@pytest.mark.parametrize(
    ("x", "want"),
    [
        (np.array([3e-37, 4e-37]), 5e-37),
        (np.array([3e37, 4e37, 1e-30]), 5e37),
        (np.array([[3.0, 4.0], [0.0, 12.0]]), 13.0),
        (np.array([3e30 + 4e30j, 0]), 5e30),
        (np.float32(-2.0), 2.0),
        (np.zeros(3), 0.0),
        (np.zeros((0, 3)), 0.0),
        (np.array([1.0, -math.inf]), math.inf),
        (np.array([math.nan, 1.0]), math.nan),
    ],
)
def test_the_norm_of_one_leaf(x, want):
    x = x.astype(np.complex64 if np.iscomplexobj(x) else np.float32)
    norm = tree.leaf_norm(x)
    assert norm.dtype == jnp.float32
    np.testing.assert_allclose(norm, np.float32(want), rtol=1e-6)


@pytest.mark.parametrize("size", [1e-30, 1.0, 1e30])
@pytest.mark.parametrize("zero", [False, True])
def test_the_norms_of_all_leaves(size, zero):
    """Usual ones, one that needs the other branch, and a leaf of zeros or none."""
    x = {
        "a": size * jnp.array([3.0, 4.0]),
        "b": jnp.full((2, 2), 60000.0, jnp.float16),
        "c": jnp.array([0.3 + 0.4j]),
        "d": [jnp.zeros(3) if zero else None, optax.MaskedNode(), jnp.zeros((0, 3))],
    }
    norms = tree.leaf_norms(x)
    want = {"a": 5 * size, "b": 120000.0, "c": 0.5, "d": [0.0 if zero else None]}
    want["d"] += [optax.MaskedNode(), 0.0]
    assert jax.tree.structure(norms) == jax.tree.structure(want)
    assert {n.dtype.name for n in jax.tree.leaves(norms)} == {"float32"}
    for got, norm in zip(jax.tree.leaves(norms), jax.tree.leaves(want), strict=True):
        np.testing.assert_allclose(got, norm, rtol=1e-6)
