"""The page on schedules: its block runs, and no schedule is missing in it."""

import re
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure

import gdjax as gd

DOCS = Path(__file__).parents[2] / "docs"
PAGE = (DOCS / "schedules.md").read_text()


@pytest.fixture(scope="module")
def block():
    (found,) = re.findall(r"```python\n(.*?)```", PAGE, re.S)
    return found


def test_every_schedule_is_in_the_table_and_in_the_picture(block):
    named = re.findall(r"^\| `(\w+)\(", PAGE, re.M)
    assert sorted(named) == gd.schedules.__all__
    assert set(re.findall(r"gd\.(\w+)\(", block)) == set(gd.schedules.__all__)


def test_the_picture_is_what_the_block_draws(block, monkeypatch):
    """Nothing is rendered here; the picture itself stands in docs/."""
    saved = []
    monkeypatch.setattr(Figure, "savefig", lambda *args, **_: saved.append(args))
    exec(compile(block, "schedules.md", "exec"), {})
    ((figure, path),) = saved
    assert path == "docs/schedules.png" and f"({Path(path).name})" in PAGE
    assert len(figure.axes) == 12
    for axes in figure.axes:
        for line in axes.lines:
            values = np.asarray(line.get_ydata())
            assert np.all((values >= 0) & (values <= 1)) and values.max() > 0.4
    size = (DOCS / Path(path).name).stat().st_size
    assert size < 300_000
