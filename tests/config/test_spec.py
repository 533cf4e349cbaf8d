"""Specs against what they stand for, and what is said about a mistake in one."""

import types

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import gdjax as gd
from gdjax.config import build, call, optimizer_from_spec, schedule_from_spec

PARAMS = {"w": jnp.array([1.0, -2.0, 3.0])}
GRADS = {"w": jnp.array([3.0, 4.0, 0.5])}


def two_steps(tx):
    state, updates = tx.init(PARAMS), []
    for _ in range(2):
        update, state = tx.update(GRADS, state, PARAMS)
        updates.append(update["w"])
    return np.stack(updates)


RATE = {
    "name": "warmup_cosine_decay_schedule",
    "init_value": 0.0,
    "peak_value": 0.1,
    "warmup_steps": 2,
    "decay_steps": 9,
}
WARMUP = gd.warmup_cosine_decay_schedule(0.0, 0.1, 2, 9)


@pytest.mark.parametrize(
    "spec, tx",
    [
        ({"name": "sgd", "learning_rate": 0.1}, gd.sgd(0.1)),
        ({"name": "sgd", "learning_rate": RATE}, gd.sgd(WARMUP)),
        (
            [
                {"name": "clip_by_global_norm", "max_norm": 1.0},
                {"name": "adam", "learning_rate": 0.1, "b1": 0.5},
            ],
            gd.chain(gd.clip_by_global_norm(1.0), gd.adam(0.1, b1=0.5)),
        ),
        (
            {
                "name": "swa",
                "start_step": 1,
                "inner": [
                    {"name": "trace", "decay": 0.5},
                    {"name": "scale", "step_size": 2},
                ],
            },
            optax.chain(optax.trace(0.5), optax.scale(2)),
        ),
        ({"name": "lion", "learning_rate": 0.1}, optax.lion(0.1)),
        ({"name": "nadam", "learning_rate": 0.1}, optax.nadam(0.1)),
        ({"name": "sgd", "learning_rate": WARMUP}, gd.sgd(WARMUP)),
        (gd.sgd(0.1), gd.sgd(0.1)),
    ],
)
def test_a_spec_is_the_calls_that_it_names(spec, tx):
    np.testing.assert_array_equal(two_steps(optimizer_from_spec(spec)), two_steps(tx))


def test_gdjax_comes_before_optax():
    state = optimizer_from_spec({"name": "adam", "learning_rate": 0.1}).init(PARAMS)
    is_ours = lambda node: isinstance(node, gd.transforms.ScaleByAdamState)
    assert any(is_ours(x) for x in jax.tree.leaves(state, is_leaf=is_ours))


def test_schedules():
    steps = jnp.arange(12)
    np.testing.assert_array_equal(schedule_from_spec(RATE)(steps), WARMUP(steps))
    assert schedule_from_spec(0.5)(3) == 0.5
    spec = {
        "name": "join_schedules",
        "schedules": [{"name": "constant_schedule", "value": v} for v in (1.0, 2.0)],
        "boundaries": [5],
    }
    joined = schedule_from_spec(spec)
    assert [float(joined(step)) for step in (4, 5)] == [1.0, 2.0]


@pytest.mark.parametrize(
    "spec, message",
    [
        (
            {"name": "adamq"},
            "`optimizer.name`: 'adamq' is unknown; the nearest is 'adam'",
        ),
        ({"name": ["adam"]}, r"`optimizer.name`: \['adam'\] is unknown"),
        ({"name": "adam"}, "`optimizer.learning_rate` is missing"),
        (
            {"name": "adam", "learning_rate": 1.0, "beta1": 0.9},
            "`optimizer.beta1` is no argument of `adam`; the nearest is 'b1'",
        ),
        (
            [{"name": "identity", "by": 1}],
            r"`optimizer.0.by` is no argument of `identity`\.",
        ),
        (
            {"name": "adam", "learning_rate": -1.0},
            "`optimizer`: `learning_rate` must be finite and >= 0, got -1.0",
        ),
        (
            {"name": "swa", "start_step": 0, "inner": [{"name": "sgd"}]},
            "`optimizer.inner.0.learning_rate` is missing",
        ),
        (
            {"name": "sgd", "learning_rate": {**RATE, "decay_steps": 1}},
            "`optimizer.learning_rate`: `decay_steps`",
        ),
        (RATE, "`optimizer` must describe a transformation"),
        ([], "`optimizer` must describe a transformation"),
        ([{"name": "sgd", "learning_rate": 0.1}, 3], "must describe a transformation"),
        (None, "`optimizer` must describe a transformation, got None"),
    ],
)
def test_a_mistake_is_named_by_its_place(spec, message):
    with pytest.raises(ValueError, match=message):
        optimizer_from_spec(spec)


@pytest.mark.parametrize("spec", [True, "fast", {"name": "sgd", "learning_rate": 1.0}])
def test_what_is_no_schedule(spec):
    with pytest.raises(ValueError, match="`rate` must describe a schedule"):
        schedule_from_spec(spec, path="rate")


def test_calls_and_modules_of_any_kind():
    def f(a, *rest, b=2, **more):
        return a, rest, b, more

    def g(a, /):
        return a

    assert call(f, {"a": 1, "c": 3}, path="f") == (1, (), 2, {"c": 3})
    with pytest.raises(ValueError, match="`f.a` is missing"):
        call(f, {"b": 1}, path="f")
    with pytest.raises(ValueError, match="`g.a` is no argument of `g`"):
        call(g, {"a": 1}, path="g")
    first, second = types.ModuleType("first"), types.ModuleType("second")
    first.f, second.f, second.g, second._h = lambda: 1, lambda: 2, lambda x: [x], call
    assert build({"name": "f"}, [first, second], path="x") == 1
    assert build({"name": "g", "x": {"y": (1, 2)}}, [second], path="x") == [
        {"y": (1, 2)}
    ]
    with pytest.raises(ValueError, match="'_h' is unknown"):
        build({"name": "_h"}, [second], path="x")
