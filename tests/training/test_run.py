"""A whole run: what it computes, prints and keeps, and what it refuses to start."""

import csv
import json

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
FILES = ["config.json", "curves.png", "metrics.csv", "metrics.jsonl", "results.json"]


def test_a_run_and_a_second_call(tmp_path, capsys, monkeypatch):
    result = run(CONFIG, tmp_path / "job")
    out = capsys.readouterr().out
    assert result is not None and result.stopped == "num_steps"
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
    monkeypatch.setattr("gdjax.training._run._train", None)
    assert run(CONFIG, tmp_path / "job") is None
    again = capsys.readouterr().out
    table = out[out.index("split  ") :]
    assert again == f"{table}finished before; to train anew: rm -r {tmp_path / 'job'}\n"
    assert table.count("\n") == 6 and "job/curves.png" in table

    with pytest.raises(
        ValueError, match="holds a run of another config: `config.seed`"
    ):
        run({**CONFIG, "seed": 3}, tmp_path / "job")


def test_a_loss_that_is_not_finite_has_no_results_but_a_picture(tmp_path):
    config = {
        **{key: CONFIG[key] for key in ("num_steps", "data", "model", "log_every")},
        "optimizer": {"name": "sgd", "learning_rate": 1e38},
    }
    result = run(config, tmp_path)
    assert result is not None and result.stopped.startswith("non-finite loss at step ")
    assert sorted(path.name for path in tmp_path.iterdir()) == FILES[:-1]
    assert (tmp_path / "metrics.csv").read_text().splitlines()[-1].count("nan") > 0


def test_f64_on_two_devices_under_pmap(capsys):
    config = {
        **{key: CONFIG[key] for key in ("num_steps", "data", "optimizer")},
        "model": {"name": "mlp", "features": [10]},
        "dtype": "float64",
        "parallel": {"devices": 2, "strategy": "pmap"},
    }
    result = run(config)
    assert result is not None
    kernel = result.state.params["output"]["kernel"]
    assert kernel.dtype == np.float64 and len(kernel.devices()) == 2
    assert not jax.config.jax_enable_x64
    assert capsys.readouterr().out.startswith("devices  2 x cpu\n")


def changed(**entries):
    return {key: x for key, x in {**CONFIG, **entries}.items() if x != "absent"}


@pytest.mark.parametrize(
    "config, message",
    [
        (changed(num_steps="absent"), "`config.num_steps` is missing"),
        (changed(num_step=1), "`config.num_step` .*the nearest is 'num_steps'"),
        (changed(num_steps=0), "`num_steps` must lie in"),
        (changed(seed=-1), "`seed` must lie in"),
        (changed(dtype="bfloat16"), "`dtype` must be one of float32, float64"),
        (changed(data="digits"), "`data` must be a dict"),
        (changed(data={"name": "digits"}), "`config.data.batch_size` is missing"),
        (changed(data={"name": "cat", "batch_size": 1}), "`config.data`: `name`"),
        (
            changed(data={"name": "digits", "batch_size": 0}),
            "config.data`: `batch_size`",
        ),
        (changed(parallel={"devices": -1}), "`config.parallel`: `devices`"),
        (changed(parallel={"strategy": "tpu"}), "`strategy` must be one of jit, pmap"),
        (changed(parallel={"devices": 3}), "got 32 with 3 devices"),
        (changed(parallel={"devices": 8}), "8 devices, but only 4"),
        (changed(model={"features": [1]}), "`model` must be a dict with a name"),
        (
            changed(model={"name": "mpl"}),
            "`config.model.name`: 'mpl'.*nearest is 'mlp'",
        ),
        (changed(criterion="hinge"), "`config`: `criterion`"),
        (
            changed(optimizer={"name": "sgd", "learning_rate": -1}),
            "config.optimizer`: `lea",
        ),
        (
            changed(schedule={"name": "sgd"}),
            "`config.schedule.learning_rate` is missing",
        ),
        (
            changed(clip={"name": "clip_by_global_norm"}),
            "`config.clip.max_norm` is missing",
        ),
        (changed(average={"name": "swa"}), "`config.average.start_step` is missing"),
        (changed(steps_per_call=0), "`steps_per_call`"),
        (changed(log_every=0), "`log_every`"),
    ],
)
def test_a_config_with_a_mistake_is_not_started(config, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        run(config, tmp_path / "job")
    assert not (tmp_path / "job").exists()
