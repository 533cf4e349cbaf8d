"""The layers: a package imports only public names from below, never a sibling's."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
LAYERS = (
    {"_checks", "_extras"},
    {"tree"},
    {"_wrapping", "data", "layout", "linalg", "models", "problems", "schedules"},
    {"_minimize", "curvature"},
    {"parallel", "precision", "transforms"},
    {"averaging", "derivative_free", "newton", "preconditioners"},
    {"optimizers"},
    {"config", "diagnostics", "testing"},
    {"training"},
    {"sweeps"},
)
LAYER_OF = {
    package: layer for layer, packages in enumerate(LAYERS) for package in packages
}
HEAVY = {"flax", "sklearn", "matplotlib", "rich", "orbax", "ml_collections", "chex"}


def imports(source: str, package: str) -> set[str]:
    """Dotted names that `source`, a module inside `package`, imports anywhere."""
    return imported(ast.walk(ast.parse(source)), package)


def imports_at_once(source: str, package: str) -> set[str]:
    """Those that it imports when it is itself imported: not inside a function."""
    nodes, todo = [], [ast.parse(source)]
    while todo:
        node = todo.pop()
        test = ast.unparse(node.test) if isinstance(node, ast.If) else ""
        if isinstance(node, (ast.FunctionDef, ast.Lambda)) or "TYPE_CHECKING" in test:
            continue
        nodes.append(node)
        todo += ast.iter_child_nodes(node)
    return imported(nodes, package)


def imported(nodes, package: str) -> set[str]:
    names = set()
    for node in nodes:
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                above = package.split(".")[: len(package.split(".")) - node.level + 1]
                base = ".".join([*above, *filter(None, [base])])
            names |= {f"{base}.{alias.name}" for alias in node.names}
    return names


def packages(names: set[str]) -> set[str]:
    split = [name.split(".") for name in names]
    return {parts[1] for parts in split if parts[0] == "gdjax" and len(parts) > 1}


def upward(package: str, used: set[str]) -> set[str]:
    """Packages that this one may not use: siblings, those above it, unknown ones."""
    limit = LAYER_OF[package]
    return {other for other in used - {package} if LAYER_OF.get(other, limit) >= limit}


def private(names: set[str], package: str = "") -> set[str]:
    """Those of `names` that are private to another package; none given: an outsider."""
    split = {name: name.split(".") for name in names if name.startswith("gdjax.")}
    return {
        name
        for name, (_, other, *inner) in split.items()
        if other != package
        and any(
            part.startswith("_") for part in (inner if package else [other, *inner])
        )
    }


MODULES = set((ROOT / "gdjax").rglob("*.py")) - {ROOT / "gdjax/__init__.py"}


@pytest.mark.parametrize(
    "path", sorted(MODULES), ids=lambda p: str(p.relative_to(ROOT))
)
def test_a_package_uses_only_public_names_from_below(path):
    _, name, *_ = inside = path.relative_to(ROOT).with_suffix("").parts
    source, package = path.read_text(), ".".join(inside[:-1])
    used = imports(source, package)
    assert name in LAYER_OF, "give this package a layer"
    assert not upward(name, packages(used))
    assert not private(used, name)
    assert "gdjax" not in used, "the top level is above every package"
    at_once = {name.partition(".")[0] for name in imports_at_once(source, package)}
    assert not at_once & HEAVY, "import it inside the function that needs it"


@pytest.mark.parametrize(
    "path", sorted(MODULES), ids=lambda p: str(p.relative_to(ROOT))
)
def test_a_file_says_in_one_sentence_what_it_is_for(path):
    first = (ast.get_docstring(ast.parse(path.read_text())) or "").partition("\n")[0]
    assert path.read_text().startswith(f'"""{first}') and first.endswith((".", "`"))


@pytest.mark.parametrize("folder", ["experiments", "configs", "benchmarks", "examples"])
def test_outside_the_package_only_public_names(folder):
    for path in (ROOT / folder).rglob("*.py"):
        assert not private(imports(path.read_text(), folder)), path


def test_tests_mirror_the_package():
    """A folder of tests is called after a package, or after a folder beside it."""
    folders = {p.name for p in (ROOT / "tests").iterdir() if any(p.glob("test_*.py"))}
    beside = {p.name for p in ROOT.iterdir() if p.is_dir()}
    assert folders - set(LAYER_OF) - beside == set()


def test_the_rules_catch_planted_faults():
    assert upward("schedules", {"tree", "schedules", "_extras"}) == set()
    assert upward("schedules", {"models"}) == {"models"}  # a sibling
    assert upward("tree", {"config"}) == {"config"}  # upstairs
    assert upward("config", {"surprise"}) == {"surprise"}  # no layer
    assert private({"gdjax.data._idx.read", "gdjax._checks.real"}, "data") == set()
    assert private({"gdjax.data._idx.read"}, "config") == {"gdjax.data._idx.read"}
    assert private({"gdjax._checks.real"}) == {"gdjax._checks.real"}
    assert imports("from ..tree import a", "gdjax.models") == {"gdjax.tree.a"}
    assert imports("from . import _mlp", "gdjax.models") == {"gdjax.models._mlp"}
    assert imports("import gdjax.tree", "gdjax") == {"gdjax.tree"}
    lazy = "import jax\ndef f():\n    from flax import nnx\nclass A:\n    import rich"
    assert imports_at_once(lazy, "gdjax.models") == {"jax", "rich"}
    typed = "if TYPE_CHECKING:\n    import rich\nelse:\n    import flax"
    assert imports_at_once(typed, "gdjax.models") == set()
