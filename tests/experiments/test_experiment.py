"""What experiments share: flags, files that are whole, results that are JSON."""

import csv
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure

ROOT = Path(__file__).parents[2] / "experiments"


@pytest.fixture
def module(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(ROOT)
    monkeypatch.chdir(tmp_path)
    import _experiment

    yield _experiment
    sys.modules.pop("_experiment")


def nothing(experiment):
    raise AssertionError("this must not be reached")


def test_what_an_experiment_keeps(module, capsys):
    def measure(experiment):
        assert list(experiment.seeds) == [0, 1] and experiment.quick
        assert list(experiment.progress([3, 4], "numbers")) == [3, 4]
        experiment.table("rows", [{"a": 1, "b": 0.5}, {"a": 2, "b": np.inf}])
        experiment.table("columns", {"a": np.arange(2), "b": [0.5, 1.5]})
        experiment.figure("picture", Figure((1, 1)))
        measured = {"x": np.float64(2.5), "many": np.array([1.0, np.nan]), "n": [1, 2]}
        experiment.verdict(7, "noise helps", "holds when it is small", measured)

    argv = ["experiments/noise.py", "--seeds=2", "--quick"]
    assert module.main(measure, "Noise.", argv) == 0
    out = capsys.readouterr().out
    assert "numbers (2)\n" in out and "    many: 1, nan\n" in out
    assert "\nClaim 7: noise helps\n  holds when it is small\n    x: 2.5\n" in out
    folder = Path("runs/noise_quick")
    assert (folder / "columns.csv").read_text().split() == ["a,b", "0,0.5", "1,1.5"]
    names = ["columns.csv", "picture.png", "results.json", "rows.csv"]
    assert sorted(path.name for path in folder.iterdir()) == names
    with open(folder / "rows.csv", newline="") as file:
        assert list(csv.reader(file)) == [["a", "b"], ["1", "0.5"], ["2", "inf"]]
    results = json.loads((folder / "results.json").read_text(), parse_constant=nothing)
    assert results["claims"]["7"] == {
        "claim": "noise helps",
        "verdict": "holds when it is small",
        "measured": {"x": 2.5, "many": [1.0, "nan"], "n": [1, 2]},
    }
    assert (results["quick"], results["seeds"]) == (True, 2)
    assert results["command"] == "python experiments/noise.py --seeds=2 --quick"
    assert set(results["versions"]) == {"python", "gdjax", "jax", "optax", "numpy"}


def test_what_is_stopped_leaves_what_is_whole(module, capsys):
    def stopped(experiment):
        experiment.table("whole", [{"a": 1}])
        experiment.table("broken", [{"a": 1}, {"b": 2}])

    with pytest.raises(ValueError, match="'b'"):
        module.main(stopped, "", ["noise.py", "--workdir=here"])

    def interrupted(experiment):
        raise KeyboardInterrupt

    assert module.main(interrupted, "", ["noise.py", "--workdir=here"]) == 130
    assert [path.name for path in Path("here").iterdir()] == ["whole.csv"]
    assert "stopped" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ("--seeds=0", "seeds"),
        ("--seeds=x", "seeds"),
        ("--sedes=3", "sedes"),
        ("more", "error: 'more' is no flag"),
        ("--workdir=/dev/null/here", "/dev/null/here"),
    ],
)
def test_mistakes_are_a_sentence_and_status_2(module, argument, message, capsys):
    assert module.main(nothing, "", ["noise.py", argument]) == 2
    said = capsys.readouterr().err
    assert said.startswith("error: ") and message in said
    assert len(said.splitlines()) == 1


def test_help(module, capsys):
    assert module.main(nothing, "Noise.\n\nUsage: so.", ["noise.py", "--help"]) == 0
    out = capsys.readouterr().out
    assert out.startswith("Noise.\n\nUsage: so.\n\nFlags:\n  --seeds\n")
    assert "  --[no]quick\n" in out and "results.json" in out
    assert max(map(len, out.splitlines())) <= 80


@pytest.mark.long
@pytest.mark.parametrize(
    ("name", "claims", "verdict"),
    [
        ("learning_rate", "123", "holds"),
        ("backpropagation", "4", "holds"),
        # Which of the two a short run cannot tell.
        ("weight_averaging", ("11", "18", "26"), ("holds", "does not hold")),
    ],
)
def test_the_experiments_themselves(name, claims, verdict, tmp_path):
    arguments = ["--quick", "--seeds=2", f"--workdir={tmp_path}"]
    command = [sys.executable, "-W", "error", f"experiments/{name}.py", *arguments]
    ran = subprocess.run(command, cwd=ROOT.parent, capture_output=True, text=True)
    assert (ran.returncode, ran.stderr) == (0, "")
    found = json.loads((tmp_path / "results.json").read_text())["claims"]
    assert sorted(found) == list(claims)
    assert all(entry["verdict"].startswith(verdict) for entry in found.values())
    assert (tmp_path / f"{name}.png").stat().st_size > 10_000
