"""Gradients, parameters and states that do not belong together, for every transform."""

import jax
import jax.numpy as jnp
import pytest
from registry import CHECKS

import gdjax as gd

W, B = jnp.ones((2, 3)), jnp.ones(3)
GOOD = {"layer": {"w": W, "b": B}, "scale": jnp.float32(1.0)}


def tree(**changed):
    """GOOD with other leaves; `...` takes one out."""
    layer = {k: v for k, v in {"w": W, "b": B, **changed}.items() if v is not ...}
    top = {k: layer.pop(k) for k in ("scale", "more") if k in layer}
    top = {"layer": layer, "scale": jnp.float32(1.0), **top}
    return {k: v for k, v in top.items() if v is not ...}


# {what is wrong: (gradients, parameters, the words of the answer)}
UPDATES = {
    "transposed": (tree(w=W.T), GOOD, "layer/w", "(3, 2)", "(2, 3)"),
    "batch axis left": (tree(b=jnp.ones((4, 3))), GOOD, "layer/b", "(4, 3)", "(3,)"),
    "would broadcast": (tree(b=jnp.ones(1)), GOOD, "layer/b", "(1,)", "(3,)"),
    "scalar gradient": (tree(w=jnp.float32(1)), GOOD, "layer/w", "()", "(2, 3)"),
    "vector for scalar": (tree(scale=B), GOOD, "scale", "(3,)", "()"),
    "empty gradient": (tree(b=jnp.ones(0)), GOOD, "layer/b", "(0,)", "(3,)"),
    "missing leaf": (tree(b=...), GOOD, "layer/b", "no such leaf", "(3,)"),
    "missing layer": ({"scale": jnp.float32(1)}, GOOD, "layer/", "no such leaf"),
    "surplus leaf": (tree(more=B), GOOD, "more", "(3,)", "no such leaf"),
    "renamed leaf": (tree(b=..., c=B), GOOD, "layer/", "no such leaf"),
    "no gradients": ({}, GOOD, "layer/", "no such leaf"),
    "integer gradient": (tree(w=jnp.ones((2, 3), int)), GOOD, "layer/w", "int32"),
    "bool gradient": (tree(b=B > 0), GOOD, "layer/b", "bool"),
    "complex gradient": (tree(b=1j * B), GOOD, "layer/b", "complex"),
    "no parameter": (GOOD, tree(w=None), "layer/w", "(2, 3)", "nothing"),
}
PARAMS = {
    "integer": (tree(w=jnp.ones((2, 3), int)), "layer/w", "int32"),
    "bool": (tree(b=B > 0), "layer/b", "bool"),
    "typed key": (tree(scale=jax.random.key(0)), "scale", "key"),
    "uint8": (tree(more=jnp.ones(4, jnp.uint8)), "more", "uint8"),
}
NAMES = [name for name in CHECKS if "," not in name]


def built(name):
    check = CHECKS[name]
    return check["make"](**check["numbers"]) if check["numbers"] else check["make"]()


def refusal(function, *arguments):
    try:
        jax.eval_shape(function, *arguments)
    except (ValueError, TypeError) as error:
        return str(error)
    return "nothing"


@pytest.mark.parametrize("name", NAMES)
def test_every_malformed_tree_is_answered_with_the_leaf(name):
    tx = built(name)
    for what, (g, p, *words) in UPDATES.items():
        # Where a link sees no parameter, the learning rate's link compares.
        whole = gd.chain(tx, gd.scale_by_learning_rate(1.0))
        said = refusal(lambda g, p: whole.update(g, whole.init(GOOD), p), g, p)
        assert all(word in said for word in words), f"{what}: {said}"
    for what, (p, *words) in PARAMS.items():
        said = refusal(tx.init, p)
        assert all(word in said for word in words), f"{what}: {said}"


def test_there_are_enough_of_them():
    assert len(NAMES) * (len(UPDATES) + len(PARAMS)) >= 120
