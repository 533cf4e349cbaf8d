"""The README's Python runs as it stands there, and is as short as promised."""

import re
from pathlib import Path

import pytest

README = (Path(__file__).parents[1] / "README.md").read_text()
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
