"""Averages in a run: evaluated with statistics of their own, kept, and started from."""

import json

import jax
import numpy as np
import pytest

import gdjax as gd
from gdjax.training import _setup as setup
from gdjax.training import averaged_state, run
from gdjax.training._config import read

SGD = {"name": "sgd", "learning_rate": 0.1}
CONFIG = {
    "num_steps": 20,
    "steps_per_call": 10,
    "log_every": 10,
    "data": {"name": "digits", "batch_size": 32, "eval_batch_size": 500},
    "model": {"name": "mlp", "features": [8, 10], "normalization": "batch"},
    "optimizer": SGD,
    "average": {"name": "ema_params", "decay": 0.9},
    "recalibrate_examples": 1000,
}
MODEL = gd.models.mlp([8, 10], normalization="batch")
DATA = gd.data.load("digits")


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    workdir = tmp_path_factory.mktemp("runs") / "first"
    return workdir, run(CONFIG, workdir)


def restored(workdir, iterate, like):
    kept = gd.training.Checkpoints(workdir / "weights" / iterate)
    like = {"params": like.params, "model_state": like.model_state}
    return kept.restore(like)


def equal(a, b):
    return jax.tree.all(jax.tree.map(np.array_equal, a, b))


def test_the_average_has_the_statistics_of_the_training_examples(finished):
    """In 2 passes of 500: those of the first 1000 through the averaged first layer."""
    workdir, result = finished
    state = averaged_state(
        MODEL, result.state, np.split(DATA.train.inputs[:1000], [500])
    )
    average = gd.averaged_params(result.state.opt_state, result.state.params)
    assert jax.tree.all(
        jax.tree.map(lambda a, b: np.allclose(a, b, 1e-6), state.params, average)
    )
    kernel = np.asarray(average["hidden_0"]["kernel"], np.float64)
    hidden = DATA.train.inputs[:1000].astype(np.float64) @ kernel
    norm = state.model_state["norm_0"]
    np.testing.assert_allclose(norm["mean"], hidden.mean(0), rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(norm["var"], hidden.var(0), rtol=1e-4)

    loss_fn = gd.training.supervised(MODEL, "cross_entropy")
    evaluate = gd.training.make_eval_step(loss_fn)
    results = json.loads((workdir / "results.json").read_text())
    for split, examples in zip(("train", "validation", "test"), DATA, strict=False):
        want = float(evaluate(state, examples)["loss"])
        assert results[split]["average"]["loss"] == pytest.approx(want, rel=1e-5)
    stale = state._replace(model_state=result.state.model_state)
    assert abs(float(evaluate(stale, DATA.test)["loss"]) / want - 1) > 1e-3
    rows = result.history["average_validation_loss"]
    assert rows[-1] == pytest.approx(results["validation"]["average"]["loss"])


def test_both_are_kept_and_a_run_starts_from_either(finished, tmp_path):
    workdir, result = finished
    step, last = restored(workdir, "last", result.state)
    assert step == 20 and equal(last["params"], result.state.params)
    _, average = restored(workdir, "average", result.state)
    assert not equal(average, last)
    # One step of a rate of 0 leaves them where they are.
    still = {"name": "sgd", "learning_rate": 0.0}
    for iterate, kept in (("average", average), ("last", last)):
        start = {"workdir": str(workdir), "iterate": iterate}
        config = CONFIG | {
            "num_steps": 1,
            "steps_per_call": 1,
            "optimizer": still,
            "average": {
                "name": "lookahead",
                "sync_period": 5,
                "slow_step_size": 0.5,
            },
            "start": start,
        }
        state = run(config).state
        assert equal(state.params, kept["params"]) and state.step == 1
        assert equal(state.opt_state.slow, kept["params"])


def test_an_optimizer_that_averages_needs_no_other_average(tmp_path, capsys):
    sparse = {key: x for key, x in CONFIG.items() if key != "average"}
    config = sparse | {
        "optimizer": {"name": "schedule_free_adamw", "learning_rate": 0.01}
    }
    result = run(config | {"metric": "average_validation_loss"})
    out = capsys.readouterr().out
    assert "average: loss" in out and "average_validation_loss" in result.history
    with pytest.raises(ValueError, match="`config.metric` must be one of"):
        run(sparse | {"metric": "average_validation_loss"})


AVERAGES = {
    "swa": dict(start_step=5),
    "ema_params": dict(decay=0.99, warmup=10),
    "lawa": dict(every=5, window=3),
    "snapshots": dict(every=10, keep=2, start_step=9),
    "lookahead": dict(sync_period=5, slow_step_size=0.5),
    "schedule_free": dict(learning_rate=0.1),
}


@pytest.mark.parametrize("name", AVERAGES)
def test_every_average_by_config(name):
    config = read(CONFIG | {"average": {"name": name, **AVERAGES[name]}})
    params = {"w": np.ones((3, 2), np.float32)}
    state = setup.make_optimizer(config, params).init(params)
    assert gd.averaging.average_names(state) == [name]


def test_of_several_averages_the_outermost_is_evaluated():
    optimizer = {"name": "lookahead", "fast_optimizer": SGD}
    optimizer |= {"sync_period": 5, "slow_step_size": 0.5}
    config = read(CONFIG | {"optimizer": optimizer})
    tx = setup.make_optimizer(config, {"w": np.ones(2, np.float32)})
    state = gd.training.init_state(MODEL, tx, jax.random.key(0), DATA.train.inputs[:1])
    make = setup.make_average(config, MODEL, state, DATA.train)
    moved = gd.tree.map_rule(lambda a: a + 1, state.opt_state.average)
    opt_state = state.opt_state._replace(average=moved, weight=np.float32(1))
    assert equal(make(state._replace(opt_state=opt_state)).params, moved)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"workdir": "nowhere"}, "`config.start.workdir` must be a complete run that"),
        ({"iterate": "best"}, "`config.start.iterate` must be one of last, average"),
        ({"file": 1}, "`config.start.file` is unknown"),
    ],
)
def test_a_start_that_is_refused(finished, change, words):
    start = {"workdir": str(finished[0])} | change
    with pytest.raises(ValueError, match=words):
        run(CONFIG | {"start": start})


@pytest.mark.parametrize("start", ["runs/first", True, ["runs/first"]])
def test_a_start_is_a_dict_or_none(start):
    with pytest.raises(ValueError, match="`config.start` must be a dict or None, got"):
        read(CONFIG | {"start": start})
    assert read(CONFIG | {"start": None}).start is None


def test_a_start_with_another_model_names_the_leaf(finished):
    model = CONFIG["model"] | {"features": [9, 10]}
    with pytest.raises(ValueError, match=r"`config.start.workdir`: .*norm_0/mean` is"):
        run(CONFIG | {"model": model, "start": {"workdir": str(finished[0])}})
