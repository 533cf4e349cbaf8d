"""What the README shows runs as it stands there: its Python, and its commands."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
BLOCKS = re.findall(r"```python\n(.*?)```", README, re.S)


def test_the_readme_has_its_two_examples():
    assert len(BLOCKS) == 2


@pytest.mark.parametrize("block", BLOCKS, ids=["compose", "from_rule"])
def test_examples_of_the_readme(block, capsys):
    names: dict = {}
    exec(compile(block, "README.md", "exec"), names)
    said = capsys.readouterr().out
    if "report" in names:
        assert names["report"].broken == []
        assert "holds" in said
    else:
        assert float(names["loss"](names["params"])) < 1e-2
        assert "learning_rate" in said


@pytest.mark.long
def test_what_a_run_writes_how_to_resume_how_to_change_anything(tmp_path):
    _, _, section = README.partition("\n## What a run writes, how to resume, how to")
    section, _, _ = section.partition("\n## ")
    section, _, _ = section.partition("\nAs a library: ")
    for name in ("experiments", "configs"):
        (tmp_path / name).symlink_to(ROOT / name)
    environment = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "XDG_CACHE_HOME": str(tmp_path / "cache"),
    }
    ran = [
        subprocess.run(
            ["bash", "-e", "-c", block],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
        )
        for block in re.findall(r"```sh\n(.*?)```", section, re.S)
    ]
    first, more, changed, averaged = ran
    assert (first.returncode, first.stderr) == (0, ""), first
    *_, listed = re.findall(r"^ls runs/a +# (.*)$", section, re.M)
    assert first.stdout.split()[-8:] == listed.split()
    record = json.loads((tmp_path / "runs/a/config.json").read_text())["provenance"]
    for word, key in (
        ("versions", "versions"),
        ("git commit", "commit"),
        ("digest of the data", "data"),
        ("device", "device"),
        ("command", "command"),
    ):
        assert word in section and key in record

    results = json.loads((tmp_path / "runs/a/results.json").read_text())
    accuracy = results["test"]["average"]["accuracy"]
    assert accuracy > 0.95 and f"{accuracy:.2%}" in more.stdout
    assert (more.returncode, more.stderr) == (0, ""), more
    went_on, stopped, again = more.stdout.partition(
        "stopped  num_steps at step 300 of 300\n"
    )
    assert stopped and "resumed from step 200, " in went_on
    table = went_on[went_on.index("split  ") :]
    assert again == f"{table}complete; to train anew: rm -r runs/a\n"

    *_, last = changed.stdout.splitlines()
    assert re.match(r"stopped  (converged at step \d+|num_steps at step 400)", last)
    with open(tmp_path / "runs/b/metrics.jsonl") as lines:
        assert "plateau_scale" in json.loads(lines.readline())
    assert (changed.returncode, changed.stderr) == (
        2,
        "error: `config.optimizer.b1` must lie in [0, 1), got 1.5.\n",
    )

    assert (averaged.returncode, averaged.stderr) == (0, "")
    rows = lambda run: (tmp_path / f"runs/{run}/metrics.jsonl").read_text().splitlines()
    before, after = json.loads(rows("c")[-1]), json.loads(rows("d")[0])
    # It goes on from there: after 25 steps at a low rate it is hardly worse.
    assert before["average_validation_loss"] < 0.2 and after["loss"] < 0.2
