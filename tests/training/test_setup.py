"""From a config to optimizer and model: what goes where, and that nonsense is told."""

import functools
import json
import types

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

import gdjax as gd
from gdjax.training import _setup as setup
from gdjax.training._config import plain, read
from gdjax.training._directory import WorkDirectory

SGD = {"name": "sgd", "learning_rate": 0.5}
RATE = {"name": "linear_schedule", "transition_steps": 10}
RATE |= {"init_value": 1.0, "end_value": 0.0}
CONFIG = {
    "num_steps": 20,
    "data": {"name": "digits", "batch_size": 32},
    "model": {"name": "mlp", "features": [8, 10]},
    "optimizer": SGD,
}
PARAMS = {"kernel": jnp.ones((2, 3)), "bias": jnp.ones(3)}
GRADS = {"kernel": jnp.full((2, 3), 4.0), "bias": jnp.full(3, 2.0)}


@pytest.fixture(autouse=True, scope="module")
def data_loaded_once():
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr(setup, "load", functools.cache(gd.data.load))
        yield


def optimizer(**entries):
    return setup.make_optimizer(read(plain({**CONFIG, **entries})), PARAMS)


def steps(tx, num=2):
    """The updates of the first steps, and the state after them."""
    update = jax.jit(lambda state: tx.update(GRADS, state, PARAMS, value=1.0))
    state, made = tx.init(PARAMS), []
    for _ in range(num):
        updates, state = update(state)
        made.append(updates)
    return made, state


def assert_same_steps(tx, expected):
    jax.tree.map(np.testing.assert_array_equal, steps(tx)[0], steps(expected)[0])


def test_clip_then_optimizer_then_plateau_and_the_average_around():
    plateau = {"name": "reduce_on_plateau", "factor": 0.5, "patience": 1}
    tx = optimizer(
        clip={"name": "clip_by_global_norm", "max_norm": 0.1},
        optimizer={"name": "sgd", "learning_rate": 0.5, "momentum": 0.9},
        plateau=plateau,
        average={"name": "swa", "start_step": 0},
    )
    chain = gd.chain(
        gd.clip_by_global_norm(0.1),
        gd.sgd(0.5, momentum=0.9),
        gd.reduce_on_plateau(0.5, patience=1),
    )
    assert_same_steps(tx, gd.swa(chain, 0))
    made, state = steps(tx)
    assert isinstance(state, gd.averaging.SwaState)
    clipped, sgd, reduced = state.inner_state
    # The second value is no improvement, so half of 1.9 times the first step.
    ratio = made[1]["bias"] / made[0]["bias"]
    np.testing.assert_allclose(ratio, 0.95, rtol=1e-6)
    assert clipped.clip_factor < 0.1 and reduced.scale == 0.5 and len(sgd) == 2


@pytest.mark.parametrize(
    "spec, expected",
    [
        (SGD, gd.sgd(0.5)),
        ([{"name": "trace", "decay": 0.5}, SGD], gd.chain(gd.trace(0.5), gd.sgd(0.5))),
        (
            {"groups": [["bias", SGD], ["", {**SGD, "learning_rate": 0.1}]]},
            gd.partition_by_path([("bias", gd.sgd(0.5)), ("", gd.sgd(0.1))]),
        ),
    ],
)
def test_the_optimizer_may_be_named_or_a_list_or_groups(spec, expected):
    assert_same_steps(optimizer(optimizer=spec), expected)


def test_the_optimizer_may_be_built_already():
    config = read({**CONFIG, "optimizer": gd.sgd(0.25)})
    assert_same_steps(setup.make_optimizer(config), gd.sgd(0.25))


@pytest.mark.parametrize("spec", [SGD, {"name": "sgd"}])
def test_a_schedule_replaces_the_learning_rate(spec):
    first, second = steps(optimizer(optimizer=spec, schedule=RATE))[0]
    np.testing.assert_allclose(first["bias"], -2.0)
    np.testing.assert_allclose(second["bias"], -1.8, rtol=1e-6)


def test_a_rate_is_looked_at_where_it_is_used_and_no_later():
    falling = {**RATE, "end_value": -0.5, "transition_steps": 15}  # 0 at step 10
    message = "`config.schedule` must be finite and >= 0 at every step, is -0"
    with pytest.raises(ValueError, match=rf"^{message}\.(1|09)\d* at step 11\.$"):
        optimizer(schedule=falling, num_steps=12)
    optimizer(schedule=falling, num_steps=11)
    # A thousand steps of a long run, the first and the last of them among these.
    both = [{"name": "constant_schedule", "value": x} for x in (0.5, -0.5)]
    last = {"name": "join_schedules", "schedules": both, "boundaries": [999_999]}
    with pytest.raises(ValueError, match=r"is -0\.5 at step 999999\.$"):
        optimizer(schedule=last, num_steps=10**6)
    optimizer(schedule=last, num_steps=10**6 - 1)


def test_of_a_rate_that_is_not_finite_the_first_step_is_told():
    growing = {"name": "exponential_decay", "init_value": 1e30}
    growing |= {"transition_steps": 1, "decay_rate": 1e3}
    message = (
        "^`config.schedule` must be finite and >= 0 at every step, is inf at step 3"
    )
    with pytest.raises(ValueError, match=message):
        optimizer(schedule=growing)


def test_a_step_is_tried():
    sophia = {"name": "sophia", "learning_rate": 0.1}
    with pytest.raises(
        ValueError, match="^`config.optimizer`: obj_fn must be provided"
    ):
        optimizer(optimizer=sophia)
    setup.make_optimizer(read({**CONFIG, "optimizer": sophia}))

    def update(updates, state, params=None):
        return updates, jax.tree.map(lambda x: x.astype(jnp.bfloat16), state)

    forgetful = optax.GradientTransformation(lambda p: p, update)
    message = "^`config.optimizer`: a step would change a shape or dtype of its state.$"
    with pytest.raises(ValueError, match=message):
        setup.make_optimizer(read({**CONFIG, "optimizer": forgetful}), PARAMS)
    # All that a train step passes is there.
    optimizer(optimizer={"name": "polyak_sgd"})
    optimizer(optimizer={"name": "muon", "learning_rate": 0.1})


def test_shapes_of_parameters_and_data_in_the_dtype_of_the_run():
    config = read({**CONFIG, "dtype": "float64"})
    model, loss_fn = setup.make_loss(config)
    splits, info = setup.make_data(config)
    with jax.enable_x64(True):
        params = setup.make_params(config, model, loss_fn, splits["train"], info)
    assert splits["test"].inputs.dtype == np.float64
    kernel = jax.ShapeDtypeStruct((64, 8), jnp.float64)
    assert params["hidden_0"]["kernel"] == kernel


def test_the_split_and_the_folder_that_are_asked_for(tmp_path):
    config = read({**CONFIG, "data": {**CONFIG["data"], "split_seed": 1}})
    splits, info = setup.make_data(config)
    asked = gd.data.load("digits", seed=1)
    assert info.digest == asked.info.digest
    np.testing.assert_array_equal(
        splits["validation"].targets, asked.validation.targets
    )
    inputs, targets = np.eye(60, 5), np.arange(60) % 3
    np.savez(tmp_path / "mine.npz", inputs=inputs, targets=targets)
    config = read({**CONFIG, "data": {"name": "mine", "batch_size": 5}})
    splits, info = setup.make_data(config, tmp_path)
    assert info.num_classes == 3 and splits["train"].inputs.shape == (42, 5)
    message = "^`config.data.name` must be "
    with pytest.raises(ValueError, match=message):
        setup.make_data(
            read(CONFIG | {"data": {"name": "other", "batch_size": 5}}), tmp_path
        )


def test_a_model_must_be_one(monkeypatch):
    monkeypatch.setattr(setup, "models", types.SimpleNamespace(mlp=lambda features: 3))
    message = "^`config.model` must describe a model, and `mlp` makes none.$"
    with pytest.raises(ValueError, match=message):
        setup.make_loss(read(CONFIG))


def test_stopping_and_checkpoints(tmp_path):
    config = read(
        {
            **CONFIG,
            "early_stopping": {"patience": 5, "mode": "max"},
            "checkpoint": {"every_steps": 10, "keep": 4},
        }
    )
    stopping = setup.make_early_stopping(config)
    assert stopping == gd.training.EarlyStopping(5, mode="max")
    assert setup.make_early_stopping(read(CONFIG)) is None
    directory = WorkDirectory(tmp_path, {})
    checkpoints = setup.make_checkpoints(config, directory)
    assert checkpoints.directory == tmp_path / "checkpoints"
    assert not checkpoints.due(9) and checkpoints.due(10)
    for step in range(1, 8):
        checkpoints.save(step, {"w": np.ones(1)})
    checkpoints.wait()
    assert checkpoints.steps() == [4, 5, 6, 7]


FULL = {
    **CONFIG,
    "steps_per_call": 5,
    "schedule": {"name": "constant_schedule", "value": 0.1},
    "clip": {"name": "clip_by_global_norm", "max_norm": 1.0},
    "plateau": {"name": "reduce_on_plateau", "patience": 3},
    "average": {"name": "swa", "start_step": 15},
    "early_stopping": {"patience": 3},
    "checkpoint": {"every_steps": 5},
    "parallel": {"devices": 2, "strategy": "jit"},
}
NAMES = ["sgd", "lion", "adamq", "chain", "swa", "masked", "huber_loss", "trace"]
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.sampled_from([0, 1, -1, 0.5, 1e3, 10**400])
    | st.floats()
    | st.sampled_from(["", "full", "`b1` is bad"]),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.fixed_dictionaries({"name": st.sampled_from(NAMES)}).flatmap(
            lambda named: st.dictionaries(
                st.sampled_from(["learning_rate", "inner", "decay", "mask", "x"]),
                inner,
                max_size=2,
            ).map(lambda more: {**named, **more})
        )
        | st.dictionaries(
            st.sampled_from(["name", "function", "groups"]), inner, max_size=1
        )
    ),
    max_leaves=3,
)


def places(value, path=()):
    """The path of every entry of a dict, at any depth."""
    for key, inner in value.items() if isinstance(value, dict) else ():
        yield (*path, key)
        yield from places(inner, (*path, key))


@settings(max_examples=60, deadline=None, derandomize=True)
@given(place=st.sampled_from([*places(FULL), ("new",)]), value=JSON)
@example(place=("optimizer",), value={"name": "lookahead", "fast_optimizer": SGD})
@example(
    place=("optimizer",), value={"name": "lion", "learning_rate": 0.1, "mask": {"a": 1}}
)
@example(place=("schedule",), value={"function": "sgd"})
@example(place=("model", "param_dtype"), value="int32")
def test_whatever_stands_in_a_config_a_mistake_is_one_sentence(place, value):
    config = json.loads(json.dumps(FULL))
    *above, last = place
    functools.reduce(dict.__getitem__, above, config)[last] = value
    try:
        prepare(config)
    except ValueError as error:
        assert str(error).startswith("`config") and "\n" not in str(error)


def test_a_list_in_a_list_in_a_list():
    deep = lambda depth: functools.reduce(lambda x, _: [x], range(depth), SGD)
    prepare({**CONFIG, "optimizer": deep(40)})
    message = r"`config\.optimizer\.0\.0.* is nested too deeply\.$"
    for depth in (60, 5000):
        with pytest.raises(ValueError, match=message):
            prepare({**CONFIG, "optimizer": deep(depth)})


def prepare(config):
    """All that a run does before it starts."""
    config = read(plain(config))
    with jax.enable_x64(config.dtype == "float64"):
        setup.make_early_stopping(config)
        model, loss_fn = setup.make_loss(config)
        splits, info = setup.make_data(config)
        params = setup.make_params(config, model, loss_fn, splits["train"], info)
        tx = setup.make_optimizer(config, params)
        batches = setup.make_source(config, splits["train"])
        setup.make_step(config, loss_fn, tx, batches.batch(0))
