"""The command line of the main job, from the config file to the exit status."""

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CONFIG = ROOT / "configs" / "digits_mlp.py"


@pytest.fixture
def train(tmp_path):
    def start(*arguments):
        # ml_collections loads configs in a deprecated way.
        python = [sys.executable, "-W", "error", "-W", "ignore::DeprecationWarning"]
        script = ROOT / "experiments" / "train.py"
        return subprocess.run(
            [
                *python,
                script,
                f"--config={CONFIG}",
                "--nocompilation_cache",
                *arguments,
            ],
            cwd=tmp_path,
            capture_output=True,
            text=True,
        )

    return start


def test_the_main_job_and_a_second_call(train, tmp_path):
    few = ["--config.num_steps=50", "--config.model.features=(16, 16, 10)"]
    first = train(*few)
    assert (first.returncode, first.stderr) == (0, "")
    assert "step 50/50" in first.stdout and "compile" in first.stdout
    workdir = tmp_path / "runs" / "digits_mlp"
    results = json.loads((workdir / "results.json").read_text())
    accuracy = results["test"]["average"]["accuracy"]
    assert 0.3 < accuracy <= 1 and f"{accuracy:.2%}" in first.stdout
    config = json.loads((workdir / "config.json").read_text())
    assert config["model"]["features"] == [16, 16, 10]
    assert config["average"]["start_step"] == 37

    second = train(*few)
    assert (second.returncode, second.stderr) == (0, "")
    assert "to train anew: rm -r runs/digits_mlp" in second.stdout
    assert f"{accuracy:.2%}" in second.stdout and "step" not in second.stdout


@pytest.mark.parametrize(
    "argument, message",
    [
        ("--config.optimizer.learning_rat=1", 'Did you mean "learning_rate"'),
        (
            "--config.optimizer.learning_rate=-1",
            "`learning_rate` must be finite and >=",
        ),
    ],
)
def test_a_mistake_is_one_line_and_exit_status_2(train, argument, message):
    failed = train(argument)
    assert (failed.returncode, failed.stdout) == (2, "")
    assert failed.stderr.startswith("error: ") and failed.stderr.count("\n") == 1
    assert message in failed.stderr


def test_what_hangs_together_in_the_config_scales_together():
    spec = importlib.util.spec_from_file_location("digits_mlp", CONFIG)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    config = module.get_config()
    config.num_steps, config.optimizer.learning_rate = 800, 0.5
    assert config.schedule.warmup_steps == 80 and config.schedule.decay_steps == 800
    assert config.average.start_step == 600
    assert config.schedule.peak_value == 0.5 and config.schedule.end_value == 0.25
