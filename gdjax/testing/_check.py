"""`check`: every law on one transformation, each judged apart from the others."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import optax

from gdjax.testing import _programs, _refusals, _values
from gdjax.testing._code import first_line
from gdjax.testing._oracle import follows_the_oracle
from gdjax.testing._probe import IMPORTS, Subject
from gdjax.testing._report import LAWS, Broken, NotChecked, Outcome, Report
from gdjax.tree import Tree


def check(
    make: Callable[..., optax.GradientTransformation] | optax.GradientTransformation,
    *,
    numbers: Mapping[str, float] | None = None,
    bad: Mapping[str, Sequence[object]] | None = None,
    oracle: Callable[..., np.ndarray] | None = None,
    params: Tree | None = None,
    sign: int = 1,
    decays: bool = False,
) -> Report:
    """Runs the laws of a transformation on anybody's, and prints which hold.

    1  state has the structure, shapes and dtypes that `init` gave it, for donation,
       `lax.scan` and checkpoints
    2  numbers may be traced: one program for all their values, each with an effect
    3  jit equals eager to 1e-6, and so do vmap, pmap, shard_map and sharded leaves;
       state is sharded like its parameter
    4  f16, bf16, f32, f64 and complex leaves, f32 gradients on bf16 parameters,
       scalars, empty arrays and trees, `None` and masked leaves; an integer
       parameter is a TypeError with its path
    5  a zero gradient moves nothing; from 1e-30 to 1e30 nothing becomes NaN
    6  bad numbers and bad trees raise an error that names them
    7  `update` takes keyword arguments that it does not know
    8  200 steps in f64 are within 1e-12 of `oracle`, in f32 within 1e-5 of the
       distance travelled; what the state holds too
    9  a direction keeps the gradient's sign, a step flips it

    Args:
      make: a factory, called with `numbers`, or a built transformation: laws that need
        a factory are then not checked.
      numbers: floats for the factory, at values unlike its defaults (eps at 1e-2 or so
        shows where it stands); every one of them is traced.
      bad: values by name that the factory must refuse, one at a time.
      oracle: `oracle(g, p, state, t, **numbers) -> update` for one array, in numpy
        float64, t from 1. `state` is a dict that it keeps between steps; entries
        called like a field of the transformation's state are compared with it.
      params: tree to try instead of one with every dtype; it needs an f32 leaf.
      sign: 1 for a direction, -1 for a step.
      decays: a zero gradient may move parameters. (Where `numbers` has `weight_decay`,
        it must not at 0.)

    Returns:
      The report that is printed.

    Raises:
      ValueError: `numbers` or `bad` without a factory; `sign` is neither 1 nor -1.

    Example:
      >>> heavy_ball = lambda decay: gd.trace(decay)
      >>> def oracle(g, p, state, t, decay):
      ...     state["trace"] = decay * state.get("trace", 0) + g
      ...     return state["trace"]
      >>> bad = {"decay": (1.0, float("nan"))}
      >>> report = check(heavy_ball, numbers={"decay": 0.8}, bad=bad, oracle=oracle)
      <lambda>
        1 state fixed by init       holds
        2 numbers are live          holds
      ...
      >>> report.broken
      []
    """
    if sign not in (1, -1):
        raise ValueError(f"`sign` must be 1 (a direction) or -1 (a step), got {sign}.")
    subject = Subject(make, numbers or {}, params, sign)
    if bad and not subject.is_factory:
        raise ValueError("`bad` needs a factory, got a built transformation.")
    laws = {
        1: lambda: _programs.state_is_fixed(subject),
        2: lambda: _programs.numbers_are_live(subject),
        3: lambda: _programs.programs_agree(subject),
        4: lambda: _values.dtypes_work(subject),
        5: lambda: _values.zero_moves_nothing(subject, decays),
        6: lambda: _refusals.bad_input_is_refused(subject, bad or {}),
        7: lambda: _refusals.extra_arguments_pass(subject),
        8: lambda: follows_the_oracle(subject, oracle),
        9: lambda: _values.sign_is_kept(subject),
    }
    outcomes = {}
    for law in LAWS:
        try:
            laws[law]()
            outcomes[law] = Outcome("holds")
        except NotChecked as reason:
            outcomes[law] = Outcome("not checked", str(reason))
        except Broken as broken:
            lines = broken.lines or _again(subject, law, decays)
            outcomes[law] = Outcome("broken", str(broken), "\n".join(lines))
        except Exception as error:  # somebody's transformation may raise anything
            sentence = f"{type(error).__name__}: {first_line(error)}"
            lines = "\n".join(_again(subject, law, decays))
            outcomes[law] = Outcome("broken", sentence, lines)
    report = Report(subject.name, outcomes)
    print(report)
    return report


def _again(subject: Subject, law: int, decays: bool) -> tuple[str, ...]:
    """The check itself as a reproducer, where the law has none of its own."""
    options = f"numbers={subject.numbers}, sign={subject.sign}, decays={decays}"
    what = subject.source if subject.is_factory else "tx"
    return (
        IMPORTS,
        f"report = gd.testing.check({what}, {options})",
        f"assert {law} not in report.broken, report",
    )
