"""A command that is stopped from outside: by a signal, by a lock, by a full disk."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TRAIN = [
    *(sys.executable, "-W", "error", ROOT / "experiments" / "train.py"),
    f"--config={ROOT / 'configs' / 'digits_mlp.py'}",
    "--config.model.features=[16,10]",
    "--config.num_steps=100000",
]


@pytest.fixture
def train(tmp_path):
    environment = {**os.environ, "XDG_CACHE_HOME": str(tmp_path / "cache")}

    def start(*arguments, before=()):
        return subprocess.Popen(
            [*before, *TRAIN, "--workdir=w", *arguments],
            cwd=tmp_path,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    return start


def rows(path):
    return path.read_text().count("\n") if path.exists() else 0


def test_a_signal_and_a_second_run(train, tmp_path):
    first = train()
    while rows(tmp_path / "w" / "metrics.csv") < 5:
        assert first.poll() is None, first.communicate()
        time.sleep(0.02)
    second = train()
    said, error = second.communicate()
    assert (second.returncode, said) == (2, "") and error.startswith(
        f"error: `workdir` w is in use by process {first.pid} on "
    )
    first.send_signal(signal.SIGTERM)
    said, error = first.communicate()
    assert (first.returncode, error) == (143, "")
    *_, last = said.splitlines()
    newest = max(int(path.name) for path in (tmp_path / "w/checkpoints").iterdir())
    assert last == (
        f"stopped  SIGTERM at step {newest} of 100000; to go on, start it again"
    )
    # Every step that was made is a row.
    with open(tmp_path / "w" / "metrics.jsonl") as lines:
        steps = [json.loads(line)["step"] for line in lines]
    assert steps == list(range(25, newest + 1, 25))
    assert not (tmp_path / "w" / "results.json").exists()


def test_a_full_disk(train, tmp_path):
    """The rows no longer fit: nothing is half there but the last line of a table."""
    limit = ["bash", "-c", 'ulimit -f 10; exec "$@"', "limited"]  # kB
    run = train("--nocompilation_cache", before=limit)
    said, error = run.communicate()
    assert run.returncode == 1
    assert error.count("\n") == 1 and error.endswith(": File too large\n"), error
    assert error.startswith("error: w/metrics.")
    assert json.loads((tmp_path / "w" / "config.json").read_text())["num_steps"] == 1e5
    assert not list((tmp_path / "w").glob(".*.json"))
