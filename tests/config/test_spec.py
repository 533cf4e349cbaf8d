"""Specs against what they stand for, and what is said about a mistake in one."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import gdjax as gd
from gdjax.config import optimizer_from_spec, schedule_from_spec

PARAMS = {"w": jnp.array([1.0, -2.0, 3.0]), "bias": jnp.array([0.5])}
GRADS = {"w": jnp.array([3.0, 4.0, 0.5]), "bias": jnp.array([-1.0])}
RATE = {
    "name": "warmup_cosine_decay_schedule",
    "init_value": 0.0,
    "peak_value": 0.1,
    "warmup_steps": 2,
    "decay_steps": 9,
}
WARMUP = gd.warmup_cosine_decay_schedule(0.0, 0.1, 2, 9)
SGD = {"name": "sgd", "learning_rate": 0.1}
INJECTED = {"name": "inject_hyperparams", "inner_factory": {"function": "sgd"}}
PARTS = 'a dict with a "name", a list of such dicts or groups'


def two_steps(tx):
    state, updates = tx.init(PARAMS), []
    update = jax.jit(tx.update)
    for _ in range(2):
        made, state = update(GRADS, state, PARAMS)
        updates += jax.tree.leaves(made)
    return np.concatenate(updates)


@pytest.mark.parametrize(
    "spec, tx",
    [
        (SGD, gd.sgd(0.1)),
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
                "start_step": 1e0,
                "inner": [
                    {"name": "trace", "decay": 0.5},
                    {"name": "scale", "step_size": 2},
                ],
            },
            optax.chain(optax.trace(0.5), optax.scale(2)),
        ),
        (
            {
                "name": "adamw",
                "learning_rate": 0.1,
                "weight_decay": 0.5,
                "mask": {"function": "decay_mask"},
            },
            gd.adamw(0.1, weight_decay=0.5, mask=gd.decay_mask),
        ),
        (
            {"groups": [["bias$", SGD], ["", [{**SGD, "learning_rate": RATE}]]]},
            gd.partition_by_path([("bias$", gd.sgd(0.1)), ("", gd.sgd(WARMUP))]),
        ),
        (
            {"name": "partition_by_path", "groups": [["", SGD]]},
            gd.partition_by_path([("", gd.sgd(0.1))]),
        ),
        (
            {
                "name": "layerwise_decay",
                "inner": {**INJECTED, "learning_rate": 0.1, "momentum": 0.5},
                "decay": 0.5,
                "depth_of": ["w", "bias"],
            },
            gd.layerwise_decay(gd.sgd(0.1, 0.5), 0.5, ["w", "bias"]),
        ),
        ({"name": "lion", "learning_rate": 0.1}, gd.lion(0.1)),
        ({"name": "zero_nans"}, optax.zero_nans()),
        ({"name": "sgd", "learning_rate": WARMUP}, gd.sgd(WARMUP)),
        ([gd.sgd(0.1), {"name": "identity"}], gd.sgd(0.1)),
        (gd.sgd(0.1), gd.sgd(0.1)),
    ],
)
def test_a_spec_is_the_calls_that_it_names(spec, tx):
    built = optimizer_from_spec(spec, PARAMS)
    np.testing.assert_array_equal(two_steps(built), two_steps(tx))


def test_hyperparameters_of_a_spec_can_be_set():
    tx = optimizer_from_spec({**INJECTED, "learning_rate": 1})
    state = gd.set_hyperparams(tx.init(PARAMS), learning_rate=0.5)
    assert tx.update(GRADS, state, PARAMS)[0]["bias"] == 0.5


def test_gdjax_comes_before_optax():
    state = optimizer_from_spec({"name": "adam", "learning_rate": 0.1}).init(PARAMS)
    is_ours = lambda node: isinstance(node, gd.transforms.ScaleByAdamState)
    assert any(is_ours(x) for x in jax.tree.leaves(state, is_leaf=is_ours))


def test_schedules():
    steps = jnp.arange(12)
    built, expected = (jax.jit(f)(steps) for f in (schedule_from_spec(RATE), WARMUP))
    np.testing.assert_array_equal(built, expected)
    assert schedule_from_spec(0.5)(3) == 0.5 and schedule_from_spec(2)(3) == 2.0
    assert schedule_from_spec(WARMUP) is WARMUP
    spec = {
        "name": "join_schedules",
        "schedules": [{"name": "constant_schedule", "value": v} for v in (1.0, 2.0)],
        "boundaries": [5.0],
    }
    joined = schedule_from_spec(spec)
    assert [float(joined(step)) for step in (4, 5)] == [1.0, 2.0]
    # JSON has strings for keys.
    steps = schedule_from_spec(
        {
            "name": "piecewise_constant_schedule",
            "init_value": 1.0,
            "boundaries_and_scales": {"3": 0.5, "10": 0.1},
        }
    )
    np.testing.assert_allclose(steps(jnp.array([2, 3, 11])), [1, 0.5, 0.05])


LINE = {"name": "linear_schedule", "init_value": 1, "end_value": 0}
LINE |= {"transition_steps": 4.0}
CYCLE = {"init_value": 0, "peak_value": 1, "warmup_steps": 1, "decay_steps": 3}
DROPS = {"name": "piecewise_constant_schedule", "init_value": 1}
DROPS |= {"boundaries_and_scales": {"1": 0.5, "2": 0.1}}


@pytest.mark.parametrize(
    "spec, values",
    [
        ({"name": "with_warmup", "schedule": LINE, "warmup_steps": 2}, [0.5, 1, 0.75]),
        ({"name": "in_epochs", "schedule": DROPS, "steps_per_epoch": 2}, [1, 0.5, 0.5]),
        (
            {"name": "join_schedules", "schedules": [DROPS, LINE], "boundaries": [2]},
            [0.5, 1, 0.75],
        ),
        (
            {
                "name": "swa_schedule",
                "schedule": {
                    "name": "with_warmup",
                    "schedule": LINE,
                    "warmup_steps": 1,
                },
                "swa_value": 0.5,
                "start_step": 2,
                "anneal_steps": 1,
            },
            [1, 0.75, 0.5],
        ),
        ({"name": "sgdr_schedule", "cosine_kwargs": [CYCLE, CYCLE]}, [1, 0.5, 0]),
    ],
)
def test_schedules_of_schedules(spec, values):
    schedule = schedule_from_spec(json.loads(json.dumps(spec)))
    np.testing.assert_allclose(schedule(np.arange(1, 4)), values, atol=1e-7)


@pytest.mark.parametrize(
    "spec, sentence",
    [
        (
            {"name": "adam"},
            "`optimizer.learning_rate` is missing; it must be a number or a schedule.",
        ),
        (
            {"name": "adam", "learning_rate": 1.0, "beta1": 0.9},
            "`optimizer.beta1` is no argument of `adam`; the nearest is 'b1'.",
        ),
        (
            [{"name": "identity", "by": 1}],
            "`optimizer.0.by` is no argument of `identity`.",
        ),
        (
            {"name": "adam", "learning_rate": 1.0, "b1": 1.0},
            "`optimizer.b1` must lie in [0, 1), got 1.0.",
        ),
        (
            {"name": "swa", "start_step": 0, "inner": [{"name": "sgd"}]},
            "`optimizer.inner.0.learning_rate` is missing; it must be a number or a "
            "schedule.",
        ),
        (
            {"name": "sgd", "learning_rate": {**RATE, "decay_steps": 1}},
            "`optimizer.learning_rate.decay_steps` counts the warm-up too and must be "
            "larger than `warmup_steps` = 2, got 1.",
        ),
        (
            {"name": "sgd", "learning_rate": {"name": "sgd", "learning_rate": 1}},
            "`optimizer.learning_rate` must be a number or a schedule, got a "
            "transformation.",
        ),
        (
            RATE,
            "`optimizer` must describe a transformation, and "
            "`warmup_cosine_decay_schedule` makes none.",
        ),
        (
            {"function": "sgd"},
            "`optimizer` must describe a transformation, and `sgd` makes none.",
        ),
        (
            {**INJECTED, "learning_rat": 0.1},
            "`optimizer.learning_rat` is no argument of `sgd`; the nearest is "
            "'learning_rate'.",
        ),
        (
            {**INJECTED, "learning_rate": -0.1},
            "`optimizer.learning_rate` must be finite and >= 0, got -0.1.",
        ),
        (
            {**INJECTED, "static_args": "lr", "learning_rate": 0.1},
            "`optimizer.static_args` must be one of learning_rate, ",
        ),
        ({"nmae": "sgd"}, "`optimizer.name` is missing, only 'nmae' given."),
        ({}, "`optimizer.name` is missing."),
        ([], f"`optimizer` must be {PARTS}, got []."),
        ([SGD, 3], f"`optimizer.1` must be {PARTS}, got 3."),
        ([SGD, [SGD, [None]]], f"`optimizer.1.1.0` must be {PARTS}, got None."),
        (gd.sgd, f"`optimizer` must be {PARTS}, got a function."),
        ({"groups": []}, "`optimizer.groups` must be a list of pairs (regex, "),
        ({"groups": [["(", SGD]]}, "`optimizer.groups.0`: '(' is no regular "),
    ],
)
def test_a_mistake_is_named_by_its_place(spec, sentence):
    with pytest.raises(ValueError) as caught:
        optimizer_from_spec(spec)
    # What ends in a space here goes on in the words of another file.
    said = str(caught.value)
    assert said == sentence or (sentence[-1] == " " and said.startswith(sentence))


@pytest.mark.parametrize(
    "spec, sentence",
    [
        (
            {"groups": [["bais", SGD], ["", SGD]]},
            "`tx.groups.0`: the pattern 'bais' gets no parameter: ",
        ),
        (
            [SGD, {"groups": [["bias", SGD]]}],
            "`tx.1`: parameter `w`: no pattern of ['bias'] is found in this path; ",
        ),
        (
            {"name": "lion", "learning_rate": 0.1, "mask": {"a": True}},
            "`tx.mask` must have the structure of the parameters, or of their ",
        ),
    ],
)
def test_with_parameters_init_is_tried(spec, sentence):
    optimizer_from_spec(spec, path="tx")
    shapes = jax.eval_shape(lambda: PARAMS)
    for params in (PARAMS, shapes):
        with pytest.raises(ValueError) as caught:
            optimizer_from_spec(spec, params, path="tx")
        assert str(caught.value).startswith(sentence) and "\n" not in str(caught.value)


def test_with_parameters_nothing_is_computed():
    huge = {"w": jax.ShapeDtypeStruct((10**6, 10**6), jnp.float32)}
    optimizer_from_spec({"name": "adam", "learning_rate": 0.1}, huge)


@pytest.mark.parametrize(
    "spec, sentence",
    [
        (True, '`rate` must be a number or a dict with a "name", got True.'),
        ("fast", "`rate` must be a number or a dict with a \"name\", got 'fast'."),
        (None, '`rate` must be a number or a dict with a "name", got None.'),
        (float("nan"), "`rate` must be finite, got nan."),
        ({"value": 1.0}, "`rate.name` is missing, only 'value' given."),
        (SGD, "`rate` must describe a schedule, and `sgd` makes none."),
        (
            {"function": "sgd"},
            "`rate` must describe a schedule, and `sgd` makes none.",
        ),
        (
            {"function": "decay_mask"},
            "`rate` must describe a schedule, and `decay_mask` makes none.",
        ),
        (
            {"function": "constant_schedule"},
            "`rate` must describe a schedule, and `constant_schedule` makes none.",
        ),
        (
            {"name": "with_warmup", "schedule": 0.1, "warmup_steps": 5},
            "`rate.schedule` must be a schedule, got 0.1.",
        ),
        (
            {"name": "join_schedules", "schedules": [LINE] * 3, "boundaries": [2, 2]},
            "`rate.boundaries` must rise, got [2, 2].",
        ),
        (
            {**DROPS, "boundaries_and_scales": {"1": 0.5, "3": -1}},
            "`rate.boundaries_and_scales.3` must be finite and >= 0, got -1.",
        ),
        (
            {"name": "sgdr_schedule", "cosine_kwargs": [CYCLE, {**CYCLE, "steps": 1}]},
            "`rate.cosine_kwargs.1`: got an unexpected keyword argument 'steps'.",
        ),
        (
            {"name": "constant_schedule", "value": "fast"},
            "`rate.value` must be a number, got 'fast'.",
        ),
    ],
)
def test_what_is_no_schedule(spec, sentence):
    with pytest.raises(ValueError) as caught:
        schedule_from_spec(spec, path="rate")
    assert str(caught.value) == sentence
