"""The command line of the main job, from the config file to the exit status."""

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
EXPERIMENTS = ROOT / "experiments"
CONFIG = ROOT / "configs" / "digits_mlp.py"
PYTHON = [sys.executable, "-W", "error"]


def module(path):
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None and spec.loader is not None
    loaded = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(loaded)
    return loaded


@pytest.fixture
def train(tmp_path):
    def start(*arguments):
        return subprocess.run(
            [*PYTHON, EXPERIMENTS / "train.py", "--nocompilation_cache", *arguments],
            cwd=tmp_path,
            capture_output=True,
            text=True,
        )

    return start


@pytest.mark.parametrize(
    "arguments, sentence",
    [
        (
            [f"--config={CONFIG}", "--wokdir=a"],
            "no flag --wokdir; the nearest is --work",
        ),
        (["--config=cut.json"], "cut.json, line 1: Expecting value"),
        (
            [f"--config={CONFIG}", "--config.optimizer.learning_rat=1"],
            "`config.optimizer.learning_rat` .* nearest is 'learning_rate'",
        ),
        (
            [f"--config={CONFIG}", "--config.optimizer.b1=1.0"],
            r"`config.optimizer.b1` must lie in \[0, 1\), got 1.0",
        ),
        (
            [f"--config={CONFIG}", "--data_dir=.", "--config.data.name=broken"],
            "broken.npz: expected a .npz file, found no zip of arrays",
        ),
        ([f"--config={CONFIG}", "--workdir=cut.json"], "cut.json"),
    ],
    ids=["flag", "file", "name", "range", "data", "workdir"],
)
def test_a_mistake_is_one_line_and_exit_status_2(train, tmp_path, arguments, sentence):
    (tmp_path / "cut.json").write_text('{"num_steps": ')
    (tmp_path / "broken.npz").write_text("a table")
    failed = train(*arguments)
    assert (failed.returncode, failed.stdout) == (2, "")
    assert re.match(f"error: .*{sentence}", failed.stderr), failed.stderr
    assert failed.stderr.count("\n") == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "broken.npz",
        "cut.json",
    ]


def test_help_is_a_page_of_80_columns(train):
    helped = train("--wokdir", "--help")
    assert (helped.returncode, helped.stderr) == (0, "")
    page = helped.stdout
    assert page.startswith("Trains what a config describes")
    assert max(map(len, page.splitlines())) <= 79
    for section in (
        "Usage:",
        "Examples:",
        "Changing the config:",
        "Flags:",
        "The work directory holds",
        "Stopping and going on:",
        "Exit status:",
    ):
        assert f"\n{section}\n" in page
    found = re.findall(r"^  --(\S+)\n {6}\w", page, re.M)
    booleans = ["[no]compilation_cache", "[no]traceback"]
    assert sorted(found) == sorted(["config", "data_dir", "workdir", *booleans])
    statuses = re.findall(r"^  (\d+) +\w", page, re.M)
    assert list(map(int, statuses)) == [0, 1, 2, 75, 130, 143]


def test_the_script_trains_what_it_is_asked_to(monkeypatch):
    monkeypatch.syspath_prepend(EXPERIMENTS)
    script = module(EXPERIMENTS / "train.py")
    monkeypatch.setattr("gdjax.training.run", lambda *args, **named: (args, named))
    job = script._command.Job({"seed": 1}, Path("w"), Path("d"))
    assert script.train(job) == (({"seed": 1}, Path("w")), {"data_dir": Path("d")})


@pytest.fixture
def script(tmp_path):
    """A process of a script of one's own, whose function that trains is `body`."""
    (tmp_path / "job.json").write_text("{}")

    def start(*body):
        lines = [
            "import sys, _command",
            "def train(job):",
            *(f"    {line}" for line in body),
            "argv = ['x', '--nocompilation_cache', '--config=job.json']",
            "sys.exit(_command.main(train, None, argv))",
        ]
        return subprocess.Popen(
            [*PYTHON, "-c", "\n".join(lines)],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(EXPERIMENTS)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    return start


def test_a_reader_that_goes_away_is_one_line(script):
    with script("while True: print('step', flush=True)") as process:
        assert process.stdout.readline() == "step\n"
        process.stdout.close()
        assert process.stderr.read() == "error: Broken pipe\n"
    assert process.returncode == 1


@pytest.mark.parametrize("name, status", [("SIGINT", 130), ("SIGTERM", 143)])
def test_a_signal_outside_of_training(script, name, status):
    kill = f"os.kill(os.getpid(), signal.{name})"
    process = script("import os, signal", kill, "print('still there')")
    assert process.communicate() == ("", "") and process.returncode == status


def test_what_jax_refuses_inside_of_gdjax_is_a_bug(script):
    inner = "jax.jit(lambda x: x, compiler_options={'a': 1})"
    call = f"jax.eval_shape(lambda: {inner}(1.0))"
    module = "{'__name__': 'gdjax.x', 'jax': jax}"
    process = script("import jax", f"exec({call!r}, {module})")
    out, error = process.communicate()
    assert (process.returncode, out) == (1, "")
    assert error.startswith("Traceback") and "compiler_options" in error


def test_what_hangs_together_in_the_config_scales_together():
    config = module(CONFIG).get_config()
    config.num_steps, config.optimizer.learning_rate = 800, 0.5
    assert config.schedule.warmup_steps == 80 and config.schedule.decay_steps == 800
    assert config.average.start_step == 600
    assert config.schedule.peak_value == 0.5 and config.schedule.end_value == 0.25
    config.schedule.decay_steps = 900
    assert config.num_steps == 800
