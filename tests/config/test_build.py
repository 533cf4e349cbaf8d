"""Names in modules: which one wins, what is bound, which name is the nearest."""

import functools
import types

import numpy as np
import optax
import pytest

import gdjax as gd
from gdjax.config import build, resolve


def module(**functions):
    made = types.ModuleType("made")
    vars(made).update(functions)
    return made


def listed(x):
    return [x]


FIRST = module(f=lambda: 1)
SECOND = module(f=lambda: 2, g=listed, _h=print, number=3, Class=dict)


def test_the_first_module_that_has_a_name_wins():
    assert build({"name": "f"}, [FIRST, SECOND], path="x") == 1
    assert build({"name": "f"}, [SECOND, FIRST], path="x") == 2
    assert resolve("sgd", path="x") is gd.sgd
    assert resolve("zero_nans", path="x") is optax.zero_nans
    assert resolve("mechanize", path="x") is optax.contrib.mechanize


def test_what_is_no_call_stays_as_it_is():
    assert build({"name": "g", "x": {"y": (1, 2)}}, [SECOND], path="x") == [
        {"y": (1, 2)}
    ]
    for data in (None, True, "a", 2, [], {}, [1, {"a": [None]}], {"groups": 3}):
        assert build(data, [SECOND], path="x") == data
    assert build(gd.sgd, path="x") is gd.sgd


def test_a_function_is_bound_and_not_called():
    assert build({"function": "decay_mask"}, path="x") is gd.decay_mask
    half = build({"function": "sgd", "learning_rate": 1e3}, path="x")
    assert isinstance(half, functools.partial) and half.func is gd.sgd
    assert half.keywords == {"learning_rate": 1000.0}
    nested = {"name": "g", "x": {"function": "f"}}
    assert build(nested, [SECOND], path="x") == [SECOND.f]


@pytest.mark.parametrize(
    "spec, sentence",
    [
        ({"name": "_h"}, "`x.name`: '_h' is unknown; the nearest is 'g'."),
        ({"name": "number"}, "`x.name`: 'number' is unknown; the nearest is 'g'."),
        ({"name": "Class"}, "`x.name`: 'Class' is unknown; the nearest is 'g'."),
        ({"name": 3}, "`x.name` must be a string, got 3."),
        ({"function": []}, "`x.function` must be a string, got []."),
        (
            {"function": "g", "y": 1},
            "`x.y` is no argument of `listed`; the nearest is 'x'.",
        ),
        ({"a": [0.0, float("inf")]}, "`x.a.1` must be finite, got inf."),
        ({"name": "g", "x": {"name": "g"}}, "`x.x.x` is missing."),
    ],
)
def test_mistakes(spec, sentence):
    with pytest.raises(ValueError) as caught:
        build(spec, [SECOND], path="x")
    assert str(caught.value) == sentence


@pytest.mark.parametrize(
    "name, near",
    [
        ("adamq", "adam"),
        ("AdamW", "adamw"),
        ("SGD", "sgd"),
        ("sdg", "sgd"),
        ("cosine", "cosine_decay_schedule"),
        ("warmup_cosine", "warmup_cosine_decay_schedule"),
        ("clip_by_norm", "clip_by_block_norm"),
        ("decay_masq", "decay_mask"),
        ("rmsprob", "rmsprop"),
        ("reduce_lr_on_plateau", "reduce_on_plateau"),
    ],
)
def test_the_nearest_name(name, near):
    with pytest.raises(ValueError, match=f"is unknown; the nearest is '{near}'.$"):
        resolve(name, path="x")


def test_groups_are_a_partition_by_path():
    rate = lambda value: {"name": "sgd", "learning_rate": value}
    tx = build({"groups": [["b", rate(0.5)], ["", [rate(0.1)]]]}, path="x")
    assert isinstance(tx, optax.GradientTransformation)
    params = {"w": np.ones(2), "b": np.ones(2)}
    updates, _ = tx.update(params, tx.init(params), params)
    np.testing.assert_allclose(updates["b"], -0.5)
    np.testing.assert_allclose(updates["w"], -0.1, rtol=1e-6)
