"""The table of Optax's optimizers in docs/laws.md is what its script prints today."""

import re
import subprocess
import sys
from pathlib import Path

import optax
import pytest

ROOT = Path(__file__).parents[1]
ROW = re.compile(r"^\| `optax.*$", re.M)


@pytest.mark.long
def test_the_table_is_true():
    text = (ROOT / "docs" / "laws.md").read_text()
    written = re.search(r"Optax (\S+), jax", text)
    assert written, "docs/laws.md must say of which Optax its table is"
    script = ROOT / "benchmarks" / "optax_laws.py"
    run = subprocess.run([sys.executable, script], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    found = ROW.findall(run.stdout)
    assert len(found) == 4
    if written[1] == optax.__version__:  # another Optax may be another table
        assert found == ROW.findall(text)
