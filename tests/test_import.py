"""`import gdjax` is light, wakes no backend, shows every name, needs no extra."""

import json
import subprocess
import sys

import pytest

import gdjax as gd

EXTRAS = ("ml_collections", "sklearn", "matplotlib", "rich", "orbax", "tensorstore")
LATE = (*EXTRAS, "flax", "chex")  # the last two are always there, and cost a wait


def in_a_fresh_interpreter(code):
    """What `code` prints as JSON, in a process that sees the same gdjax."""
    # -P: a checkout in the working directory must not stand in for the wheel.
    command = [sys.executable, "-P", "-W", "error", "-c", f"import sys\n{code}"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_an_import_is_light_and_starts_no_backend():
    told = in_a_fresh_interpreter(f"""
import json, optax
before = set(sys.modules)
import gdjax as gd
from jax._src import xla_bridge
new = {{name.partition(".")[0] for name in set(sys.modules) - before}}
print(json.dumps(dict(
    new=sorted(new),
    late=[name for name in {LATE!r} if name in sys.modules],
    awake=xla_bridge.backends_are_initialized(),
    missing=sorted(set(gd.__all__) - set(dir(gd))),
)))
""")
    assert told["late"] == [] and told["missing"] == [] and not told["awake"]
    third_party = set(told["new"]) - set(sys.stdlib_module_names) - {"gdjax"}
    assert third_party == set(), "what Optax has not loaded already"


def test_without_the_extras_the_core_works_and_the_rest_says_how_to_install():
    """Every package imports; what needs an extra answers with the command."""
    told = in_a_fresh_interpreter(f"""
import importlib, json, pkgutil

class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {EXTRAS!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Missing())
import gdjax as gd
for module in pkgutil.iter_modules(gd.__path__, "gdjax."):
    importlib.import_module(module.name)
try:
    gd.data.load("digits")
except ImportError as error:
    said = str(error)
print(json.dumps(dict(said=said)))
""")
    assert told["said"].endswith("pip install 'gdjax[run]'")


@pytest.mark.parametrize("name", gd.__all__)
def test_every_public_name_is_there_and_described(name):
    assert name in dir(gd) and getattr(gd, name).__doc__


def test_all_is_sorted_and_without_doubles():
    assert gd.__all__ == sorted(set(gd.__all__))
