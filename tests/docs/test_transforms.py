"""The pages on transformations: none is missing in them."""

from pathlib import Path

from test_laws import FACTORIES

import gdjax as gd

DOCS = Path(__file__).parents[2] / "docs"
PAGE = (DOCS / "transforms.md").read_text()


def test_every_public_transformation_is_on_the_page():
    directions, optimizers = PAGE.split("## Optimizers")
    links = set(FACTORIES) & set(gd.transforms.__all__) - {"from_rule", "lawful"}
    assert {name for name in links if f"`{name}`" not in directions} == set()
    names = gd.optimizer_names()
    assert {name for name in names if f"| `{name}` |" not in optimizers} == set()
