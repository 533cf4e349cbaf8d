"""Optax's own tests pass on our functions wherever they pass on Optax's."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

import gdjax as gd

RUN = Path(__file__).parent / "optax_suites" / "run.py"
RECORD = json.loads(RUN.with_name("passes.json").read_text())
SLOW = {"alias": 3, "contrib": 1, "linesearch": 1}  # parts, for several workers
PARTS = [((suite,), f"{k}/{n}") for suite, n in SLOW.items() for k in range(n)]
PARTS.append((tuple(x for x in RECORD["passes"] if x not in SLOW), "0/1"))
# {regex: why it fails here}; in quotes stands the line of docs/findings.md, section 1,
# that calls a defect what the test asks for.
EXCEPTIONS = {
    r"Test\.test_explicit_dtype \(params_dtype='bfloat16', state_dtype=None": (
        "'bf16 `nu` after 3000 steps of g=1 is 0.5': moments are f32 by default"
    ),
    r"AddingTest\.test_none_argument": (
        "'weight decay named and defaulted differently': the state counts for a "
        "schedule, and the test gives 0"
    ),
    r"TransformTest\.test_lion_invalid_mode_raises": (
        "'44 of 57 invalid hyperparameters accepted': refused when built, not later"
    ),
    r"TransformTest\.test_scale_by_polyak_l1_norm": (
        "'gradient (4,3) on parameter (3,)': the shapes of the test's call are refused "
        "before its missing value"
    ),
    r"InjectHyperparamsTest\.test_inject_hyperparams_starts_with_step_count_zero": (
        "docs/laws.md: integer gradients are refused; the test's is 1"
    ),
    r"LinesearchTest\.test_\w*raises_on_unused_extra_args": (
        "docs/api.md: extras that `value_fn` does not take are dropped"
    ),
}


@pytest.mark.long
@pytest.mark.parametrize(("suites", "part"), PARTS)
def test_of_optax(suites, part):
    """With another Optax than the recorded one, cases that it does not know are out."""
    command = [sys.executable, "-P", "-W", "ignore", RUN, *suites, f"--part={part}"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    cases = [json.loads(line) for line in done.stdout.splitlines()]
    for case in cases:
        why = [reason for x, reason in EXCEPTIONS.items() if re.search(x, case["name"])]
        said = "\n".join([case["name"], *case["said"]])
        assert case["outcome"] == ("fails" if why else "passes"), said
    called = {name for case in cases for name in case["called"]}
    assert len(called) > 1, "no case has called functions of gdjax"


def test_the_list_of_exceptions_is_read():
    findings = Path(__file__).parents[1] / "docs" / "findings.md"
    section = findings.read_text().split("## 1.")[1].split("## 2.")[0]
    for reason in EXCEPTIONS.values():
        quoted = re.match(r"'(.*?)'", reason)
        words = quoted[1].split(" ... ") if quoted else []
        assert all(word in section for word in words), reason
        assert words or reason.startswith(("docs/api.md", "docs/laws.md"))


def test_a_function_of_ours_stands_where_optax_has_one():
    sys.path.insert(0, str(RUN.parent))
    try:
        import run
    finally:
        sys.path.pop(0)
    import optax
    from optax._src import alias

    with run.ours_in_place():
        from optax._src import alias as seen

        assert seen.sgd.__wrapped__ is gd.sgd
        assert seen.base is alias.base  # not a function
        assert sys.modules["optax"].adamw.__wrapped__ is gd.adamw
    assert sys.modules["optax"] is optax
    assert optax._src.alias is alias
    run.called.clear()
    seen.sgd(0.1)
    assert run.called == {"sgd"}
