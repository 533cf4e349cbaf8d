"""Optax's own tests on the functions of gdjax, a line of JSON a case.

python tests/optax_suites/run.py SUITE ... [--part=K/N]  # what Optax passes itself
python tests/optax_suites/run.py SUITE ... --record      # runs Optax, for passes.json
python tests/optax_suites/run.py SUITE ... --all         # with what `SUITES` leaves out

A line says what became of a case, which functions of gdjax it called, its CPU seconds,
and the end of what went wrong.
"""

import argparse
import contextlib
import functools
import importlib.util
import inspect
import json
import os
import re
import sys
import time
import types
import unittest
import zlib
from pathlib import Path

RECORD = Path(__file__).with_name("passes.json")
# Of each suite what is run: Optax tries some things on every optimizer in every dtype.
# Left out are other dtypes where f32 or bf16 is tried, and schedules where numbers are
# (the laws try them), MultiSteps but once, wrappers of Optax (mechanize), and of L-BFGS
# and the line searches, whose code is Optax's, what repeats on further problems.
SUITES = {
    "accumulation": ("optax.transforms._accumulation_test", "test_ema|scan_dtype"),
    "adding": ("optax.transforms._adding_test", ""),
    "alias": (
        "optax._src.alias_test",
        r"AliasTest\.test_(optimizers_|explicit|preserve)|"
        r"AliasTest\.test_optimization .*float32|"
        r"AliasTest\.test_gradient_accumulation .*float32|"
        r"AliasTest\.test_state_shape.*bfloat16|"
        r"LBFGSTest\.test_(precond|plain|against_scipy|lbfgs_complex |minimize|steep)",
    ),
    "clipping": ("optax.transforms._clipping_test", r"test_(clip|adaptive)"),
    "constraining": ("optax.transforms._constraining_test", ""),
    "contrib": (
        "optax.contrib._common_test",
        r"test_(optimizers(_can\S*|_accept_extra\S*)? |preserve)|"
        r"test_state_shape.*bfloat16",
    ),
    "factorized": ("optax._src.factorized_test", ""),
    "float64": ("optax._src.float64_test", ""),
    "inject": ("optax.schedules._inject_test", ""),
    "linesearch": (
        "optax._src.linesearch_test",
        r"test_(armijo|gradient_descent|failure|value_and|linesearch_update|\w*raises)|"
        r"test_dtype_stability .*dtype=<\S* 'jax.numpy.bfloat16'>, .*float32",
    ),
    "schedule_free": ("optax.contrib._schedule_free_test", ""),
    "schedules": ("optax.schedules._schedule_test", "ScheduleAsLearningRate"),
    "sharding": ("optax._src.sharding_test", ""),
    "transform": ("optax._src.transform_test", ""),
}
# Where those tests look for what they test.
MODULES = (
    "optax._src.alias",
    "optax._src.factorized",
    "optax._src.linesearch",
    "optax._src.transform",
    "optax.contrib",
    "optax.contrib._schedule_free",
    "optax.schedules._inject",
    "optax.schedules._schedule",
    "optax.transforms._accumulation",
    "optax.transforms._adding",
    "optax.transforms._clipping",
    "optax.transforms._constraining",
)
# Addresses, a number in the matrix, what a transformation is made of.
NOT_ITS_NAME = r" at 0x\w+|(?<=[a-z])\d+(?= \()|(?<=Args)\(.*?<locals>.*?<locals>.*?\)"
called: set[str] = set()


class Ours(types.ModuleType):
    """A module of Optax with our functions in place of those that we have too."""

    def __init__(self, theirs):
        super().__init__(theirs.__name__)
        self._theirs = theirs

    def __getattr__(self, name):
        import gdjax as gd

        theirs, ours = getattr(self._theirs, name), getattr(gd, name, None)
        if not inspect.isfunction(theirs) or not inspect.isfunction(ours):
            return theirs

        @functools.wraps(ours)
        def noted(*args, **kwargs):
            called.add(name)
            return ours(*args, **kwargs)

        return noted


@contextlib.contextmanager
def ours_in_place():
    """Whoever imports a module of `MODULES` meanwhile gets ours, and `optax` too."""
    import optax

    kept = []
    for path in MODULES:
        package, _, name = path.rpartition(".")
        package, module = map(importlib.import_module, (package, path))
        kept.append((package, name, module))
    proxies = [(package, name, Ours(module)) for package, name, module in kept]
    for package, name, proxy in proxies:
        setattr(package, name, proxy)
    sys.modules["optax"] = whole = Ours(optax)
    whole.contrib = optax.contrib
    try:
        yield
    finally:
        sys.modules["optax"] = optax
        for package, name, module in kept:
            setattr(package, name, module)


def cases(suite, ours):
    """{name: test} of a suite, whose module is executed anew."""
    spec = importlib.util.find_spec(SUITES[suite][0])
    module = importlib.util.module_from_spec(spec)
    with ours_in_place() if ours else contextlib.nullcontext():
        spec.loader.exec_module(module)
    found = {}
    for tests in unittest.defaultTestLoader.loadTestsFromModule(module):
        for test in tests:
            name = re.sub(NOT_ITS_NAME, "", test.id()).removeprefix(f"{spec.name}.")
            alike = sum(name == known.partition("#")[0] for known in found)
            found[f"{name}#{alike}" if alike else name] = test
    return found


def concerns_us(name):
    """Whether a case tests an optimizer, or wrapper, that gdjax has."""
    import gdjax as gd

    has = lambda key: (
        (found := re.search(f"{key}='(\\w+)'", name)) is None or hasattr(gd, found[1])
    )
    if name.startswith("ShardingTest"):  # built where the module is executed
        return any(name.endswith(f"_{optimizer}") for optimizer in gd.optimizer_names())
    return has("opt_name") and has("wrapper_name")


def run(test):
    """What becomes of a case."""
    called.clear()
    result, start = unittest.TestResult(), time.process_time()
    with open(os.devnull, "w") as nowhere, contextlib.redirect_stdout(nowhere):
        test.run(result)
    wrong = [text for _, text in result.failures + result.errors]
    return {
        "outcome": "fails" if wrong else "skipped" if result.skipped else "passes",
        "called": sorted(called),
        "seconds": round(time.process_time() - start, 2),
        "said": [text[-600:] for text in wrong],
    }


def short(name):
    """A case in the record."""
    return f"{zlib.crc32(name.encode()):08x}"


def record(suite, passed):
    import optax

    kept = json.loads(RECORD.read_text()) if RECORD.exists() else {}
    kept = kept if kept.get("optax") == optax.__version__ else {}
    passes = {**kept.get("passes", {}), suite: " ".join(sorted(map(short, passed)))}
    text = json.dumps(
        {"optax": optax.__version__, "passes": passes}, indent=1, sort_keys=True
    )
    RECORD.write_text(text + "\n")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("suites", nargs="+", choices=SUITES)
    parser.add_argument("--record", action="store_true")
    parser.add_argument("--all", action="store_true")
    parser.add_argument("--part", default="0/1", help="every Nth case from the Kth on")
    options = parser.parse_args()
    first, step = map(int, options.part.split("/"))
    for suite in options.suites:
        found = cases(suite, ours=not options.record)
        names = [n for n in found if options.all or re.search(SUITES[suite][1], n)]
        if not options.record:
            names = [n for n in names if concerns_us(n)]
        if not options.record and not options.all:
            known = json.loads(RECORD.read_text())["passes"][suite].split()
            names = [n for n in names if short(n) in known]
        passed = []
        for name in names[first::step]:
            result = run(found[name])
            print(json.dumps({"name": name, **result}), flush=True)
            passed += [name] * (result["outcome"] == "passes")
        if options.record:
            record(suite, passed)


if __name__ == "__main__":
    os.environ["XLA_FLAGS"] = (
        "--xla_force_host_platform_device_count=8 "
        "--xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true"
    )
    os.environ["JAX_PLATFORMS"] = "cpu"
    main()
