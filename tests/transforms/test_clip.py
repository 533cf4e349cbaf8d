"""Clipping by the global norm over the whole range of floats."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from sizes import sizes

import gdjax as gd

TINY = 1.2e-38  # XLA on CPU flushes what is smaller
FEW = settings(max_examples=80, deadline=None, derandomize=True)


@jax.jit
def clip(g, max_norm):
    tx = gd.clip_by_global_norm(max_norm)
    return tx.update(g, tx.init(g))


@FEW
@given(st.lists(sizes(-30, 30), min_size=5, max_size=5), sizes(-20, 20).map(abs))
@example([1e30] * 5, 1e-20)  # max_norm / norm underflows
@example([1e-30] * 5, 1e-20)
@example([1e20] * 5, 1.0)  # Optax: zeros
@example([1e30, 1e-10, 1, 1, 1], 1e20)  # g / norm underflows, g / norm * max_norm not
@example([3.0, 4.0, 0, 0, 0], 5.0)  # the norm is max_norm
@example([3.0, 4.0, 0, 0, 0], float(np.nextafter(np.float32(5), 0)))
@example([0.0] * 5, 1e-20)
def test_every_element_is_scaled_right_and_the_norm_is_max_norm(values, max_norm):
    g, max_norm = np.array(values, np.float32), float(np.float32(max_norm))
    u, state = clip({"a": g[:3].reshape(3, 1), "b": g[3:]}, max_norm)
    got = np.concatenate([u["a"].ravel(), u["b"]]).astype(np.float64)
    norm = math.hypot(*g.astype(np.float64))
    np.testing.assert_allclose(state.unclipped_norm, norm, rtol=1e-6)
    if norm <= max_norm * (1 - 1e-6):
        np.testing.assert_array_equal(got, g)
        assert state.clip_factor == 1
        return
    # An element that comes out below the normal floats may vanish.
    want = g.astype(np.float64) * min(1, max_norm / norm)
    lost = np.where(np.abs(want) < TINY, TINY, 0)
    assert np.all(np.abs(got - want) <= 1e-6 * np.abs(want) + lost)
    assert math.hypot(*got) == pytest.approx(min(norm, max_norm), rel=1e-6)


def test_an_unclipped_tree_is_the_same_bits():
    x = np.random.default_rng(0).normal(size=2000) * 10.0 ** np.linspace(-4, 4, 2000)
    g = {
        "half": x.astype(np.float16),
        "brain": x.astype(jnp.bfloat16),
        "single": np.append(x, [-0.0, 1e-30]).astype(np.float32),
        "complex": (x + 1j * x[::-1]).astype(np.complex64),
    }
    u, state = clip(g, 1e7)
    for name, x in g.items():
        assert np.asarray(u[name]).tobytes() == x.tobytes(), name
    assert state.clip_factor == 1


def test_complex_leaves_count_with_both_parts():
    g = np.array([3 + 4j, 12j], np.complex64)
    for scale in (1.0, 1e-30, 1e29):
        u, state = clip(scale * g, 0.1 * scale)
        np.testing.assert_allclose(u, scale * g / 130, rtol=1e-6)
        assert state.unclipped_norm == pytest.approx(13 * scale, rel=1e-6)
        assert state.clip_factor == pytest.approx(1 / 130, rel=1e-6)


def test_mixed_dtypes_keep_theirs():
    with jax.enable_x64(True):
        g = {
            "half": np.array([3e4], np.float16),
            "single": np.array([4e4], np.float32),
            "wide": np.array([12e4]),
        }
        u, state = clip(g, 13.0)
        assert {k: x.dtype for k, x in u.items()} == {k: x.dtype for k, x in g.items()}
        got = [u[k].item() for k in g]
        assert got == pytest.approx([3, 4, 12], rel=2e-3)
        assert got[2] == pytest.approx(12, rel=1e-6)
        assert state.unclipped_norm.dtype == jnp.float64
        tiny, _ = clip(np.array([3e-300, 4e-300]), 1e-305)
        np.testing.assert_allclose(tiny, [6e-306, 8e-306], rtol=1e-14)


def test_a_norm_that_is_nan_clips_nothing():
    g = np.array([np.nan, 30.0], np.float32)
    u, state = clip(g, 1.0)
    np.testing.assert_array_equal(u, g)
    assert np.isnan(state.unclipped_norm) and state.clip_factor == 1


def test_an_infinite_gradient_does_not_pass_for_a_finite_one():
    u, state = clip(np.array([np.inf, 30.0], np.float32), 1.0)
    assert not np.isfinite(u[0]) and abs(u[1]) <= 30
    assert np.isinf(state.unclipped_norm)


def test_lanes_of_vmap_clip_apart():
    g = np.outer(np.array([1e-30, 1.0, 1e30], np.float32), [3.0, 4.0]).astype(
        np.float32
    )
    u, _ = jax.vmap(clip)(g, np.array([1.0, 0.5, 1e-20], np.float32))
    norms = [math.hypot(*row) for row in np.asarray(u, np.float64)]
    assert norms == pytest.approx([5e-30, 0.5, 1e-20], rel=1e-6)


def test_usual_values_are_those_of_optax():
    g = {"a": np.linspace(-1, 2, 7, dtype=np.float32), "b": np.ones(3, np.float32)}
    theirs = optax.clip_by_global_norm(0.5)
    want, _ = jax.jit(theirs.update)(g, theirs.init(g))
    got, _ = clip(g, 0.5)
    for name in g:
        np.testing.assert_allclose(got[name], want[name], rtol=1e-6)
