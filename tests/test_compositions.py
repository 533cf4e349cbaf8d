"""Chains of up to five transformations over random trees keep the laws of their parts.

`COMPOSITIONS=10000 pytest -m long tests/test_compositions.py --hypothesis-seed=N`
tries as many as one likes.
"""

import os
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from quick import QUICK
from registry import CHECKS
from test_laws import BROKEN

import gdjax as gd

NUM_EXAMPLES = int(os.environ.get("COMPOSITIONS", "60"))
EXCEPTIONS = {name for name, law in BROKEN if law in "1345"}
PIECES = sorted(set(CHECKS) - EXCEPTIONS)


@dataclass(frozen=True)
class Leaf:
    shape: tuple[int, ...]
    dtype: type
    has_gradient: bool


def leaves(dtypes):
    return st.one_of(
        st.builds(
            Leaf,
            st.sampled_from([(), (3,), (2, 3), (0, 2)]),
            st.sampled_from(dtypes),
            st.integers(0, 9).map(bool),
        ),
        st.none(),
        st.just(optax.MaskedNode()),
    )


def trees(dtypes):
    return st.recursive(
        leaves(dtypes),
        lambda inner: (
            st.dictionaries(st.sampled_from("abc"), inner, min_size=1, max_size=3)
            | st.lists(inner, max_size=3)
            | st.lists(inner, max_size=2).map(tuple)
        ),
        max_leaves=5,
    )


def built(names):
    """The chain with its decays at 0, and whether it still decays."""
    links, decays = [], False
    for name in names:
        check = CHECKS[name]
        still = {k: 0.0 for k in check["numbers"] if k.startswith("weight_decay")}
        links.append(check["make"](**{**check["numbers"], **still}))
        decays = decays or (check.get("decays", False) and not still)
    return gd.chain(*links), decays


def drawn(rng, tree, gradient=False):
    """Arrays for the leaves of `tree`; f32 gradients for bf16 parameters."""

    def array(leaf):
        if not isinstance(leaf, Leaf) or (gradient and not leaf.has_gradient):
            return leaf if not isinstance(leaf, Leaf) else None
        x = 10 ** rng.uniform(-1.5, 0, leaf.shape) * rng.choice((-1, 1), leaf.shape)
        if leaf.dtype is jnp.complex64:
            x = x * (1 + 0.5j)
        wide = gradient and leaf.dtype is jnp.bfloat16
        return jnp.asarray(x, jnp.float32 if wide else leaf.dtype)

    return jax.tree.map(array, tree)


def kinds(tree):
    """Structure, shapes, dtypes and weak types, as one thing to compare."""
    leaves, structure = jax.tree.flatten(jax.eval_shape(lambda: tree))
    return structure, [(x.shape, x.dtype, x.weak_type) for x in leaves]


def wide(tree):
    """The same in f64, where rounding is out of the reach of any cancellation."""
    kind = lambda x: jnp.promote_types(x.dtype, jnp.float64)
    return jax.tree.map(lambda x: jnp.asarray(x, kind(x)), tree)


def close(one, two, params):
    """To 1e-6 of the update, and to rounding of the parameters that COCOB subtracts."""

    def leaf(a, b, p):
        largest = lambda x: np.max(np.abs(np.asarray(x)), initial=0)
        return largest(a - b) <= 1e-6 * largest(b) + 1e-14 * largest(p)

    present = lambda p, u: None if u is None else p
    params = jax.tree.map(present, params, two, is_leaf=lambda x: x is None)
    return jax.tree.all(jax.tree.map(leaf, one, two, params))


@pytest.mark.long
@settings(
    max_examples=NUM_EXAMPLES,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.too_slow],
)
@given(data=st.data())
def test_chains_keep_the_laws(data):
    names = data.draw(st.lists(st.sampled_from(PIECES), min_size=1, max_size=5))
    dtypes = [jnp.float32, jnp.bfloat16, jnp.float16, jnp.complex64]
    tree = {"all": data.draw(trees(dtypes))}  # no `None` alone: it says "no params"
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    (tx, decays), params = built(names), drawn(rng, tree)
    try:
        state = tx.init(params)
    except TypeError as error:
        assert "complex" in str(error)  # some rules have no meaning there
        return
    steps = [drawn(rng, tree, gradient=True) for _ in range(2)]

    start = state
    for g in steps:
        updates, state = tx.update(g, state, params)
        assert kinds(updates) == kinds(g)  # 4: the gradient's dtypes, absent ones stay
        assert kinds(state) == kinds(start)  # 1

    with jax.enable_x64(True):
        compiled = jax.jit(tx.update, compiler_options=QUICK)
        params64, state = wide(params), tx.init(wide(params))
        for g in map(wide, steps):
            jitted, _ = compiled(g, state, params64)
            updates, state = tx.update(g, state, params64)
            assert close(jitted, updates, params64)  # 3

    zero = jax.tree.map(jnp.zeros_like, steps[0])
    still, after = tx.update(zero, start, params)
    assert decays or not any(np.any(u) for u in jax.tree.leaves(still))  # 5
    finite = lambda x: (
        not jnp.issubdtype(x.dtype, jnp.inexact)
        or np.all(
            np.isfinite(np.asarray(x).astype(complex)) | (np.asarray(x) == np.inf)
        )
    )
    assert jax.tree.all(jax.tree.map(finite, after))
