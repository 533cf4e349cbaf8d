"""A whole run: what it computes, prints and keeps, and what it refuses to start."""

import csv
import json
import shlex
import shutil
import sys

import jax
import numpy as np
import pytest

import gdjax as gd
from gdjax.training import make_eval_step, run, supervised

CONFIG = {
    "num_steps": 20,
    "steps_per_call": 5,
    "log_every": 5,
    "eval_every": 10,
    "data": {"name": "digits", "batch_size": 32, "split_seed": 1},
    "model": {"name": "mlp", "features": [8, 10]},
    "optimizer": {"name": "sgd", "learning_rate": 0.1},
    "schedule": {
        "name": "warmup_cosine_decay_schedule",
        "init_value": 0.0,
        "peak_value": 0.1,
        "warmup_steps": 5,
        "decay_steps": 20,
    },
    "clip": {"name": "clip_by_global_norm", "max_norm": 1.0},
    "average": {"name": "swa", "start_step": 15},
}
FILES = [
    ".lock",
    "checkpoints",
    "config.json",
    "curves.png",
    "events",
    "metrics.csv",
    "metrics.jsonl",
    "results.json",
    "weights",
]


def test_a_run_and_a_second_call(tmp_path, capsys, monkeypatch):
    result = run(CONFIG, tmp_path / "job")
    out = capsys.readouterr().out
    assert result.stopped == "num_steps"
    assert out.startswith(
        "devices  1 x cpu\n"
        "data     digits: 1,259 train, 269 validation, 269 test examples; SHA-256 "
    )
    assert "\nmodel    mlp: 610 parameters\n" in out and "compile" in out
    assert sorted(path.name for path in (tmp_path / "job").iterdir()) == FILES

    # The results are those of the parameters that came out, on the split asked for.
    splits = gd.data.load("digits", seed=1)
    model = gd.models.mlp([8, 10])
    evaluate = make_eval_step(supervised(model, "cross_entropy"))
    average = gd.averaged_params(result.state.opt_state, result.state.params)
    results = json.loads((tmp_path / "job/results.json").read_text())
    assert list(results) == ["train", "validation", "test"]
    for split, of_split in results.items():
        assert list(of_split) == ["last", "average"]
        for iterate, params in (("last", result.state.params), ("average", average)):
            assert list(of_split[iterate]) == ["loss", "accuracy"]
            if split == "train":
                continue  # another shape, to be compiled for anew
            state = result.state._replace(params=params)
            expected = evaluate(state, getattr(splits, split))
            for name, value in of_split[iterate].items():
                assert value == pytest.approx(float(expected[name]), rel=1e-5)
    assert results["train"]["average"] != results["train"]["last"]

    # The rows of both files are the history.
    history = result.history
    assert history["step"] == [5, 10, 15, 20]
    assert history["learning_rate"][0] == pytest.approx(0.08)
    np.testing.assert_array_equal(
        np.isnan(history["validation_loss"]), [True, False, True, False]
    )
    assert history["validation_accuracy"][-1] == pytest.approx(
        results["validation"]["last"]["accuracy"]
    )
    with open(tmp_path / "job/metrics.csv") as file:
        rows = list(csv.DictReader(file))
    lines = (tmp_path / "job/metrics.jsonl").read_text().splitlines()
    for name, column in history.items():
        np.testing.assert_array_equal([float(row[name]) for row in rows], column)
        values = [json.loads(line)[name] for line in lines]
        assert [np.nan if x is None else x for x in values] == pytest.approx(
            column, nan_ok=True
        )

    # A second call prints the table and the picture's path again, and trains nothing.
    files = {path: path.stat().st_mtime_ns for path in (tmp_path / "job").rglob("*")}
    monkeypatch.setattr("gdjax.training._step.TrainStep.__call__", None)
    capsys.readouterr()
    second = run(CONFIG, tmp_path / "job")
    again = capsys.readouterr().out
    table = out[out.index("split  ") : out.index("stopped  ")]
    assert again == f"{table}complete; to train anew: rm -r {tmp_path / 'job'}\n"
    assert table.count("\n") == 7 and "job/curves.png" in table
    assert second.stopped == "num_steps"
    jax.tree.map(np.testing.assert_array_equal, second.state[:4], result.state[:4])
    jax.tree.map(np.testing.assert_array_equal, second.history, history)
    # So it does without the checkpoints, which take the most space.
    shutil.rmtree(tmp_path / "job" / "checkpoints")
    # Neither a default that is spelled out nor a time limit makes it another run.
    third = run({**CONFIG, "seed": 0, "time_limit": 9.0}, tmp_path / "job")
    assert capsys.readouterr().out == again
    assert third.state is None and third.stopped == "complete" and third.complete
    jax.tree.map(np.testing.assert_array_equal, third.history, history)
    for path in (tmp_path / "job").rglob("*"):
        assert path == tmp_path / "job" or path.stat().st_mtime_ns == files[path]

    with pytest.raises(
        ValueError, match="a run of another config: `config.seed` is 0 there and 3 here"
    ):
        run({**CONFIG, "seed": 3}, tmp_path / "job")


def test_more_steps_continue_a_finished_run(tmp_path, capsys):
    run(CONFIG, tmp_path)
    first = (tmp_path / "metrics.csv").read_text()
    capsys.readouterr()
    # What a run writes is a config too.
    config = json.loads((tmp_path / "config.json").read_text())
    result = run({**config, "num_steps": 30, "log_every": 10}, tmp_path)
    said = capsys.readouterr().out
    assert said.startswith(
        "changed  config.num_steps: 20 -> 30\nchanged  config.log_every: 5 -> 10\n"
    )
    assert f"resumed from step 20, {tmp_path}/checkpoints/20\n" in said
    assert said.endswith("stopped  num_steps at step 30 of 30\n")
    assert result.history["step"] == [5, 10, 15, 20, 30]
    assert (tmp_path / "metrics.csv").read_text().startswith(first)
    there = json.loads((tmp_path / "config.json").read_text())
    assert there["num_steps"] == 30
    (change,) = there["provenance"]["changes"]
    assert change["changed"] == [
        "config.num_steps: 20 -> 30",
        "config.log_every: 5 -> 10",
    ]
    files = {path: path.read_bytes() for path in tmp_path.glob("*.*")}
    with pytest.raises(ValueError, match="`config.num_steps` must be >= 30, .* got 25"):
        run({**CONFIG, "num_steps": 25}, tmp_path)
    assert {path: path.read_bytes() for path in tmp_path.glob("*.*")} == files


def test_what_a_run_says_of_itself(tmp_path):
    run({**CONFIG, "num_steps": 5}, tmp_path)
    record = json.loads((tmp_path / "config.json").read_text())["provenance"]
    digest = gd.data.load("digits", seed=1).info.digest
    assert record["data"] == {"name": "digits", "digest": digest}
    assert record["versions"]["jax"] == jax.__version__
    assert record["versions"]["gdjax"] == gd.__version__
    assert record["device"]["platform"] == "cpu" and record["changes"] == []
    assert record["command"] == shlex.join(sys.orig_argv)
    assert set(record) >= {"started", "commit"}


BASE = {key: CONFIG[key] for key in ("data", "model", "optimizer", "log_every")}


def test_the_evaluation_of_a_state_is_that_of_all_its_examples():
    """Means over examples: a small last batch counts for less."""
    splits = gd.data.load("digits", seed=1)
    model, tx = gd.models.mlp([8, 10]), gd.swa(gd.sgd(0.1), 0)
    loss_fn = supervised(model, "cross_entropy")
    step = gd.training.make_train_step(loss_fn, tx)
    state = gd.training.init_state(
        model, tx, jax.random.key(0), splits.train.inputs[:1]
    )
    state, _ = step(state, jax.tree.map(lambda x: x[:32], splits.train))
    state, _ = step(state, jax.tree.map(lambda x: x[32:64], splits.train))
    average = gd.averaged_params(state.opt_state, state.params)
    whole = make_eval_step(loss_fn)
    expected = {
        "last": whole(state, splits.test),
        "average": whole(state._replace(params=average), splits.test),
    }
    assert expected["last"] != expected["average"]
    for batch_size in (1000, 269, 100, 268):  # 268: the last batch is one example
        evaluate = gd.training.make_evaluate(
            loss_fn, averaged=True, batch_size=batch_size
        )
        for iterate, metrics in evaluate(state, splits.test).items():
            for name, value in metrics.items():
                assert value == pytest.approx(float(expected[iterate][name]), rel=1e-6)
    with pytest.raises(ValueError, match="`batch_size`"):
        gd.training.make_evaluate(loss_fn, batch_size=0)


def test_a_loss_that_is_not_finite_has_no_results_but_a_picture(tmp_path):
    config = {
        **{key: CONFIG[key] for key in ("num_steps", "data", "model", "log_every")},
        "optimizer": {"name": "sgd", "learning_rate": 1e38},
    }
    result = run(config, tmp_path)
    assert result.stopped.startswith("non-finite loss at step ")
    assert "; the first bad leaf of step " in result.stopped
    assert result.stopped.endswith("; the last good checkpoint: none")
    files = [
        name for name in FILES if name not in ("checkpoints", "results.json", "weights")
    ]
    assert sorted(path.name for path in tmp_path.iterdir()) == files
    assert (tmp_path / "metrics.csv").read_text().splitlines()[-1].count("nan") > 0


def test_f64_on_two_devices_under_pmap(capsys):
    config = {
        **{key: CONFIG[key] for key in ("num_steps", "data", "optimizer")},
        "model": {"name": "mlp", "features": [10]},
        "dtype": "float64",
        "parallel": {"devices": 2, "strategy": "pmap"},
    }
    result = run(config)
    kernel = result.state.params["output"]["kernel"]
    assert kernel.dtype == np.float64 and len(kernel.devices()) == 2
    assert not jax.config.jax_enable_x64
    assert capsys.readouterr().out.startswith("devices  2 x cpu\n")


def test_a_regression_is_in_units_of_the_spread_of_its_targets(capsys):
    """A linear model on standardised targets: 1 - mse is the share explained."""
    config = {
        "num_steps": 60,
        "steps_per_call": 20,
        "data": {"name": "diabetes", "batch_size": "full"},
        "model": {"name": "mlp", "features": [1]},
        "criterion": "mse",
        "optimizer": {"name": "sgd", "learning_rate": 0.1},
        "log_every": 20,
    }
    result = run(config)
    assert 0.4 < result.history["loss"][-1] < 0.55
    rows = capsys.readouterr().out.splitlines()[-5:-1]
    assert [row.split()[0] for row in rows] == ["split", "train", "validation", "test"]
    assert all(0.25 < float(row.split()[1]) < 0.6 for row in rows[1:])
    wrong = {**config, "model": {"name": "mlp", "features": [2]}}
    with pytest.raises(ValueError, match=r"`config.criterion`: .*shape.*\(1, 2\)"):
        run(wrong)


@pytest.mark.long
def test_text_is_learned_character_by_character(tmp_path, capsys):
    (tmp_path / "verse.txt").write_text("abcab" * 3000)
    config = {
        "num_steps": 40,
        "data": {
            "name": "verse",
            "batch_size": 16,
            "sequence_length": 20,
            "eval_batch_size": 50,
        },
        "model": {"name": "recurrent", "cell": "gru", "width": 8, "num_outputs": 3},
        "optimizer": {"name": "adam", "learning_rate": 0.05},
        "log_every": 20,
    }
    config["model"]["vocabulary"] = 3
    result = run(config, data_dir=tmp_path)
    # Only after "ab" it takes more than one character to know the next.
    assert result.history["validation_loss"][-1] < 0.3
    too_few = {**config, "model": {**config["model"], "num_outputs": 2}}
    with pytest.raises(ValueError, match="must have 3 outputs, one for each class"):
        run(too_few, data_dir=tmp_path)
    few = {**config, "model": {**config["model"], "vocabulary": 2}}
    with pytest.raises(ValueError, match="vocabulary` must be >= 3, the number of"):
        run(few, data_dir=tmp_path)
    with pytest.raises(ValueError, match="`config.data.sequence_length` must"):
        run(
            {
                **config,
                "data": {"name": "digits", "batch_size": 8, "sequence_length": 9},
            }
        )
